"""Does the machine have what the job asks for: a GPU, shared memory, a model from the hub, room?"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from overnight.preflight import cards, hub, machine
from overnight.preflight.check import Check, Level
from overnight.preflight.target.files import uses
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.job import Job
from overnight.preflight.target.program import Program, Site
from overnight.preflight.target.values import HOLE
from overnight.supervisor.gpu import find_nvidia_smi

_SLASH = Path("/")
_CGROUPS = Path("/sys/fs/cgroup")
_SAVERS = frozenset({"save_pretrained", "save_model"})
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
#: They fail where there is no GPU.
_GPU_CALLS = frozenset({
    "torch.cuda.set_device", "torch.cuda.get_device_name", "torch.cuda.get_device_properties",
})  # fmt: skip
#: Its models warn and go on with the CPU.
_FALLS_BACK = "xgboost."
_DEVICE_WORDS = frozenset({"device", "accelerator", "map_location", "device_map"})
#: From here on Python starts the workers of a DataLoader anew instead of forking.
_NO_FORK_SINCE = (3, 14)


@dataclass(frozen=True, slots=True)
class Asked:
    """One place where a GPU is asked for."""

    site: Site
    index: int


def check_machine(job: Job, program: Program | None) -> list[Finding]:
    """Disk, memory, shared memory and GPU, as far as the job needs them."""
    root = Path(_existing(job.root or job.cwd))
    findings = [from_check(check) for check in machine.check_disks(root, Path(_existing(job.cwd)))]
    # The run is written below the root; a job need not write to the folder it runs in.
    findings = [
        replace(each, level="warn")
        if each.code == "not_writable" and each.facts["path"] != str(root)
        else each
        for each in findings
    ]
    if sys.platform == "linux":
        meminfo = _text("/proc/meminfo").encode("utf-8", "surrogateescape")
        findings.append(
            from_check(machine.check_memory(meminfo, _text("/proc/self/cgroup"), _CGROUPS))
        )
    if program is None:
        return findings
    workers = list(_workers(program))
    if workers and sys.platform == "linux":
        findings.append(from_check(machine.check_shm(Path("/dev/shm"))))
    findings += _check_gpu(job, program)
    return findings


def from_check(check: Check) -> Finding:
    """A finding of the doctor's as one on a job."""
    return Finding(
        check.name, check.level, check.code, check.facts, check.fields,
        key=f"doctor.{check.name}.{check.code}",
    )  # fmt: skip


def _existing(path: str) -> str:
    """The nearest folder that is there: the rest is made by the run."""
    here = Path(path).absolute()
    while not here.is_dir() and here != here.parent:
        here = here.parent
    return str(here)


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


# -- workers ------------------------------------------------------------------------------------


def _workers(program: Program) -> Iterator[tuple[Site, int]]:
    """Places that start processes to load data, and how many."""
    for site in program.sites:
        if not isinstance(site.node, ast.Call):
            continue
        for word in site.node.keywords:
            if word.arg in ("num_workers", "dataloader_num_workers"):
                num = program.evaluator.value(word.value, site.scope).one
                if isinstance(num, int) and num > 0:
                    yield site, num


def check_workers(program: Program, version: tuple[int, ...]) -> list[Finding]:
    """Whether worker processes can be started: where they are not forked, the script runs again.

    Args:
        program: The script.
        version: Of the job's Python.
    """
    chosen = ""
    for site in program.sites:
        if isinstance(site.node, ast.Call):
            name = program.evaluator.dotted(site.node.func, site.scope)
            if name.endswith("multiprocessing.set_start_method") and site.node.args:
                chosen = str(program.evaluator.value(site.node.args[0], site.scope).one)
    forks = sys.platform == "linux" and version[:2] < _NO_FORK_SINCE
    if chosen == "fork" or (forks and chosen not in ("spawn", "forkserver")):
        return []
    guarded = _guarded_lines(program.entry.tree)
    for site, num in _workers(program):
        if site.module is program.entry and site.straight and site.line not in guarded:
            fields = {"num": num}
            return [Finding("workers", "warn", "no_guard", fields, fields, program.where(site))]
    return []


def _guarded_lines(tree: ast.Module) -> set[int]:
    from overnight.notebook.places import is_main_guard

    return {
        line
        for node in tree.body
        if isinstance(node, ast.If) and is_main_guard(node)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


# -- GPU ----------------------------------------------------------------------------------------


def _asked(program: Program) -> Iterator[Asked]:
    """Places where a GPU is used whatever the machine has."""
    for site in program.sites:
        node = site.node
        if not isinstance(node, ast.Call) or site.in_try:
            continue
        if site.module is program.entry and not program.job.is_own(site.line):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        dotted = program.evaluator.dotted(node.func, site.scope)
        is_method = name == "cuda" and not dotted.startswith("torch.") and len(node.args) < 2
        if is_method or dotted in _GPU_CALLS:
            yield Asked(site, 0)
        if dotted.startswith(_FALLS_BACK):
            continue
        given = [word.value for word in node.keywords if word.arg in _DEVICE_WORDS]
        if name == "to" or dotted == "torch.device":
            given += node.args[:1]
        for value in given:
            one = program.evaluator.value(value, site.scope).one
            match = re.fullmatch(r"(?:cuda|gpu)(?::(\d))?", one) if isinstance(one, str) else None
            if match is not None:
                yield Asked(site, int(match[1] or 0))


def _check_gpu(job: Job, program: Program) -> list[Finding]:
    asked = list(_asked(program))
    if not asked:
        return []
    gpus = cards.find_gpus(_SLASH)
    visible = job.env.get("CUDA_VISIBLE_DEVICES")
    hidden = visible is not None and visible.strip() in ("", "-1")
    num = 0 if hidden or gpus.state != "ready" else len(gpus.cards)
    if num and visible:
        num = min(num, len([part for part in visible.split(",") if part.strip()]))
    for item in sorted(asked, key=lambda item: not item.site.sure):
        if item.index < num:
            continue
        guarded = _is_guarded(program, item.site)
        level: Level = "bad" if item.site.sure and not guarded else "warn"
        if guarded and not num:
            continue
        if gpus.state in ("hung", "broken", "no driver"):
            code = "driver"
        elif num:
            code = "index"
        elif hidden:
            code = "hidden"
        else:
            code = "none"
        fields = {"index": item.index, "num": num}
        facts = {"state": gpus.state, "visible": visible, "num": num,
                 "asks_driver": bool(find_nvidia_smi())}  # fmt: skip
        return [Finding("gpu", level, code, facts, fields, program.where(item.site))]
    if not num:
        return []
    return [from_check(check) for check in cards.check_gpus(gpus)]


def _is_guarded(program: Program, site: Site) -> bool:
    """Whether the file asks anywhere if there is a GPU: then it probably minds the answer."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("is_available", "device_count")
        for node in ast.walk(site.module.tree)
    ) or any(
        isinstance(node, ast.Attribute) and node.attr == "is_available"
        for node in ast.walk(program.entry.tree)
    )


# -- models and data sets from the hub ----------------------------------------------------------


def check_hub(program: Program) -> list[Finding]:
    """Models and data sets named after the hub: here already, a folder, or still to be fetched."""
    job = program.job
    to_fetch: dict[str, Site] = {}
    findings: list[Finding] = []
    offline = bool(hub.switched_off_by(job.env))
    for site in program.sites:
        node = site.node
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if site.module is program.entry and not job.is_own(site.line):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        dotted = program.evaluator.dotted(node.func, site.scope)
        is_data = dotted == "datasets.load_dataset"
        if name != "from_pretrained" and not is_data:
            continue
        text = program.evaluator.value(node.args[0], site.scope).one
        if not isinstance(text, str) or HOLE in text or not text:
            continue
        if os.path.exists(os.path.join(job.cwd, os.path.expanduser(text))):
            continue
        where = program.where(site)
        if is_data and text in ("csv", "json", "text", "parquet", "imagefolder", "audiofolder"):
            continue
        if not _HUB_NAME.fullmatch(text):
            if not site.in_try and not _is_written(program, text) and not _may_be_made(program):
                level: Level = "bad" if site.sure else "warn"
                code = "missing" if site.sure else "missing_maybe"
                fields = {"path": text, "base": job.cwd, "near": ""}
                findings.append(Finding("inputs", level, code, {"path": text}, fields, where))
        elif (
            (text not in to_fetch or _is_certain(site))
            and not _is_cached(program, site, text, "datasets" if is_data else "models")
            and not _is_written(program, text)
        ):
            to_fetch[text] = site
    for text, site in to_fetch.items():
        fields = {"name": text}
        where = program.where(site)
        if offline:
            level = "bad" if _is_certain(site) else "warn"
            findings.append(Finding("hub", level, "offline", fields, fields, where))
        else:
            findings.append(Finding("hub", "unknown", "to_fetch", fields, fields, where))
    return findings


def _is_written(program: Program, text: str) -> bool:
    """Whether the script saves something there itself, or may."""
    wanted = os.path.normpath(text)
    for site in program.sites:
        node = site.node
        if not isinstance(node, ast.Call):
            continue
        folders = [word.value for word in node.keywords if word.arg == "output_dir"]
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAVERS:
            folders += node.args[:1]
        for folder in folders:
            found = program.evaluator.value(folder, site.scope)
            if not found.is_known or any(
                HOLE in each or (wanted + os.sep).startswith(os.path.normpath(each) + os.sep)
                for each in found.texts
            ):
                return True
    return False


def _is_certain(site: Site) -> bool:
    return site.sure and not site.in_try


def _may_be_made(program: Program) -> bool:
    """Whether the script does anything (downloads, commands) after which any file may be there."""
    return any(use.does == "anything" for use in uses(program))


def _is_cached(program: Program, site: Site, name: str, kind: str) -> bool:
    """Whether the hub's cache holds it, or may: the script may name a cache of its own."""
    job = program.job
    caches = [str(hub.cache(job.env))]
    if kind == "models" and job.env.get("TRANSFORMERS_CACHE"):
        caches.append(job.env["TRANSFORMERS_CACHE"])
    assert isinstance(site.node, ast.Call)
    for word in site.node.keywords:
        if word.arg == "cache_dir" or word.arg is None:
            told = program.evaluator.value(word.value, site.scope).one
            if told is not None and (not isinstance(told, str) or HOLE in told):
                return True
            if told:
                caches.append(os.path.join(job.cwd, told))
    folder = kind + "--" + name.replace("/", "--")
    return any(os.path.isdir(os.path.join(place, folder, "snapshots")) for place in caches) or (
        kind == "datasets"
        and os.path.isdir(hub.home(job.env) / "datasets" / name.replace("/", "___"))
    )
