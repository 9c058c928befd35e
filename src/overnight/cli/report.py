"""``overnight report``: what a run came to, or several beside each other, as one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.cli.output import echo, plain, print_json, quoted
from overnight.cli.select import complete_run, find
from overnight.errors import UserError
from overnight.messages import language, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overnight.ledger.paths import RunPaths
    from overnight.messages import Language

_COMPARED = "report.html"


def register(app: typer.Typer) -> None:
    """Adds ``report``."""

    @app.command(help=say("report.help"))
    def report(
        runs: Annotated[
            list[str] | None,
            typer.Argument(metavar="RUN…", help=say("report.runs"), autocompletion=complete_run),
        ] = None,
        out: Annotated[str | None, typer.Option(metavar="FILE", help=say("report.out"))] = None,
        lang: Annotated[str | None, typer.Option(metavar="en|ko", help=say("report.lang"))] = None,
        open_: Annotated[bool, typer.Option("--open", help=say("report.open"))] = False,
        wandb: Annotated[bool, typer.Option("--wandb", help=say("report.wandb"))] = False,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        spoken = _language(lang)
        found = [find(word, root=root) for word in runs] if runs else [find(None, root=root)]
        found = list(dict.fromkeys(found))
        if wandb:
            where = url = _published(found, spoken)
        else:
            where = str(_written(found, out, spoken))
            url = Path(where).as_uri()
        if json:
            run_ids = [run.run_id for run in found]
            print_json("report", runs=run_ids, path=None if wandb else where, url=url)
        else:
            echo(say("report.written", path=plain(where)))
        if open_:
            import webbrowser

            webbrowser.open(url)


def _language(given: str | None) -> Language:
    if given is None:
        return language()
    if given == "ko":
        return "ko"
    if given == "en":
        return "en"
    shown = plain(given, 20)
    raise UserError("report.no_language", where=f"--lang {shown}", given=shown)


def _published(runs: Sequence[RunPaths], spoken: Language) -> str:
    """Makes a W&B report; its address."""
    from overnight.reporting.wandb_report import publish
    from overnight.start import with_dotenv

    return publish(runs, spoken, with_dotenv(os.environ, runs[0].root))


def _written(runs: Sequence[RunPaths], out: str | None, spoken: Language) -> Path:
    """Writes the page; its path."""
    from overnight.reporting.page import RUNS_AT_MOST, write

    if len(runs) > RUNS_AT_MOST:
        where = f"overnight report … ({len(runs)})"
        raise UserError("report.too_many", where=where, num=len(runs), most=RUNS_AT_MOST)
    path = Path(runs[0].report) if len(runs) == 1 else Path(_COMPARED)
    if out is not None:
        path = Path(out).expanduser()
    path = path.absolute()
    where = f"--out {plain(str(path))}" if out is not None else plain(str(path))
    if path.is_dir():
        better = quoted(str(path / _COMPARED))
        raise UserError("report.is_folder", where=where, path=better)
    if not path.parent.is_dir():
        raise UserError("report.no_such_folder", where=where, folder=quoted(str(path.parent)))
    write(runs, path, spoken)
    return path
