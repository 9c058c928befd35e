"""``overnight check``: will this job still be running at 3 am, and when will it end?"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.cli.findings import patience, show, show_summary
from overnight.cli.output import (
    cells,
    columns,
    cut,
    echo,
    is_terminal,
    mib,
    moment,
    pad,
    paint,
    parse_span,
    plain,
    print_json,
    quoted,
    span,
    wrap,
)
from overnight.messages import say
from overnight.redact import redact

if TYPE_CHECKING:
    from overnight.preflight.target import Finding, Job
    from overnight.preflight.trial import Moment, TrialResult
    from overnight.start import Asked
    from overnight.start.check import Ready

#: A trial takes no longer unless it is told to.
TIME_LIMIT_S = 600.0
#: Where a finding of a notebook stands: cell and line.
_CELL = re.compile(r"(\d+):(\d+)")
#: Options of ``check`` and whether they take a value; behind TARGET what is not ours is the job's.
OPTIONS = {
    "--set": True, "--map": True, "--env": True, "--python": True, "--root": True,
    "--time-limit": True, "--full-epoch": False, "--no-trial": False, "--keep": False,
    "--json": False,    "--help": False, "-h": False,
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds ``check``."""

    @app.command(help=say("check.help"), no_args_is_help=True)
    def check(
        target: Annotated[
            str, typer.Argument(help=say("check.help.target"), show_default=False)
        ] = "",
        args: Annotated[list[str] | None, typer.Argument(help=say("check.help.args"))] = None,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("check.help.set"))
        ] = None,
        map_: Annotated[
            list[str] | None, typer.Option("--map", metavar="FROM=TO", help=say("check.help.map"))
        ] = None,
        env: Annotated[
            list[str] | None, typer.Option("--env", metavar="K=V", help=say("check.help.env"))
        ] = None,
        python: Annotated[
            str | None, typer.Option(metavar="PATH", help=say("check.help.python"))
        ] = None,
        root: Annotated[
            str | None, typer.Option(metavar="DIR", help=say("check.help.root"))
        ] = None,
        full_epoch: Annotated[
            bool, typer.Option("--full-epoch", help=say("check.help.full_epoch"))
        ] = False,
        no_trial: Annotated[
            bool, typer.Option("--no-trial", help=say("check.help.no_trial"))
        ] = False,
        time_limit: Annotated[
            str, typer.Option(metavar="10m", help=say("check.help.time_limit"))
        ] = "10m",
        keep: Annotated[bool, typer.Option("--keep", help=say("check.help.keep"))] = False,
        json: Annotated[bool, typer.Option("--json", help=say("check.help.json"))] = False,
    ) -> int:
        from overnight.cli.run import pairs, variables
        from overnight.errors import UserError
        from overnight.start import Asked, prepare

        problems: list[UserError] = []
        limit_s = 0.0
        try:
            limit_s = parse_span(time_limit, "--time-limit")
        except UserError as error:
            problems.append(error)
        asked = Asked(
            target=target,
            args=args or (),
            overrides=pairs(set_ or (), "--set", problems),
            path_map=pairs(map_ or (), "--map", problems),
            env=variables(env or ()),
            python=python,
            root=root,
        )
        ready = prepare(asked, problems)
        looked = _look(ready, limit_s, full_epoch, no_trial, keep, quiet=json)
        if json:
            trial = looked.trial
            print_json(
                "check",
                target=asked.target or None,
                kind=ready.kind,
                findings=[finding.to_json() for finding in looked.findings],
                ranges=trial.ranges.to_json() if trial is not None and trial.ranges else None,
                shortened=[each.to_json() for each in trial.shortened] if trial is not None else [],
            )
        else:
            _show(looked, asked)
        return int(looked.is_bad)


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at a job, and of trying it where that was done."""

    findings: Sequence[Finding]
    trial: TrialResult | None = None

    @property
    def is_bad(self) -> bool:
        """Whether something is certain to fail."""
        return any(finding.level == "bad" for finding in self.findings)


def check_first(asked: Asked) -> bool:
    """Looks at a job and tries it, prints the page, and says whether it may be started.

    Raises:
        UserErrors: It cannot even be looked at.
    """
    from overnight.start import prepare

    looked = _look(prepare(asked), TIME_LIMIT_S)
    _show(looked, None)
    return not looked.is_bad


def _look(
    ready: Ready,
    limit_s: float,
    full_epoch: bool = False,
    no_trial: bool = False,
    keep: bool = False,
    *,
    quiet: bool = False,
) -> Looked:
    with patience("" if quiet else say("check.reading")):
        findings = examine(ready)
    if any(finding.level == "bad" for finding in findings):
        return Looked([*findings, _of_trial("skipped")])
    if no_trial:
        return Looked([*findings, _of_trial("not_asked")])
    trial = _try(ready, limit_s, full_epoch=full_epoch, keep=keep, quiet=quiet)
    return Looked([*findings, *trial.findings], trial)


def look(asked: Asked) -> list[Finding]:
    """What can be known of what was asked for without running it.

    Raises:
        UserErrors: It cannot even be looked at.
    """
    from overnight.start import prepare

    return examine(prepare(asked))


def examine(ready: Ready) -> list[Finding]:
    """All findings on a job that is ready to be looked at."""
    from overnight.preflight.target import look as look_at

    return look_at(job_of(ready))


def job_of(ready: Ready) -> Job:
    """The job as preflight knows it."""
    from overnight.preflight.target import Job, from_command

    cwd = os.getcwd()
    if ready.kind == "command":
        return from_command(ready.argv, ready.env, cwd, ready.root)
    path = os.path.abspath(ready.asked.target)
    is_notebook = ready.kind == "notebook"
    return Job(
        "notebook" if is_notebook else "script",
        path,
        ready.asked.args,
        ready.python,
        ready.env,
        os.path.dirname(path) if is_notebook else cwd,
        ready.root,
        conversion=ready.conversion,
        found=ready.findings,
    )


def _of_trial(code: str) -> Finding:
    from overnight.preflight.target import Finding

    return Finding("trial", "unknown", code)


# ── the page ────────────────────────────────────────────────────────────────────────────────


def located(finding: Finding) -> str:
    """A finding's sentence with its place in front."""
    text = finding.text
    match = _CELL.fullmatch(finding.where)
    if match is not None:
        cell, line = int(match[1]), int(match[2])
        key = "check.where_cell" if line else "check.where_whole_cell"
        return say(key, cell=cell, line=line, text=text) if line else say(key, cell=cell, text=text)
    return say("check.where_file", where=finding.where, text=text) if finding.where else text


def _show(looked: Looked, asked: Asked | None) -> None:
    """The whole page; with ``asked`` it ends with the command that starts the job."""
    show(looked.findings, located)
    if looked.trial is not None:
        _show_ranges(looked.trial)
    show_summary(looked.findings, "check")
    if asked is not None and not looked.is_bad:
        _show_command(asked)


def _try(ready: Ready, limit_s: float, *, full_epoch: bool, keep: bool, quiet: bool) -> TrialResult:
    """Runs the job shortened, telling on the terminal how far it is."""
    from overnight.ledger.paths import name_from
    from overnight.preflight.trial import TrialAsked, run

    job = job_of(ready)
    asked = TrialAsked(
        kind=ready.kind,
        argv=ready.argv,
        cwd=job.cwd,
        env=ready.env,
        name=name_from(ready.asked.target or ready.asked.args[0]),
        source=ready.conversion.source if ready.kind == "notebook" else "",
        full_epoch=full_epoch,
        time_limit_s=limit_s,
        keep=keep,
    )
    if quiet or not is_terminal(sys.stderr):
        return run(asked, lambda _: None)
    try:
        return run(asked, _progress)
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _progress(moment_: Moment) -> None:
    """One line that is written over and over."""
    parts = [say(f"check.phase.{moment_.phase}"), span(moment_.elapsed_s)]
    if moment_.loop:
        parts.append(moment_.loop)
    if moment_.duration_s is not None:
        low, high = moment_.duration_s
        parts.append(say("check.so_far", span=_between(span(low), span(high))))
    line = cut(plain("  ".join(parts)), (columns() or 80) - 1)
    sys.stderr.write("\r\x1b[K" + line)
    sys.stderr.flush()


def _show_ranges(trial: TrialResult) -> None:
    """What the whole run will take, and what was left out of the trial."""
    ranges = trial.ranges
    if ranges is None:
        return
    rows: list[tuple[str, str]] = []
    if ranges.duration_s is not None:
        low, high = ranges.duration_s
        text = _between(span(low), span(high))
        if ranges.at_most:
            text = say("time.at_most", span=span(high))
        rows.append((say("check.range.duration"), text))
    else:
        rows.append(
            (say("check.range.duration"), say("check.range.not_known", why=ranges.why_text))
        )
    if ranges.ends_at_us is not None:
        first, last = (moment(us) for us in ranges.ends_at_us)
        text = _between(first, _shortest(first, last))
        rows.append((say("check.range.ends"), say("check.range.if_started_now", text=text)))
    for key, both in (
        ("check.range.ram", ranges.peak_ram_mib),
        ("check.range.vram", ranges.peak_vram_mib),
        ("check.range.disk", ranges.disk_mib),
    ):
        if both is not None:
            rows.append((say(key), _between(mib(both[0]), mib(both[1]))))
    echo(paint(say("check.whole"), "bold"))
    width = max(cells(name) for name, _ in rows)
    for name, text in rows:
        echo(f"  {pad(name, width)}  {text}")
    if trial.shortened:
        what = "; ".join(change.text for change in trial.shortened)
        for line in wrap(plain(redact(say("check.shortened", what=what))), (columns() or 1000) - 2):
            echo(paint("  " + line, "dim"))
    echo()


def _between(low: str, high: str) -> str:
    return low if low == high else say("check.range.between", low=low, high=high)


def _shortest(first: str, last: str) -> str:
    """The second of two moments without the day they share: ``tomorrow 06:10 – 07:20``."""
    day, _, clock = last.rpartition(" ")
    return clock if day and first.startswith(day + " ") else last


def _show_command(asked: Asked) -> None:
    words = [asked.target] if asked.target else ["--"]
    for key, value in asked.overrides.items():
        words += ["--set", f"{key}={value}"]
    for key, value in asked.path_map.items():
        words += ["--map", f"{key}={value}"]
    words += asked.args
    command = "overnight run " + " ".join(map(quoted, words))
    echo(say("check.next", command=plain(redact(command))))
