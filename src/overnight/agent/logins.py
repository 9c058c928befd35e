"""Logins that end soon, or have ended: said while a person can still do something about it.

Only KakaoTalk's ends by itself, after two months without a message. A warning goes out on the
channel itself, which renews the login as any message does; what has ended is told on the others.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping

from overnight.alerts.settings import Settings
from overnight.channels import kakao_store, kakao_token, store
from overnight.channels.kakao_token import Problem
from overnight.channels.url import service_of
from overnight.errors import UserError
from overnight.messages import speaking
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import Message, put

_DAY_S = 86_400.0


def problems(names: Iterable[str], env: Mapping[str, str] | None = None) -> dict[str, Problem]:
    """Channel → what is the matter with its login.

    Args:
        names: The channels to look at.
        env: Where variables may define channels; this process's by default.

    Raises:
        UserError: The channels cannot be read.
    """
    known = store.load(env)
    found = {}
    for name in names:
        if name in known and service_of(known[name].url) == "kakao":
            problem = kakao_token.problem(name)
            if problem is not None:
                found[name] = problem
    return found


def tell(paths: AgentPaths, settings: Settings) -> None:
    """Tells whoever is told of a run what is the matter with the logins of its channels.

    Once a week for a warning, once for an end; whoever logs in again starts anew.

    Raises:
        OSError: The outbox cannot be written.
    """
    try:
        with speaking(settings.language):
            found = problems(settings.channels, {})
    except UserError:
        return  # `overnight notify channels` says so; without it nobody can be told anyway
    now_s = time.time()
    for name, problem in found.items():
        ended = problem.level == "bad"
        when = "ended" if ended else f"week-{int(now_s // (7 * _DAY_S))}"
        for channel in settings.channels if ended else (name,):
            if ended and channel == name:
                continue
            facts = {
                "event": "channel",
                "channel": name,
                "text": f"{problem.text}. {problem.fix}",
                "host": socket.gethostname(),
                "now_us": int(now_s * 1e6),
            }
            put(
                paths,
                Message(
                    key=f"login-{name}-{when}-{_login_of(name)}",
                    channel=channel,
                    event="channel",
                    created_us=int(now_s * 1e6),
                    facts=facts,
                    format=settings.formats.get(channel) or settings.format or "",
                    template=settings.template,
                    language=settings.language,
                ),
            )


def _login_of(name: str) -> int:
    """Tells one login from the next."""
    try:
        token = kakao_store.load(name)
    except UserError:
        return 0
    return int(token.refresh_expires_s // _DAY_S) if token is not None else 0
