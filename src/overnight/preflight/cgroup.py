"""The limits a container, a batch system or systemd has put around this process."""

from __future__ import annotations

from pathlib import Path

#: cgroup v1 writes "no limit" as the largest multiple of a page below 2^63.
_NO_LIMIT = 1 << 60


def controller_folders(proc_cgroup: str, controller: str, base: Path) -> list[Path]:
    """The folders whose limits hold for this process, its own first.

    A limit of a parent holds for all below it, so every folder up to the top counts.

    Args:
        proc_cgroup: Text of ``/proc/self/cgroup``.
        controller: ``memory`` or ``pids``.
        base: Where cgroups are mounted.
    """
    folders: list[Path] = []
    for line in proc_cgroup.splitlines():
        number, _, rest = line.partition(":")
        names, found, path = rest.partition(":")
        if not found or not path.startswith("/"):
            continue
        if number == "0" and not names:
            tops = [base, base / "unified"]
        elif controller in names.split(","):
            tops = [base / names, base / controller]
        else:
            continue
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        for top in tops:
            # In a container the path may be the host's and lead nowhere: then only the top is
            # there, and it is the container's own.
            folders += [top.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return folders


def lowest_limit(folders: list[Path], *file_names: str) -> int | None:
    """The smallest number in any of these files; None where there is no limit."""
    limits = []
    for folder in folders:
        for file_name in file_names:
            try:
                text = (folder / file_name).read_text("ascii").strip()
            except (OSError, ValueError):
                continue
            if text.isdigit() and len(text) < 20 and int(text) < _NO_LIMIT:
                limits.append(int(text))
    return min(limits, default=None)
