"""The job's Python, and what its torch says of itself.

It is asked in a child: importing torch takes seconds, and can crash (a processor without the
instructions it was built for) or hang (a driver in trouble) without harming the doctor.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from overnight.preflight.ask import Answer, ask
from overnight.preflight.cards import parse_capability
from overnight.preflight.check import Check, Json
from overnight.preflight.python import Source

#: `import torch` from a cold disk was seen to take 25 s on a busy machine; a network home more.
_TIMEOUT_S = 120.0
#: The oldest Python in which `overnight.log` works inside the job.
_OLDEST_JOB_PYTHON = (3, 9)
_MARK = "@@overnight-preflight@@ "
#: Runs in any Python 3. After each stage it says what it knows, so that a crash or a hang in the
#: next one does not lose it. `_cuda_getArchFlags` answers where get_arch_list() needs a driver.
_SCRIPT = r"""
import json, sys
known = {"stage": "python", "version": list(sys.version_info[:3]), "executable": sys.executable}
def tell(**more):
    known.update(more)
    sys.stdout.write("\n@@overnight-preflight@@ " + json.dumps(known) + "\n")
    sys.stdout.flush()
tell()
packages = []
for name in ("torch", "torchvision", "torchaudio"):
    try:
        import importlib.util
        if importlib.util.find_spec(name) is not None:
            packages.append(name)
    except Exception:
        pass
tell(stage="packages", packages=packages)
if "torch" in packages:
    try:
        import torch
    except BaseException as error:
        tell(stage="import failed", error="%s: %s" % (type(error).__name__, error))
        sys.exit(0)
    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)()
    tell(stage="torch", torch=str(torch.__version__), cuda=torch.version.cuda,
         hip=getattr(torch.version, "hip", None), archs=(flags or "").split())
    available = bool(torch.cuda.is_available())
    devices = []
    tell(stage="available", available=available)
    for index in range(torch.cuda.device_count() if available else 0):
        device = {"name": torch.cuda.get_device_name(index), "error": None,
                  "capability": "%d.%d" % tuple(torch.cuda.get_device_capability(index))}
        try:
            value = (torch.ones(2, device="cuda:%d" % index) + 1).sum().item()
            if value != 4:
                device["error"] = "1 + 1 gave %r" % (value / 2)
        except Exception as error:
            device["error"] = "%s: %s" % (type(error).__name__, error)
        devices.append(device)
    tell(stage="done", devices=devices)
"""


@dataclass(frozen=True, slots=True)
class Device:
    """A card as torch sees it; ``error`` is what a first small kernel on it raised."""

    name: str
    capability: tuple[int, int] | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """One installed torch.

    Attributes:
        cuda: The CUDA it was built with; None for a build without.
        is_rocm: Built for AMD cards.
        archs: What its kernels are compiled for: ``sm_90``, ``compute_120``; empty = not known.
        is_available: What ``torch.cuda.is_available()`` said; None where it never came back.
    """

    version: str
    cuda: tuple[int, int] | None = None
    is_rocm: bool = False
    archs: tuple[str, ...] = ()
    is_available: bool | None = None
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python a job will run in.

    Attributes:
        path: What would be started.
        source: Why this one.
        version: None where it could not be started.
        packages: Which of torch, torchvision and torchaudio are installed.
        torch_state: ``hung`` and ``crashed`` = while importing; ``cuda hung``, ``cuda crashed``
            = after it, when the driver was asked.
        message: What it said when it failed.
    """

    path: str
    source: Source
    version: tuple[int, int, int] | None = None
    packages: tuple[str, ...] = ()
    torch_state: Literal[
        "absent", "ready", "crashed", "hung", "cuda crashed", "cuda hung", "unknown"
    ] = "unknown"
    build: TorchBuild | None = None
    message: str = ""


def ask_interpreter(path: str, source: Source, *, timeout_s: float = _TIMEOUT_S) -> Interpreter:
    """Start it and ask."""
    # From the root folder, so that a "torch.py" beside the person does not answer for torch.
    answer = ask([path, "-c", _SCRIPT], timeout_s=timeout_s, cwd=Path.cwd().anchor)
    return read_answer(Interpreter(path, source), answer)


def read_answer(interpreter: Interpreter, answer: Answer) -> Interpreter:
    """What the child's output, whole or cut short, tells of the interpreter."""
    known = _last_stage(answer.stdout)
    message = _last_line(answer.stderr)
    stage = _text(known.get("stage"))
    version = known.get("version")
    if not isinstance(version, list) or len(version) != 3 or not all(map(_is_int, version)):
        return replace(interpreter, message=message)
    major, minor, patch = (int(str(part)) for part in version)
    packages = known.get("packages")
    result = replace(
        interpreter,
        version=(major, minor, patch),
        packages=tuple(map(str, packages)) if isinstance(packages, list) else (),
        build=_read_build(known),
        message=message,
    )
    if stage == "import failed":
        return replace(result, torch_state="crashed", message=_text(known.get("error")))
    if stage == "done":
        return replace(result, torch_state="ready")
    if stage == "packages" and "torch" not in result.packages:
        return replace(result, torch_state="absent")
    if stage == "packages":
        state = "hung" if answer.outcome == "timeout" else "crashed"
    elif stage in {"torch", "available"}:
        state = "cuda hung" if answer.outcome == "timeout" else "cuda crashed"
    else:
        return result
    if answer.outcome == "ended" and answer.returncode < 0:
        result = replace(result, message=f"signal {-answer.returncode}")
    match state:
        case "hung":
            return replace(result, torch_state="hung")
        case "crashed":
            return replace(result, torch_state="crashed")
        case "cuda hung":
            return replace(result, torch_state="cuda hung")
        case _:
            return replace(result, torch_state="cuda crashed")


def _last_stage(stdout: str) -> dict[str, Json]:
    for line in reversed(stdout.splitlines()):
        if line.startswith(_MARK):
            try:
                known = json.loads(line.removeprefix(_MARK))
            except (ValueError, RecursionError):
                continue
            if isinstance(known, dict):
                return known
    return {}


def _read_build(known: Mapping[str, Json]) -> TorchBuild | None:
    version, cuda, archs = known.get("torch"), known.get("cuda"), known.get("archs")
    available, devices = known.get("available"), known.get("devices")
    if not isinstance(version, str):
        return None
    return TorchBuild(
        version=version,
        cuda=parse_cuda(cuda) if isinstance(cuda, str) else None,
        is_rocm=bool(known.get("hip")),
        archs=tuple(map(str, archs)) if isinstance(archs, list) else (),
        is_available=available if isinstance(available, bool) else None,
        devices=tuple(
            Device(
                name=_text(device.get("name")),
                capability=parse_capability(_text(device.get("capability"))),
                error=_text(device.get("error")) or None,
            )
            for device in (devices if isinstance(devices, list) else [])
            if isinstance(device, dict)
        ),
    )


def parse_cuda(text: str) -> tuple[int, int] | None:
    """``13.0`` or ``12.6.3`` → major and minor."""
    match = re.match(r"(\d{1,3})\.(\d{1,3})(?:\.|$)", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def _is_int(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""


def check_interpreter(interpreter: Interpreter) -> Check:
    """Whether the job's Python starts and is new enough."""
    version = ".".join(map(str, interpreter.version)) if interpreter.version else None
    facts: dict[str, Json] = {
        "path": interpreter.path,
        "source": interpreter.source,
        "version": version,
        "own_version": ".".join(map(str, sys.version_info[:3])),
    }
    fields = {"path": interpreter.path, "version": version, "message": interpreter.message}
    if interpreter.version is None:
        return Check("python", "bad", "broken", facts, fields)
    if interpreter.version[:2] < _OLDEST_JOB_PYTHON:
        return Check("python", "warn", "old", facts, fields)
    return Check("python", "ok", interpreter.source, facts, fields)
