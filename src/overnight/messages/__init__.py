"""Every sentence a person sees, English and Korean side by side.

A key is ``room.name``; the room is the module here that holds it (``notebook.not_json`` lives in
``messages/notebook.py``), so a verb loads only the sentences it may say. Each module has two
tables, ``EN`` and ``KO``, with the same keys and the same ``{fields}``: a test compares them.

Korean sentences are phrased so that no particle depends on a field's last letter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Literal

Language = Literal["en", "ko"]
_spoken: ContextVar[Language | None] = ContextVar("_spoken", default=None)


@contextmanager
def speaking(chosen: Language) -> Iterator[None]:
    """Within it everything is said in one language: a message's reader is not always this one."""
    token = _spoken.set(chosen)
    try:
        yield
    finally:
        _spoken.reset(token)


def language() -> Language:
    """What ``speaking`` chose, else ``OVERNIGHT_LANG``, else the locale's, else English."""
    chosen = _spoken.get()
    if chosen is not None:
        return chosen
    for name in ("OVERNIGHT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"


def say(key: str, /, **fields: object) -> str:
    """The sentence of ``key`` in the reader's language, its ``{fields}`` filled in."""
    room = key.partition(".")[0]
    module = import_module("overnight.messages." + room)
    table: dict[str, str] = module.KO if language() == "ko" else module.EN
    return table[key].format(**fields) if fields else table[key]
