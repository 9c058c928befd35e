"""Part of converted scripts with ``!`` and ``%`` lines: commands, folders, files."""

# ruff: noqa: T201, PTH100, PTH109, PTH110, PTH111, PTH120, PTH123, E741
# This file runs inside scripts, not inside Overnight: it prints, and needs nothing but Python 3.9.
from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import os as _os
import subprocess as _subprocess
import sys as _sys
import typing as _t

_NB_BASH = "/bin/bash" if _os.path.exists("/bin/bash") else None


def _nb_sh(command: str) -> None:
    """``!command``: its output goes where ours goes; a failure is told, not raised."""
    _sys.stdout.flush()
    done = _subprocess.run(command, shell=True, executable=_NB_BASH, stdin=_subprocess.DEVNULL)
    _sys._getframe(1).f_globals["_exit_code"] = done.returncode
    if done.returncode:
        print(f"[exit {done.returncode}] {command.splitlines()[0][:200]}", flush=True)


class _NbLines(list):  # type: ignore[type-arg]
    """The lines of ``x = !command``, with IPython's short names."""

    l = list = property(lambda self: self)
    n = nlstr = property("\n".join)
    s = spstr = property(" ".join)


def _nb_lines(command: str) -> _t.Any:
    """``x = !command``."""
    _sys.stdout.flush()
    done = _subprocess.run(
        command, shell=True, executable=_NB_BASH, stdin=_subprocess.DEVNULL,
        stdout=_subprocess.PIPE, stderr=_subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    return _NbLines(done.stdout.splitlines())


def _nb_script(line: str, body: str, check: bool = True, keep: bool = False) -> _t.Any:
    """``%%bash`` and ``%%script``: a program that reads the cell; a failure is raised."""
    import shlex

    _sys.stdout.flush()
    done = _subprocess.run(
        shlex.split(line), input=body.encode("utf-8"), check=check,
        stdout=_subprocess.PIPE if keep else None,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace") if keep else None


def _nb_cwd() -> str:
    """``%pwd``."""
    return _os.getcwd()


def _nb_cd(folder: str) -> None:
    """``%cd``; ``-`` is the folder before."""
    before = _os.getcwd()
    _os.chdir(
        _os.environ.get("_NB_BEFORE", ".") if folder == "-" else _os.path.expanduser(folder or "~")
    )
    _os.environ["_NB_BEFORE"] = before
    print(_os.getcwd(), flush=True)


def _nb_write(path: str, mode: str, text: str) -> None:
    """``%%writefile``."""
    with open(_os.path.expanduser(path), mode, encoding="utf-8") as file:
        file.write(text)
    print(("Appending to " if mode == "a" else "Writing ") + path, flush=True)


def _nb_run(path: str, arguments: str = "", shares: bool = False) -> None:
    """``%run file.py``: its names become ours."""
    import runpy
    import shlex

    names = _sys._getframe(1).f_globals
    before = _sys.argv
    _sys.argv = [path, *shlex.split(arguments)]
    _sys.path.insert(0, _os.path.dirname(_os.path.abspath(path)))
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
        _sys.argv = before
        del _sys.path[0]


class _NbCaptured:
    """``%%capture name``: nothing is held back here, so there is nothing to show again."""

    stdout = stderr = ""
    outputs: _t.Any = ()

    def show(self) -> None:
        """Everything was printed at its time."""

    __call__ = show
