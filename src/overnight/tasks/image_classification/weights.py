"""Can the pretrained weights be had? Asked before a training is left alone. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from overnight.errors import UserError
from overnight.preflight import hub
from overnight.tasks.image_classification.config import Model


def why_not(asked: Model, env: Mapping[str, str]) -> UserError | None:
    """Why the weights a config asks for will not be there; None where nothing is known against it.

    timm knows which file a name stands for, and takes ten seconds to be asked: here anything in
    the caches that bears the name will do.
    """
    if not asked.pretrained or asked.path is not None or _may_be_cached(asked.name, env):
        return None
    why = hub.unreachable(env)
    return no_weights(asked.name, why) if why else None


def no_weights(name: str, why: str) -> UserError:
    """The error that names the ways out."""
    return UserError("engine.no_weights", where="model.pretrained", name=name, why=why)


def _may_be_cached(name: str, env: Mapping[str, str]) -> bool:
    """Whether a cache of the hub's or of torch's holds something of this model's name."""
    wanted = _letters(name)
    torch = Path(env.get("TORCH_HOME") or hub.caches(env) / "torch", "hub", "checkpoints")
    # A model's folder is there from the first byte on; a snapshot once a file is whole.
    return any(
        wanted in _letters(path.parent.parent.name)
        for path in hub.cache(env).glob("models--*/snapshots/*")
        if any(path.iterdir())
    ) or any(wanted in _letters(path.name) for path in torch.glob("*"))


def _letters(name: str) -> str:
    """Without what hubs and file names write differently."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
