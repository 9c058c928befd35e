"""Does this torch fit this driver and this card, and if not, which one does?

Sources. Drivers: NVIDIA's "minor version compatibility" table (CUDA 13 ≥ 580, 12 ≥ 525.60.13,
11 ≥ 450.80.02). Kernels: a binary for sm_XY runs on cards of the same major number X and a minor
number of at least Y; PTX for compute_XY is compiled on any later card at its first start. Builds:
PyTorch's release matrix; CUDA 13 has no kernels for cards before Turing (7.5), the cu126 builds,
which end with torch 2.14, are the last that have.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from overnight.preflight.cards import Card, Gpus, format_version
from overnight.preflight.check import Check, Json, Level
from overnight.preflight.interpreter import Device, Interpreter, TorchBuild

Verdict = Literal[
    "absent",
    "works",
    "fits",
    "jit",
    "cpu_only",
    "no_card",
    "no_driver",
    "cpu_build",
    "rocm_build",
    "rocm",
    "driver_too_old",
    "card_unsupported",
    "some_unsupported",
    "hidden",
    "full",
    "fails",
    "not_available",
    "unknown",
]
#: CUDA's major version → the oldest driver it runs on (Linux).
_MIN_DRIVER: dict[int, tuple[int, ...]] = {
    13: (580,),
    12: (525, 60, 13),
    11: (450, 80, 2),
}
_TURING = (7, 5)
_VOLTA = (7, 0)
_MAXWELL = (5, 0)
_KEPLER = (3, 7)
_BLACKWELL = (10, 0)
_LEVELS: dict[Verdict, Level] = {
    "absent": "ok",
    "works": "ok",
    "fits": "ok",
    "jit": "warn",
    "cpu_only": "ok",
    "no_card": "ok",
    "no_driver": "unknown",
    "cpu_build": "bad",
    "rocm_build": "bad",
    "rocm": "unknown",
    "driver_too_old": "bad",
    "card_unsupported": "bad",
    "some_unsupported": "warn",
    "hidden": "warn",
    "full": "warn",
    "fails": "bad",
    "not_available": "bad",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Install:
    """Which torch to install.

    Attributes:
        backend: For ``uv pip install --torch-backend``.
        requirement: ``torch``, with a bound where only older releases fit.
    """

    backend: Literal["auto", "cpu", "cu118", "cu126", "cu128"]
    requirement: str = "torch"


@dataclass(frozen=True, slots=True)
class Fit:
    """The judgement.

    Attributes:
        cards: Names of those it is about: the unsupported, the full, the failing ones.
        min_driver: The oldest driver this build runs on, where the driver is the trouble.
        install: What would fit; None where nothing does, or nothing need be done.
        message: What torch itself said.
    """

    verdict: Verdict
    cards: tuple[str, ...] = ()
    min_driver: tuple[int, ...] | None = None
    install: Install | None = None
    message: str = ""


def runs_on(archs: Sequence[str], capability: tuple[int, int]) -> Literal["binary", "ptx", "no"]:
    """How kernels compiled for ``archs`` run on a card.

    ``sm_90a`` runs on 9.0 alone; ``sm_100f`` on its family, which for us is its major number.
    """
    is_compiled_later = False
    for arch in archs:
        match = re.fullmatch(r"(sm|compute)_(\d{1,2})(\d)([af]?)", arch, re.ASCII)
        if match is None:
            continue
        built = (int(match[2]), int(match[3]))
        if match[4] == "a":
            if built == capability:
                return "binary"
        elif match[1] == "sm":
            if built[0] == capability[0] and built[1] <= capability[1]:
                return "binary"
        elif built <= capability:
            is_compiled_later = True
    return "ptx" if is_compiled_later else "no"


def fitting_install(
    driver: tuple[int, ...] | None, capabilities: Sequence[tuple[int, int]]
) -> Install | None:
    """The newest builds that run all these cards with this driver; None if there are none.

    uv's ``auto`` chooses by the driver alone, so it is right from Turing on, and gives older
    cards a build without their kernels.

    Args:
        driver: None where not known: then it is taken to be new enough.
        capabilities: Of all cards; none = a machine without.
    """
    if not capabilities:
        return Install("cpu")
    has_cuda_11 = driver is None or driver >= _MIN_DRIVER[11]
    has_cuda_12 = driver is None or driver >= _MIN_DRIVER[12]
    oldest, newest = min(capabilities), max(capabilities)
    if not has_cuda_11 or oldest < _KEPLER:
        return None
    if oldest >= _TURING:
        return Install("auto") if has_cuda_12 or newest < _BLACKWELL else None
    if newest >= _BLACKWELL:
        # 2.10+cu128 was the last to have both Volta's kernels and Blackwell's.
        return Install("cu128", "torch<2.11") if has_cuda_12 and oldest >= _VOLTA else None
    return Install("cu126" if has_cuda_12 and oldest >= _MAXWELL else "cu118")


def fit(gpus: Gpus, build: TorchBuild | None, *, visible_devices: str | None = None) -> Fit:
    """Judge one torch on one machine. What torch was seen to do counts more than any table.

    Args:
        gpus: What the driver says; its ``compute_cap`` may be missing.
        build: None where torch is not installed.
        visible_devices: ``CUDA_VISIBLE_DEVICES``.
    """
    install = _install_for(gpus, build)
    if build is None:
        return Fit("absent", install=install)
    if build.devices and all(device.error is None for device in build.devices):
        return _works(build, install)
    if build.is_rocm or build.cuda is None:
        return _without_cuda(gpus, build, install)
    if gpus.state == "none" and not build.devices:
        return Fit("no_card")
    if gpus.state != "ready" and not build.devices:
        return Fit("no_driver")
    min_driver = _MIN_DRIVER.get(build.cuda[0])
    # A data-centre card with CUDA's compatibility package runs on an older driver: then torch
    # does see it.
    if not build.is_available and gpus.driver and min_driver and gpus.driver < min_driver:
        return Fit("driver_too_old", min_driver=min_driver, install=install)
    return _by_cards(gpus, build, install, visible_devices)


def _install_for(gpus: Gpus, build: TorchBuild | None) -> Install | None:
    seen = _seen(gpus, build)
    capabilities = [card.capability for card in seen if card.capability is not None]
    if seen and not capabilities:
        return Install("auto") if gpus.driver is None or gpus.driver >= _MIN_DRIVER[11] else None
    if not seen and gpus.state != "none":
        return Install("auto")
    return fitting_install(gpus.driver, capabilities)


def _seen(gpus: Gpus, build: TorchBuild | None) -> Sequence[Card | Device]:
    """The cards the job would use: those torch sees, else those the driver lists."""
    return build.devices if build is not None and build.devices else gpus.cards


def _works(build: TorchBuild, install: Install | None) -> Fit:
    slow = tuple(
        device.name
        for device in build.devices
        if device.capability and build.archs and runs_on(build.archs, device.capability) == "ptx"
    )
    if slow:
        return Fit("jit", slow, install=install)
    return Fit("works", tuple(device.name for device in build.devices))


def _without_cuda(gpus: Gpus, build: TorchBuild, install: Install | None) -> Fit:
    if gpus.state == "none":
        return Fit("rocm" if build.is_rocm else "cpu_only")
    if gpus.state != "ready":
        return Fit("no_driver")
    return Fit("rocm_build" if build.is_rocm else "cpu_build", install=install)


def _by_cards(
    gpus: Gpus, build: TorchBuild, install: Install | None, visible_devices: str | None
) -> Fit:
    seen = _seen(gpus, build)
    how = [
        (card, "unknown")
        if card.capability is None or not build.archs
        else (card, runs_on(build.archs, card.capability))
        for card in seen
    ]
    unsupported = tuple(card.name for card, way in how if way == "no")
    if unsupported:
        verdict: Verdict = (
            "card_unsupported" if len(unsupported) == len(seen) else "some_unsupported"
        )
        return Fit(verdict, unsupported, install=install)
    failing = [device for device in build.devices if device.error]
    if failing:
        names = tuple(device.name for device in failing)
        message = failing[0].error or ""
        is_full = all("out of memory" in (device.error or "").lower() for device in failing)
        return Fit("full" if is_full else "fails", names, install=install, message=message)
    if build.is_available is False:
        is_hidden = visible_devices is not None and visible_devices.strip() in {"", "-1"}
        return Fit("hidden" if is_hidden else "not_available")
    if any(way == "ptx" for _, way in how):
        slow = tuple(card.name for card, way in how if way == "ptx")
        return Fit("jit", slow, install=install)
    if build.is_available is None or any(way == "unknown" for _, way in how):
        return Fit("unknown")
    return Fit("fits", tuple(card.name for card in seen))


def install_line(install: Install, python: str, packages: Sequence[str]) -> str:
    """The command that installs it into ``python``.

    ``--reinstall``, since uv takes a torch that is there, whatever it was built for, to be the
    one that is asked for; its companions must be of the same build.
    """
    others = [name for name in packages if name != "torch"]
    parts = ["uv", "pip", "install", "--python", python]
    parts += ["--reinstall"] if "torch" in packages else []
    parts += [install.requirement, *others, f"--torch-backend={install.backend}"]
    line = shlex.join(parts)
    return line if shutil.which("uv") else "pip install uv && " + line


def check_torch(
    gpus: Gpus, interpreter: Interpreter, *, visible_devices: str | None = None
) -> Check | None:
    """What to say of torch; None where the job's Python itself does not start."""
    build = interpreter.build
    facts: dict[str, Json] = {
        "python": interpreter.path,
        "version": build.version if build else None,
        "cuda": ".".join(map(str, build.cuda)) if build and build.cuda else None,
        "archs": list(build.archs) if build else [],
        "available": build.is_available if build else None,
        "driver": format_version(gpus.driver) if gpus.driver else None,
    }
    fields: dict[str, object] = {
        "python": interpreter.path,
        "program": shlex.quote(interpreter.path),
        "version": build.version if build else "",
        "message": _first_line(interpreter.message),
    }
    match interpreter.torch_state:
        case "unknown":
            return None
        case "crashed":
            return Check("torch", "bad", "import_failed", facts, fields)
        case "hung":
            return Check("torch", "unknown", "import_hung", facts, fields)
        case "cuda hung":
            return Check("torch", "bad", "cuda_hung", facts, fields)
        case "cuda crashed":
            return Check("torch", "bad", "cuda_crashed", facts, fields)
        case "absent" | "ready":
            verdict = fit(gpus, build, visible_devices=visible_devices)
    code: str = verdict.verdict
    level = _LEVELS[verdict.verdict]
    has_cards = bool(gpus.cards) or gpus.state not in {"none", "ready"}
    if code == "absent" and has_cards:
        code, level = "absent_with_card", "warn"
    line = (
        install_line(verdict.install, interpreter.path, interpreter.packages)
        if verdict.install
        else None
    )
    if verdict.install is None and code in _INSTALL_CODES:
        code = _INSTALL_CODES[code]
    facts |= {"verdict": verdict.verdict, "cards": list(verdict.cards), "install": line}
    fields |= {
        "cuda": facts["cuda"] or "",
        "archs": " ".join(build.archs) if build else "",
        "cards": ", ".join(dict.fromkeys(verdict.cards)),
        "driver": format_version(gpus.driver),
        "min_driver": format_version(verdict.min_driver),
        "line": line or "",
    }
    if verdict.message:
        fields["message"] = _first_line(verdict.message)
    return Check("torch", level, code, facts, fields)


#: Findings whose remedy is another build → what is said where there is none.
_INSTALL_CODES = {
    "absent_with_card": "absent_no_build",
    "cpu_build": "cpu_build_no_build",
    "rocm_build": "rocm_build_no_build",
    "driver_too_old": "driver_too_old_no_build",
    "card_unsupported": "card_unsupported_no_build",
    "some_unsupported": "some_unsupported_no_build",
    "jit": "jit_no_build",
    "fails": "fails_no_build",
}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
