"""What goes wrong is said on the job's stderr, each thing once, and the job goes on."""

from __future__ import annotations

import sys

from overnight.errors import OvernightError
from overnight.messages import say

_said: set[str] = set()
#: Whoever has not been heard after so many complaints will not be heard.
_SAID_AT_MOST = 20
_MAX_CHARS = 500


def complain(key: str, /, error: BaseException | None = None, **fields: object) -> None:
    """Says a sentence of the catalogue, and how it went. Never raises."""
    try:
        _write(say(key, **fields), error)
    except Exception:
        return  # a closed stderr, or an error that cannot be printed, must not end a training


def _write(text: str, error: BaseException | None) -> None:
    if isinstance(error, OvernightError):
        text = f"{text}: {error.where}: {error.what}; {error.fix}"
    elif isinstance(error, OSError):
        text = f"{text} ({error})"
    elif error is not None:
        text = f"{text} ({type(error).__name__}: {error})"
    text = " ".join("".join(c if c.isprintable() else " " for c in text[:_MAX_CHARS]).split())
    if text in _said or len(_said) >= _SAID_AT_MOST:
        return
    _said.add(text)
    sys.stderr.write("overnight: " + text + "\n")
