"""Whether a server answers at all: asked before a library that would wait for it for minutes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException

from overnight.trackers.base import Retry

_WITHIN_S = 10.0
#: From here on a status says that the server is at fault, not who asks.
_SERVER_ERRORS = 500
_TOO_MANY = 429
_MOST_BYTES = 1 << 20


def reach(url: str, asked: bytes | None = None, *, within_s: float | None = None) -> None:
    """Asks a server something, as nobody in particular; that it will not tell is an answer too.

    Args:
        url: Where.
        asked: JSON to be sent.
        within_s: How long it may take, by default 10 s.

    Raises:
        Retry: No answer, half of one, or that the server is in trouble.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "overnight"}
    request = urllib.request.Request(url, data=asked, headers=headers)
    try:
        # Not `urlopen`: it keeps the proxy of its first use in this process.
        opener = urllib.request.build_opener()
        with opener.open(request, timeout=within_s or _WITHIN_S) as answer:
            json.loads(answer.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= _SERVER_ERRORS or error.code == _TOO_MANY:
                raise Retry(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise Retry(str(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Retry(f"{type(error).__name__}: {error}") from None
