"""From what was seen of a trial to findings: what is well, what is not, and what was left out."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from overnight.ledger.paths import state_dir
from overnight.preflight.cgroup import controller_folders, lowest_limit
from overnight.preflight.target.findings import Finding
from overnight.preflight.trial import harmless, shorten
from overnight.preflight.trial.asked import Change, Ranges, TrialAsked
from overnight.preflight.trial.produced import Output
from overnight.preflight.trial.watch import Seen
from overnight.supervisor.diagnose import Ending, diagnose
from overnight.supervisor.process_tree import PAGE_BYTES
from overnight.supervisor.system import disk_free_mib

#: What a shortened trial may end with only because it was shortened.
_BY_SHORTENING = ("exception", "exit_code")
#: A library's own state beside its weights; nobody loads it by hand.
_KEPT_STATE = re.compile(r"rng_state|training_args|optimizer|scheduler|scaler")
_NAMES_TOLD = 4
#: The newest trial's output, below the user's state folder, in ``trials``.
LAST_LOG = "last.log"
#: From here on other people's work may make the trial slower than the full run, or faster.
_BUSY_PERCENT = 25.0
_PROC_CGROUP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
#: A run that may need this much of what there is, is told so.
_TIGHT = 0.9


@dataclass(slots=True)
class Trial:
    """All that is known of one trial."""

    seen: Seen = field(default_factory=Seen)
    log_tail: str = ""
    outputs: Sequence[Output] = ()
    sizes: Sequence[tuple[str, int]] = ()
    is_guarded: bool = False
    not_put_back: Sequence[str] = ()
    #: Files that were there and could not be put aside, so that the job could not write to them.
    refused: Sequence[str] = ()
    #: Where what could not be put back is kept.
    folder: str = ""


def changes(plan: shorten.Plan, trial: Trial) -> list[Change]:
    """What was other than in the full run."""
    found = []
    if plan.epochs is not None and plan.epochs > 1:
        fields = {"name": plan.flag, "total": plan.epochs}
        found.append(Change("epochs_lowered", fields))
    for report in trial.seen.reports:
        for site, known in report.sites.items():
            if known["left_out"]:
                run, total = known["run"], known["total"] * known["passes"]
                fields = {"site": site, "run": run, "total": total}
                found.append(Change("turns_left_out", fields))
        if report.notes.get("not_pushed"):
            found.append(Change("not_pushed"))
    found.append(Change("trackers_off"))
    return found


def findings(asked: TrialAsked, plan: shorten.Plan, trial: Trial, found: Ranges) -> list[Finding]:
    """What the trial has shown, the run itself first."""
    return [
        *_run(asked, plan, trial),
        *_outputs(plan, trial),
        *_numbers(trial),
        *_room(asked, found),
        *_busy(trial),
        *_untouched(asked, trial),
        *_senders(plan, "may_have", "warn"),
    ]


def left_findings(left: Mapping[str, Sequence[str]]) -> list[Finding]:
    """What earlier trials that were killed have left: folder → files."""
    return [
        _finding("untouched", "warn", "left", names=_names(names), folder=folder)
        for folder, names in left.items()
    ]


def not_tried(plan: shorten.Plan) -> list[Finding]:
    """Why a job that sends something is not tried."""
    return list(_senders(plan, "not_tried", "unknown"))


def _finding(name: str, level: str, code: str, where: str = "", **fields: object) -> Finding:
    facts = {key: value for key, value in fields.items() if isinstance(value, int | float | str)}
    return Finding(name, level, code, facts, fields, where, room="trial")  # type: ignore[arg-type]


def _run(asked: TrialAsked, plan: shorten.Plan, trial: Trial) -> Iterator[Finding]:
    seen = trial.seen
    took = f"{seen.elapsed_s:.0f}"
    if seen.code == 0:
        code = "ended" if _is_shortened(plan, trial) else "ended_whole"
        yield _finding("run", "ok", code, took_s=took)
    elif seen.code is None:
        yield _finding("run", "unknown", "limit", limit_s=f"{asked.time_limit_s:.0f}")
    else:
        cause = diagnose(
            Ending(
                code=seen.code if seen.code >= 0 else None,
                signal=-seen.code if seen.code < 0 else None,
                log_tail=trial.log_tail,
                ran_s=seen.elapsed_s,
                max_rss_kib=int(seen.peak_ram_mib * 1024),
                script=asked.source or None,
            ),
            asked.env,
        )
        fields = cause.fields
        where = ""
        if "cell" in fields:
            where = f"{fields['cell']}:{fields.get('cell_line', '')}".rstrip(":")
        elif "file" in fields:
            where = f"{fields['file']}:{fields['line']}"
        if trial.refused:
            yield _finding("run", "unknown", "failed_refused", where, evidence=cause.evidence)
        elif _is_shortened(plan, trial) and cause.kind in _BY_SHORTENING:
            yield _finding("run", "unknown", "failed_cut", where, evidence=cause.evidence)
        else:
            # Where it happened stands in front of the sentence already.
            elsewhere = {k: v for k, v in fields.items() if k not in ("file", "cell")}
            told = replace(cause, fields=elsewhere)
            code = "failed_mute" if cause.kind in ("unknown", "exit_code") else "failed"
            log = str(Path(state_dir()) / "trials" / LAST_LOG)
            yield _finding("run", "bad", code, where, cause=told.text, fix=told.fix,
                           kind=cause.kind, evidence=cause.evidence, log=log)  # fmt: skip


def _is_shortened(plan: shorten.Plan, trial: Trial) -> bool:
    return (plan.epochs or 0) > 1 or any(
        site["left_out"] for each in trial.seen.reports for site in each.sites.values()
    )


def _outputs(plan: shorten.Plan, trial: Trial) -> Iterator[Finding]:
    results = [each for each in trial.outputs if each.kind != "text"]
    for each in trial.outputs:
        name = each.path.name
        match each.state:
            # A trial that did not come to its end may have left half a file.
            case "broken" | "empty" if trial.seen.code != 0:
                pass
            case "broken":
                yield _finding("outputs", "bad", "broken", file=name, why=each.why)
            case "empty" if each.kind != "text":
                # A list of failures may well have none.
                level = "warn" if each.kind == "table" else "bad"
                yield _finding("outputs", level, "empty", file=name)
            case "ragged":
                yield _finding("outputs", "warn", "ragged", file=name)
            case "nonfinite":
                yield _finding("outputs", "warn", "nonfinite", file=name)
            case "pickle" if each.path.suffix in (".pt", ".pth") and not _KEPT_STATE.match(name):
                yield _finding("outputs", "warn", "pickle", file=name)
            case _:
                pass
    whole = [each for each in results if each.state in ("read", "pickle", "nonfinite", "ragged")]
    if whole:
        names = _names([each.path.name for each in whole])
        yield _finding("outputs", "ok", "read", count=len(whole), names=names)
    elif not trial.sizes and trial.seen.code == 0 and _trained(plan, trial):
        if plan.saves or not plan.source:
            yield _finding("outputs", "unknown", "none_here")
        else:
            yield _finding("outputs", "warn", "none")


def _trained(plan: shorten.Plan, trial: Trial) -> bool:
    return plan.epochs is not None or any(
        site["kind"] in ("epoch", "train")
        for each in trial.seen.reports
        for site in each.sites.values()
    )


def _names(paths: Sequence[str]) -> str:
    more = " …" if len(paths) > _NAMES_TOLD else ""
    return ", ".join(paths[:_NAMES_TOLD]) + more


def _numbers(trial: Trial) -> Iterator[Finding]:
    for name, value in trial.seen.metrics.items():
        if "loss" in name.lower() and not math.isfinite(value):
            yield _finding("loss", "warn", "nonfinite", metric=name, value=str(value))


def _room(asked: TrialAsked, found: Ranges) -> Iterator[Finding]:
    if found.peak_ram_mib is not None:
        total_mib = _ram_total_mib()
        if total_mib and found.peak_ram_mib[1] > _TIGHT * total_mib:
            level = "bad" if found.peak_ram_mib[0] > total_mib else "warn"
            yield _finding("memory", level, "tight", need_gib=_gib(found.peak_ram_mib[1]),
                           total_gib=_gib(total_mib))  # fmt: skip
    if found.disk_mib is not None:
        free_mib = disk_free_mib(asked.cwd)
        if 0 <= free_mib < found.disk_mib[1]:
            level = "bad" if found.disk_mib[0] > free_mib else "warn"
            yield _finding("disk", level, "tight", need_gib=_gib(found.disk_mib[1]),
                           free_gib=_gib(free_mib))  # fmt: skip


def _busy(trial: Trial) -> Iterator[Finding]:
    if trial.seen.others_percent >= _BUSY_PERCENT:
        yield _finding("machine", "unknown", "busy", percent=f"{trial.seen.others_percent:.0f}")


def _gib(mib: float) -> str:
    return f"{mib / 1024:.1f}"


def _ram_total_mib() -> float:
    """The machine's, or what a container or a batch system leaves of it."""
    total = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    limit = None
    if sys.platform == "linux":
        folders = controller_folders(_PROC_CGROUP.read_text("utf-8"), "memory", _CGROUPS)
        limit = lowest_limit(folders, "memory.max", "memory.limit_in_bytes")
    return min(total, limit or total) / 2**20


def _untouched(asked: TrialAsked, trial: Trial) -> Iterator[Finding]:
    if trial.refused:
        yield _finding("untouched", "warn", "refused", names=_names(trial.refused))
    if trial.not_put_back:
        names = _names(sorted(trial.not_put_back))
        yield _finding("untouched", "bad", "not_put_back", names=names, folder=trial.folder)
    elif not trial.is_guarded:
        yield _finding("untouched", "warn", "python_only")
    else:
        yield _finding("untouched", "ok", "kept" if asked.keep else "as_before")


def _senders(plan: shorten.Plan, code: str, level: str) -> Iterator[Finding]:
    found = harmless.senders_in(plan.sources)
    if found:
        names = [f"{what} ({file})" if file else what for what, file in sorted(found.items())]
        yield _finding("sent", level, code, names=_names(names))
