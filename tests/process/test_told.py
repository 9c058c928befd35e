"""A run reaches its owner: real jobs, a real agent and its couriers, a server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import overnight
from overnight.ledger import files
from overnight.ledger.identity import Identity
from overnight.outbox import follow, keep, summon
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import waiting as messages_that_wait
from overnight.supervisor.process import below, name_of
from overnight.testing.faults import FaultUnavailableError, armed, small_disk

AGENT = str(Path(overnight.__file__).parent / "agent")


class Phone(ThreadingHTTPServer):
    """Takes what a ``json://`` channel sends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[dict[str, Any]] = []
        #: Names of what came after a text, each in a message of its own.
        self.files: list[str] = []
        self.is_out = False

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/a-secret-path-4711/"

    def titles(self) -> list[str]:
        return [str(each["title"]) for each in self.got]

    def words(self) -> list[str]:
        """The word in brackets that each title begins with."""
        return [title.partition("]")[0].lstrip("[") for title in self.titles()]

    def handle_error(self, *_: object) -> None:
        """A courier that was killed breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Phone

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        attached = [each["filename"] for each in said.get("attachments", ())]
        if not self.server.is_out:
            self.server.files += attached
            self.server.got += [] if attached else [{**said, "path": self.path}]
        self.send_response(503 if self.server.is_out else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def phone(workplace) -> Iterator[Phone]:
    server = Phone()
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    workplace.env["OVERNIGHT_CHANNEL_PHONE"] = server.url
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def paths(workplace) -> AgentPaths:
    return agent_paths()


def start_agent(workplace, **env: str) -> subprocess.Popen[bytes]:
    """An agent of the test's own; its fate can be seen."""
    agent = subprocess.Popen(
        [sys.executable, "-I", AGENT], env={**workplace.env, **env}, stderr=subprocess.PIPE
    )
    workplace.until(lambda: summon.alive() is not None or agent.poll() is not None)
    return agent


def the_agent(workplace) -> Identity:
    identity: Identity = workplace.until(summon.alive)
    return identity


def all_told(workplace, paths: AgentPaths) -> None:
    """Waits until nothing is left to tell."""
    workplace.until(lambda: not follow.all_asked() and not messages_that_wait(paths))


def outcomes(paths: AgentPaths) -> list[tuple[str, str]]:
    """What became of each message, in the order it was settled."""
    told = [files.read_json(str(path)) or {} for path in Path(paths.sent).glob("*.json")]
    told.sort(key=lambda each: each["settled_us"])
    return [(str(each["event"]), str(each["outcome"])) for each in told]


# ── what happens to a run ──────────────────────────────────────────────────────────────────


def test_a_good_end_and_a_crash_are_told_with_their_cause(workplace, phone, paths) -> None:
    good = workplace.run("--notify", "phone", workplace.script("print('done')", "good.py"))
    bad = workplace.run("--notify", "phone", workplace.script("raise KeyError('label')", "bad.py"))
    workplace.ended(good)
    workplace.ended(bad)
    all_told(workplace, paths)
    assert sorted(phone.titles()) == ["[failed] bad", "[finished] good"]
    assert phone.files.count("report.html") == 2
    crash = next(each["message"] for each in phone.got if "failed" in each["title"])
    for part in ("KeyError: 'label'", "bad.py, line 1", bad.log, f"overnight resume {bad.run_id}"):
        assert part in crash


def test_a_stop_is_told_as_a_stop(workplace, phone, paths, waiting) -> None:
    run = workplace.run("--notify", "phone", waiting)
    assert workplace.overnight("stop", run.run_id).returncode == 0
    workplace.ended(run)
    all_told(workplace, paths)
    assert phone.words() == ["stopped"]


def test_rules_are_told_while_it_runs_and_early_stopping_at_its_end(
    workplace, phone, paths
) -> None:
    script = workplace.script(
        """
        import os, time, overnight
        for epoch in range(1, 4):
            overnight.log({"val_f1": 0.3 * epoch + 0.1}, epoch=epoch)
        while not os.path.exists("go"):
            time.sleep(0.02)
        print("Epoch 00003: early stopping")
        """
    )
    run = workplace.run("--notify", "phone", "--alert", "val_f1 > 0.9", script)
    workplace.until(lambda: phone.words() == ["rule met"])
    assert "val_f1" in phone.got[0]["message"]
    (workplace.root / "go").touch()
    workplace.ended(run)
    all_told(workplace, paths)
    assert phone.words() == ["rule met", "stopped early"]


@pytest.mark.slow
def test_a_restart_in_between_is_told_and_the_end_that_follows(workplace, phone, paths) -> None:
    script = workplace.script(
        """
        import os
        raise SystemExit(0 if os.environ["OVERNIGHT_ATTEMPT"] == "1" else "out of luck")
        """
    )
    run = workplace.run("--notify", "phone", "--restart", "2", script)
    workplace.ended(run)
    all_told(workplace, paths)
    assert phone.words() == ["restarting", "finished"]
    assert "out of luck" in phone.got[0]["message"]


def test_a_run_that_is_resumed_is_told_of_again(workplace, phone, paths) -> None:
    script = workplace.script("raise SystemExit('not yet')")
    run = workplace.run("--notify", "phone", script)
    workplace.ended(run)
    all_told(workplace, paths)
    assert workplace.overnight("resume", run.run_id).returncode == 0
    workplace.ended(run)
    workplace.until(lambda: len(phone.got) == 2)
    all_told(workplace, paths)
    assert phone.words() == ["failed", "failed"]
    # The end of the first attempt was read again, and not told again.
    assert outcomes(paths) == [("crashed", "delivered")] * 2


def test_what_the_job_says_itself_goes_where_it_says_and_each_process_of_it_is_heard(
    workplace, phone, paths
) -> None:
    workplace.env["OVERNIGHT_CHANNEL_DESK"] = f"json://127.0.0.1:{phone.server_port}/desk/"
    script = workplace.script(
        """
        import os, overnight
        overnight.notify("to the desk", channels=["desk"])
        if os.fork() == 0:
            overnight.notify("from a child")
            os._exit(0)
        os.wait()
        """
    )
    run = workplace.run("--notify", "phone", script)
    workplace.ended(run)
    all_told(workplace, paths)
    heard = {(each["message"].splitlines()[0], "desk" in each["path"]) for each in phone.got}
    assert {("to the desk", True), ("from a child", False)} < heard
    assert ("to the desk", False) not in heard


# ── deaths ─────────────────────────────────────────────────────────────────────────────────

LOGS = """
import os, time, overnight
for epoch in range(1, 5):
    overnight.log({"val_f1": epoch / 4}, epoch=epoch)
    print("epoch", epoch, flush=True)
    while not os.path.exists("go%d" % epoch):
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_an_agent_that_is_killed_again_and_again_tells_all_once(workplace, phone, paths) -> None:
    rules = [word for at in (0.2, 0.4, 0.7, 0.9) for word in ("--alert", f"val_f1 > {at}")]
    run = workplace.run("--notify", "phone", *rules, workplace.script(LOGS))
    for epoch in range(1, 5):
        workplace.until(lambda epoch=epoch: phone.words().count("rule met") >= epoch)
        workplace.kill(the_agent(workplace))
        (workplace.root / f"go{epoch}").touch()
    workplace.ended(run)
    all_told(workplace, paths)
    assert Counter(phone.words()) == {"rule met": 4, "finished": 1}


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("claim.taken", 1),  # its own
        ("claim.taken", 2),
        ("message.before", 1),
        ("message.before", 2),
        ("message.put", 1),
        ("message.put", 2),
        ("replace.torn", 1),
        ("replace.renamed", 1),
    ],
)
def test_an_agent_that_dies_at_a_crash_point_tells_all_once(
    workplace, phone, paths, point, nth
) -> None:
    agent = start_agent(workplace, **armed(point, nth))
    run = workplace.run("--notify", "phone", "--alert", "val_f1 > 0.1", workplace.script(LOGS))
    for epoch in range(1, 5):
        (workplace.root / f"go{epoch}").touch()
    workplace.ended(run)
    _, said = agent.communicate(timeout=60)
    assert agent.returncode == -9, said
    workplace.overnight("ls")  # any verb starts the next one
    workplace.until(lambda: len(phone.got) == 2)
    all_told(workplace, paths)
    assert Counter(phone.words()) == {"rule met": 1, "finished": 1}


@pytest.mark.slow
def test_without_a_supervisor_the_agent_sees_the_end_itself(
    workplace, phone, paths, waiting
) -> None:
    run = workplace.run("--notify", "phone", waiting)
    workplace.until(lambda: "up" in workplace.log(run))
    the_agent(workplace)
    workplace.kill(workplace.supervisor(run))
    (workplace.root / "go").touch()
    workplace.until(lambda: phone.words() == ["failed"])
    assert "5" in phone.got[0]["message"]
    all_told(workplace, paths)
    assert workplace.event_names(run).count("Exited") == 1


def test_after_a_reboot_the_next_verb_has_the_loss_told(workplace, phone, paths, waiting) -> None:
    run = workplace.run("--notify", "phone", waiting)
    workplace.until(lambda: "up" in workplace.log(run))
    job = workplace.job(run)
    for kill in (the_agent, workplace.supervisor, workplace.keeper):
        workplace.kill(kill(workplace if kill is the_agent else run))
        if kill is workplace.supervisor:
            workplace.kill(the_agent(workplace))
    assert phone.got == []
    # As if all of it had been written before the machine was started anew. The job dies last: an
    # agent that was just being started must not see it end in this boot.
    for path in (run.keeper_json, run.lease):
        said = files.read_json(path) or {}
        for who in ("keeper", "job", "supervisor"):
            identity = Identity.from_json(said.get(who))
            if identity is not None:
                said[who] = replace(identity, boot="an-earlier-boot").to_json()
        files.replace(path, files.to_json(said))
    workplace.kill(job)
    Path(run.exit_json).unlink(missing_ok=True)
    workplace.overnight("ls")
    workplace.until(lambda: phone.words() == ["lost"])
    assert "restarted" in phone.got[0]["message"]


# ── the agent itself ───────────────────────────────────────────────────────────────────────


def test_of_agents_that_start_at_once_one_stays(workplace, paths) -> None:
    paths.make()
    begun = [subprocess.Popen([sys.executable, "-I", AGENT], env=workplace.env) for _ in range(5)]
    workplace.until(lambda: sum(each.poll() is None for each in begun) == 1)
    assert [each.returncode for each in begun if each.poll() is not None] == [0] * 4
    (left,) = [each for each in begun if each.poll() is None]
    assert the_agent(workplace).pid == left.pid
    left.terminate()
    assert left.wait(60) == 0
    assert summon.alive() is None, "the place was given back"


def test_one_that_stays_takes_the_place_of_one_that_would_leave(workplace, paths) -> None:
    begun = start_agent(workplace)
    staying = subprocess.Popen([sys.executable, "-I", AGENT, "--stay"], env=workplace.env)
    workplace.until(lambda: (found := summon.alive()) and found.pid == staying.pid)
    assert begun.wait(60) == 0
    begun.communicate()
    staying.terminate()
    assert staying.wait(60) == 0


def test_a_signal_in_its_first_moments_does_not_end_it(workplace, paths) -> None:
    paths.make()
    summon.start(paths, workplace.env)
    agent = the_agent(workplace)
    for _ in range(20):
        summon.summon()
    assert summon.alive() == agent


def test_it_belongs_to_no_run_and_outlives_the_stop_of_the_one_that_started_it(
    workplace, phone, paths, waiting
) -> None:
    inner = workplace.script(
        f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-m", "overnight", "run", "--notify", "phone",
                        {str(waiting)!r}], check=True)
        print("inner is up", flush=True)
        import time
        time.sleep(600)
        """,
        "outer.py",
    )
    outer = workplace.run(inner)
    workplace.until(lambda: "inner is up" in workplace.log(outer))
    agent = the_agent(workplace)
    assert agent.pid not in workplace.of_run(outer) | below(workplace.keeper(outer).pid)
    assert workplace.overnight("stop", outer.run_id, "--now").returncode == 0
    workplace.ended(outer)
    assert summon.alive() == agent
    environment = Path(f"/proc/{agent.pid}/environ").read_text()
    for name in ("OVERNIGHT_RUN_DIR", "OVERNIGHT_CHANNEL_", "PYTHONPATH"):
        assert name not in environment
    (workplace.root / "go").touch()
    workplace.until(lambda: phone.words() == ["stopped", "failed"])


def test_a_supervisor_has_no_child_that_is_the_agent(workplace, phone, waiting) -> None:
    run = workplace.run("--notify", "phone", waiting)
    agent = the_agent(workplace)
    status = Path(f"/proc/{agent.pid}/status").read_text()
    parent = int(status.partition("PPid:")[2].split()[0])
    assert name_of(parent) not in ("ov-supervisor", "ov-keeper")
    workplace.kill(workplace.supervisor(run))
    assert summon.alive() == agent
    (workplace.root / "go").touch()
    workplace.ended(run)


# ── what is damaged, full or gone ──────────────────────────────────────────────────────────


def test_what_is_damaged_does_not_keep_the_others_from_being_told(
    workplace, phone, paths, waiting
) -> None:
    paths.make()
    Path(paths.followed("/nowhere/at/all")).write_bytes(b"\xff{")
    Path(paths.follow, "dir.json").mkdir()
    files.replace(paths.followed("/gone/run"), files.to_json({"dir": "/gone/run"}))
    Path(paths.waiting("damaged")).write_text("{}")
    broken = workplace.run("--notify", "phone", waiting)
    workplace.until(lambda: follow.is_asked(broken))
    Path(broken.notify_json).write_text("{")
    removed = workplace.run("--notify", "phone", workplace.script("print(1)", "removed.py"))
    workplace.ended(removed)
    workplace.until(lambda: "[finished] removed" in phone.titles())
    good = workplace.run("--notify", "phone", workplace.script("print(2)", "good.py"))
    workplace.ended(good)
    workplace.until(lambda: "[finished] good" in phone.titles())
    assert not follow.is_asked(good) or workplace.until(lambda: not follow.is_asked(good))
    (workplace.root / "go").touch()
    workplace.ended(broken)
    workplace.until(lambda: not follow.is_asked(broken))
    assert "Traceback" not in Path(paths.log).read_text()


def test_a_run_that_is_removed_is_forgotten(workplace, phone, paths) -> None:
    phone.is_out = True
    run = workplace.run("--notify", "phone", workplace.script("print(1)"))
    workplace.ended(run)
    workplace.until(lambda: not follow.is_asked(run))
    again = workplace.run("--notify", "phone", workplace.script("import time; time.sleep(600)"))
    workplace.until(lambda: follow.is_asked(again))
    assert workplace.overnight("stop", again.run_id, "--now").returncode == 0
    workplace.ended(again)
    workplace.overnight("rm", again.run_id, run.run_id, "--yes")
    workplace.until(lambda: not follow.all_asked())


@pytest.fixture
def small_home(workplace) -> Iterator[Path]:
    """A user's state folder on a disk of 300 KiB."""
    try:
        with small_disk(300) as folder:
            yield folder
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def _fill(folder: Path) -> None:
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", "remount," + how, str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_home_that_takes_nothing_costs_the_job_nothing_and_all_is_told_afterwards(
    workplace, phone, small_home, monkeypatch, waiting, fault
) -> None:
    def broken() -> None:
        _fill(small_home) if fault == "full" else _remount(small_home, "ro")

    def repaired() -> None:
        (small_home / "ballast").unlink() if fault == "full" else _remount(small_home, "rw")

    workplace.state = small_home
    workplace.env["XDG_STATE_HOME"] = str(small_home)
    monkeypatch.setenv("XDG_STATE_HOME", str(small_home))
    broken()
    run = workplace.run("--notify", "phone", waiting)
    workplace.until(lambda: "up" in workplace.log(run))
    assert not follow.is_asked(run)
    repaired()
    workplace.until(lambda: follow.is_asked(run))
    the_agent(workplace)
    if fault == "full":  # a disk that is written to does not become read-only on demand
        broken()
    (workplace.root / "go").touch()
    workplace.ended(run)
    workplace.until(lambda: phone.words() == ["failed"])
    if fault == "full":  # it was told in the room that was set aside
        repaired()
    all_told(workplace, agent_paths())
    assert phone.words() == ["failed"]
    agent = the_agent(workplace)
    os.kill(agent.pid, signal.SIGTERM)
    workplace.until(lambda: not workplace.is_alive(agent))


@pytest.mark.slow
def test_a_job_that_fills_the_disk_it_shares_with_the_home_is_told_of_while_it_is_full(
    workplace, phone, monkeypatch
) -> None:
    try:
        with small_disk(80 * 1024) as disk:
            workplace.root = workplace.state = disk
            workplace.env["XDG_STATE_HOME"] = str(disk)
            monkeypatch.setenv("XDG_STATE_HOME", str(disk))
            script = workplace.script(
                """
                import os, time
                while not os.path.exists("go"):
                    time.sleep(0.02)
                with open("checkpoint", "ab", buffering=0) as file:
                    for size in (1 << 20, 4096, 1):
                        try:
                            while file.write(b"x" * size) == size:
                                pass
                        except OSError as error:
                            full = error
                    raise full
                """
            )
            run = workplace.run("--notify", "phone", script)
            workplace.until(lambda: Path(agent_paths().reserve).exists())
            the_agent(workplace)
            (disk / "go").touch()
            workplace.until(lambda: phone.words() == ["failed"])
            assert "disk" in phone.got[0]["message"]
            assert (disk / "checkpoint").stat().st_size > 70 << 20
            (disk / "checkpoint").unlink()
            workplace.ended(run)
            all_told(workplace, agent_paths())
            assert phone.words() == ["failed"]
            agent = the_agent(workplace)
            os.kill(agent.pid, signal.SIGTERM)
            workplace.until(lambda: not workplace.is_alive(agent))
    except FaultUnavailableError as error:
        pytest.skip(str(error))


# ── secrets ────────────────────────────────────────────────────────────────────────────────


def test_a_channel_of_the_environment_is_kept_until_all_is_told_and_stands_nowhere_else(
    workplace, phone, paths, waiting, monkeypatch
) -> None:
    # The agent is older than the variable.
    older = start_agent(workplace, OVERNIGHT_CHANNEL_PHONE="")
    run = workplace.run("--notify", "Phone", waiting)
    workplace.until(lambda: "up" in workplace.log(run))
    kept = Path(paths.kept_channel("phone"))
    workplace.until(kept.exists)
    assert kept.stat().st_mode & 0o077 == 0
    secret = "a-secret-path-4711"
    others = [
        pid for pid in workplace.processes() if pid not in (workplace.job(run).pid, older.pid)
    ]
    for pid in others:
        assert secret not in Path(f"/proc/{pid}/cmdline").read_text()
    (workplace.root / "go").touch()
    workplace.ended(run)
    all_told(workplace, paths)
    assert phone.words() == ["failed"]
    held = [
        path
        for folder in (workplace.root, workplace.state, workplace.home)
        for path in folder.rglob("*")
        if path.is_file() and path != kept and secret.encode() in path.read_bytes()
    ]
    assert held == []
    older.terminate()
    older.communicate(timeout=60)
    # It goes once it is old enough that nobody can be about to ask for it.
    os.utime(kept, (time.time() - 120,) * 2)
    again = start_agent(workplace)
    workplace.until(lambda: not kept.exists())
    again.terminate()
    again.communicate(timeout=60)
    assert keep.kept_lately(60) == set()
