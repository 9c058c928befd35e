"""Who tells a person how a fit goes, in the log. The engine calls; the run's console prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from overnight.tasks.base import Scope


class Narrator(Protocol):
    """What an engine has to say. Nothing of it may raise: a closed terminal ends no training."""

    def begin(self, scope: Scope, facts: Mapping[str, object]) -> None:
        """A fit begins or goes on.

        Args:
            scope: Its fold.
            facts: ``device``, ``precision``, ``num_workers``, ``steps``, ``epochs``,
                ``parameters``, ``trainable`` (counts) and ``resumed_step`` (0: from the start).
        """
        return

    def epoch(self, scope: Scope, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """An epoch was trained and evaluated; ``row`` is its row in the ledger."""
        return

    def new_best(self, scope: Scope, metric: str, value: float, epoch: int) -> None:
        """No epoch before was as good."""
        return

    def checkpoint(self, scope: Scope, path: Path, step: int) -> None:
        """A whole checkpoint is on the disk."""
        return

    def checkpoint_failed(self, scope: Scope, error: Exception) -> None:
        """The disk did not take a checkpoint; the one before is kept, and the fit goes on."""
        return

    def stopped(
        self,
        scope: Scope,
        why: Literal["early_stopped", "signal", "deadline", "pruned"],
        epoch: int,
        step: int,
    ) -> None:
        """The fit ends before its last epoch."""
        return


class Silent(Narrator):
    """Says nothing: what :class:`Narrator` does by itself."""
