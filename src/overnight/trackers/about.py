"""What a tracker is told of a run beside its numbers: from run.json, machine.json, config.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overnight.ledger import files
from overnight.ledger.format import time_us
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import Failed, Finished, Lost, Stopped, View, exit_status
from overnight.outbox.track import Wanted
from overnight.trackers.base import End, RunInfo, Whole

#: As much of a config as a person wrote; a larger file is no config.
_MOST_CONFIG_BYTES = 1 << 20
_MACHINE_KEYS = ("cpu", "cpu_count", "gpus", "git_dirty", "kernel")
_RUN_KEYS = (
    "kind", "host", "platform", "python", "git_commit", "target", "overnight_version", "trial",
)  # fmt: skip


def about(run: RunPaths, wanted: Wanted, *, generation: int, known: bool) -> RunInfo:
    """A run as it is told to a tracker.

    Raises:
        OSError: Its folder cannot be read now.
    """
    info = files.read_json(run.run_json) or {}
    tags = {f"overnight.{key}": str(info[key]) for key in _RUN_KEYS if info.get(key) is not None}
    tags["overnight.dir"] = run.dir
    whole = _whole(run)
    if whole is not None:
        tags["overnight.parent"] = whole.run_id
    labels = info.get("labels")
    words: list[str] = []
    if isinstance(labels, list):
        words = [str(each) for each in labels]
    elif isinstance(labels, dict):  # a run that a program opened for itself
        words = [f"{key}={value}" for key, value in labels.items()]
    said = wanted.options.get("tags")
    words += [str(each) for each in said] if isinstance(said, list) else []
    return RunInfo(
        dir=Path(run.dir),
        run_id=run.run_id,
        name=str(info.get("name") or run.run_id),
        kind=run.kind,
        project=str(wanted.options.get("project") or default_project(run.root)),
        created_us=time_us(info.get("created_us")) or 0,
        generation=generation,
        tags=tags,
        labels=list(dict.fromkeys(words)),
        config=with_values(
            config_of(run), info.get("values"), always=bool(wanted.options.get("sweep"))
        ),
        options=wanted.options,
        known=known,
        whole=whole,
        has_parts=Path(run.children).is_dir(),
    )


def _whole(run: RunPaths) -> Whole | None:
    if run.parent is None:
        return None
    info = files.read_json(run.parent.run_json) or {}
    return Whole(run.parent.run_id, time_us(info.get("created_us")) or 0)


def with_values(
    config: Mapping[str, Any], values: Any, *, always: bool = False
) -> Mapping[str, Any]:
    """A config with a trial's values, ``train.lr`` → number, where it does not hold them.

    Args:
        config: It.
        values: As run.json has them, if it does.
        always: Also where it does: a sweep's page goes by its own names.
    """
    if not isinstance(values, dict):
        return config
    there = {} if always else dict(flat(config))
    return {**config, **{key: each for key, each in values.items() if key not in there}}


def machine_facts(run: RunPaths) -> dict[str, str]:
    """What the run stood on; nothing before that was found out."""
    machine = files.read_json(run.machine_json) or {}
    known = {key: machine.get(key) for key in _MACHINE_KEYS}
    return {f"machine.{key}": text for key, text in flat(known)}


def event_facts(event: Mapping[str, Any], name: str) -> dict[str, str]:
    """An event of the job's as name → text: ``model.parameters``, ``dataset.fingerprint``."""
    before = {"Configured": "", "DatasetUsed": "dataset."}[name]
    said = {key: value for key, value in event.items() if key[:1] != "_"}
    return dict(flat(said, before))


def default_project(root: str) -> str:
    """A root's name as every tracker takes it."""
    name = re.sub(r"[^\w.-]+", "-", Path(root).name).strip("-.")
    return name[:100] or "overnight"


def config_of(run: RunPaths) -> Mapping[str, Any]:
    """What stands in config.yaml; nothing where it cannot be read as YAML."""
    import yaml

    path = Path(run.config_yaml)
    try:
        if path.stat().st_size > _MOST_CONFIG_BYTES:
            return {}
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, yaml.YAMLError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """A nested config as ``train.lr`` → text; a list is one value, what is not set is left out."""
    for key, value in config.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, name + ".")
        elif value is not None and value not in ({}, []):
            yield name, value if isinstance(value, str) else _text(value) or ""


def end_of(view: View, run: RunPaths) -> End:
    """An ended run's end, as trackers know ends."""
    state = view.state
    code = exit_status(state)
    ended_us = view.ended_us or _newest_us(run)
    code = 125 if code is None else code
    trial = (files.read_json(run.exit_json) or {}) if run.parent is not None else {}
    if trial.get("state") == "pruned":
        return End("killed", code, ended_us, "pruned", str(trial.get("why") or ""))
    match state:
        case Finished():
            return End("finished", 0, ended_us)
        case Stopped():
            return End("killed", code, ended_us, "stopped")
        case Failed(cause=cause):
            kind, evidence = ((cause or {}).get(key) for key in ("kind", "evidence"))
            evidence = evidence or trial.get("why")
            return End("failed", code, ended_us, _text(kind) or "unknown", _text(evidence) or "")
        case Lost(why=why):
            return End("failed", code, ended_us, "lost", why)
        case _:
            raise AssertionError(state)


def _newest_us(run: RunPaths) -> int:
    """When anything was last heard of a run whose end nobody saw."""
    paths = [Path(run.dir, name + ".jsonl") for name in ("metrics", "system", "events", "job")]
    return max((path.stat().st_mtime_ns // 1000 for path in paths if path.exists()), default=0)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    import json

    return json.dumps(value, ensure_ascii=False)
