"""What would keep a training from training tonight: its data, its weights, its room, its time.

``mistakes`` is what costs a second and ends in an error: every start asks it. ``look`` is all that
can be known: ``overnight check CONFIG`` shows it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from overnight.alerts import spoken
from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.preflight import cards, machine
from overnight.preflight.ask import ask
from overnight.preflight.check import Json, Level
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.job import Job
from overnight.preflight.target.needs import check_machine, from_check
from overnight.spec import Spec, write
from overnight.start import pace
from overnight.start.check import Ready
from overnight.tasks import folds
from overnight.tasks.base import DataIndex, DataReader, Problem

_ORDER = ("data", "model", "gpu", "memory", "shm", "disk", "trackers", "duration")
#: torch and a model's family are imported, its weights fetched over a slow line.
_BUILD_S = 600.0
_GIB = 2**30
#: What an optimizer keeps of each weight that learns, in weights.
_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1}
_FLOAT_BYTES = 4
#: Of a card's memory: more than this before the first picture leaves no room for one.
_FULL_SHARE = 0.9
#: Found, and nothing has to be done.
_HARMLESS = frozenset({
    "data.guessed", "data.repeated", "data.moving", "data.label_column", "data.own_validation",
    "data.read_as",
})  # fmt: skip

Progress = Callable[[int, int], None]


def mistakes(spec: Spec, env: Mapping[str, str]) -> list[UserError]:
    """What would end a training in its first minute, as far as it can be known in a second.

    Without a network, and with weights that are not here, it takes five.
    """
    try:
        glanced = _reader(spec).glance(spec.data)
        found = [problem.error for problem in glanced if problem.stops]
    except UserErrors as errors:
        found = list(errors.errors)
    missing = _without_weights(spec, env)
    return [*found, *([missing] if missing is not None else [])]


def look(ready: Ready, *, builds: bool, progress: Progress | None = None) -> list[Finding]:
    """All that can be known of a training before it is left alone, in the order it is shown.

    Args:
        ready: A config's.
        builds: Build the model once, in a process of its own; that takes some seconds, and
            fetches its weights.
        progress: Called with how many images were looked at, of how many.
    """
    spec: Spec = ready.spec
    index, findings = _data(spec, progress)
    missing = _without_weights(spec, ready.env)
    if missing is not None:
        findings.append(_refused("model", missing))
    num_fits = _num_fits(spec, index)
    built: Mapping[str, Any] = {}
    if missing is None and builds:
        built, found = _built(ready, len(index.labels) if index is not None else 2)
        findings += found
    elif missing is None:
        findings.append(_finding("model", "unknown", "not_built"))
    findings += _machine(ready, built)
    num_weights = built.get("num_parameters")
    if isinstance(num_weights, int):
        findings.append(room_on_disk(ready, num_weights, built["num_trainable"], num_fits))
    findings += _trackers(ready)
    findings.append(_duration(ready, index, num_fits))
    return sorted(findings, key=lambda finding: _ORDER.index(finding.name))


# ── data ────────────────────────────────────────────────────────────────────────────────────────


def _data(spec: Spec, progress: Progress | None) -> tuple[DataIndex | None, list[Finding]]:
    """The data set where it is one, and what there is to say of it."""
    data: Any = spec.data
    try:
        index = _reader(spec).scan(data, progress=progress)
    except UserErrors as errors:
        return None, [_refused("data", error) for error in errors.errors]
    found = [_of_problem(problem) for problem in index.problems]
    if any(problem.stops for problem in index.problems):
        return None, found
    try:
        fold_of = folds.split(
            index.examples, folds=data.folds, seed=spec.project.seed, stratify=data.stratify
        )
        to_train = folds.to_train(fold_of, data.valid_fold)
    except UserError as error:
        return None, [*found, _refused("data", error)]
    gaps = folds.gaps(index.examples, fold_of, to_train, index.labels)
    found += [_of_problem(problem) for problem in gaps]
    if any(problem.stops for problem in gaps):
        return None, found
    facts: dict[str, Json] = {
        "num_examples": len(index.examples),
        "num_classes": len(index.labels),
        "num_unlabelled": len(index.unlabelled),
        "fingerprint": index.fingerprint,
    }
    fields = {
        "num": f"{len(index.examples):,}",
        "classes": f"{len(index.labels):,}",
        "more": f"{len(index.unlabelled):,}",
    }
    code = "read_both" if index.unlabelled else "read"
    return index, [_finding("data", "ok", code, facts, fields), *found]


def _reader(spec: Spec) -> DataReader:
    found: DataReader = _named(spec.info.reader)()
    return found


def _of_problem(problem: Problem) -> Finding:
    level: Level = "ok" if problem.key in _HARMLESS else "bad" if problem.stops else "warn"
    shown = ", ".join(problem.examples[:3]) + (" …" if len(problem.examples) > 3 else "")
    if shown in problem.fields.values():
        shown = ""  # the sentence names it
    facts: dict[str, Json] = {**problem.fields, "num": problem.num, "examples": [*problem.examples]}
    return Finding(
        "data", level, problem.key.partition(".")[2], facts, problem.fields, shown,
        room="outlook", key=problem.key,
    )  # fmt: skip


def _num_fits(spec: Spec, index: DataIndex | None) -> int:
    data: Any = spec.data
    if data.valid_fold != "all":
        return 1
    named = {example.fold for example in index.examples} if index is not None else {None}
    own = named - {None, folds.ALWAYS_TRAINED}
    return len(own) or int(data.folds)


# ── model ───────────────────────────────────────────────────────────────────────────────────────


def _without_weights(spec: Spec, env: Mapping[str, str]) -> UserError | None:
    place = spec.info.weights
    found: UserError | None = _named(place)(spec.model, env) if place else None
    return found


def _built(ready: Ready, num_classes: int) -> tuple[Mapping[str, Any], list[Finding]]:
    """What the model is made of; in a process of its own, which alone imports torch."""
    with tempfile.TemporaryDirectory(prefix="overnight-check-") as folder:
        config = Path(folder, "config.yaml")
        write(ready.spec, config)
        argv = [ready.python, "-P", "-m", "overnight.trainer.weigh", str(config)]
        answer = ask([*argv, str(num_classes)], timeout_s=_BUILD_S, env=ready.env)
        found = files.read_json(os.path.join(folder, "weighed.json")) or {}
    if "what" in found:
        fields = {"what": found["what"], "fix": found["fix"]}
        where = str(found.get("where", ""))
        return {}, [_finding("model", "bad", "refused", dict(fields), fields, where)]
    if "num_parameters" not in found:
        lines = answer.stderr.strip().splitlines()
        fields = {"why": lines[-1][:200] if lines else answer.outcome}
        return {}, [_finding("model", "unknown", "silent", dict(fields), fields)]
    model: Any = ready.spec.model
    fields = {
        "name": model.name,
        "num": f"{found['num_parameters']:,}",
        "trainable": f"{found['num_trainable']:,}",
    }
    begins = model.pretrained or model.path is not None
    return found, [_finding("model", "ok", "loaded" if begins else "built", found, fields)]


# ── machine ─────────────────────────────────────────────────────────────────────────────────────


def _machine(ready: Ready, built: Mapping[str, Any]) -> list[Finding]:
    train: Any = ready.spec.train
    job = Job("command", ready.python, (), ready.python, ready.env, ready.root, ready.root)
    found = check_machine(job, None)
    if train.num_workers != 0 and sys.platform == "linux":
        found.append(from_check(machine.check_shm(Path("/dev/shm"))))
    gpus = cards.find_gpus(Path("/"))
    hidden = ready.env.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if hidden and gpus.state == "ready":
        found.append(_finding("gpu", "warn", "hidden"))
    else:
        found += [from_check(each) for each in cards.check_gpus(gpus)]
    has_card = gpus.state == "ready" and not hidden
    if train.amp == "fp16" and not has_card:
        found.append(_refused("gpu", UserError("engine.fp16_cpu", where="train.amp")))
    if has_card and (card := gpus.cards[0]).memory_total_mib and "num_trainable" in built:
        moments = _MOMENTS[train.optimizer]
        weights = built["num_parameters"] + (1 + moments) * built["num_trainable"]
        need = _FLOAT_BYTES * weights
        total = card.memory_total_mib * 2**20
        fields = {"need": _gib(need), "total": _gib(total), "card": card.name}
        facts: dict[str, Json] = {"need_bytes": need, "total_bytes": round(total)}
        is_full = need > total * _FULL_SHARE
        level: Level = "bad" if is_full else "unknown"
        found.append(_finding("gpu", level, "full" if is_full else "weights", facts, fields))
    return found


def room_on_disk(ready: Ready, num_weights: int, num_trainable: int, num_fits: int) -> Finding:
    """Whether the disk takes all that a training leaves there.

    Args:
        ready: A config's.
        num_weights: The model's parameters.
        num_trainable: Those of them that learn.
        num_fits: Its folds that are trained.
    """
    train: Any = ready.spec.train
    moments = _MOMENTS[train.optimizer]
    checkpoint = num_weights + moments * num_trainable + (num_weights if train.ema else 0)
    # Each fold keeps its checkpoints and its best; while a new one is written, the old ones stay.
    kept = num_fits * (ready.spec.output.keep_checkpoints * checkpoint + num_weights)
    kept += checkpoint + num_weights
    # A tracker that keeps files on this disk has the best model once more.
    local = sum(not entry.get("address") for entry in ready.trackers)
    need = _FLOAT_BYTES * (kept + local * num_fits * num_weights)
    free = shutil.disk_usage(_existing(ready.root)).free
    facts: dict[str, Json] = {"need_bytes": need, "free_bytes": free}
    fields = {"need": _gib(need), "free": _gib(free)}
    code = "short" if need > free else "fits"
    return _finding("disk", "bad" if need > free else "ok", code, facts, fields)


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


# ── trackers, time ──────────────────────────────────────────────────────────────────────────────


def _trackers(ready: Ready) -> list[Finding]:
    if not ready.trackers:
        return [_finding("trackers", "ok", "none")]
    found = []
    for entry in ready.trackers:
        fields = {"name": entry["name"], "address": entry.get("address") or ready.root}
        facts: dict[str, Json] = {"name": entry["name"], "mode": entry.get("mode")}
        if entry.get("mode") == "offline":
            found.append(_finding("trackers", "warn", "offline", facts, fields))
        else:
            found.append(_finding("trackers", "ok", "goes_to", facts, fields))
    return found


def _duration(ready: Ready, index: DataIndex | None, num_fits: int) -> Finding:
    """As long as it took before, where something like it was trained here."""
    train: Any = ready.spec.train
    known = pace.known(ready.spec, ready.root) if index is not None else None
    if known is None or index is None:
        return _finding("duration", "unknown", "not_known")
    total_s = known.example_s * len(index.examples) * train.epochs * num_fits
    facts: dict[str, Json] = {"total_s": round(total_s), "run": known.run_id}
    fields = {"span": spoken.span(total_s), "run": known.run_id}
    code = "at_most" if train.early_stopping is not None else "about"
    return _finding("duration", "ok", code, facts, fields)


def _finding(
    name: str,
    level: Level,
    code: str,
    facts: Mapping[str, Json] | None = None,
    fields: Mapping[str, object] | None = None,
    where: str = "",
) -> Finding:
    return Finding(name, level, code, facts or {}, fields or {}, where, room="outlook")


def _refused(name: str, error: UserError) -> Finding:
    fields = {"what": error.what, "fix": error.fix}
    return _finding(name, "bad", "refused", {"key": error.key, **fields}, fields, error.where)


def _gib(num_bytes: float) -> str:
    gib = num_bytes / _GIB
    return f"{gib:.1f} GiB" if gib >= 0.1 else f"{num_bytes / 2**20:.0f} MiB"


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
