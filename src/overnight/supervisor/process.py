"""Processes as the kernel sees them: below whom, whose, named how, and told what.

The tree is read in one pass over ``/proc``; what left it (a daemon that was adopted by pid 1) is
found by the run's folder in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

from overnight.supervisor.process_tree import process_tree, processes_with_environment

assert sys.platform != "win32"

_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36
#: Processes of Overnight's own carry these names in ``ps``.
OWN_NAMES = ("ov-supervisor", "ov-keeper", "ov-agent")
#: These, and all they start, belong to no job even if a job started them.
_NOT_OF_JOBS = ("ov-supervisor", "ov-agent")


def set_name(name: str) -> None:
    """Sets the name ``ps`` shows for this process (at most 15 bytes)."""
    _prctl(_PR_SET_NAME, name.encode())


def become_subreaper() -> None:
    """Makes orphaned descendants of this process its children instead of pid 1's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_no_subreaper() -> None:
    """Takes that back: what a child forked from now on leaves behind goes to pid 1."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _prctl(option: int, value: bytes | int) -> None:
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(option, value, 0, 0, 0)


def close_all_but(fd: int) -> None:
    """Closes every descriptor above stderr except one."""
    try:
        there = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # no /proc: all there can be
        os.closerange(3, fd)
        os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))
        return
    for each in there:
        if each > 2 and each != fd:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(each)


def send(pid: int, number: int) -> bool:
    """Sends a signal; False if there is no such process, or it has become another user's."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_group(pid: int, number: int) -> None:
    """Sends a signal to a process's whole group, as Ctrl-C in a terminal does."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def below(pid: int) -> set[int]:
    """The living descendants of a process; other runs started from it, with all theirs, are not."""
    tree = process_tree([pid])
    children: dict[int, list[int]] = {}
    for each, info in tree.items():
        children.setdefault(info.ppid, []).append(each)
    found: set[int] = set()
    todo = list(children.get(pid, ()))
    while todo:
        each = todo.pop()
        if each in found or each == pid or name_of(each) in _NOT_OF_JOBS:
            continue
        todo.extend(children.get(each, ()))
        if tree[each].state not in "ZX":
            found.add(each)
    return found


def of_run(run_dir: str, roots: set[int]) -> set[int]:
    """Every living process of a run's job: below ``roots``, the roots, and what left the tree."""
    found = processes_with_environment("OVERNIGHT_RUN_DIR", run_dir)
    for root in roots:
        found |= below(root)
    own = {pid for pid in found | roots if name_of(pid) in OWN_NAMES}
    tree = process_tree(found)
    return {pid for pid in found - own if pid in tree and tree[pid].state not in "ZX"}


def end_all(find: Callable[[], set[int]], grace_s: float, wait: Callable[[], object]) -> None:
    """SIGTERM to all that ``find`` finds, SIGKILL later; returns once nothing of it is left.

    What cannot be signalled (another user's, started through sudo) is not waited for.

    Args:
        find: The living processes, asked again and again.
        grace_s: From SIGTERM to SIGKILL.
        wait: Called between two looks.
    """
    kill_at = time.monotonic() + grace_s
    told: set[int] = set()
    foreign: set[int] = set()
    while left := find() - foreign:
        late = time.monotonic() >= kill_at
        for pid in left if late else left - told:
            if not send(pid, signal.SIGKILL if late else signal.SIGTERM):
                foreign.add(pid)
        told |= left
        wait()


def name_of(pid: int) -> str:
    """The name ``ps`` shows for a process; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def kill_all(pids: set[int]) -> None:
    """SIGKILL to each."""
    for pid in pids:
        send(pid, signal.SIGKILL)
