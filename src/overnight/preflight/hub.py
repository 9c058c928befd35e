"""The Hugging Face hub: where its cache lies, whether it is switched off, whether it answers.

Its own client asks again and again before it gives up: without a network that is 47 s until an
error that a person no longer sees. One bounded question is enough.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from overnight.messages import say
from overnight.preflight.ask import Background

#: A hub that does not answer in this time cannot be worked with; on a bad line it takes one second.
_TIMEOUT_S = 5.0
_YES = frozenset({"1", "ON", "YES", "TRUE"})
_HUB = "https://huggingface.co"


def home(env: Mapping[str, str]) -> Path:
    """The folder of all that the hub's libraries keep."""
    if given := env.get("HF_HOME"):
        return Path(given)
    return caches(env) / "huggingface"


def cache(env: Mapping[str, str]) -> Path:
    """The folder of the models and data sets that were fetched."""
    given = env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE")
    return Path(given) if given else home(env) / "hub"


def caches(env: Mapping[str, str]) -> Path:
    """The user's folder of caches, torch's among them."""
    own = env.get("HOME") or str(Path.home())
    return Path(env.get("XDG_CACHE_HOME") or Path(own, ".cache"))


def switched_off_by(env: Mapping[str, str]) -> str:
    """The variable that forbids to fetch anything; empty where none does."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if env.get(name, "").upper() in _YES), "")


def unreachable(env: Mapping[str, str]) -> str:
    """Why the hub cannot be reached; empty where it answers, whatever it says. Takes 5 s at most.

    Args:
        env: Names the hub (``HF_ENDPOINT``), or switches it off.
    """
    if name := switched_off_by(env):
        return say("engine.offline", name=name)
    address = env.get("HF_ENDPOINT") or _HUB
    try:
        # In a thread of its own: looking up a host's name has no time limit.
        return Background(lambda: _asked(address)).result(_TIMEOUT_S)
    except TimeoutError:
        return say("engine.no_answer", hub=address, seconds=f"{_TIMEOUT_S:.0f}")


def _asked(address: str) -> str:
    try:
        # Through the proxy that the environment names now: `urlopen` keeps that of its first use.
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.build_opener().open(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        pass  # an answer
    except urllib.error.URLError as error:
        # Certificates: the hub's own client has others than Python, and will say it itself.
        if not isinstance(error.reason, ssl.SSLError):
            return f"{address}: {getattr(error.reason, 'strerror', None) or error.reason}"
    except (OSError, HTTPException, ValueError) as error:  # it breaks off; no address at all
        return f"{address}: {error}"
    return ""
