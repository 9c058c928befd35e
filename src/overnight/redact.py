"""The one place that keeps secrets out of what Overnight writes or quotes.

A secret is known by its value (a variable of the environment whose name says so) or by its looks
(token prefixes of well-known services, a password inside a URL). Both are replaced; the name of
the variable is kept, since it helps and harms nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

#: A variable whose name holds one of these words holds a secret.
_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:key|token|secret|password|passwd|pwd|pass|credentials?|auth|dsn|webhook|cookie)"
    r"(?:_|$|\d)|apikey|accesskey|privatekey|passphrase|_pat$"
)
#: Values shorter than this are words like "true" or "1234": replacing them would garble a text.
_MIN_SECRET_CHARS = 6
_LOOKS_SECRET = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
    r"|local-[0-9a-f]{40})"
)
_URL_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)[^\s/@]{1,200}@")
_ASSIGNMENT = re.compile(
    r"(?i)(?P<head>--?(?:[a-z0-9]+[-_]){0,4}(?:api[-_]?key|token|secret|password|passwd)[= ])(?P<value>\S+)"
)
MASK = "[hidden]"


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is taken to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def secret_values(env: Mapping[str, str]) -> dict[str, str]:
    """Value → name of every secret in ``env``, longest first."""
    found = {
        value: name
        for name, value in env.items()
        if len(value) >= _MIN_SECRET_CHARS and is_secret_name(name) and not value.startswith("/")
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def redact(text: str, env: Mapping[str, str] | None = None) -> str:
    """``text`` without secrets.

    Args:
        text: Anything that is about to be written or shown.
        env: The environment whose secrets count; this process's own by default.
    """
    for value, name in secret_values(os.environ if env is None else env).items():
        if value in text:
            text = text.replace(value, "[" + name + "]")
    text = _LOOKS_SECRET.sub(MASK, text)
    text = _ASSIGNMENT.sub(lambda m: m["head"] + MASK, text)
    return _URL_PASSWORD.sub(lambda m: m["head"] + MASK + "@", text)
