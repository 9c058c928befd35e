"""The best weights of a fit: put aside while it goes on, a model folder when it is over.

A trial of a search needs them not: of its best epoch the numbers are kept, and nothing else.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from overnight.errors import OvernightError
from overnight.ledger import files
from overnight.tasks.base import FitContext, Task
from overnight.trainer import checkpoints, fit_state
from overnight.trainer.evaluate import LogitsFile
from overnight.trainer.team import Team

WEIGHTS, LOGITS = "model.safetensors", "logits.npy"
#: What a task says of a member, for the model folder's own card.
MEMBER_CARD = "member.json"


class NoBest:
    """Where no weights are wanted: the best is an epoch's numbers.

    Args:
        folder: The fit's.
    """

    is_kept = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def logits(self) -> None:
        """None."""
        return

    def keep(self, step: int, _logits: LogitsFile | None) -> str:
        """The name that the fit knows the epoch by."""
        return f"{checkpoints.BEST_PREFIX}{step}"

    def is_there(self, _name: str) -> bool:
        """Its numbers are with the fit's own."""
        return True

    def member(self, _name: str) -> tuple[Path, None]:
        """No member; the fit's folder."""
        return self._folder, None


class Best:
    """Where the best weights of a fit lie.

    They have a folder of their own, ``best-<step>``, with their logits on the evaluation set. The
    one before goes once a whole checkpoint names the new one: whatever a fit is resumed from, the
    best it knows of is there.

    Args:
        task: What is trained.
        ctx: The fit's.
        model: Whose weights.
        team: Who trains.
    """

    is_kept = True

    def __init__(self, task: Task, ctx: FitContext, model: nn.Module, team: Team) -> None:
        self._task, self._ctx, self._model, self._team = task, ctx, model, team

    def logits(self) -> LogitsFile | None:
        """Where this process leaves an evaluation's logits; None where the task has none."""
        if "oof" not in self._task.info.can:
            return None
        own = self._ctx.valid if self._team.leads else self._team.share(self._ctx.valid)
        return LogitsFile(self._part(self._team.rank), len(own))

    def _part(self, rank: int) -> Path:
        return self._ctx.folder / f"{LOGITS}.new{rank or ''}"

    def keep(self, step: int, logits: LogitsFile | None) -> str:
        """Puts the model's weights aside; gives their folder's name. Rank 0 does it.

        Raises:
            Exception: The disk did not take them; what was the best before is still there.
        """
        name = f"{checkpoints.BEST_PREFIX}{step}"
        parts: dict[str, Any] = {
            WEIGHTS: lambda path: safetensors.torch.save_model(self._model, str(path))
        }
        if logits is not None:
            for rank in range(1, self._team.world):
                logits.append(self._part(rank))
            logits.close()
            if logits.error is not None:
                raise logits.error
            parts[LOGITS] = logits.path.replace
        checkpoints.commit(self._ctx.folder / name, parts)
        return name

    def is_there(self, name: str) -> bool:
        """Whether a folder that :meth:`keep` made is still whole."""
        return checkpoints.is_whole(self._ctx.folder / name)

    def member(self, name: str) -> tuple[Path, Path | None]:
        """The weights of ``name`` as the member ``best``, and their logits.

        Raises:
            OvernightError: The disk has no room for it, with the older checkpoints gone too.
        """
        safetensors.torch.load_model(self._model, str(self._ctx.folder / name / WEIGHTS))
        try:
            return self._write(name)
        except Exception as error:
            if not checkpoints.is_disk_trouble(error):
                raise
        # Older checkpoints have done their duty.
        fit_state.tidy(self._ctx.folder, keep=1, best=name)
        try:
            return self._write(name)
        except Exception as error:
            if not checkpoints.is_disk_trouble(error):
                raise
            raise OvernightError("engine.no_best", where=self._ctx.folder) from error

    def _write(self, name: str) -> tuple[Path, Path | None]:
        folder = self._ctx.folder
        for left in folder.glob(f"{LOGITS}.new*"):
            left.unlink()
        kept = None
        if (folder / name / LOGITS).exists():
            kept = folder / f"valid_{LOGITS}"
            aside = kept.with_suffix(".new")
            shutil.copyfile(folder / name / LOGITS, aside)
            aside.replace(kept)

        def write(path: Path) -> None:
            said = self._task.save(self._model, path.parent, self._ctx)
            files.replace(str(path.parent / MEMBER_CARD), files.to_json(said))

        return checkpoints.commit(folder / "best", {"model": write}), kept
