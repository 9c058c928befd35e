"""``overnight ls``: the runs, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from overnight.cli.glance import Glance, glance, is_living, look
from overnight.cli.output import (
    NOTHING,
    Cell,
    columns,
    echo,
    moment,
    paint,
    plain,
    print_json,
    span,
    table,
)
from overnight.cli.portrait import left, metrics_text, percent, sign
from overnight.cli.select import is_there, known
from overnight.errors import UserError
from overnight.ledger.index import Entry
from overnight.ledger.state import STATES, Failed, View, state_from_json, word
from overnight.messages import say

_SHOWN = 20
_STATES = tuple(state.__name__.lower() for state in STATES)


def register(app: typer.Typer) -> None:
    """Adds ``ls``."""

    @app.command(help=say("show.ls_help"))
    def ls(
        num: Annotated[
            int, typer.Option("-n", metavar="N", min=1, help=say("show.ls_num"))
        ] = _SHOWN,
        all_: Annotated[bool, typer.Option("--all", "-a", help=say("show.ls_all"))] = False,
        state: Annotated[
            str | None,
            typer.Option(help=say("show.ls_state"), autocompletion=lambda: list(_STATES)),
        ] = None,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        if state is not None and state not in _STATES:
            states = ", ".join(_STATES)
            raise UserError(
                "show.no_such_state", where=f"--state {plain(state, 40)}", states=states
            )
        chosen = choose(known(root), limit=None if all_ else num, state=state)
        seen = [glance(now.run, now) for now in chosen.views]
        if json:
            print_json("ls", runs=[each.to_json() for each in seen], more=chosen.more)
            return
        show(seen, chosen, state)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs to show, and how many more there are."""

    views: list[View]
    more: int
    unreadable: int


def choose(entries: list[Entry], *, limit: int | None, state: str | None) -> Chosen:
    """The newest ``limit`` runs, and beyond them those whose jobs still live.

    Opens only the folders of runs it chooses, and of those whose end the index does not know.
    """
    views: list[View] = []
    more = unreadable = 0
    for entry in entries:
        ended = state_from_json(entry.ended) if entry.ended is not None else None
        full = limit is not None and len(views) >= limit
        if ended is not None and state is not None and word(ended) != state:
            continue
        if full and ended is not None:
            more += 1
            continue
        if not is_there(entry.run):
            continue
        try:
            now = look(entry.run)
        except OSError:  # somebody else's folder
            unreadable += 1
            continue
        if state is not None and word(now.state) != state:
            continue
        if full and not is_living(now):
            more += 1
            continue
        views.append(now)
    return Chosen(views, more, unreadable)


def show(seen: list[Glance], chosen: Chosen, state: str | None) -> None:
    """Prints the table."""
    if not seen:
        echo(say("show.ls_none_in_state" if state else "show.ls_none"))
    else:
        rows = [_row(each) for each in seen]
        head = [
            say("show.head_" + key)
            for key in ("run", "state", "started", "ran", "progress", "last")
        ]
        for line in table(head, rows, width=columns()):
            echo(line)
    if chosen.more:
        echo(paint(say("show.ls_more", count=f"{chosen.more:,}"), "dim"))
    if chosen.unreadable:
        echo(paint(say("show.ls_unreadable", count=f"{chosen.unreadable:,}"), "dim"))


def _row(seen: Glance) -> list[Cell]:
    state, estimate = seen.view.state, seen.estimate
    mark, colour = sign(state)
    progress = ""
    if estimate is not None and is_living(seen.view):
        progress = " ".join(text for text in (percent(estimate), left(estimate)) if text)
    remark = metrics_text(seen.metrics, 2)
    if isinstance(state, Failed) and state.cause is not None:
        from overnight.supervisor.cause import Cause

        remark = Cause.from_json(state.cause).text
    return [
        plain(seen.run.run_id),
        (f"{mark} {say('state.' + word(state))}", colour),
        moment(seen.started_us),
        NOTHING if seen.ran_s is None else span(seen.ran_s),
        progress or NOTHING,
        remark,
    ]
