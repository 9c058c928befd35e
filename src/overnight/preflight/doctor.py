"""Examine the machine: all questions at once, none of which can hold up or break the others."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from overnight.preflight import cards, lifetime, machine, mounts
from overnight.preflight.ask import Background
from overnight.preflight.cgroup import controller_folders, lowest_limit
from overnight.preflight.check import Check, Json
from overnight.preflight.interpreter import ask_interpreter, check_interpreter
from overnight.preflight.python import job_python
from overnight.preflight.torch_build import check_torch
from overnight.redact import redact

Probe = Callable[[], Iterable[Check]]
#: A folder on a dead network disk does not answer at all; a program may need its own limit.
_TIMEOUT_S = 30.0
#: Longer than nvidia-smi's and the interpreter's own limits together.
_TORCH_TIMEOUT_S = 180.0
_SLASH = Path("/")
_CGROUPS = Path("/sys/fs/cgroup")


def examine(
    root: Path, python: str | None = None, *, more: Mapping[str, Probe] | None = None
) -> Sequence[Check]:
    """All findings, in the order in which they are shown.

    It asks in parallel and takes as long as the slowest answer: a second or two, with a torch in
    the job's Python the time of importing it. Nothing is changed.

    Args:
        root: The folder runs would be written below.
        python: The job's interpreter, if it was named.
        more: Questions of other rooms, shown last.
    """
    path, source = job_python(python, os.environ)
    interpreter = Background(lambda: ask_interpreter(path, source))
    gpus = Background(lambda: cards.find_gpus(_SLASH))

    def torch() -> list[Check]:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        found = check_torch(
            gpus.result(_TORCH_TIMEOUT_S),
            interpreter.result(_TORCH_TIMEOUT_S),
            visible_devices=visible,
        )
        return [found] if found is not None else []

    probes: dict[str, tuple[Probe, float]] = {
        "python": (
            lambda: [check_interpreter(interpreter.result(_TORCH_TIMEOUT_S))],
            _TORCH_TIMEOUT_S,
        ),
        "disk": (lambda: machine.check_disks(root, Path.home()), _TIMEOUT_S),
        "filesystem": (lambda: _filesystems(root), _TIMEOUT_S),
        "limits": (_limits, _TIMEOUT_S),
        "container": (lambda: lifetime.check_container(os.environ, _SLASH), _TIMEOUT_S),
        "clock": (_clock, _TIMEOUT_S),
        "locale": (lambda: [machine.check_locale(machine.terminal_codeset())], _TIMEOUT_S),
        "git": (lambda: [machine.check_git(root)], _TIMEOUT_S),
        "gpu": (lambda: cards.check_gpus(gpus.result(_TORCH_TIMEOUT_S)), _TORCH_TIMEOUT_S),
        "torch": (torch, _TORCH_TIMEOUT_S),
    }
    if sys.platform == "linux":
        probes |= {
            "memory": (_memory, _TIMEOUT_S),
            "shm": (lambda: [machine.check_shm(Path("/dev/shm"))], _TIMEOUT_S),
            "logind": (_logind, _TIMEOUT_S),
            "updates": (_updates, _TIMEOUT_S),
        }
    asked = {name: probes[name] for name in _ORDER if name in probes}
    return run_probes(asked | {name: (probe, _TIMEOUT_S) for name, probe in (more or {}).items()})


_ORDER = (
    *("python", "disk", "filesystem", "memory", "limits", "shm"),
    *("logind", "container", "updates", "clock", "locale", "git", "gpu", "torch"),
)


def run_probes(probes: dict[str, tuple[Probe, float]]) -> list[Check]:
    """Run all probes at once, each with its limit in seconds, and keep their order.

    One that does not answer, or fails in a way nobody foresaw, becomes a finding "unknown".
    """
    asked = {
        name: (Background(partial(_collect, probe)), limit_s)
        for name, (probe, limit_s) in probes.items()
    }
    begun_s = time.monotonic()
    checks: list[Check] = []
    for name, (question, limit_s) in asked.items():
        try:
            checks += question.result(max(0.0, begun_s + limit_s - time.monotonic()))
        except TimeoutError:
            facts: dict[str, Json] = {"timeout_s": limit_s}
            checks.append(_unknown(name, "no_answer", facts, {"limit": f"{limit_s:.0f}"}))
        except Exception as error:  # Said, not swallowed: the person sees it as a finding.
            reason = redact(f"{type(error).__name__}: {error}")
            checks.append(_unknown(name, "failed", {"error": reason}, {"reason": reason}))
    return checks


def _collect(probe: Probe) -> list[Check]:
    return list(probe())


def _unknown(name: str, code: str, facts: dict[str, Json], fields: dict[str, object]) -> Check:
    return Check("probe", "unknown", code, {"probe": name, **facts}, {"probe": name, **fields})


def _text(path: str) -> str:
    """A file of the kernel's; empty where this system has none."""
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _filesystems(root: Path) -> list[Check]:
    return mounts.check_filesystems(str(root), str(Path.home()), _text("/proc/self/mounts"))


def _limits() -> list[Check]:
    folders = controller_folders(_text("/proc/self/cgroup"), "pids", _CGROUPS)
    return machine.check_limits(
        machine.read_limits(),
        core_pattern=_text("/proc/sys/kernel/core_pattern"),
        num_tasks_limit=lowest_limit(folders, "pids.max"),
    )


def _memory() -> list[Check]:
    meminfo = _text("/proc/meminfo").encode("utf-8", "surrogateescape")
    return [machine.check_memory(meminfo, _text("/proc/self/cgroup"), _CGROUPS)]


def _logind() -> list[Check]:
    if sys.platform == "win32":
        user_id = 0
    else:
        user_id = os.getuid()
    return lifetime.check_logind(
        getpass.getuser(),
        user_id,
        _text("/proc/self/cgroup"),
        is_systemd=Path("/run/systemd/system").is_dir(),
    )


def _updates() -> list[Check]:
    return lifetime.check_updates(_SLASH, lifetime.ask_apt_config())


def _clock() -> list[Check]:
    installed_s = Path(__file__).stat().st_mtime
    return [machine.check_clock(time.time(), installed_s, machine.ask_timedatectl())]
