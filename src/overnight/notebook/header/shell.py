"""Part of converted scripts with ``!`` and ``%`` lines: commands, folders, files."""

# ruff: noqa: T201, PTH100, PTH109, PTH110, PTH111, PTH120, PTH123, E741
# This file runs inside scripts, not inside Overnight: it prints, and needs nothing but Python 3.8.
from __future__ import annotations

import os

# -- embedded from here -------------------------------------------------------------------------
import subprocess
import sys
from typing import Any

_NB_BASH = "/bin/bash" if os.path.exists("/bin/bash") else None


def _nb_sh(command: str) -> None:
    """``!command``: its output goes where ours goes; a failure is told, not raised."""
    sys.stdout.flush()
    done = subprocess.run(command, shell=True, executable=_NB_BASH, stdin=subprocess.DEVNULL)
    sys._getframe(1).f_globals["_exit_code"] = done.returncode
    if done.returncode:
        print(f"[exit {done.returncode}] {command.splitlines()[0][:200]}", flush=True)


class _NbLines(list):  # type: ignore[type-arg]
    """The lines of ``x = !command``, with IPython's short names."""

    l = list = property(lambda self: self)
    n = nlstr = property("\n".join)
    s = spstr = property(" ".join)


def _nb_lines(command: str) -> Any:
    """``x = !command``."""
    sys.stdout.flush()
    done = subprocess.run(
        command, shell=True, executable=_NB_BASH, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    return _NbLines(done.stdout.splitlines())


def _nb_script(line: str, body: str, check: bool = True, keep: bool = False) -> Any:
    """``%%bash`` and ``%%script``: a program that reads the cell; a failure is raised."""
    import shlex

    sys.stdout.flush()
    done = subprocess.run(
        shlex.split(line), input=body.encode("utf-8"), check=check,
        stdout=subprocess.PIPE if keep else None,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace") if keep else None


def _nb_cwd() -> str:
    """``%pwd``."""
    return os.getcwd()


def _nb_cd(folder: str) -> None:
    """``%cd``; ``-`` is the folder before."""
    before = os.getcwd()
    os.chdir(
        os.environ.get("_NB_BEFORE", ".") if folder == "-" else os.path.expanduser(folder or "~")
    )
    os.environ["_NB_BEFORE"] = before
    print(os.getcwd(), flush=True)


def _nb_write(path: str, mode: str, text: str) -> None:
    """``%%writefile``."""
    with open(os.path.expanduser(path), mode, encoding="utf-8") as file:
        file.write(text)
    print(("Appending to " if mode == "a" else "Writing ") + path, flush=True)


def _nb_run(path: str, arguments: str = "", shares: bool = False) -> None:
    """``%run file.py``: its names become ours."""
    import runpy
    import shlex

    names = sys._getframe(1).f_globals
    before = sys.argv
    sys.argv = [path, *shlex.split(arguments)]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        if shares:
            with open(path, encoding="utf-8") as file:
                exec(compile(file.read(), path, "exec"), names)
        else:
            made = runpy.run_path(path, run_name="__main__")
            names.update({k: v for k, v in made.items() if not k.startswith("__")})
    except SystemExit as end:
        if end.code not in (None, 0):
            print(f"[exit {end.code}] %run {path}", flush=True)
    finally:
        sys.argv = before
        del sys.path[0]


class _NbCaptured:
    """``%%capture name``: nothing is held back here, so there is nothing to show again."""

    stdout = stderr = ""
    outputs: Any = ()

    def show(self) -> None:
        """Everything was printed at its time."""

    __call__ = show
