"""What will end with the login, the container, the session or the next automatic reboot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from overnight.preflight.ask import Answer, ask
from overnight.preflight.check import Check, Json

Ask = Callable[[list[str]], Answer]
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
#: A process that began in a login session sits in the session's scope, detached or not.
_SESSION_SCOPE = re.compile(r"/session-[^/]+\.scope(?:/|$)", re.MULTILINE)
#: Programs that, as process 1, wait for no orphan; shells and inits do.
_NO_INIT = re.compile(r"python[\d.]*|jupyter.*|sleep|tail|node|java|cat|sshd")


def _ask(argv: list[str]) -> Answer:
    return ask(argv, timeout_s=5)


def _property(name: str, ask_program: Ask) -> str | None:
    answer = ask_program(["busctl", "get-property", *_LOGIND, name])
    return answer.stdout.strip().partition(" ")[2] if answer.is_good else None


def check_logind(
    user: str,
    user_id: int,
    proc_cgroup: str,
    *,
    is_systemd: bool,
    ask_program: Ask = _ask,
) -> list[Check]:
    """Whether logging out ends what was left running.

    With ``KillUserProcesses`` logind ends everything in the login session's scope, whatever
    detached itself; with ``RemoveIPC`` it removes the user's shared memory at the last logout.

    Args:
        user: Login name.
        user_id: Its number.
        proc_cgroup: ``/proc/self/cgroup``.
        is_systemd: Whether systemd runs this machine.
        ask_program: Runs ``busctl`` and ``loginctl``.
    """
    if not is_systemd:
        return [Check("logind", "ok", "none", {"systemd": False})]
    kills = _property("KillUserProcesses", ask_program)
    if kills is None:
        return [Check("logind", "unknown", "unknown", {"systemd": True})]
    excluded = re.findall(r'"([^"]*)"', _property("KillExcludeUsers", ask_program) or "")
    only = re.findall(r'"([^"]*)"', _property("KillOnlyUsers", ask_program) or "")
    linger = ask_program(["loginctl", "show-user", user, "-p", "Linger", "--value"])
    lingers = linger.stdout.strip() == "yes" if linger.is_good else None
    is_in_session = _SESSION_SCOPE.search(proc_cgroup) is not None
    removes_ipc = _property("RemoveIPC", ask_program) == "true"
    facts: dict[str, Json] = {
        "systemd": True,
        "kill_user_processes": kills == "true",
        "linger": lingers,
        "in_session_scope": is_in_session,
        "remove_ipc": removes_ipc,
    }
    fields = {"user": user}
    checks = []
    is_meant = user not in excluded and (not only or user in only)
    if kills == "true" and is_meant:
        code = "kills" if is_in_session else "kills_others"
        level = "bad" if is_in_session else "warn"
        checks.append(Check("logind", "bad" if level == "bad" else "warn", code, facts, fields))
    # logind spares the system's own accounts, whose numbers end at 999.
    if removes_ipc and not lingers and user_id >= 1000:
        checks.append(Check("logind", "warn", "removes_ipc", facts, fields))
    return checks or [Check("logind", "ok", "spares", facts, fields)]


def check_container(env: Mapping[str, str], slash: Path) -> list[Check]:
    """What encloses this machine and takes everything along when it ends.

    Args:
        env: The environment.
        slash: The file system's root.
    """
    checks = _hosted(env, slash) or _contained(env, slash)
    batch = next((name for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID") if env.get(name)), "")
    if batch:
        fields = {"batch": batch.partition("_")[0]}
        facts: dict[str, Json] = {"batch": fields["batch"]}
        checks.append(Check("container", "warn", "batch", facts, fields))
    return checks or [Check("container", "ok", "none")]


def _hosted(env: Mapping[str, str], slash: Path) -> list[Check]:
    """Services and systems that are more than just a container."""
    release = _read(slash / "proc/sys/kernel/osrelease").lower()
    if env.get("KAGGLE_KERNEL_RUN_TYPE") or (slash / "kaggle/working").is_dir():
        code = "kaggle"
    elif env.get("COLAB_RELEASE_TAG") or env.get("COLAB_GPU") is not None:
        code = "colab"
    elif env.get("CODESPACES") == "true":
        code = "codespaces"
    elif env.get("JUPYTERHUB_USER"):
        code = "jupyterhub"
    elif "microsoft" in release or env.get("WSL_DISTRO_NAME"):
        code = "wsl"
    else:
        return []
    return [Check("container", "warn", code, {"kind": code})]


def _contained(env: Mapping[str, str], slash: Path) -> list[Check]:
    named = _read(slash / "run/systemd/container").strip() or env.get("container", "")
    if env.get("KUBERNETES_SERVICE_HOST"):
        kind = "Kubernetes"
    elif (slash / ".dockerenv").exists():
        kind = "Docker"
    elif (slash / "run/.containerenv").exists():
        kind = "Podman"
    elif env.get("SINGULARITY_CONTAINER") or env.get("APPTAINER_CONTAINER"):
        kind = "Apptainer"
    elif named:
        kind = named
    else:
        return []
    first = _read(slash / "proc/1/comm").strip()
    facts: dict[str, Json] = {"kind": kind, "process_1": first}
    checks = [Check("container", "warn", "container", facts, {"kind": kind})]
    # Its processes are the host's: nothing ends with it.
    if kind == "Apptainer":
        return [Check("container", "ok", "apptainer", facts, {"kind": kind})]
    if _NO_INIT.fullmatch(first):
        checks.append(Check("container", "warn", "no_init", facts, {"first": first}))
    return checks


def check_updates(slash: Path, apt_config: Answer) -> list[Check]:
    """Whether the machine may reboot by itself in the night.

    Args:
        slash: The file system's root.
        apt_config: Answer of ``apt-config dump Unattended-Upgrade::Automatic-Reboot``.
    """
    is_pending = (slash / "run/reboot-required").exists()
    value = re.search(r'Automatic-Reboot "([^"]*)"', apt_config.stdout)
    is_automatic = value is not None and value[1].lower() in {"true", "yes", "1", "on"}
    facts: dict[str, Json] = {"reboot_pending": is_pending, "automatic_reboot": is_automatic}
    if is_automatic:
        code = "reboots_tonight" if is_pending else "reboots"
        return [Check("updates", "warn", code, facts)]
    # Machines without apt have other ways to reboot; nothing is claimed of them.
    return [Check("updates", "ok", "manual", facts)] if apt_config.is_good else []


def ask_apt_config() -> Answer:
    """The system's setting for reboots after upgrades."""
    return _ask(["apt-config", "dump", "Unattended-Upgrade::Automatic-Reboot"])


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
