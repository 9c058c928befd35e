"""``python -m overnight.trainer.rank``: one of several processes of a fit, but not the first.

Started by ``ranks.py``, from which it hears what to do. It writes no record, no checkpoint and no
line of the log but what went wrong in it.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
import traceback
from dataclasses import replace
from typing import Any, Literal, NoReturn

from overnight.errors import OvernightError, UserErrors

#: Of the number in front of a rank's work.
LENGTH_BYTES = 8
#: The word that asks a rank to stop.
STOP = b"s"
#: 128 + SIGTERM: rank 0 is gone.
_LEFT_ALONE = 143
_MAX_WHY = 400
_LOOK_S = 1.0


class Wish:
    """Whether rank 0 has said that it was asked to stop (tasks.base.Stop)."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        """By whom; None: go on."""
        return "signal" if self._asked else None

    def listen(self, to: int, parent: int) -> None:
        """Hears rank 0 until it is gone, and then ends this process, whatever it is doing.

        Args:
            to: A descriptor. What reads from a Python file holds its lock, which a loader's worker
                that is forked meanwhile would wait for.
            parent: Rank 0. Its own workers may hold the other end a while longer than it lives.
        """
        while os.getppid() == parent:
            if select.select([to], [], [], _LOOK_S)[0]:
                word = os.read(to, 1)
                if not word:
                    break
                self._asked = self._asked or word == STOP
        os._exit(_LEFT_ALONE)


def main() -> NoReturn:
    """Fits with the others."""
    # Who is asked to stop is rank 0; if all of them listened, they would stop at different steps.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent, words = os.getppid(), os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    # Whatever a library prints goes to the log; what rank 0 reads is only ours.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        try:
            _fit(words, parent)
        except BaseException as error:
            if not isinstance(error, (OvernightError, UserErrors)):
                traceback.print_exc()
                sys.stderr.flush()
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            answers.write(why.splitlines()[0][:_MAX_WHY].encode(errors="replace") + b"\n")
            answers.flush()
            # Not by way of the interpreter's end, which may wait for the others.
            os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def _fit(words: int, parent: int) -> None:
    content = _read(words, int.from_bytes(_read(words, LENGTH_BYTES), "big"))
    wish = Wish()
    threading.Thread(target=wish.listen, args=(words, parent), daemon=True).start()
    import torch
    from torch import distributed

    from overnight.trainer import precision, ranks
    from overnight.trainer.engine import HfEngine
    from overnight.trainer.ledger import RunLedger

    job: dict[str, Any] = pickle.loads(content)
    rank, world = job["rank"], job["world"]
    torch.set_num_threads(job["threads"])
    on = precision.device(rank)
    store = ranks.connect(job["port"], world)
    store.set(f"ready{rank}", b"")
    team = ranks.join(store, rank, world, on)
    # A rank above 0 has no say in the ledger: its pen writes nothing (ledger.job.is_silent).
    ctx = replace(
        job["ctx"], rank=rank, ledger=RunLedger(), stop=wish, report=lambda _epoch, _value: True
    )
    engine = HfEngine(checkpoint_every_steps=job["every_steps"], keeps_best=job["keeps_best"])
    engine.work(job["task"], ctx, team, job["items"])
    distributed.destroy_process_group()


def _read(words: int, num_bytes: int) -> bytes:
    parts = []
    while num_bytes and (part := os.read(words, min(num_bytes, 1 << 20))):
        parts.append(part)
        num_bytes -= len(part)
    if num_bytes:  # rank 0 died before it had said all
        os._exit(_LEFT_ALONE)
    return b"".join(parts)


if __name__ == "__main__":
    main()
