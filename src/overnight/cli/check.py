"""``overnight check``: will this job still be running at 3 am, and when will it end?"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
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
from overnight.errors import UserError
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
    "--allow-sending": False, "--json": False, "--help": False, "-h": False,
    # Those of `run` are not the job's here either; what they ask for is checked too.
    "--name": True, "--restart": True, "--stall-after": True, "--label": True, "--kind": True,
    "--notify": True, "--alert": True, "--heartbeat": True, "--format": True,
    "--track": True,
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
        allow_sending: Annotated[
            bool, typer.Option("--allow-sending", help=say("check.help.allow_sending"))
        ] = False,
        name: Annotated[str | None, typer.Option(hidden=True)] = None,
        restart: Annotated[int, typer.Option(min=0, hidden=True)] = 0,
        stall_after: Annotated[str | None, typer.Option(hidden=True)] = None,
        label: Annotated[list[str] | None, typer.Option("--label", hidden=True)] = None,
        kind: Annotated[str | None, typer.Option(hidden=True)] = None,
        notify: Annotated[list[str] | None, typer.Option("--notify", hidden=True)] = None,
        alert: Annotated[list[str] | None, typer.Option("--alert", hidden=True)] = None,
        heartbeat: Annotated[str | None, typer.Option(hidden=True)] = None,
        format_: Annotated[str | None, typer.Option("--format", hidden=True)] = None,
        track: Annotated[list[str] | None, typer.Option("--track", hidden=True)] = None,
        json: Annotated[bool, typer.Option("--json", help=say("check.help.json"))] = False,
    ) -> int:
        from overnight.cli.asked import pairs, variables
        from overnight.start import Asked, prepare

        problems: list[UserError] = []
        limit_s = _seconds(time_limit, "--time-limit", problems)
        asked = Asked(
            target=target,
            args=args or (),
            overrides=pairs(set_ or (), "--set", problems),
            path_map=pairs(map_ or (), "--map", problems),
            env=variables(env or ()),
            name=name,
            python=python,
            restart=restart,
            stall_after_s=_seconds(stall_after, "--stall-after", problems) if stall_after else None,
            labels=label or (),
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
        )
        ready = prepare(asked, problems)
        how = How(limit_s, full_epoch, keep, allow_sending)
        looked = _look(ready, None if no_trial else how, quiet=json)
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
            given = {
                "--env": env, "--python": python, "--root": root, "--name": name,
                "--restart": restart or None, "--stall-after": stall_after, "--label": label,
                "--kind": kind, "--notify": notify, "--alert": alert, "--heartbeat": heartbeat,
                "--format": format_, "--track": track, "--set": set_, "--map": map_,
            }  # fmt: skip
            _show(looked, _command(target, given, asked.args))
        return int(looked.is_bad)


@dataclass(frozen=True, slots=True)
class How:
    """How a job is tried, as :class:`overnight.preflight.trial.TrialAsked` has it."""

    time_limit_s: float = TIME_LIMIT_S
    full_epoch: bool = False
    keep: bool = False
    may_send: bool = False


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

    looked = _look(prepare(asked), How())
    _show(looked)
    return not looked.is_bad


def _look(ready: Ready, how: How | None, *, quiet: bool = False) -> Looked:
    if ready.kind == "config":
        return Looked(_look_at_config(ready, builds=how is not None, quiet=quiet))
    with patience("" if quiet else say("check.reading")):
        findings = examine(ready)
    if any(finding.level == "bad" for finding in findings):
        return Looked([*findings, _of_trial("skipped")])
    if how is None:
        return Looked([*findings, _of_trial("not_asked")])
    trial = _try(ready, how, quiet=quiet)
    return Looked([*findings, *trial.findings], trial)


def _look_at_config(ready: Ready, *, builds: bool, quiet: bool) -> list[Finding]:
    """What would keep a training from training; a long look through its images tells how far."""
    from overnight.start import outlook

    def tell(done: int, total: int) -> None:
        sys.stderr.write(
            "\r\x1b[K" + say("outlook.looked_at", done=f"{done:,}", total=f"{total:,}")
        )
        if done == total:
            sys.stderr.write("  " + say("outlook.reading"))
        sys.stderr.flush()

    shows = is_terminal(sys.stderr) and not quiet
    with patience("" if quiet else say("outlook.reading")):
        return outlook.look(ready, builds=builds, progress=tell if shows else None)


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


def _show(looked: Looked, command: str = "") -> None:
    """The whole page; it ends with the command that starts the job."""
    show(looked.findings, located)
    if looked.trial is not None:
        _show_ranges(looked.trial)
    show_summary(looked.findings, "check")
    if command and not looked.is_bad:
        echo(say("check.next", command=plain(redact(command))))


def _try(ready: Ready, how: How, *, quiet: bool) -> TrialResult:
    """Runs the job shortened, telling on the terminal how far it is."""
    from overnight.ledger.paths import name_from
    from overnight.preflight.trial import TrialAsked, run

    job = job_of(ready)
    assert ready.kind != "config", "prepare refuses it"
    assert ready.kind != "own", "it has verbs of its own"
    asked = TrialAsked(
        kind=ready.kind,
        argv=ready.argv,
        cwd=job.cwd,
        env=ready.env,
        name=name_from(ready.asked.target or ready.asked.args[0]),
        source=ready.conversion.source if ready.kind == "notebook" else "",
        full_epoch=how.full_epoch,
        time_limit_s=how.time_limit_s,
        keep=how.keep,
        may_send=how.may_send,
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


def _command(target: str, given: Mapping[str, object], args: Sequence[str]) -> str:
    """The ``run`` that starts what was looked at.

    Args:
        target: A file; empty for a command.
        given: Options of ``run`` and their values, as they were given.
        args: The job's own.
    """
    words = ["overnight", "run", *([target] if target else [])]
    for option, values in given.items():
        for value in values if isinstance(values, list) else [values]:
            words += [] if value is None else [option, str(value)]
    # Behind the dashes nothing is taken for an option of `run`.
    taken = {*OPTIONS, "--check", "--follow", "--"}
    dashes = not target or any(word.partition("=")[0] in taken for word in args)
    return " ".join(map(quoted, [*words, *(["--"] if dashes else []), *args]))


def _seconds(text: str, option: str, problems: list[UserError]) -> float:
    try:
        return parse_span(text, option)
    except UserError as error:
        problems.append(error)
        return 0.0
