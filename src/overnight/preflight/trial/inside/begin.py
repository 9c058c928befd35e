"""What happens at the start of every Python of a trial: libraries are hooked as they come in."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from overnight.preflight.trial.inside.clock import CLOCK

_HERE = "overnight.preflight.trial.inside."
#: Module of a library → ours that hooks it, and its function.
_HOOKS = {
    "torch.autograd": ("trainers", "hook_autograd"),
    "transformers.trainer": ("trainers", "hook_transformers"),
    "keras.src.models.model": ("trainers", "hook_keras"),
    "lightning.pytorch.trainer.trainer": ("trainers", "hook_lightning"),
    "pytorch_lightning.trainer.trainer": ("trainers", "hook_lightning"),
    "huggingface_hub.hf_api": ("trainers", "hook_hub"),
}


def begin() -> None:
    """Called by the trial's sitecustomize."""
    sys.meta_path.insert(0, _Watcher())
    folders = os.environ.get("OVERNIGHT_TRIAL_FOLDERS", "")
    if folders:
        from overnight.preflight.trial.inside.source import watch_modules

        watch_modules(folders.split(os.pathsep))
    aside = os.environ.get("OVERNIGHT_TRIAL_ASIDE", "")
    if aside:
        from overnight.preflight.trial.inside.writes import guard

        guard(aside)


class _Watcher(importlib.abc.MetaPathFinder):
    """Finds a hooked module as the others do, and hooks it once it has been imported."""

    def __init__(self) -> None:
        self._busy = False

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname not in _HOOKS or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, fullname)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, name: str) -> None:
        self._loader = loader
        self._name = name

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        try:
            ours, function = _HOOKS[self._name]
            hook: Callable[[Any], None] = getattr(import_module(_HERE + ours), function)
            hook(module)
        except Exception as error:  # a version it was not made for: noted, and it runs whole
            CLOCK.notes["failed_hooks"].append(f"{self._name}: {error}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def next_sitecustomize(folder: str) -> None:
    """Runs the sitecustomize that ours stands in front of, if there is one."""
    rest = [each for each in sys.path if os.path.abspath(each or ".") != os.path.abspath(folder)]
    finder: Any | None = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if finder is not None and finder.loader is not None:
        finder.loader.exec_module(importlib.util.module_from_spec(finder))
