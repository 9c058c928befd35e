"""``overnight rm``: remove runs that are over, with all that lies in their folders."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from overnight.cli.glance import look
from overnight.cli.output import echo, now_us, parse_span, plain, print_json, size
from overnight.cli.select import complete_run, find, is_there, known
from overnight.errors import RunConflict, UserError, UserErrors
from overnight.ledger import files, index
from overnight.ledger.paths import RunPaths, latest_dir
from overnight.ledger.state import ENDED, Elsewhere, View, word
from overnight.messages import say
from overnight.supervisor import report

#: The page about a run that has just ended is still written into its folder, for a moment.
_REPORT_S, _LOOK_AGAIN_S = 5.0, 0.05


def register(app: typer.Typer) -> None:
    """Adds ``rm``."""

    @app.command(help=say("show.rm_help"), no_args_is_help=True)
    def rm(
        runs: Annotated[
            list[str] | None,
            typer.Argument(metavar="RUN…", help=say("show.rm_runs"), autocompletion=complete_run),
        ] = None,
        older_than: Annotated[
            str | None, typer.Option(metavar="30d", help=say("show.rm_older_than"))
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", "-y", help=say("show.rm_yes"))] = False,
        force: Annotated[bool, typer.Option("--force", help=say("show.rm_force"))] = False,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int | None:
        if older_than is not None:
            if runs:
                raise UserError("show.rm_both", where="--older-than")
            age_s = parse_span(older_than, "--older-than")
            chosen = older(age_s, root=root, force=force)
        else:
            chosen = named(runs or [], root=root, force=force)
        doomed = [Doomed(now.run, folder_bytes(now.run)) for now in chosen]
        if not doomed and not json:
            echo(say("show.rm_nothing"))
            return None
        if doomed and not yes and not _agreed(doomed, json):
            echo(say("show.rm_kept"))
            return 1
        for each in doomed:
            remove(each.run)
            if not json:
                freed = size(each.num_bytes)
                echo(say("show.rm_removed", run=plain(each.run.run_id), size=freed))
        _forget_twins({each.run.run_id for each in doomed})
        freed_bytes = sum(each.num_bytes for each in doomed)
        if json:
            removed = [
                {"run_id": each.run.run_id, "dir": each.run.dir, "freed_bytes": each.num_bytes}
                for each in doomed
            ]
            print_json("rm", removed=removed, freed_bytes=freed_bytes)
        elif len(doomed) > 1:
            echo(say("show.rm_total", count=len(doomed), size=size(freed_bytes)))
        return None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A run to be removed, and what that frees."""

    run: RunPaths
    num_bytes: int


def named(words: list[str], *, root: str | None, force: bool) -> list[View]:
    """The runs that ``words`` mean, each once.

    Raises:
        UserErrors: One does not exist, or may still be at work; then none is removed.
    """
    problems: list[UserError] = []
    found: dict[str, View] = {}
    for each in words:
        try:
            run = find(each, root=root)
            now = look(run)
            _check(now, force)
            found[run.dir] = now
        except UserError as error:
            problems.append(error)
    if problems:
        raise UserErrors(problems)
    return list(found.values())


def _check(now: View, force: bool) -> None:
    where = plain(now.run.run_id)
    if not (len(now.run.date) == 8 and now.run.date.isdecimal()):
        # Any folder may hold a run.json; only those in their place among the runs are removed.
        raise RunConflict("show.rm_no_run", where=plain(now.run.dir))
    if isinstance(now.state, Elsewhere):
        if not force:
            raise RunConflict("show.rm_elsewhere", where=where, host=plain(now.state.host, 60))
    elif not isinstance(now.state, ENDED):
        raise RunConflict("show.rm_living", where=where, state=say("state." + word(now.state)))


def older(age_s: float, *, root: str | None, force: bool) -> list[View]:
    """The runs that ended longer ago than ``age_s``; those still at work are left out."""
    before_us = now_us() - int(age_s * 1e6)
    found = []
    for entry in known(root):
        # A run cannot have ended before it was made: most need not be opened.
        if entry.created_us > before_us or not is_there(entry.run):
            continue
        now = look(entry.run)
        ended_us = now.ended_us or now.started_us or entry.created_us
        over = isinstance(now.state, ENDED) or (force and isinstance(now.state, Elsewhere))
        if over and ended_us <= before_us:
            found.append(now)
    return found


def _agreed(doomed: list[Doomed], json: bool) -> bool:
    """Whether the person says yes.

    Raises:
        UserError: There is nobody to ask.
    """
    if json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("show.rm_ask", where="--yes")
    for each in doomed:
        echo(f"  {plain(each.run.run_id)}  {size(each.num_bytes)}  {plain(each.run.dir)}")
    total = size(sum(each.num_bytes for each in doomed))
    echo(say("show.rm_question", count=len(doomed), size=total))
    try:
        answer = input("> ").strip().lower()
    except EOFError:
        return False
    return answer in ("y", "yes", "예", "네", "ㅇ", "응")


def folder_bytes(run: RunPaths) -> int:
    """What removing the run frees; a file that also lies elsewhere (a hard link) frees nothing."""
    total = 0
    for folder, _, names in os.walk(run.dir):
        total += sum(_bytes_of(os.path.join(folder, name)) for name in names)
    return total + _bytes_of(run.log)


def _bytes_of(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if found.st_nlink == 1 else 0


def remove(run: RunPaths) -> None:
    """Removes the run's folder, its log and what points to it. The index forgets it last.

    Raises:
        OSError: Something in it cannot be removed; the run stays listed.
    """
    until = time.monotonic() + _REPORT_S
    while report.is_due(run) and time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_S)
    shutil.rmtree(run.dir)
    files.discard(run.log)
    link = os.path.join(latest_dir(run.root, run.kind), run.run_id)
    if os.path.islink(link):
        files.discard(link)
    elif os.path.isdir(link):
        shutil.rmtree(link)
    index.remove(run)


def _forget_twins(removed: set[str]) -> None:
    """Forgets runs that were listed by another path to the same folder."""
    for entry in index.entries():
        if entry.run.run_id in removed and not is_there(entry.run):
            index.remove(entry.run)
