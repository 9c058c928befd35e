"""The key for W&B: in the environment, or where ``wandb login`` has left it."""

from __future__ import annotations

from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit

#: Where W&B is, unless WANDB_BASE_URL says otherwise.
WANDB = "https://api.wandb.ai"
#: W&B's own ways beside its key: a token's file, and another place for ``.netrc``.
_TOKEN_FILE, _NETRC = "WANDB_IDENTITY_TOKEN_FILE", "NETRC"


def has_key(env: Mapping[str, str], address: str) -> bool:
    """Whether the environment, or a ``.netrc``, holds a key for this server."""
    return bool(key_of(env, address) or env.get(_TOKEN_FILE))


def key_of(env: Mapping[str, str], address: str) -> str:
    """The key for this server; empty where there is none."""
    if key := env.get("WANDB_API_KEY", "").strip():
        return key
    path = Path(env.get(_NETRC) or "~/.netrc").expanduser()
    try:
        found = netrc(str(path)).authenticators(urlsplit(address).hostname or "")
    except (OSError, NetrcParseError, UnicodeDecodeError):
        return ""
    return found[2] or "" if found is not None else ""
