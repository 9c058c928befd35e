"""Whether there is a key for W&B; never which."""

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
    if env.get("WANDB_API_KEY") or env.get(_TOKEN_FILE):
        return True
    path = Path(env.get(_NETRC) or "~/.netrc").expanduser()
    try:
        return netrc(str(path)).authenticators(urlsplit(address).hostname or "") is not None
    except (OSError, NetrcParseError):
        return False
