"""Runs the job's script in ``__main__`` as Python would, its loops watched."""

from __future__ import annotations

import sys


def run() -> None:
    """``sys.argv`` is ``[this file, script, arguments …]``."""
    # Imported here: `__main__` is the job's, and nothing of ours may be left in it.
    from importlib.machinery import SourceFileLoader
    from os.path import abspath, dirname

    from overnight.preflight.trial.inside.source import compiled

    del sys.argv[0]
    script = sys.argv[0]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = dirname(abspath(script))
    with open(script, "rb") as file:
        source = file.read()
    try:
        code = compiled(source, script)
    except RecursionError:  # a tree too deep to be walked
        code = compile(source, script, "exec", dont_inherit=True)
    space = sys.modules["__main__"].__dict__
    loader = SourceFileLoader("__main__", script)
    for name in [each for each in space if not each.startswith("__")]:
        del space[name]
    space.update(__file__=script, __loader__=loader, __doc__=None, __spec__=None)
    space.pop("__cached__", None)
    exec(code, space)


if __name__ == "__main__":
    run()
