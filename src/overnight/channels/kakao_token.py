"""KakaoTalk's tokens through time: never lost, saved before they are used, renewed while good.

An access token lives six hours. A refresh token lives sixty days; in its last month a refresh
brings a new one, and the old one is dead at once. Whoever loses the new one must log in again. So:

- Room for the new tokens is taken on the disk before Kakao is asked.
- They are saved before they are used.
- A refresh comes while the old access token is still good, far ahead where the refresh token may
  be replaced: a process killed between the answer and the save leaves one that sends for hours,
  and the next refresh finds out at once that a login is needed.
- One process refreshes at a time, held by a claim that a dead process loses.

Standard library only; the file itself is ``kakao_store``'s.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from overnight import crashpoint
from overnight.channels import kakao_store
from overnight.channels.base import Refused, Retry
from overnight.channels.kakao_store import DAY_S, BusyError, Token, load, path
from overnight.errors import UserError
from overnight.messages import say

#: From here on a token's end is told.
WARN_DAYS = 14
#: What Kakao grants, for an answer that does not say (seen in answers of 2025).
_ACCESS_LIFE_S = 21_599.0
_REFRESH_LIFE_S = 5_183_999.0
#: Another process's refresh takes at most two of the servers' time limits.
_WAIT_S, _POLL_S = 30.0, 0.1
#: Asks the server to renew a refresh token; raises :class:`Dead` or ``Retry``.
Renew = Callable[[str], Mapping[str, Any]]
Why = Literal["", "missing", "damaged", "unreadable", "expired", "refused"]


class Dead(Exception):  # noqa: N818 - it says what happened
    """The server will never again renew this refresh token. The argument is its code."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """What can be said of a channel's tokens without asking Kakao.

    Attributes:
        days_left: Until the refresh token ends, unless it is used before; None if unknown.
        needs_login: Whether nothing but a login will help.
        why: The reason, the same in every language.
    """

    days_left: float | None
    needs_login: bool
    why: Why


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to tell about a channel's tokens, in the reader's language."""

    level: Literal["warn", "bad"]
    text: str
    fix: str


def access(name: str, renew: Renew, *, void: str = "") -> str:
    """The access token to send with, refreshed where that is due.

    Args:
        name: The channel.
        renew: Asks the server.
        void: An access token that the server did not take, if that is why a new one is wanted.

    Raises:
        Refused: A login is needed.
        Retry: No answer of the server's, or no room for what it would answer.
    """
    for _ in range(round(_WAIT_S / _POLL_S)):
        token = load(name)
        if token is None:
            raise Refused("kakao.no_token", where=name, name=name)
        now_s = time.time()
        usable = token.access != void and token.is_usable(now_s)
        if usable and (token.dead or not token.is_due(now_s)):
            return token.access
        if token.dead:
            raise Refused("kakao.dead", where=name, name=name, code=token.dead)
        try:
            token = _refreshed(name, renew, void)
        except BusyError:
            if usable:
                return token.access
            time.sleep(_POLL_S)
        except (Retry, Refused):
            if usable:
                return token.access
            raise
        else:
            if token.dead and not usable:
                raise Refused("kakao.dead", where=name, name=name, code=token.dead)
            return token.access
    raise Retry(say("kakao.busy"), 5.0)


def save_login(name: str, obtain: Callable[[], Mapping[str, Any]]) -> None:
    """Saves what a login brings; without room for it ``obtain`` is not called.

    Raises:
        UserError: It cannot be saved.
        Exception: What ``obtain`` raises.
    """
    for _ in range(round(_WAIT_S / _POLL_S)):
        try:
            with kakao_store.alone(path(name)), kakao_store.room(path(name)) as room:
                asked_s = time.time()
                kakao_store.save(path(name), _granted(obtain(), None, asked_s), room)
                return
        except BusyError:
            time.sleep(_POLL_S)
        except OSError as error:
            raise kakao_store.unwritable(name, error) from None
    raise UserError("kakao.login_busy", where=name)


def state(name: str) -> TokenState:
    """What can be said of a channel's tokens without asking Kakao."""
    try:
        token = load(name)
    except UserError as error:
        why: Why = "damaged" if error.key == "kakao.token_damaged" else "unreadable"
        return TokenState(None, needs_login=True, why=why)
    if token is None:
        return TokenState(None, needs_login=True, why="missing")
    if token.dead:
        return TokenState(0.0, needs_login=True, why="refused")
    # A clock that was set back does not make a token live longer.
    life_s = min(token.refresh_expires_s - time.time(), _REFRESH_LIFE_S)
    if life_s <= 0:
        return TokenState(0.0, needs_login=True, why="expired")
    return TokenState(life_s / DAY_S, needs_login=False, why="")


def problem(name: str) -> Problem | None:
    """What ``doctor`` has to say about a channel's tokens, if anything."""
    found = state(name)
    if found.needs_login:
        text = say(f"kakao.state_{found.why}", name=name)
        return Problem("bad", text, say("kakao.no_token.fix", name=name))
    if found.days_left is not None and found.days_left < WARN_DAYS:
        text = say("kakao.dies_soon", name=name, days=int(found.days_left))
        return Problem("warn", text, say("kakao.dies_soon.fix", name=name))
    return None


def _refreshed(name: str, renew: Renew, void: str) -> Token:
    """Refreshes, or takes what another process refreshed a moment ago."""
    where = path(name)
    with contextlib.ExitStack() as stack:
        room: Path | None = None
        refusal: OSError | None = None
        try:
            stack.enter_context(kakao_store.alone(where))
            room = stack.enter_context(kakao_store.room(where))
        except OSError as error:  # a full or read-only disk
            refusal = error
        token = load(name)
        if token is None:
            raise Refused("kakao.no_token", where=name, name=name)
        now_s = time.time()
        if token.dead or (token.access != void and not token.is_due(now_s)):
            return token
        if refusal is not None and token.may_rotate(now_s):
            # A new refresh token that cannot be saved would be the end of both.
            raise Retry(say("kakao.unsaved", why=refusal.strerror or ""))
        try:
            answer = renew(token.refresh)
        except Dead as dead:
            return _bury(name, token, str(dead))
        crashpoint.reach("token.refreshed")
        token = _granted(answer, token, now_s)
        # Not saved (no room, a disk that breaks), this access token lives in this process alone:
        # a message about a full disk has to get through.
        with contextlib.suppress(OSError):
            kakao_store.save(where, token, room)
        return token


def _bury(name: str, token: Token, code: str) -> Token:
    """Notes that the refresh token is dead, unless another machine has replaced it meanwhile."""
    newest = load(name)
    if newest is not None and newest.refresh != token.refresh:
        return newest
    buried = replace(token, dead=code)
    with contextlib.suppress(OSError):  # then the server is asked again, and says it again
        kakao_store.save(path(name), buried, None)
    return buried


def _granted(answer: Mapping[str, Any], before: Token | None, asked_s: float) -> Token:
    """The tokens an answer leaves one with. Lives are counted from the question."""
    refresh, refresh_expires_s = answer.get("refresh_token"), asked_s
    if isinstance(refresh, str) and refresh:
        refresh_expires_s += _life_s(answer.get("refresh_token_expires_in"), _REFRESH_LIFE_S)
    elif before is not None:
        refresh, refresh_expires_s = before.refresh, before.refresh_expires_s
    else:
        raise Retry(say("kakao.not_kakao"))
    life_s = _life_s(answer.get("expires_in"), _ACCESS_LIFE_S)
    access_token = str(answer["access_token"])
    return Token(access_token, asked_s + life_s, refresh, refresh_expires_s, asked_s)


def _life_s(value: object, usual_s: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e9 else usual_s  # type: ignore[operator,arg-type]
