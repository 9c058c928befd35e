"""What a training says while it runs, line by line, as docs/log-lines.md lists it.

The lines are for people and for ``grep``: their words stay the same in every language; what a
person has to do something about is said in theirs.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

from overnight.errors import OvernightError
from overnight.messages import say
from overnight.redact import redact
from overnight.tasks.base import Problem, Scope

#: The order of an epoch's numbers; what else there is comes behind them.
_ORDER = (
    "train_loss", "valid_loss", "train_accuracy", "accuracy", "train_macro_f1", "macro_f1",
    "best_macro_f1", "lr", "mem_MiB", "time_s",
)  # fmt: skip
_EXAMPLES_AT_MOST = 5
#: The last line becomes the run's cause, where no more than this is kept. Of files that are too
#: many for it only the names are said: the lines above have the whole paths.
_CAUSE_CHARS = 100
_FOLDERS = re.compile(r"(?<![^\s(])/[^,:\n]*/(?=[^/,:\s])")


class Console:
    """Writes the lines.

    Args:
        out: Where to; by default stdout, which is the run's log.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._is_torn = False
        #: How often the disk took no checkpoint, by scope.
        self.num_unsaved: Counter[str] = Counter()

    def line(self, tag: str, text: str) -> None:
        """``[TAG] text``."""
        self.say(f"[{tag}] {text}")

    def say(self, text: str) -> None:
        """A line without a tag of its own. What a full disk does not take of the log is lost."""
        begin = "\n" if self._is_torn else ""
        try:
            print(begin + text, file=self._out or sys.stdout, flush=True)
            self._is_torn = False
        except OSError:
            self._is_torn = True

    def path(self, key: str, path: Path) -> None:
        """A file or folder that is there."""
        self.line("PATH", f"{key} {path} OK")

    def problem(self, problem: Problem) -> None:
        """Something the data has, with the first of what it is true of."""
        sign = "x" if problem.stops else "!"
        self.line("DATA", f"{sign} {say(problem.key, **problem.fields)}")
        shown = list(problem.examples[:_EXAMPLES_AT_MOST])
        more = max(problem.num, len(problem.examples)) - len(shown)
        for each in shown:
            self.line("DATA", f"    {each}")
        if shown and more > 0:
            self.line("DATA", f"    … +{more:,}")

    # ── what an engine has to say (overnight.trainer.narrator.Narrator) ──────────────────────

    def begin(self, scope: Scope, facts: Mapping[str, object]) -> None:
        """A fit begins or goes on."""
        known = ("precision", "num_workers", "steps", "epochs")
        said = "  ".join(f"{name} {facts[name]}" for name in known if name in facts)
        self.line("MODEL", f"{scope.name} on {facts.get('device', '?')}: {said}")
        if facts.get("resumed_step"):
            self.line("FOLD", f"{scope.name} goes on behind step {facts['resumed_step']}")

    def epoch(self, scope: Scope, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """An epoch's numbers."""
        known = [name for name in _ORDER if name in row]
        names = known + [name for name in row if name not in _ORDER]
        numbers = "  ".join(f"{name} {number(name, row[name])}" for name in names)
        self.line(f"EPOCH {epoch}", f"of {epochs}{_of(scope)}: {numbers}")

    def new_best(self, scope: Scope, metric: str, value: float, epoch: int) -> None:
        """The best epoch so far."""
        self.say(f"NEW_BEST {metric} {value:.4f} (epoch {epoch}{_of(scope)})")

    def checkpoint(self, scope: Scope, path: Path, step: int) -> None:
        """A checkpoint a few seconds is nothing a person reads; the ledger has it."""

    def checkpoint_failed(self, scope: Scope, error: Exception) -> None:
        """The one before is kept, and the training goes on."""
        self.num_unsaved[scope.name] += 1
        self.line("CKPT", f"! {say('train.no_checkpoint', scope=scope.name, reason=error)}")

    def stopped(
        self,
        scope: Scope,
        why: Literal["early_stopped", "signal", "deadline", "pruned"],
        epoch: int,
        step: int,
    ) -> None:
        """The fit ends before its last epoch."""
        self.line("FOLD", f"{scope.name} ends in epoch {epoch}, step {step}: {why}")

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def artifact(self, path: str, remark: str = "") -> None:
        """Something the run leaves, by its path in the run's folder."""
        self.line("ARTIFACTS", f"{path}{'  ' + remark if remark else ''}")

    def copy(self, source: str, target: str) -> None:
        """A file or folder that was put where people look for it."""
        self.line("COPY", f"{source} -> {target}")

    def refuse(self, errors: Sequence[OvernightError]) -> None:
        """What keeps the training from going on; the last line says it in one."""
        for error in errors:
            for text in _sentences(error):
                self.say(redact(text))
        first = errors[0]
        where = f" ({first.where})" if first.where else ""
        if len(first.what + where) > _CAUSE_CHARS:
            where = _FOLDERS.sub("", where)
        more = f" (+{len(errors) - 1})" if len(errors) > 1 else ""
        self.line("ERROR", redact(f"{first.what}{where}{more}"))


def number(name: str, value: float) -> str:
    """A number as wide as it is read: ``0.9533``, ``3.0e-04``, ``12.4``."""
    if name in ("time_s", "mem_MiB"):
        return f"{value:.1f}"
    return f"{value:.2e}" if value and abs(value) < 1e-3 else f"{value:.4f}"


def counted(num: int, noun: str) -> str:
    """``1 fold``, ``5 folds``."""
    return f"{num:,} {noun}" + ("" if num == 1 else "s")


def _of(scope: Scope) -> str:
    return f", {scope.name}" if scope.name != "all" else ""


def _sentences(error: OvernightError) -> Iterable[str]:
    yield say("cli.error", what=error.what)
    if error.where:
        yield say("cli.error_where", where=error.where)
    if error.fix:
        yield say("cli.error_fix", fix=error.fix)
