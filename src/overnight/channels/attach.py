"""Files go after their text, which they can never cost: small ones, and not for long.

The text has arrived by then. A sender that is killed while a file is on its way is taken for one
that told nothing, and the text comes twice; so all files of a message share one short time, and
the first that fails is the last that is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from overnight.channels import answers
from overnight.channels.base import Refused, Retry

#: Well below what the agent waits for a sign of life.
_WITHIN_S = 40.0
#: What the strictest of the services takes in one message.
_MAX_FILE_BYTES = 8 * 2**20
_log = logging.getLogger("overnight.channels")


def attach(name: str, files: Sequence[Path], send: Callable[[Path], None]) -> None:
    """Has ``send`` send each file that is there and not too large.

    Args:
        name: The channel's, for the log.
        files: In this order.
        send: Sends one; may raise Retry, Refused or OSError.
    """
    with answers.within(_WITHIN_S):
        for file in files:
            try:
                if 0 < file.stat().st_size <= _MAX_FILE_BYTES:
                    send(file)
            except FileNotFoundError:
                continue
            except (Retry, Refused, OSError) as error:
                _log.warning("%s: %s was not attached: %s", name, file.name, error)
                return
