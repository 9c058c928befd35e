"""Epochs and folds: which one the run is in, and how long one takes."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from overnight.supervisor.progress.lines import BarSeen, EpochSeen
from overnight.supervisor.progress.pace import Pace

# A heading and its results make one or two lines an epoch, train and validation three; a writer
# that repeats an epoch's number with results more often is reporting steps.
_RESULTS_OF_ONE_EPOCH = 3
# An epoch that is nearly over is not over: validation and saving follow.
_NEARLY = 0.999


class EpochCount:
    """One writer's epoch numbers, read as a position in the run: 2.5 is the middle of the third.

    Two writers in one log may count differently (Lightning from 0, the person's print from 1), so
    each form of line has a count of its own.
    """

    __slots__ = (
        "_base", "_completed", "_first", "_inner", "_number", "_own_share", "_results", "_running",
        "_seen_zero_total", "_step", "_undo", "changed_s", "fine", "form", "passes", "position",
        "printed_total", "whole",
    )  # fmt: skip

    def __init__(self, form: str) -> None:
        self.form = form
        self.printed_total: int | None = None
        self.position = 0.0
        self.passes = 0  # how often the numbers began anew: folds, phases
        self.changed_s = 0.0
        self.whole = Pace()  # one segment an epoch
        self.fine = Pace()  # within epochs: all there is before the second
        # These count from 0; the others show it by printing a 0.
        self._base = 0 if form in ("rich", "timm", "bars") else 1
        self._first: int | None = None
        self._number = -1
        self._step: int | None = None
        self._completed = 0  # epochs that are over, without the share of the present one
        self._results = 0
        self._running = False  # lines with results are printed within the epoch, not at its end
        self._own_share = False
        self._inner: tuple[str, float] | None = None
        self._seen_zero_total = False  # number == total was printed: `0/19` … `19/19`
        self._undo: dict[str, object] | None = None

    def see(self, epoch: EpochSeen, now_s: float) -> None:
        """Take in one line."""
        if epoch.form == "float":
            self._see_share(epoch.number, now_s)
            return
        number = int(epoch.number)
        if number != self._number:
            self._undo_misread(number)
            if number < self._number and not self._begins_anew(number):
                return  # an older epoch is mentioned, as in `best was epoch 3/20`
            self._move_to(number, epoch.total)
        if epoch.total is not None:
            self.printed_total = epoch.total
        if number == self.printed_total and self._base == 0:
            self._seen_zero_total = True
        index = number - self._base
        if epoch.phase == "end":
            self._results += 1
            if self._results > _RESULTS_OF_ONE_EPOCH and not self._running:
                self._running = True
                self.position = max(0.0, self.position - 1.0)
                self.whole.shift(-1.0)
                self.fine.shift(-1.0)
        over = epoch.phase == "end" and not self._running
        self._completed = max(self._completed, index + 1 if over else index)
        if epoch.share is not None:
            self._own_share = True
        self._reach(max(float(self._completed), index + min(epoch.share or 0.0, _NEARLY)), now_s)

    def attach(self, bar: BarSeen, now_s: float) -> None:
        """A bar without an epoch of its own: the first kind in an epoch tells its share.

        The others, validation above all, come after it and are part of what an epoch takes.
        """
        if self._own_share or self._number < 0:
            return
        if bar.total == self.printed_total:
            return  # the bar over the epochs themselves
        key = bar.label, bar.total
        if self._inner is None:
            self._inner = key
        if self._inner == key:
            self._reach(self._completed + min(bar.done / bar.total, _NEARLY), now_s)

    def total(self, configured: int | None, told: int | None) -> tuple[int, int] | None:
        """Fewest and most epochs of a pass, or None.

        `Epoch 0/19` is the first of 20 in one habit and of 19 in another; both are kept until the
        configuration or a last line decides.

        Args:
            configured: What the job itself said; it wins.
            told: From the command line or a printed configuration; it settles a doubt.
        """
        if configured is not None:
            return configured, configured
        printed = self.printed_total
        if printed is None:
            return None if told is None else (told, told)
        if self._base == 1:
            return printed, printed
        if self.form in ("rich", "yolo") or self._seen_zero_total:
            return printed + 1, printed + 1
        if told in (printed, printed + 1) and told is not None:
            return told, told
        return printed, printed + 1

    @property
    def completed(self) -> int:
        """Epochs of the present pass that are over."""
        return floor(self.position + 1e-9)

    def _see_share(self, number: float, now_s: float) -> None:
        if number < self.position - 0.5 and number <= 1.0:
            self._restart()
        self._number = int(number)
        self._reach(number, now_s)

    def _begins_anew(self, number: int) -> bool:
        return number in (0, 1) or (self._first is not None and number <= self._first)

    def _move_to(self, number: int, total: int | None) -> None:
        step = number - self._number
        if self._number < 0:
            self._first = number
        elif step < 0:
            self._undo = self.dump()  # _undo_misread() has just emptied the one within
            changed = total is not None and self.printed_total not in (None, total)
            self._restart()
            if changed:  # another phase: its epochs are of another kind
                self.passes = 0
                self.whole, self.fine = Pace(), Pace()
        else:
            if self._step is not None and step > self._step:
                self._undo = self.dump()
            self._step = step if self._step is None else min(step, self._step)
        if number == 0:
            self._base = 0
        self._number = number
        self._results = 0
        self._inner = None

    def _restart(self) -> None:
        self.passes += 1
        self.position = 0.0
        self._completed = 0
        self.whole.pause()
        self.fine.pause()

    def _undo_misread(self, number: int) -> None:
        """Take back the last move, if this number shows that it was a mere mention."""
        undo, self._undo = self._undo, None
        if undo is None:
            return
        before = undo["number"]
        assert isinstance(before, int)
        step = self._step or 1
        fits = before <= number <= before + step
        if fits and not self._number < number <= self._number + step:
            self._load(undo)

    def _reach(self, position: float, now_s: float) -> None:
        self.position = max(self.position, position)
        self.changed_s = now_s
        self.fine.add(now_s, self.position)
        last = self.whole.last
        if last is None or floor(self.position + 1e-9) > floor(last[1] + 1e-9):
            self.whole.add(now_s, self.position)

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {
            "form": self.form,
            "total": self.printed_total,
            "position": self.position,
            "passes": self.passes,
            "changed_s": self.changed_s,
            "base": self._base,
            "first": self._first,
            "number": self._number,
            "step": self._step,
            "completed": self._completed,
            "results": self._results,
            "running": self._running,
            "own_share": self._own_share,
            "inner": self._inner,
            "seen_zero_total": self._seen_zero_total,
            "whole": self.whole.dump(),
            "fine": self.fine.dump(),
            "undo": self._undo,
        }

    @classmethod
    def load(cls, data: Mapping[str, object]) -> EpochCount:
        """The count ``dump`` described.

        Raises:
            TypeError, ValueError, KeyError: It is not such a description.
        """
        count = cls(str(data["form"]))
        count._load(data)
        return count

    def _load(self, data: Mapping[str, object]) -> None:
        self.printed_total = _int_or_none(data["total"])
        self.position = _float(data["position"])
        self.passes = _int(data["passes"])
        self.changed_s = _float(data["changed_s"])
        self._base = _int(data["base"])
        self._first = _int_or_none(data["first"])
        self._number = _int(data["number"])
        self._step = _int_or_none(data["step"])
        self._completed = _int(data["completed"])
        self._results = _int(data["results"])
        self._running = data["running"] is True
        self._own_share = data["own_share"] is True
        inner = data["inner"]
        self._inner = None
        if isinstance(inner, list | tuple) and len(inner) == 2:
            self._inner = str(inner[0]), _float(inner[1])
        self._seen_zero_total = data["seen_zero_total"] is True
        self.whole = Pace.load(data["whole"])
        self.fine = Pace.load(data["fine"])
        undo = data["undo"]
        self._undo = None
        if isinstance(undo, Mapping):
            EpochCount.load({**undo, "undo": None})  # raises where it could not be taken back to
            self._undo = dict(undo)


class FoldCount:
    """Which fold of a cross-validation the run is in. Numbers only grow."""

    __slots__ = ("_base", "_number", "pace", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        self.pace = Pace()
        self._base = 1
        self._number = -1

    @property
    def seen(self) -> bool:
        """Whether a fold was ever named."""
        return self._number >= 0

    @property
    def completed(self) -> int:
        """Folds that are over."""
        return max(0, self._number - self._base)

    def see(self, number: int, total: int | None, now_s: float) -> bool:
        """Take in a fold's number; True where the fold is a new one."""
        self.total = total or self.total
        if number <= self._number:
            return False
        if number == 0:
            self._base = 0
        self._number = number
        self.pace.add(now_s, float(self.completed))
        return True

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {
            "total": self.total,
            "base": self._base,
            "number": self._number,
            "pace": self.pace.dump(),
        }

    @classmethod
    def load(cls, data: Mapping[str, object]) -> FoldCount:
        """The count ``dump`` described.

        Raises:
            TypeError, ValueError, KeyError: It is not such a description.
        """
        folds = cls()
        folds.total = _int_or_none(data["total"])
        folds._base = _int(data["base"])
        folds._number = _int(data["number"])
        folds.pace = Pace.load(data["pace"])
        return folds


def _float(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("a number was expected")
    return float(value)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole number was expected")
    return value


def _int_or_none(value: object) -> int | None:
    return None if value is None else _int(value)
