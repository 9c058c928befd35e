"""What goes wrong in the job's process is said on its stderr, each thing once; the job goes on."""

from __future__ import annotations

import sys

from overnight.errors import OvernightError
from overnight.messages import say

_said: set[tuple[str, ...]] = set()
#: Whoever has not been heard after so many complaints will not be heard.
_SAID_AT_MOST = 20
_MAX_CHARS = 500


def complain(sentence: str, error: object = None, /, **fields: object) -> None:
    """Says a sentence of the catalogue, and how it went the first time. Never raises.

    Args:
        sentence: Its key.
        error: What was raised, if anything was. Each mistake of a person's is said.
        **fields: What the sentence names; about each it is said once.
    """
    try:
        mistake = str(error) if isinstance(error, OvernightError) else ""
        about = (sentence, mistake, *(f"{key}={value}" for key, value in fields.items()))
        if about in _said or len(_said) >= _SAID_AT_MOST:
            return
        _said.add(about)
        text = _line(say(sentence, **fields), error)
        sys.stderr.write("overnight: " + text + "\n")
    except Exception:
        return  # a closed stderr, or an error that cannot be printed, must not end a training


def complain_of(sentence: str, key: object, error: Exception) -> None:
    """As ``complain``; a mistake is said of what was to be kept under ``key``."""
    if isinstance(error, OvernightError) and not error.where:
        error.where = repr(key) if isinstance(key, str) else type(key).__name__
    complain(sentence, error)


def _line(text: str, error: object) -> str:
    if isinstance(error, OvernightError):
        text = f"{text}: {error.where}: {error.what}; {error.fix}"
    elif isinstance(error, OSError):
        text = f"{text} ({error})"
    elif isinstance(error, BaseException):
        text = f"{text} ({type(error).__name__}: {error})"
    return " ".join("".join(c if c.isprintable() else " " for c in text[:_MAX_CHARS]).split())
