"""Puts aside what the job would overwrite, where the kernel cannot tell the trial.

It sees what Python itself opens, renames and removes, and what torch and safetensors write past
Python; other libraries' own writing it does not see.
"""

from __future__ import annotations

import fcntl
import functools
import os
import sys
from typing import Any

from overnight.preflight.trial.aside import Aside

assert sys.platform != "win32"

#: macOS: the path of a descriptor.
_F_GETPATH = 50
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def guard(folder: str) -> None:
    """From now on; ``folder`` is the trial's."""
    watch = _Watch(Aside(folder))
    sys.addaudithook(watch.on_event)


class _Watch:
    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._busy = False

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook; an OSError ends the call: the file could not be put aside."""
        if self._busy or event not in _EVENTS:
            return
        self._busy = True
        try:
            self._tell(event, arguments)
        except (ValueError, TypeError):  # no path: the call itself will say so
            return
        finally:
            self._busy = False

    def _tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        aside = self._aside
        if event == "import":
            self._hook_writers()
            return
        if isinstance(arguments[0], int):
            return
        path = os.fsdecode(arguments[0])
        if event == "open":
            if arguments[2] & _WRITES:
                aside.before_open(path, arguments[2])
        elif event == "os.rename":
            aside.before_rename(
                _within(arguments[2], path), _within(arguments[3], os.fsdecode(arguments[1]))
            )
        elif event in ("os.remove", "os.rmdir"):
            aside.before_remove(_within(arguments[1], path))
        elif event == "os.mkdir":
            aside.before_make(_within(arguments[2], path))
        elif event in ("os.link", "os.symlink"):
            aside.before_make(_within(arguments[-1], os.fsdecode(arguments[1])))
        elif event in ("os.truncate", "sqlite3.connect"):
            aside.before_open(path, os.O_CREAT)

    def _hook_writers(self) -> None:
        """Once the libraries are there."""
        for module, name, at in (("torch.serialization", "save", 1), ("torch", "save", 1),
                                 ("safetensors.torch", "save_file", 1),
                                 ("safetensors.numpy", "save_file", 1)):  # fmt: skip
            there: Any = sys.modules.get(module)
            original = getattr(there, name, None)
            if original is not None and not hasattr(original, "_overnight"):
                setattr(there, name, self._told(original, at))

    def _told(self, original: Any, at: int) -> Any:
        @functools.wraps(original)
        def save(*args: Any, **kwargs: Any) -> Any:
            path = args[at] if len(args) > at else kwargs.get("f", kwargs.get("filename"))
            if isinstance(path, (str, os.PathLike)):
                self.on_event("open", (path, "w", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            return original(*args, **kwargs)

        save._overnight = True  # type: ignore[attr-defined]
        return save


def _within(folder_fd: int, path: str) -> str:
    """A path that is relative to an open folder, as ``shutil.rmtree`` uses them; -1 is none."""
    if folder_fd < 0 or os.path.isabs(path):
        return path
    if sys.platform == "darwin":
        folder = os.fsdecode(fcntl.fcntl(folder_fd, _F_GETPATH, bytes(1024)).rstrip(b"\0"))
    else:
        folder = os.readlink(f"/proc/self/fd/{folder_fd}")
    return os.path.join(folder, path)


_EVENTS = frozenset([
    "import", "open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.truncate", "sqlite3.connect",
])  # fmt: skip
