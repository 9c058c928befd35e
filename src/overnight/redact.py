"""The one place that keeps secrets out of what Overnight writes or quotes.

A secret is known by its value (a variable of the environment whose name says so) or by its looks
(token prefixes of well-known services, a password inside a URL, what stands behind ``--token``).
Both are replaced; the name of the variable is kept, since it helps and harms nobody.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

#: A variable whose name holds one of these words holds a secret.
_SECRET_NAME = re.compile(
    r"(?i)(?:(?:^|_)(?:key|pwd|pass|credential|auth|dsn|webhook|cookie)|token|secret)s?(?:_|$|\d)"
    r"|password|passwd|passphrase|apikey|accesskey|privatekey|_pat$"
    # Whoever knows the address of a channel can write to it.
    r"|^overnight_(?:channel_|heartbeat_url$)"
)
#: The shell's own folders: ``PWD`` is no password.
_NO_SECRET_NAMES = frozenset({"PWD", "OLDPWD"})
#: Values shorter than this are words like "true" or "1234": replacing them would garble a text.
_MIN_SECRET_CHARS = 6
#: A line of a key of several lines gives that key away; shorter ones are its head and foot.
_MIN_SECRET_LINE_CHARS = 16
_LOOKS_SECRET = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{16,}"
    r"|pypi-[A-Za-z0-9_-]{40,}|wandb_v1_[A-Za-z0-9_]{20,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
    r"|local-[0-9a-f]{40})"
)
_HOOK_URL = re.compile(
    r"(?P<head>\bhttps?://(?:hooks\.slack\.com/(?:services|workflows)"
    r"|(?:\w+\.)?discord(?:app)?\.com/api/webhooks)/)[^\s\"'<>]+"
)
_URL_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)[^\s/]{1,200}@")
_BEARER = re.compile(r"(?i)(?P<head>\bauthorization:\s*(?:\w+\s+)?|\bbearer\s+)[^\s\"']{8,}")
_VALUE = r"(?:\"[^\"\n]*\"|'[^'\n]*'|\S+)"
_SECRET_WORD = r"(?:api[-_]?key|access[-_]?key|token|secret|password|passwd)"
#: ``--hf-token X``, ``--token=X``; ``tokens`` and ``tokenizer`` are other words.
_OPTION = re.compile(
    r"(?i)(?P<head>(?<![\w-])--?(?:[a-z0-9]+[-_]){0,4}" + _SECRET_WORD + r"(?:=|[ \t]+))" + _VALUE
)
#: ``WANDB_API_KEY=X`` in front of a command.
_ASSIGNMENT = re.compile(
    r"(?P<head>\b(?:[A-Z0-9]+_){0,6}(?:API_?KEY|ACCESS_?KEY|TOKEN|SECRET|PASSW(?:OR)?D)=)" + _VALUE
)
_OPTION_ALONE = re.compile(r"(?i)--?(?:[a-z0-9]+[-_]){0,4}" + _SECRET_WORD)
MASK = "[hidden]"


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is taken to hold a secret."""
    return name not in _NO_SECRET_NAMES and _SECRET_NAME.search(name) is not None


def secret_values(env: Mapping[str, str]) -> dict[str, str]:
    """Value → name of every secret in ``env``, longest first."""
    found = {
        value: name
        for name, value in env.items()
        if len(value) >= _MIN_SECRET_CHARS and is_secret_name(name) and not _is_path(value)
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def redact(text: str, env: Mapping[str, str] | None = None) -> str:
    """``text`` without secrets.

    Args:
        text: Anything that is about to be written or shown.
        env: The environment whose secrets count; this process's own by default.
    """
    for value, name in secret_values(os.environ if env is None else env).items():
        for spelling in _spellings(value):
            if spelling in text:
                text = text.replace(spelling, "[" + name + "]")
    text = _LOOKS_SECRET.sub(MASK, text)
    for pattern in (_HOOK_URL, _OPTION, _ASSIGNMENT, _BEARER):
        text = pattern.sub(lambda m: m["head"] + MASK, text)
    return _URL_PASSWORD.sub(lambda m: m["head"] + MASK + "@", text)


def redact_args(args: Iterable[str], env: Mapping[str, str] | None = None) -> list[str]:
    """A command without secrets; what follows a ``--token`` is one, whatever it looks like."""
    clean: list[str] = []
    hidden = False
    for arg in args:
        clean.append(MASK if hidden else redact(arg, env))
        hidden = not hidden and _OPTION_ALONE.fullmatch(arg) is not None
    return clean


def _is_path(value: str) -> bool:
    # A variable may name a file that holds the secret; a secret may begin with a slash (base64).
    return value.startswith("/") and os.path.lexists(value)


def _spellings(value: str) -> list[str]:
    """How a secret may stand in a text: as it is, quoted in JSON or a URL, or a line of it."""
    if value.isalnum():
        return [value]
    lines = value.splitlines() if "\n" in value else []
    found = [value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe=""), quote(value)]
    found += [line for line in lines if len(line) >= _MIN_SECRET_LINE_CHARS]
    return list(dict.fromkeys(found))
