"""Asking for what a channel needs: without echo where it is secret, and never on a command line.

A command line stands in the shell's history and in every ``ps`` of the machine.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from typing import TYPE_CHECKING

import typer

from overnight.cli.output import columns, echo, paint, plain, wrap
from overnight.errors import UserError
from overnight.ledger import files
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.channels.services import Service

#: Something that can only be a channel's address or token, not its name.
_LOOKS_SECRET = re.compile(r"[:@].|^xox|^[A-Za-z0-9_+/=-]{32,}$")
_HELP_COLUMNS = 96


def add(name: str, service: str, format: str | None, *, paste: bool | None = None) -> None:
    """Asks, checks, and keeps a channel.

    Args:
        name: What the person calls it.
        service: Asked for if empty.
        format: Of its messages; that of an earlier channel of this name and service if None.
        paste: As of ``login``.

    Raises:
        UserError: An answer cannot be right, or a secret stands on the command line.
    """
    from overnight.channels import kakao_store, open_channel, store
    from overnight.channels.services import find
    from overnight.channels.url import service_of

    refuse_secrets("add", name, service)
    if format not in (None, *store.FORMATS):
        raise UserError("channel.format", where="--format")
    name = store.canonical(name)
    if not sys.stdin.isatty():
        url = sys.stdin.readline().strip()
        if not url:
            raise UserError("notify.add.no_input", where=name, name=name)
    else:
        chosen = find(service or _ask_service(name))
        url = chosen.url(_answers(chosen))
    open_channel(name, url)
    is_kakao = service_of(url) == "kakao"
    before = store.load({}).get(name)
    if format is None and before is not None and service_of(before.url) == service_of(url):
        format = before.format
    if is_kakao and sys.stdin.isatty():
        _login_kakao(name, url, format, paste=paste)
        return
    named = store.add(name, url, format)
    echo(say("notify.added", name=named.name, service=named.masked))
    if is_kakao:
        echo(say("notify.add.login", name=named.name))
    else:  # what another service of this name may have left
        kakao_store.forget(name)


def refuse_secrets(verb: str, *words: str) -> None:
    """Raises UserError where a channel's address or token stands in place of its name."""
    if any(map(looks_secret, words)):
        raise UserError("notify.secret_argument", where=f"overnight notify {verb} …")


def looks_secret(word: str) -> bool:
    """Whether this can only be a channel's address or token, and no name."""
    return _LOOKS_SECRET.search(word) is not None


def login(service: str, name: str, *, paste: bool | None, port: int | None) -> None:
    """``login kakao`` and ``login naver``: what needs more than a word to copy.

    Raises:
        UserError: There is no such service, or the service refused.
    """
    refuse_secrets("login", name, service)
    service = service.strip().lower()
    if service == "kakao":
        _login_again(name or _only_kakao(), paste=paste, port=port)
    elif service == "naver":
        add(name or "naver", "naver", None)
    else:
        shown = plain(service, 40)
        raise UserError("notify.login.unknown", where=shown, service=shown)


def heartbeat(*, remove: bool) -> None:
    """Keeps the address that is asked for every five minutes, or forgets it."""
    from overnight.agent.ping import heartbeat_file, heartbeat_url

    path = heartbeat_file()
    if remove:
        files.discard(path)
        echo(say("notify.heartbeat.removed"))
        return
    url = _ask(say("notify.heartbeat.ask"), secret=True)
    if not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", url):
        raise UserError("notify.heartbeat.form", where="overnight notify heartbeat")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    files.replace(path, url.encode() + b"\n")
    assert heartbeat_url()
    echo(say("notify.heartbeat.kept"))


def _ask_service(name: str) -> str:
    from overnight.channels.services import SERVICES

    echo(say("notify.add.which", name=name))
    for word, service in SERVICES.items():
        echo(f"  {word:10} {service.title}")
    return _ask(say("notify.add.service_question"), secret=False)


def _answers(service: Service) -> dict[str, str]:
    answers = {}
    for field in service.fields:
        for line in wrap(service.help(field), min(columns() or _HELP_COLUMNS, _HELP_COLUMNS) - 2):
            echo(paint("  " + line, "dim"))
        answers[field.name] = _ask(service.question(field), secret=field.secret)
    return answers


def _ask(question: str, *, secret: bool) -> str:
    """One answer. A secret one is not shown; without a terminal it is a line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    try:
        if secret:
            return getpass.getpass(say("notify.hidden", question=question)).strip()
        return input(question + ": ").strip()
    except EOFError:  # Ctrl-D
        raise typer.Abort from None


def _only_kakao() -> str:
    """The name of the only KakaoTalk channel: another one would be told of everything too.

    Raises:
        UserError: There are several.
    """
    from overnight.channels import store
    from overnight.channels.url import service_of

    known = [each.name for each in store.load().values() if service_of(each.url) == "kakao"]
    if len(known) > 1:
        raise UserError("notify.login.which", where="--name", names=", ".join(known))
    return known[0] if known else "kakao"


def _login_again(name: str, *, paste: bool | None, port: int | None) -> None:
    """Logs in at a channel that is there, or at a new one."""
    from overnight.channels import store
    from overnight.channels.services import SERVICES
    from overnight.channels.url import service_of

    name = store.canonical(name)
    known = store.load().get(name)
    if known is not None and service_of(known.url) == "kakao":
        kept = known.source == "file"
        _login_kakao(name, known.url, known.format, keep=kept, paste=paste, port=port)
    else:
        service = SERVICES["kakao"]
        _login_kakao(name, service.url(_answers(service)), None, paste=paste, port=port)


def _login_kakao(
    name: str, url: str, format: str | None, *, keep: bool = True, paste: bool | None = None,
    port: int | None = None,
) -> None:  # fmt: skip
    """The login in a browser; only with it is a channel of any use, and kept.

    Args:
        name: The channel's name.
        url: The app's.
        format: Of its messages.
        keep: Whether to keep the channel; a variable may define it.
        paste: The browser is on another computer; None: so it is where one came in over SSH, with
            or without a display forwarded: what this machine can show is no browser of theirs.
        port: Of the registered address.
    """
    from overnight.channels import kakao_login, store
    from overnight.channels.kakao import Kakao

    app = Kakao(name, url)
    if paste is None:
        paste = bool(os.environ.get("SSH_CONNECTION"))
    state = kakao_login.login(
        name,
        app.rest_key,
        app.client_secret,
        say=echo,
        ask=(lambda question: _ask(question, secret=True)) if paste else None,
        open_port=kakao_login.PORT if port is None else port,
    )
    if keep:
        store.add(name, url, format)  # type: ignore[arg-type]
    echo(say("notify.logged_in", name=name, days=int(state.days_left or 0)))
