"""What foreign servers answered, and what it means: delivered, later, or never.

Our own channels ask with :func:`post`. Apprise tells True or False and logs the rest, but every one
of its web services speaks through ``requests``, whose ``Session.send`` is therefore wrapped once in
this process: inside :func:`watched`, and only there, what came back is noted. Outside nothing
changes.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import requests
import urllib3.exceptions

from overnight.channels.base import Refused, Retry
from overnight.channels.fit import cut, line
from overnight.channels.waits import retry_after_s, until_next_month_s
from overnight.messages import say

#: As much of an answer as may hold an explanation.
_MAX_BODY_BYTES = 4000
_MAX_DETAIL_CHARS = 200
#: 408 the server got tired of waiting, 425 too early.
_TOO_MANY = 429
_LATER = frozenset({408, 425, _TOO_MANY})
#: Where services put a sentence about what is wrong.
_DETAILS = ("description", "message", "error_description", "error", "msg", "detail", "errors")
#: Who would log an address with its secrets.
_LOGGERS = ("apprise", "requests", "urllib3")
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 10.0, 30.0
_MAX_WAIT_S = 32 * 86400.0
_MONTH_IS_FULL = "monthly limit"  # LINE's words in a 429


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it: an answer or an error."""

    host: str
    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    error: Exception | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the service took it."""
        return 200 <= self.status < 300 and not self.means_no

    @property
    def means_no(self) -> bool:
        """Whether the status is good and the answer is not."""
        if not 200 <= self.status < 300:
            return False
        try:
            value = json.loads(self.body)
        except ValueError:
            return False
        if not isinstance(value, dict):
            return False
        # DingTalk's and WeCom's errcode, Lark's code, Slack's and Telegram's ok.
        codes = [value.get("errcode", 0)]
        if self.host.endswith((".larksuite.com", ".feishu.cn")):
            codes.append(value.get("code", 0))
        return value.get("ok") is False or any(code not in (0, "0", None) for code in codes)


#: Looks at a request on its way out, to add a header.
Stamp = Callable[[requests.PreparedRequest], None]
_noted: ContextVar[tuple[list[Exchange], Stamp | None] | None] = ContextVar(
    "overnight_exchanges", default=None
)
#: When all that is being sent has to be over, on the monotonic clock.
_until_s: ContextVar[float | None] = ContextVar("overnight_until_s", default=None)
_PIECE_BYTES = 64 * 1024


def _wrap(send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    @wraps(send)
    def noting(
        self: requests.Session, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        until_s = _until_s.get()
        if until_s is not None:
            _hurry(request, kwargs, until_s)
        watch = _noted.get()
        if watch is None:
            return send(self, request, **kwargs)
        noted, stamp = watch
        if stamp is not None:
            stamp(request)
        host = requests.compat.urlsplit(request.url or "").hostname or ""
        try:
            response = send(self, request, **kwargs)
        except Exception as error:
            noted.append(Exchange(str(host), error=error))
            raise
        if not response.is_redirect or not kwargs.get("allow_redirects", True):
            noted.append(of(response))
        if response.status_code == _TOO_MANY:
            # Some plug-ins would now sleep and send again; when to do that is not theirs to say.
            raise requests.exceptions.RetryError("429", request=request, response=response)
        return response

    return noting


def _wrap_once() -> None:
    # Somebody else may have wrapped it too: only a wrapper of this very module counts.
    if getattr(requests.Session.send, "__globals__", None) is not globals():
        requests.Session.send = _wrap(requests.Session.send)  # type: ignore[method-assign]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All requests of this thread in it together take no longer; the rest of them time out."""
    _wrap_once()
    token = _until_s.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until_s.reset(token)


def _hurry(request: requests.PreparedRequest, kwargs: dict[str, Any], until_s: float) -> None:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise requests.Timeout(request=request)
    given = kwargs.get("timeout")
    each = given if isinstance(given, tuple) else (given, given)
    kwargs["timeout"] = tuple(left_s if one is None else min(one, left_s) for one in each)
    if isinstance(request.body, bytes):  # a timeout is for each piece, of which a line takes many
        request.body = _Pieces(request.body, until_s)  # type: ignore[assignment]


class _Pieces:
    """A request's body, sent until the time is over; from its beginning as often as it is asked."""

    def __init__(self, body: bytes, until_s: float) -> None:
        self._body = body
        self._until_s = until_s

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._body), _PIECE_BYTES):
            if time.monotonic() > self._until_s:
                raise requests.Timeout
            yield self._body[at : at + _PIECE_BYTES]


def of(response: requests.Response) -> Exchange:
    """An answer that has come whole."""
    host = requests.compat.urlsplit(response.url or "").hostname or ""
    return Exchange(
        str(host), response.status_code, response.headers, response.content[:_MAX_BODY_BYTES]
    )


@contextmanager
def watched(stamp: Stamp | None = None) -> Iterator[list[Exchange]]:
    """Notes every exchange of this thread that goes through ``requests``, and may stamp each."""
    _wrap_once()
    exchanges: list[Exchange] = []
    token = _noted.set((exchanges, stamp))
    try:
        yield exchanges
    finally:
        _noted.reset(token)


def post(
    url: str,
    data: bytes | Mapping[str, str],
    *,
    name: str,
    hide: Callable[[str], str],
    headers: Mapping[str, str] | None = None,
    files: Mapping[str, tuple[str, bytes]] | None = None,
) -> requests.Response:
    """A POST that was answered with a 2xx, whatever that says; redirects are not followed.

    Raises:
        Retry, Refused: As :func:`judge` says.
    """
    host = str(requests.compat.urlsplit(url).hostname or "")
    try:
        with quiet():
            response = requests.post(
                url,
                data=data,
                headers=headers,
                files=files,
                timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
                allow_redirects=False,
            )
    except requests.RequestException as error:
        raise no_answer(error, host, hide=hide) from None
    if not response.ok or response.is_redirect:
        meant = judge(of(response), name=name, hide=hide)
        assert meant is not None
        raise meant
    return response


def judge(exchange: Exchange, *, name: str, hide: Callable[[str], str]) -> Retry | Refused | None:
    """What an exchange means; None if the service took the message.

    Args:
        exchange: What came back.
        name: The channel's name, for the sentence that says how to put it right.
        hide: Takes the channel's secrets out of a text.
    """
    if exchange.error is not None:
        return no_answer(exchange.error, exchange.host, hide=hide)
    if exchange.is_delivered:
        return None
    status = exchange.status
    said = f"{status} {_detail(exchange.body, hide)}".strip()
    # What a 200 means by no, only the service knows: too many at once is among it.
    if status >= 500 or status in _LATER or 200 <= status < 300:
        return Retry(say("channel.why_status", host=exchange.host, said=said), _wait_s(exchange))
    fields = {"host": exchange.host, "said": said, "name": name}
    if status in (401, 403):
        refusal = Refused("channel.refused_key", where=name, **fields)
    elif status in (404, 410):
        refusal = Refused("channel.refused_address", where=name, **fields)
    else:
        refusal = Refused("channel.refused_message", where=name, **fields)
    refusal.said = said
    return refusal


def no_answer(error: Exception, host: str, *, hide: Callable[[str], str]) -> Retry:
    """Why nothing came back. Networks change overnight: each of these is worth another try."""
    causes = list(_causes(error))
    if any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes):
        return Retry(say("channel.why_proxy", host=host))
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return Retry(say("channel.why_no_host", host=host))
    if any(isinstance(cause, requests.exceptions.SSLError) for cause in causes):
        return Retry(say("channel.why_certificate", host=host))
    if any(isinstance(cause, requests.exceptions.Timeout) for cause in causes):
        return Retry(say("channel.why_timeout", host=host))
    if isinstance(error, requests.exceptions.ConnectionError):
        return Retry(say("channel.why_no_connection", host=host))
    if isinstance(error, requests.exceptions.RequestException):
        return Retry(say("channel.why_broken_off", host=host))
    return Retry(say("channel.why_unknown", detail=hide(f"{type(error).__name__}: {error}")))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made of, as requests and urllib3 nest them."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            yield each
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__]


def _detail(body: bytes, hide: Callable[[str], str]) -> str:
    """The server's own sentence, short and without secrets; empty if it said nothing readable."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        value = text if "<" not in text else ""  # a page of HTML helps nobody
    if isinstance(value, dict):
        found = [value[key] for key in _DETAILS if value.get(key)]
        value = found[0] if found else ""
        if isinstance(value, dict):
            value = value.get("message", "")
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(hide(line(shown)), _MAX_DETAIL_CHARS)


def _wait_s(exchange: Exchange) -> float | None:
    """How long the service wants us to wait, where it says so; never beyond a month."""
    wait_s = _said_wait_s(exchange)
    return None if wait_s is None else min(wait_s, _MAX_WAIT_S)


def _said_wait_s(exchange: Exchange) -> float | None:
    if _MONTH_IS_FULL in exchange.body.decode("utf-8", "replace").lower():
        return until_next_month_s(time.time())
    header = (exchange.headers or {}).get("Retry-After", "").strip()
    return retry_after_s(header) if header else _wait_in_body(exchange.body)


def _wait_in_body(body: bytes) -> float | None:
    """Discord's ``retry_after`` and Telegram's ``parameters.retry_after``, both in seconds."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    parameters = value.get("parameters")
    places = [value, parameters if isinstance(parameters, dict) else {}]
    for place in places:
        found = place.get("retry_after")
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1e6:
            return float(found)
    return None


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keeps what Apprise and its libraries log from everybody's eyes; gives its warnings to us."""
    collector = _Collector()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.handlers = [collector]
    try:
        with warnings.catch_warnings():
            # What its libraries find old in each other is not for the person who sends a message.
            warnings.simplefilter("ignore")
            yield collector.said
    finally:
        for logger, (propagate, handlers) in zip(loggers, before, strict=True):
            logger.propagate = propagate
            logger.handlers = handlers


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
