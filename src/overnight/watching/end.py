"""How a watched block ended, for ``exit.json``: from the exception that left it, if one did."""

from __future__ import annotations

import re
import signal
import sys
import time
import traceback
from typing import Any

from overnight.redact import redact

#: The innermost frames tell; a recursion has a thousand.
_FRAMES = 30
_TRACEBACK_CHARS = 4_000
#: What is longer is cut before it is searched for secrets.
_SEARCHED_CHARS = 20_000
_FILE = re.compile(r'File "([^"\n]{1,1000})"')


def end_of(error: BaseException | None, *, ran_s: float) -> dict[str, Any]:
    """The fields of ``exit.json``.

    Args:
        error: What left the block, or None.
        ran_s: How long it was open.
    """
    end: dict[str, Any] = {
        "attempt": 0,
        "code": 0,
        "signal": None,
        "ran_s": round(ran_s, 3),
        "ended_us": time.time_ns() // 1000,
    }
    if error is None or isinstance(error, GeneratorExit):
        return end
    if _is_interrupt(error):
        return {**end, "code": 128 + int(signal.SIGINT), "outcome": "stopped"}
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or isinstance(code, int):
            return {**end, "code": (code or 0) & 0xFF}
        # sys.exit("why") prints it and leaves with 1.
        return {**end, "code": 1, "traceback": _clean(_text(code))}
    return {**end, "code": 1, "traceback": _clean(_of_cells(_formatted(error)))}


def _is_interrupt(error: BaseException) -> bool:
    """A person's Ctrl-C, or the notebook's stop button, which cancels a cell that awaits."""
    asyncio = sys.modules.get("asyncio")
    cancelled = getattr(asyncio, "CancelledError", KeyboardInterrupt)
    return isinstance(error, (KeyboardInterrupt, cancelled))


def _formatted(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-_FRAMES)
    return "".join(lines)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # its own methods may raise anything
        return f"<{type(value).__name__}>"


def _clean(text: str) -> str:
    text = redact(text[-_SEARCHED_CHARS:])[-_TRACEBACK_CHARS:]
    return text.encode("utf-8", "replace").decode("utf-8")


def _of_cells(text: str) -> str:
    """The traceback of a notebook, its cells named by their prompts: ``In[14]``."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    if name_of is None:
        return text

    def prompt(match: re.Match[str]) -> str:
        found = name_of(match[1])
        if isinstance(found, tuple) and len(found) == 2 and found[0] == "Cell":
            return f'File "{found[1]}"'
        return match[0]

    return _FILE.sub(prompt, text)
