"""One time through a loop: which of its turns are run, and what the others would take."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from statistics import mean
from typing import Any

from overnight.preflight.trial.inside.clock import CLOCK, Span

#: Batches are timed until 30 of them took 8 s, or for 20 s. A machine's speed wavers from second
#: to second: fewer say little.
_BATCHES, _BATCHES_S, _LONG_S = 30, 8.0, 20.0
_LEAST_BATCHES = 5
#: The same loader or loop again (the next epoch, the next fold) is known by then.
_AGAIN_BATCHES, _AGAIN_S = 12, 4.0
#: Epochs are run until this has passed, then the last one.
_EPOCHS_S, _EPOCHS_AGAIN_S = 15.0, 3.0
#: What would save less than this is run to its end.
_WORTH_S = 4.0
#: An evaluation is run whole, so that predictions have their number, unless it takes longer.
_EVALUATION_S = 90.0
#: Blocks of batches whose means are compared: the spread of a longer time than one batch.
_BLOCKS = 4


class Pass:
    """One time through a loop of ``total`` turns.

    Args:
        site: Which loop; the same for all passes of it.
        kind: ``epoch``: the first turns and the last are run. ``train``: some batches. ``eval``:
            all, unless it takes long. ``loader``: one of both, as its first turns show.
            ``watch``: all.
        total: Turns of the full run.
    """

    def __init__(self, site: str, kind: str, total: int) -> None:
        self.site, self.kind, self.total = site, kind, total
        self.turns: list[Span] = []
        self._begun_s = time.monotonic()
        self._turn_begun: Span | None = None
        self._backwards = CLOCK.backwards
        self._known = CLOCK.sites.setdefault(
            site, {"kind": kind, "total": total, "run": 0, "passes": 0, "left_out": 0}
        )
        self._known["passes"] += 1
        self._known["total"] = total
        self._again = self._known["passes"] > 1
        if "OVERNIGHT_TRIAL_DIR" in os.environ and is_first_rank():
            CLOCK.report_to(os.environ["OVERNIGHT_TRIAL_DIR"])
        CLOCK.open.append(self)

    def begin_turn(self) -> None:
        """A turn begins."""
        self._turn_begun = CLOCK.now()

    def end_turn(self) -> None:
        """It has ended."""
        if self._turn_begun is not None:
            now = CLOCK.now()
            b = self._turn_begun
            self.turns.append((now[0] - b[0], now[1] - b[1], now[2] - b[2]))
            self._turn_begun = None
            self._known["run"] += 1

    def leave(self) -> None:
        """The loop is over, or was left."""
        if self in CLOCK.open:
            del CLOCK.open[CLOCK.open.index(self) :]
        turn = self.turn()
        if turn is not None:
            self._known["turn_s"] = turn

    def leave_out(self, num: int) -> None:
        """Note that ``num`` turns are not run."""
        turn = self.turn()
        if num > 0 and turn is not None:
            CLOCK.save(num, turn)
            self._known["left_out"] += num

    @property
    def num_left(self) -> int:
        """Turns not begun yet."""
        return max(0, self.total - len(self.turns) - (self._turn_begun is not None))

    def turn(self) -> Span | None:
        """What a turn takes, once it is under way; None before the first has ended."""
        if not self.turns:
            return None
        # The first fills caches, starts workers, compiles.
        warm = self.turns[1:] if len(self.turns) < 8 else self.turns[len(self.turns) // 4 :]
        if self.kind == "epoch" or len(warm) < 2 * _BLOCKS:
            warm = warm or self.turns
            mids = [each[1] for each in warm]
            return min(each[0] for each in warm), mean(mids), max(each[2] for each in warm)
        size = len(warm) // _BLOCKS
        blocks = [warm[len(warm) - (n + 1) * size : len(warm) - n * size] for n in range(_BLOCKS)]
        return (
            min(mean(each[0] for each in block) for block in blocks),
            mean(each[1] for block in blocks for each in block),
            max(mean(each[2] for each in block) for block in blocks),
        )

    def left(self, inner: Span) -> Span:
        """What is still to come, ``inner`` of it in the loops inside this turn."""
        turn = self.turn()
        begun, now = self._turn_begun, CLOCK.now()
        passed = (0.0, 0.0, 0.0) if begun is None else tuple(now[i] - begun[i] for i in range(3))
        if turn is None:
            turn = (passed[0] + inner[0], passed[1] + inner[1], passed[2] + inner[2])
        num = self.num_left
        rest = [0.0 if begun is None else max(inner[i], turn[i] - passed[i]) for i in range(3)]
        return rest[0] + num * turn[0], rest[1] + num * turn[1], rest[2] + num * turn[2]

    def is_enough(self) -> bool:
        """Whether the turns so far tell what the others would take."""
        num, ran_s = len(self.turns), time.monotonic() - self._begun_s
        turn = self.turn()
        if turn is None or self.num_left < 2 or self.kind == "watch":
            return False
        kind = self.kind
        if kind == "loader":
            kind = "train" if CLOCK.backwards > self._backwards else "eval"
            self._known["kind"] = kind
        if kind != "epoch" and os.environ.get("OVERNIGHT_TRIAL_FULL_EPOCH") == "1":
            return False
        if _num_ranks() > 1 and kind == "eval":
            return False
        if _num_ranks() > 1:
            # All processes of a group must do the same, whatever their clocks say.
            return num >= (1 if kind == "epoch" else _BATCHES)
        worth_s = self.num_left * (ran_s / num)
        if worth_s < _WORTH_S:
            return False
        if kind == "epoch":
            return ran_s >= (_EPOCHS_AGAIN_S if self._again else _EPOCHS_S)
        if kind == "eval":
            return num >= _LEAST_BATCHES and ran_s + worth_s > _EVALUATION_S and ran_s >= _LONG_S
        if self._again:
            return num >= _AGAIN_BATCHES and ran_s >= _AGAIN_S
        return num >= _LEAST_BATCHES and (
            ran_s >= _LONG_S or (num >= _BATCHES and ran_s >= _BATCHES_S)
        )


def turns(items: Iterable[Any], one: Pass, last: list[Any] | None = None) -> Iterator[Any]:
    """The items of the turns that are run.

    Args:
        items: Of the full loop.
        one: The pass.
        last: The item of the last turn, where it can be had without those before it.
    """
    try:
        one.begin_turn()  # waiting for the item is part of its turn
        for item in items:
            yield item
            one.end_turn()
            if one.is_enough():
                if last:
                    # What happens at the end of the last epoch (saving, above all) happens here.
                    one.begin_turn()
                    yield last[0]
                    one.end_turn()
                one.leave_out(one.num_left)
                break
            one.begin_turn()
    finally:
        one.leave()


def is_first_rank() -> bool:
    """Whether this process speaks for those that train together."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        if os.environ.get(name, "0") not in ("0", ""):
            return False
    process: Any = sys.modules.get("multiprocessing.process")
    return process is None or process.parent_process() is None


def _num_ranks() -> int:
    number = os.environ.get("WORLD_SIZE", "1")
    return int(number) if number.isdigit() else 1
