"""Asking a tracker's server by ourselves: a library would wait for minutes for one that is away.

Whether it answers at all; and a sweep's few calls.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from overnight.trackers.base import Retry

_WITHIN_S = 10.0
#: From here on a status says that the server is at fault, not who asks.
_SERVER_ERRORS = 500
_TOO_MANY = 429
_MOST_BYTES = 1 << 20


class Declined(Exception):  # noqa: N818 - it says what happened
    """The server has answered, and will not.

    Attributes:
        status: HTTP's.
        why: In its own words.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"HTTP {status} {why}")
        self.status, self.why = status, why


def reach(url: str, asked: bytes | None = None, *, within_s: float | None = None) -> None:
    """Asks a server something, as nobody in particular; that it will not tell is an answer too.

    Args:
        url: Where.
        asked: JSON to be sent.
        within_s: How long it may take, by default 10 s.

    Raises:
        Retry: No answer, half of one, or that the server is in trouble.
    """
    try:
        answer(url, asked, within_s=within_s)
    except Declined:
        return


def answer(
    url: str, asked: bytes | None = None, *, key: str = "", within_s: float | None = None
) -> Any:
    """What a server says, as JSON.

    Args:
        url: Where.
        asked: JSON to be sent.
        key: Of ``api``, as W&B has it; empty: nobody's.
        within_s: How long it may take, by default 10 s.

    Raises:
        Retry: No answer, half of one, or that the server is in trouble.
        Declined: It will not.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "overnight"}
    if key:
        headers["Authorization"] = "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
    request = urllib.request.Request(url, data=asked, headers=headers)
    try:
        # Not `urlopen`: it keeps the proxy of its first use in this process.
        opener = urllib.request.build_opener()
        with opener.open(request, timeout=within_s or _WITHIN_S) as said:
            return json.loads(said.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= _SERVER_ERRORS or error.code == _TOO_MANY:
                raise Retry(f"HTTP {error.code} {error.reason}") from None
            raise Declined(error.code, _words(error) or str(error.reason)) from None
    except urllib.error.URLError as error:
        raise Retry(str(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Retry(f"{type(error).__name__}: {error}") from None


def _words(error: urllib.error.HTTPError) -> str:
    """What stands in a refusal: GraphQL's errors, or a line of text."""
    try:
        text = error.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, HTTPException):
        return ""
    try:
        said = json.loads(text)
    except ValueError:
        return text[:200]
    return words_of(said)


def words_of(said: Any) -> str:
    """The errors in an answer of GraphQL's; empty where it has none."""
    errors = said.get("errors") if isinstance(said, dict) else None
    found = [str(each.get("message")) for each in errors or () if isinstance(each, dict)]
    return " ".join("; ".join(found).split())[:300]
