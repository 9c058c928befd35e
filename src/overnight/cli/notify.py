"""``overnight notify``: the channels messages go to, and messages of one's own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.cli.notify_add import refuse_secrets
from overnight.cli.output import columns, echo, is_terminal, paint, plain, print_json, table
from overnight.errors import UserError, UserErrors
from overnight.messages import language, say
from overnight.start.tell import unknown_channels

if TYPE_CHECKING:
    from overnight.channels.store import Named

#: How long ``send`` looks on before it leaves the rest to the agent.
_LOOKS_ON_S = 60.0
_LOOK_AGAIN_S = 0.1
#: Alone, or in a digest.
_ARRIVED = ("delivered", "merged")


def register(app: typer.Typer) -> None:
    """Adds ``notify`` and what it can do."""
    from overnight.cli.help import App, Verbs

    notify: typer.Typer = App(
        cls=Verbs, name="notify", help=say("notify.help"), no_args_is_help=True
    )
    app.add_typer(notify)

    @notify.command(help=say("notify.add.help"))
    def add(
        name: Annotated[str, typer.Argument(help=say("notify.add.name"))],
        service: Annotated[str, typer.Argument(help=say("notify.add.service"))] = "",
        format_: Annotated[
            str | None, typer.Option("--format", help=say("notify.add.format"))
        ] = None,
        paste: Annotated[
            bool | None, typer.Option("--paste/--listen", help=say("notify.login.paste"))
        ] = None,
    ) -> None:
        from overnight.cli.notify_add import add as add_channel

        add_channel(name, service, format_, paste=paste)

    @notify.command(help=say("notify.login.help"))
    def login(
        service: Annotated[str, typer.Argument(help=say("notify.login.service"))],
        name: Annotated[str, typer.Option(help=say("notify.login.name"))] = "",
        paste: Annotated[
            bool | None, typer.Option("--paste/--listen", help=say("notify.login.paste"))
        ] = None,
        port: Annotated[int | None, typer.Option(help=say("notify.login.port"))] = None,
    ) -> None:
        from overnight.cli.notify_add import login as login_to

        login_to(service, name, paste=paste, port=port)

    @notify.command(help=say("notify.channels.help"))
    def channels(
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        _channels(json=json)

    @notify.command(help=say("notify.test.help"))
    def test(
        names: Annotated[list[str] | None, typer.Argument(help=say("notify.test.names"))] = None,
    ) -> int:
        return _test(chosen("test", names or ()))

    @notify.command(help=say("notify.send.help"))
    def send(
        text: Annotated[str, typer.Argument(help=say("notify.send.text"))],
        to: Annotated[
            list[str] | None, typer.Option("--to", metavar="NAME", help=say("notify.send.to"))
        ] = None,
        attach: Annotated[
            list[Path] | None,
            typer.Option("--attach", metavar="FILE", help=say("notify.send.attach")),
        ] = None,
        title: Annotated[str, typer.Option(help=say("notify.send.title"))] = "",
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int:
        return _send(text, chosen("send", to or ()), attach or (), title, json=json)

    @notify.command(help=say("notify.remove.help"))
    def remove(
        name: Annotated[str, typer.Argument(help=say("notify.remove.name"))],
    ) -> None:
        _remove(name)

    @notify.command(help=say("notify.heartbeat.help"))
    def heartbeat(
        remove: Annotated[bool, typer.Option("--remove", help=say("notify.heartbeat.remove"))]
        = False,
    ) -> None:  # fmt: skip
        from overnight.cli.notify_add import heartbeat as set_heartbeat

        set_heartbeat(remove=remove)


def chosen(verb: str, names: Sequence[str]) -> list[Named]:
    """The channels of these names, all where none is named; ``console`` is this terminal.

    Raises:
        UserErrors: There is none, or one is unknown; all of them at once.
    """
    from overnight.channels import store

    refuse_secrets(verb, *names)
    env = _environment()
    known = store.load(env)
    if not names and not known:
        raise UserErrors([UserError("notify.none", where=str(store.path()))])
    problems = unknown_channels(names, {**store.built_in(), **known})
    if problems:
        raise UserErrors(problems)
    wanted = names or list(known)
    known = store.load(store.with_terminal(env, wanted))
    return [known[store.canonical(name)] for name in wanted]


def _environment() -> dict[str, str]:
    """The variables that a run started here would have."""
    from overnight.ledger.paths import find_root
    from overnight.start import with_dotenv

    return with_dotenv(os.environ, find_root(os.getcwd()))


def _remove(name: str) -> None:
    from overnight.channels import kakao_store, store

    refuse_secrets("remove", name)
    name = store.canonical(name)
    removed = store.remove(name)
    known = store.load(_environment())
    if name in known:  # what is left is a variable's
        variable = store.VARIABLE + name.upper().replace("-", "_")
        raise UserError("notify.of_environment", where="$" + variable, variable=variable)
    kakao_store.forget(name)
    if not removed:
        raise UserErrors(unknown_channels([name], known))
    echo(say("notify.removed", name=name))


def _channels(*, json: bool) -> None:
    from overnight.agent import lane
    from overnight.channels import store
    from overnight.outbox.folder import agent_paths
    from overnight.outbox.message import waiting

    paths = agent_paths()
    known = store.load(_environment())
    waits: dict[str, int] = {}
    for message in waiting(paths):
        waits[message.channel] = waits.get(message.channel, 0) + 1
    now_us = time.time_ns() // 1000
    lanes = {name: lane.read(paths, name) for name in {**known, **waits}}
    if json:
        print_json(
            "notify-channels",
            channels=[
                {
                    "name": each.name,
                    "service": each.masked,
                    "source": each.source,
                    "format": each.format,
                    "num_waiting": waits.get(each.name, 0),
                    "last_sent_us": found.last_sent_us or None if found else None,
                    "trouble": _trouble(found),
                }
                for each in known.values()
                for found in [lanes[each.name]]
            ],
        )
        return
    if not known:
        echo(say("notify.none"))
        echo(paint("→ " + say("notify.none.fix"), "yellow"))
    rows = [
        [each.name, each.masked, say("notify.source." + each.source), each.format or ""]
        for each in known.values()
    ]
    if rows:
        heads = ["name", "service", "source", "format"]
        titles = [say("notify.column." + head) for head in heads]
        for line in table(titles, rows, width=columns()):
            echo(line)
    for name, found in lanes.items():
        sentences = lane.describe(found, now_us) if found is not None else []
        if name in waits:
            sentences.append(say("notify.waiting", num=waits[name]))
        if name not in known and sentences:
            sentences.append(say("notify.gone", name=name))
        for sentence in sentences:
            echo(f"{paint('!', 'yellow')} {name}: {plain(sentence)}")


def _trouble(found: object) -> dict[str, object] | None:
    trouble = getattr(found, "trouble", None)
    if trouble is not None:
        return {"why": trouble.why, "fix": trouble.fix, "since_us": trouble.since_us}
    error = getattr(found, "error", "")
    return {"why": error, "fix": "", "since_us": None} if error else None


def _test(names: Sequence[Named]) -> int:
    """Sends a text at once, past outbox and budget: the person looks on."""
    import socket

    from overnight.channels import Refused, Retry, open_channel

    failed = False
    text = say("notify.test.text", host=socket.gethostname())
    for each in names:
        try:
            open_channel(each.name, each.url).send(
                text, title=say("notify.test.title"), key=f"test-{time.time_ns()}"
            )
        except Retry as error:
            failed = True
            echo(f"{paint('✗', 'red')} {each.name}: {plain(error.why)}")
            echo(paint("  → " + say("notify.test.retry_fix"), "red"))
        except (Refused, UserError) as error:
            failed = True
            echo(f"{paint('✗', 'red')} {each.name}: {plain(error.what)}")
            echo(paint("  → " + plain(error.fix), "red"))
        else:
            echo(f"{paint('✓', 'green')} {each.name}: {say('notify.test.sent')}")
    return int(failed)


def _send(
    text: str, names: Sequence[Named], attach: Sequence[Path], title: str, *, json: bool
) -> int:
    """Puts a message into the outbox, and looks on while the agent delivers it."""
    from overnight.agent import lane
    from overnight.outbox import keep
    from overnight.outbox.folder import agent_paths
    from overnight.outbox.message import Message, put
    from overnight.outbox.summon import summon

    problems = [
        UserError("notify.send.no_file", where=path) for path in attach if not path.is_file()
    ]
    if text == "-":
        text = sys.stdin.read()
    if not text.strip():
        problems.append(UserError("notify.send.empty", where="TEXT"))
    if problems:
        raise UserErrors(problems)
    paths = agent_paths().make()
    defined = {keep.PREFIX + each.name: each.url for each in names if each.source == "environment"}
    keep.keep_channels([each.name for each in names], defined)
    # What a loop sends must not use up the places that are kept for a crash and an end.
    looks_on = sys.stdin.isatty() and sys.stdout.isatty()
    now_us = time.time_ns() // 1000
    messages = [
        Message(
            key=f"send-{now_us}-{os.getpid()}",
            channel=each.name,
            event="text",
            created_us=now_us,
            facts={"event": "text", "text": text, "title": title, "now_us": now_us},
            urgent=looks_on,
            files=tuple(str(path.absolute()) for path in attach),
            language=language(),
        )
        for each in names
    ]
    for message in messages:
        put(paths, message)
    summon()
    outcomes = _until_told(paths, messages)
    answers = []
    for message in messages:
        told = outcomes.get(message.id)
        found = lane.read(paths, message.channel)
        why = str((told or {}).get("why", "")) or (found.error if found is not None else "")
        answers.append((message.channel, str((told or {}).get("outcome", "waiting")), why))
    if json:
        print_json(
            "notify-send",
            messages=[{"channel": c, "outcome": o, "why": why or None} for c, o, why in answers],
        )
    else:
        for channel, outcome, why in answers:
            mark = paint("✓", "green") if outcome in _ARRIVED else paint("!", "yellow")
            echo(f"{mark} {channel}: {say('notify.outcome.' + outcome)}" + (why and f" ({why})"))
    return 0 if all(outcome in _ARRIVED for _, outcome, _ in answers) else 1


def _until_told(paths: object, messages: Sequence[object]) -> dict[str, dict[str, object]]:
    from overnight.ledger.files import read_json

    give_up = time.monotonic() + _LOOKS_ON_S
    found: dict[str, dict[str, object]] = {}
    looking = is_terminal(sys.stderr)
    if looking:
        sys.stderr.write(say("notify.send.sending"))
        sys.stderr.flush()
    try:
        while len(found) < len(messages) and time.monotonic() < give_up:
            for message in messages:
                told = read_json(paths.told(message.id))  # type: ignore[attr-defined]
                if told is not None:
                    found[message.id] = told  # type: ignore[attr-defined]
            time.sleep(_LOOK_AGAIN_S)
    finally:
        if looking:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
    return found
