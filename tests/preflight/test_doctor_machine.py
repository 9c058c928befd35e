"""Disk, memory, limits, mounts, logout, containers: real files, in folders of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.preflight.ask import Answer
from overnight.preflight.cgroup import controller_folders, lowest_limit
from overnight.preflight.check import Check
from overnight.preflight.lifetime import check_container, check_logind, check_updates
from overnight.preflight.machine import (
    check_clock,
    check_disks,
    check_git,
    check_limits,
    check_locale,
    check_memory,
    check_shm,
    read_limits,
)
from overnight.preflight.mounts import check_filesystems, kind_of, mount_of, parse_mounts

_any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
GIB_KB = 1024 * 1024


def found(checks: list[Check]) -> dict[str, str]:
    """Code → level."""
    for check in checks:
        assert check.text
        assert bool(check.fix) or check.level in {"ok", "unknown"}
    return {check.code: check.level for check in checks}


# ── file systems ──────────────────────────────────────────────────────────────────────────────
MOUNTS = r"""proc /proc proc rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
nas:/home /home nfs4 rw,hard 0 0
/dev/nvme0n1 /home/me/fast\040disk xfs rw 0 0
me@gpu02:/data /mnt/gpu02 fuse.sshfs rw 0 0
bucket /mnt/bucket fuse.gcsfuse rw 0 0
drive /content/drive fuse.drive rw 0 0
C:\134 /mnt/c 9p rw 0 0
overlay /overlay overlay rw 0 0
//nas/share /mnt/share cifs rw 0 0
10.0.0.1@tcp:/lustre /lustre lustre rw 0 0
/dev/sdb1 /mnt/share ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "local"),
        ("/srv/runs", "local"),
        ("/tmp/x", "memory"),
        ("/tmpfoo", "local"),
        ("/home", "network"),
        ("/home/me/project", "network"),
        ("/home/me/fast disk/runs", "local"),
        ("/home/me/fast diskette", "network"),
        ("/mnt/gpu02/runs", "network"),
        ("/mnt/bucket", "object store"),
        ("/content/drive/MyDrive", "object store"),
        ("/mnt/c/Users/me", "windows"),
        ("/overlay/x", "container"),
        ("/lustre/scratch", "network"),
        # Mounted over an earlier one: the later counts.
        ("/mnt/share/x", "local"),
    ],
)
def test_the_kind_of_disk_below_a_path(path: str, kind: str) -> None:
    mount = mount_of(path, parse_mounts(MOUNTS))
    assert mount is not None
    assert kind_of(mount) == kind


def test_a_root_on_a_network_disk_is_warned_of(tmp_path: Path) -> None:
    table = f"/dev/sda1 / ext4 rw 0 0\nnas:/x {tmp_path} nfs rw 0 0\n"
    checks = check_filesystems(str(tmp_path / "runs"), "/nowhere", table)
    assert found(checks) == {"network": "warn"}
    assert checks[0].facts["type"] == "nfs"
    assert found(check_filesystems("/srv", "/nowhere", table)) == {"local": "ok"}
    assert found(check_filesystems("/srv", "/home", "")) == {"unknown": "unknown"}


def test_a_link_is_followed_to_the_disk_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "nas")
    table = f"/dev/sda1 / ext4 rw 0 0\nnas:/x {tmp_path}/nas nfs rw 0 0\n"
    assert found(check_filesystems(str(tmp_path / "runs"), "/", table)) == {"network": "warn"}


@_any_time
@given(st.text() | st.text(alphabet="a/ \\0147\n"), st.text(alphabet="/a "))
def test_any_mount_table_is_read(text: str, path: str) -> None:
    mounts = parse_mounts(text)
    mount = mount_of("/" + path, mounts)
    assert mount is None or mount in mounts
    for mount in mounts:
        kind_of(mount)


# ── disk ──────────────────────────────────────────────────────────────────────────────────────
def test_disks_of_root_and_home(tmp_path: Path) -> None:
    same = check_disks(tmp_path, tmp_path)
    assert len(same) == 1
    assert same[0].facts["place"] == "root"
    gone = check_disks(tmp_path / "gone", tmp_path)
    assert gone[0].level == "bad"
    assert gone[0].code == "unreadable"
    assert str(tmp_path / "gone") in gone[0].text


# ── memory ────────────────────────────────────────────────────────────────────────────────────
def meminfo(total_gib: float, available_gib: float) -> bytes:
    total_kb, available_kb = int(total_gib * GIB_KB), int(available_gib * GIB_KB)
    return f"MemTotal: {total_kb} kB\nMemAvailable: {available_kb} kB\nHugePages: 0\n".encode()


@pytest.fixture
def cgroups(tmp_path: Path) -> Callable[..., Path]:
    def make(**files: str) -> Path:
        for name, text in files.items():
            folder, _, file = name.replace("__", "/").rpartition("/")
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / file.replace("_DOT_", ".")).write_text(text + "\n")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("total", "available", "limit", "expected"),
    [
        (64, 60, "max", ("enough", "ok")),
        (64, 60, str(16 << 30), ("limit", "ok")),
        (64, 60, str(1 << 30), ("low_limit", "warn")),
        (64, 60, str(128 << 30), ("enough", "ok")),
        (8, 1, "max", ("low", "warn")),
        (8, 1, "garbage", ("low", "warn")),
    ],
)
def test_memory_and_its_limit(
    cgroups: Callable[..., Path], total: float, available: float, limit: str, expected: object
) -> None:
    base = cgroups(user_slice__run__memory_DOT_max=limit)
    check = check_memory(meminfo(total, available), "0::/user_slice/run\n", base)
    assert (check.code, check.level) == expected
    assert check.text


def test_a_parents_limit_holds_and_the_lowest_counts(cgroups: Callable[..., Path]) -> None:
    base = cgroups(
        a__b__memory_DOT_max="max",
        a__memory_DOT_max=str(4 << 30),
        memory_DOT_max=str(8 << 30),
    )
    check = check_memory(meminfo(64, 60), "0::/a/b\n", base)
    assert check.facts["limit_mib"] == 4096


def test_a_container_that_names_the_hosts_path_finds_its_limit(
    cgroups: Callable[..., Path],
) -> None:
    base = cgroups(memory__memory_DOT_limit_in_bytes=str(2 << 30))
    check = check_memory(meminfo(64, 60), "4:memory:/docker/abc123\n2:cpu:/\n", base)
    assert check.facts["limit_mib"] == 2048
    no_limit = cgroups(memory__memory_DOT_limit_in_bytes="9223372036854771712")
    assert check_memory(meminfo(64, 60), "4:memory:/", no_limit).facts["limit_mib"] is None


def test_memory_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert check_memory(b"", "", tmp_path).level == "unknown"


@_any_time
@given(st.text() | st.text(alphabet="0:/.amemory,\n"))
def test_any_cgroup_file_stays_below_its_base(text: str) -> None:
    base = Path("/sys/fs/cgroup")
    for folder in controller_folders(text, "memory", base):
        assert folder.is_relative_to(base)
        assert ".." not in folder.parts


def test_a_limit_that_is_no_number_is_none(tmp_path: Path) -> None:
    (tmp_path / "pids.max").write_bytes(b"\xff\xfe")
    assert lowest_limit([tmp_path, tmp_path / "gone"], "pids.max") is None


# ── limits ────────────────────────────────────────────────────────────────────────────────────
FREE = {"nofile": (65536, 65536), "nproc": (-1, -1), "core": (0, -1), "as": (-1, -1)}


@pytest.mark.parametrize(
    ("limits", "more", "expected"),
    [
        ({}, {}, {"enough": "ok"}),
        ({"nofile": (1024, 1048576)}, {}, {"nofile": "warn"}),
        ({"nofile": (1024, 1024)}, {}, {"nofile_hard": "warn"}),
        ({"nofile": (-1, -1)}, {}, {"enough": "ok"}),
        ({"nproc": (512, 512)}, {}, {"nproc": "warn"}),
        ({}, {"num_tasks_limit": 100}, {"nproc": "warn"}),
        ({"core": (-1, -1)}, {"core_pattern": "core.%p"}, {"core": "warn"}),
        ({"core": (-1, -1)}, {"core_pattern": "|/usr/share/apport %p"}, {"enough": "ok"}),
        ({"as": (8 << 30, -1)}, {}, {"as": "warn"}),
        ({"fsize": (1 << 30, -1)}, {}, {"fsize": "warn"}),
        ({"cpu": (3600, 3600)}, {}, {"cpu": "bad"}),
        ({"cpu": (3600, 3600), "nofile": (256, 256)}, {}, {"cpu": "bad", "nofile_hard": "warn"}),
    ],
)
def test_limits(
    limits: dict[str, tuple[int, int]], more: dict[str, object], expected: dict[str, str]
) -> None:
    assert found(check_limits(FREE | limits, **more)) == expected  # type: ignore[arg-type]


def test_the_fix_for_open_files_is_within_the_hard_limit() -> None:
    (check,) = check_limits(FREE | {"nofile": (1024, 4000)})
    assert "ulimit -n 4000" in check.fix


def test_limits_of_this_process_are_judged() -> None:
    assert found(check_limits(read_limits()))
    assert found(check_limits({})) == {"unknown": "unknown"}


_limit = st.one_of(st.just(-1), st.integers(0, 2**63))


@_any_time
@given(
    st.dictionaries(
        st.sampled_from(["nofile", "nproc", "core", "as", "fsize", "cpu"]),
        st.tuples(_limit, _limit),
    ),
    st.text(max_size=9),
    st.none() | st.integers(0, 2**40),
)
def test_any_limits_give_findings(
    limits: dict[str, tuple[int, int]], pattern: str, tasks: int | None
) -> None:
    assert found(check_limits(limits, core_pattern=pattern, num_tasks_limit=tasks))


def test_shared_memory(tmp_path: Path) -> None:
    assert check_shm(tmp_path / "none").level == "unknown"
    assert check_shm(tmp_path).name == "shm"


# ── clock, locale, git ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("now_s", "answer", "expected"),
    [
        (2e9, "NTPSynchronized=yes\n", ("synchronised", "ok")),
        (2e9, "NTPSynchronized=no\n", ("unsynchronised", "warn")),
        (2e9, None, ("unchecked", "unknown")),
        (2e9, "System has not been booted", ("unchecked", "unknown")),
        (0.0, "NTPSynchronized=yes\n", ("behind", "bad")),
    ],
)
def test_clock(now_s: float, answer: str | None, expected: tuple[str, str]) -> None:
    check = check_clock(now_s, 1.9e9, answer)
    assert (check.code, check.level) == expected
    assert check.text


def test_the_clock_of_this_machine_names_its_zone() -> None:
    assert check_clock(time.time(), 0.0, None).facts["zone"]


@pytest.mark.parametrize(
    ("codeset", "level"),
    [("UTF-8", "ok"), ("utf8", "ok"), ("ANSI_X3.4-1968", "warn"), ("cp949", "warn")],
)
def test_locale(codeset: str, level: str) -> None:
    assert check_locale(codeset).level == level


def test_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_git(tmp_path).code == "no_repository"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_git(tmp_path).code == "missing"


# ── logging out ───────────────────────────────────────────────────────────────────────────────
SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"


def logind(
    *,
    kills: str = "b false",
    exclude: str = 'as 1 "root"',
    only: str = "as 0",
    ipc: str = "b false",
    linger: str | None = "no",
) -> Callable[[list[str]], Answer]:
    """What busctl and loginctl say, in their own words."""
    values = {
        "KillUserProcesses": kills,
        "KillExcludeUsers": exclude,
        "KillOnlyUsers": only,
        "RemoveIPC": ipc,
    }

    def ask_program(argv: list[str]) -> Answer:
        if argv[0] == "busctl":
            return Answer("ended", 0, values[argv[-1]] + "\n", "")
        if linger is None:
            return Answer("ended", 1, "", "Failed to get user: not logged in or lingering")
        return Answer("ended", 0, linger + "\n", "")

    return ask_program


@pytest.mark.parametrize(
    ("says", "cgroup", "expected"),
    [
        (logind(), SESSION, {"spares": "ok"}),
        (logind(kills="b true"), SESSION, {"kills": "bad"}),
        (logind(kills="b true"), "0::/system.slice/ssh.service\n", {"kills_others": "warn"}),
        (logind(kills="b true", exclude='as 2 "root" "me"'), SESSION, {"spares": "ok"}),
        (logind(kills="b true", only='as 1 "guest"'), SESSION, {"spares": "ok"}),
        (logind(kills="b true", only='as 1 "me"'), SESSION, {"kills": "bad"}),
        (logind(ipc="b true"), SESSION, {"removes_ipc": "warn"}),
        (logind(ipc="b true", linger=None), SESSION, {"removes_ipc": "warn"}),
        (logind(ipc="b true", linger="yes"), SESSION, {"spares": "ok"}),
        (
            logind(kills="b true", ipc="b true"),
            SESSION,
            {"kills": "bad", "removes_ipc": "warn"},
        ),
        (lambda argv: Answer("missing", -1, "", ""), SESSION, {"unknown": "unknown"}),
        (lambda argv: Answer("timeout", -1, "", ""), SESSION, {"unknown": "unknown"}),
    ],
)
def test_logging_out(
    says: Callable[[list[str]], Answer], cgroup: str, expected: dict[str, str]
) -> None:
    assert found(check_logind("me", 1000, cgroup, is_systemd=True, ask_program=says)) == expected


def test_without_systemd_logging_out_ends_nothing() -> None:
    assert found(check_logind("me", 1000, SESSION, is_systemd=False)) == {"none": "ok"}


def test_the_systems_own_accounts_keep_their_shared_memory() -> None:
    says = logind(ipc="b true")
    assert found(check_logind("jenkins", 105, "", is_systemd=True, ask_program=says)) == {
        "spares": "ok"
    }


# ── surroundings ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("env", "files", "expected"),
    [
        ({}, {}, {"none": "ok"}),
        ({}, {".dockerenv": "", "proc/1/comm": "tini\n"}, {"container": "warn"}),
        (
            {},
            {".dockerenv": "", "proc/1/comm": "python3.11\n"},
            {"container": "warn", "no_init": "warn"},
        ),
        ({}, {"run/.containerenv": ""}, {"container": "warn"}),
        ({}, {"run/systemd/container": "lxc\n"}, {"container": "warn"}),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, {"container": "warn"}),
        ({"APPTAINER_CONTAINER": "/x.sif"}, {}, {"apptainer": "ok"}),
        ({"COLAB_RELEASE_TAG": "release"}, {".dockerenv": ""}, {"colab": "warn"}),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, {".dockerenv": ""}, {"kaggle": "warn"}),
        ({"CODESPACES": "true"}, {".dockerenv": ""}, {"codespaces": "warn"}),
        ({"JUPYTERHUB_USER": "me"}, {}, {"jupyterhub": "warn"}),
        ({}, {"proc/sys/kernel/osrelease": "5.15-microsoft-standard-WSL2\n"}, {"wsl": "warn"}),
        ({"SLURM_JOB_ID": "7"}, {}, {"batch": "warn"}),
        ({"PBS_JOBID": "7"}, {".dockerenv": ""}, {"container": "warn", "batch": "warn"}),
    ],
)
def test_surroundings(
    env: dict[str, str], files: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert found(check_container(env, tmp_path)) == expected


@pytest.mark.parametrize(
    ("answer", "is_pending", "expected"),
    [
        ('Unattended-Upgrade::Automatic-Reboot "true";\n', False, {"reboots": "warn"}),
        ('Unattended-Upgrade::Automatic-Reboot "true";\n', True, {"reboots_tonight": "warn"}),
        ('Unattended-Upgrade::Automatic-Reboot "false";\n', True, {"manual": "ok"}),
        ("", True, {"manual": "ok"}),
    ],
)
def test_reboots(answer: str, is_pending: bool, expected: dict[str, str], tmp_path: Path) -> None:
    if is_pending:
        (tmp_path / "run").mkdir()
        (tmp_path / "run/reboot-required").touch()
    assert found(check_updates(tmp_path, Answer("ended", 0, answer, ""))) == expected


def test_where_there_is_no_apt_nothing_is_claimed_of_reboots(tmp_path: Path) -> None:
    assert check_updates(tmp_path, Answer("missing", -1, "", "")) == []
