"""From what was seen of a trial to findings: what is well, what is not, and what was left out."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from overnight.ledger.paths import state_dir
from overnight.preflight.target.findings import Finding
from overnight.preflight.trial import harmless, shorten
from overnight.preflight.trial.asked import Change, Ranges, TrialAsked
from overnight.preflight.trial.produced import Output
from overnight.preflight.trial.watch import Seen
from overnight.supervisor.diagnose import Ending, diagnose
from overnight.supervisor.process_tree import PAGE_BYTES
from overnight.supervisor.system import disk_free_mib

#: What an error says when a shortened loop left too few of something behind.
_TOO_FEW = re.compile(
    r"(?i)length|shape|size|dimension|inconsistent number|broadcast|out of (?:range|bounds)"
    r"|not enough|empty|no such file"
)
#: A library's own state beside its weights; nobody loads it by hand.
_KEPT_STATE = re.compile(r"rng_state|training_args|optimizer|scheduler|scaler")
_NAMES_TOLD = 4
#: The newest trial's output, below the user's state folder, in ``trials``.
LAST_LOG = "last.log"
#: From here on other people's work may make the trial slower than the full run, or faster.
_BUSY_PERCENT = 25.0
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
        *_senders(plan),
    ]


def _finding(name: str, level: str, code: str, where: str = "", **fields: object) -> Finding:
    facts = {key: value for key, value in fields.items() if isinstance(value, int | float | str)}
    return Finding(name, level, code, facts, fields, where, room="trial")  # type: ignore[arg-type]


def _run(asked: TrialAsked, plan: shorten.Plan, trial: Trial) -> Iterator[Finding]:
    seen = trial.seen
    took = f"{seen.elapsed_s:.0f}"
    if seen.code == 0:
        is_cut = any(site["left_out"] for each in seen.reports for site in each.sites.values())
        code = "ended" if is_cut or plan.epochs else "ended_whole"
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
        cut = any(site["left_out"] for each in seen.reports for site in each.sites.values())
        if cut and _TOO_FEW.search(cause.evidence):
            yield _finding("run", "unknown", "failed_cut", where, evidence=cause.evidence)
        else:
            # Where it happened stands in front of the sentence already.
            elsewhere = {k: v for k, v in fields.items() if k not in ("file", "cell")}
            told = replace(cause, fields=elsewhere)
            code = "failed_mute" if cause.kind in ("unknown", "exit_code") else "failed"
            log = str(Path(state_dir()) / "trials" / LAST_LOG)
            yield _finding("run", "bad", code, where, cause=told.text, fix=told.fix,
                           kind=cause.kind, evidence=cause.evidence, log=log)  # fmt: skip


def _outputs(plan: shorten.Plan, trial: Trial) -> Iterator[Finding]:
    results = [each for each in trial.outputs if each.kind != "text"]
    for each in trial.outputs:
        name = each.path.name
        match each.state:
            case "broken":
                yield _finding("outputs", "bad", "broken", file=name, why=each.why)
            case "empty" if each.kind != "text":
                # A list of failures may well have none.
                level = "warn" if each.kind == "table" else "bad"
                yield _finding("outputs", level, "empty", file=name)
            case "nonfinite":
                yield _finding("outputs", "warn", "nonfinite", file=name)
            case "pickle" if each.path.suffix in (".pt", ".pth") and not _KEPT_STATE.match(name):
                yield _finding("outputs", "warn", "pickle", file=name)
            case _:
                pass
    whole = [each for each in results if each.state in ("read", "pickle", "nonfinite")]
    if whole:
        names = ", ".join(each.path.name for each in whole[:_NAMES_TOLD])
        names += " …" if len(whole) > _NAMES_TOLD else ""
        yield _finding("outputs", "ok", "read", count=len(whole), names=names)
    elif not results and trial.seen.code == 0:
        trained = bool(trial.seen.reports) or plan.epochs is not None
        if trained and not plan.saves and plan.source:
            yield _finding("outputs", "bad", "none")
        elif trained:
            yield _finding("outputs", "unknown", "none_here")


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
    return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES / 2**20


def _untouched(asked: TrialAsked, trial: Trial) -> Iterator[Finding]:
    if trial.not_put_back:
        names = ", ".join(sorted(trial.not_put_back)[:_NAMES_TOLD])
        yield _finding("untouched", "bad", "not_put_back", names=names, folder=trial.folder)
    elif not trial.is_guarded:
        yield _finding("untouched", "warn", "python_only")
    else:
        yield _finding("untouched", "ok", "kept" if asked.keep else "as_before")


def _senders(plan: shorten.Plan) -> Iterator[Finding]:
    names = harmless.senders_in(plan.source)
    if names:
        yield _finding("sent", "warn", "may_have", names=", ".join(names))
