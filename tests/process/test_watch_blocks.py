"""``overnight.watch`` in real programs: however a block ends, its run says how."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.alerts.compose import render
from overnight.alerts.facts import facts_of
from overnight.ledger.files import read_json
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished, Lost, Running, Stopped, Unattended, view
from overnight.supervisor.detach import holder
from overnight.supervisor.ending import settle
from overnight.testing.faults import FaultUnavailableError, small_disk

#: Nobody answers there: what is sent waits in the outbox.
PHONE = {"OVERNIGHT_CHANNEL_PHONE": "json://127.0.0.1:9/"}


@pytest.fixture
def place(workplace) -> Any:
    """A workplace with a channel ``phone``."""
    workplace.env |= {**PHONE, "XDG_CONFIG_HOME": str(workplace.home / ".config")}
    return workplace


def _end_agents(place) -> None:
    for claim in place.state.glob("overnight/agent/*/claims/agent.*"):
        identity = Identity.from_json(read_json(str(claim)))
        if claim.suffix != ".left" and place.is_alive(identity):
            os.kill(identity.pid, signal.SIGTERM)


@pytest.fixture
def begin(place) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program in the background; it is gone with the test."""
    started = []

    def start(source: str, *, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, str(place.script(source))],
            env={**place.env, **(env or {})},
            cwd=place.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()


def runs(place) -> list[RunPaths]:
    return [RunPaths(str(folder)) for folder in sorted(place.runs())]


def only_run(place) -> RunPaths:
    (run,) = place.until(lambda: runs(place))
    return run


def begun(place) -> RunPaths:
    """Waits until the witness has begun to watch the only run."""
    run = only_run(place)
    place.until(lambda: "Started" in place.event_names(run))
    return run


def exited(place, run: RunPaths) -> dict[str, Any]:
    """Waits until the run's end is written down."""
    place.until(lambda: "Exited" in place.event_names(run))
    (record,) = (each for each in place.events(run) if each["_event"] == "Exited")
    return record


def messages(place) -> list[str]:
    """What waits in the outbox, by its event."""
    found = place.state.glob("overnight/agent/*/outbox/*.json")
    return sorted((read_json(str(path)) or {}).get("event", "") for path in found)


WAITS = """
import os, time, overnight
with overnight.watch("baseline"):
    overnight.log({"val_loss": 0.5}, epoch=0)
    while not os.path.exists("go"):
        time.sleep(0.02)
"""


# ── how a block ends ─────────────────────────────────────────────────────────────────────────────


def test_killed_in_the_middle_is_told(place, begin) -> None:
    program = begin(WAITS)
    run = begun(place)
    program.kill()
    record = exited(place, run)
    assert (record["outcome"], record["signal"], record["code"]) == ("failed", 9, None)
    assert record["cause"]["kind"] in ("signal", "host_oom")
    assert isinstance(view(run).state, Failed)
    place.until(lambda: "crashed" in messages(place))
    assert Path(run.supervisor_log).read_text() == ""


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A memory cgroup of 300 MiB."""
    limit = 300 << 20
    for parent, name in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ):
        folder = Path(parent, f"overnight-watch-{os.getpid()}")
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / name).write_text(str(limit), encoding="ascii")
                yield folder
            finally:
                with contextlib.suppress(OSError):  # somebody is still in it
                    folder.rmdir()
            return
    pytest.skip("needs root and a memory cgroup in which to put a program under a limit")


def test_killed_by_the_kernel_for_memory_is_told(place, begin, small_memory) -> None:
    source = f"""
    import os, overnight
    open({str(small_memory / "cgroup.procs")!r}, "w").write(str(os.getpid()))
    with overnight.watch("hungry"):
        while not os.path.exists("go"):
            pass
        blocks = []
        while True:
            blocks.append(bytearray(4 << 20))
    """
    program = begin(source)
    run = begun(place)
    (place.root / "go").touch()
    assert program.wait(60) == -signal.SIGKILL
    record = exited(place, run)
    assert (record["outcome"], record["signal"]) == ("failed", signal.SIGKILL)
    assert record["cause"]["kind"] == "host_oom"
    place.until(lambda: place.supervisor(run) is None)
    # The agent was started in the same cgroup.
    place.until(lambda: _end_agents(place) or not place.processes())


def test_terminated_is_told(place, begin) -> None:
    program = begin(WAITS)
    run = begun(place)
    program.terminate()
    record = exited(place, run)
    assert (record["outcome"], record["signal"]) == ("failed", 15)
    assert record["cause"]["sentence"] == "signal_term_own"


def test_a_good_end_is_told(place, begin) -> None:
    program = begin(WAITS)
    run = begun(place)
    (place.root / "go").touch()
    assert program.wait(60) == 0
    assert exited(place, run)["outcome"] == "finished"
    assert isinstance(view(run).state, Finished)
    assert not Path(run.log).exists()
    place.until(lambda: "finished" in messages(place))
    assert program.communicate() == ("", "")


@pytest.mark.parametrize(
    ("body", "code", "outcome", "sentence"),
    [
        ("raise ValueError('no such label')", 1, "failed", "exception"),
        ("sys.exit(3)", 3, "failed", "exit_code"),
        ("sys.exit()", 0, "finished", "finished"),
        ("sys.exit('no data')", 1, "failed", "exit_code"),
        ("raise KeyboardInterrupt", 130, "stopped", "stopped_own"),
        ("os._exit(0)", 0, "failed", "unknown_left"),
        ("os._exit(7)", 7, "failed", "exit_code"),
        ("import nothing_of_the_kind", 1, "failed", "missing_module"),
    ],
)
def test_an_end_is_known_for_what_it_is(place, begin, body, code, outcome, sentence) -> None:
    program = begin(f"import os, sys, overnight\nwith overnight.watch('x'):\n    {body}\n")
    _, errors = program.communicate(timeout=60)
    record = exited(place, only_run(place))
    assert (record["code"], record["outcome"]) == (code, outcome)
    assert record["cause"]["sentence"] == sentence
    assert "overnight" not in errors.replace(str(place.root), "").replace("overnight.watch", "")


def test_an_exception_is_placed_and_goes_on_as_it_came(place, begin) -> None:
    source = """
    import overnight
    @overnight.watch(channels=["phone"])
    def train(token):
        raise ValueError("bad token " + token)
    try:
        train("hf_" + "a" * 20)
    except ValueError as error:
        import traceback
        print(traceback.extract_tb(error.__traceback__)[-1].name)
    """
    program = begin(source)
    said, errors = program.communicate(timeout=60)
    assert (said, errors) == ("train\n", "")
    cause = exited(place, only_run(place))["cause"]
    assert (cause["kind"], cause["fields"]["file"]) == ("exception", "job.py")
    assert cause["fields"]["line"] == "5"
    assert "hf_aaa" not in json.dumps(cause)
    assert "hf_aaa" not in Path(only_run(place).exit_json).read_text()


def test_the_watched_process_is_left_alone(place, begin) -> None:
    source = """
    import os, signal, overnight
    hooks = [signal.getsignal(n) for n in (2, 10, 15, 17)]
    before = set(os.listdir("/proc/self/fd")), dict(os.environ)
    with overnight.watch("x"):
        try:
            os.wait()
        except ChildProcessError:
            print("no child")
        overnight.log({"a": 1})
    print(hooks == [signal.getsignal(n) for n in (2, 10, 15, 17)])
    print(before == (set(os.listdir("/proc/self/fd")), dict(os.environ)))
    """
    said, errors = begin(source).communicate(timeout=60)
    assert (said.split("\n"), errors) == (["no child", "True", "True", ""], "")
    exited(place, only_run(place))


# ── what is one run, and what is several ─────────────────────────────────────────────────────────


def test_blocks_one_after_the_other_are_runs_and_nested_ones_are_not(place, begin) -> None:
    source = """
    import overnight
    @overnight.watch
    def fold(number):
        overnight.log({"fold": number, "loss": 1.0})
        return number
    with overnight.watch("outer"):
        assert [fold(n) for n in range(3)] == [0, 1, 2]
        try:
            with overnight.watch("inner"):
                raise ValueError
        except ValueError:
            pass
    assert fold(4) == 4
    assert fold.__name__ == "fold"
    overnight.log({"loss": 2.0})
    """
    said, errors = begin(source).communicate(timeout=60)
    assert (said, errors) == ("", "")
    one, two = place.until(lambda: len(runs(place)) == 2 and runs(place))
    assert [exited(place, run)["outcome"] for run in (one, two)] == ["finished", "finished"]
    names = {(read_json(run.run_json) or {})["name"]: run for run in (one, two)}
    assert set(names) == {"outer", "fold"}
    assert len(read(names["outer"].dir, "metrics").records) == 3
    assert len(read(names["fold"].dir, "metrics").records) == 1


def test_threads_tasks_and_generators(place, begin) -> None:
    source = """
    import asyncio, threading, overnight
    @overnight.watch("tasks")
    async def task(n):
        await asyncio.sleep(0.05 * n)
        return n
    async def both():
        return await asyncio.gather(task(1), task(2))
    assert asyncio.run(both()) == [1, 2]
    @overnight.watch("steps")
    def steps():
        got = yield 1
        assert got == "back"
        yield 2
        return 3
    def outer():
        assert (yield from steps()) == 3
    it = outer()
    assert next(it) == 1
    assert it.send("back") == 2
    assert list(it) == []
    @overnight.watch("stream")
    async def stream():
        yield 1
        yield 2
    async def take():
        return [n async for n in stream()]
    assert asyncio.run(take()) == [1, 2]
    @overnight.watch("threads")
    def work():
        barrier.wait()
    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads: each.start()
    for each in threads: each.join()
    try:
        asyncio.run(asyncio.wait_for(overnight.watch("late")(asyncio.sleep)(9), 0.01))
    except asyncio.TimeoutError:
        print("timeout")
    """
    said, errors = begin(source).communicate(timeout=60)
    assert (said, errors) == ("timeout\n", "")
    found = place.until(lambda: len(runs(place)) == 5 and runs(place))
    ended = {(read_json(r.run_json) or {})["name"]: exited(place, r)["outcome"] for r in found}
    assert ended == {
        "tasks": "finished", "steps": "finished", "stream": "finished", "threads": "finished",
        "late": "stopped",
    }  # fmt: skip


def test_the_run_is_over_with_the_last_of_its_blocks(place, begin) -> None:
    source = """
    import threading, overnight
    begun, over = threading.Event(), threading.Event()
    def late():
        with overnight.watch("late"):
            begun.set()
            over.wait()
            raise ValueError("late")
    threading.excepthook = lambda *_: None
    with overnight.watch("first"):
        thread = threading.Thread(target=late)
        thread.start()
        begun.wait()
    overnight.log({"loss": 1.0})
    over.set()
    thread.join()
    """
    assert begin(source).communicate(timeout=60) == ("", "")
    run = only_run(place)
    assert exited(place, run)["cause"]["evidence"] == "ValueError: late"
    assert len(read(run.dir, "metrics").records) == 1


def test_a_fork_in_a_block_ends_nothing(place, begin) -> None:
    source = """
    import os, sys, overnight
    with overnight.watch("x"):
        pid = os.fork()
        if pid == 0:
            overnight.log({"child": 1})
            with overnight.watch("in the child"):
                pass
            sys.exit(4)  # leaves the parent's block too
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
        overnight.log({"parent": 1})
    """
    assert begin(source).communicate(timeout=60) == ("", "")
    run = only_run(place)
    assert exited(place, run)["outcome"] == "finished"
    assert len(read(run.dir, "metrics").records) == 1


def test_workers_of_a_pool_are_no_end(place, begin) -> None:
    source = """
    import multiprocessing, overnight
    def work(n):
        return n * n
    if __name__ == "__main__":
        with overnight.watch("x"):
            with multiprocessing.get_context("fork").Pool(3) as pool:
                assert pool.map(work, range(5)) == [0, 1, 4, 9, 16]
    """
    assert begin(source).communicate(timeout=60) == ("", "")
    assert exited(place, only_run(place))["outcome"] == "finished"


def test_a_run_of_init_is_watched_until_the_program_ends(place, begin) -> None:
    program = begin("import time\nimport overnight\novernight.init('whole')\n" + WAITS.replace(
        "time.sleep(0.02)", "break") + "\ntime.sleep(600)\n")  # fmt: skip
    run = begun(place)
    program.kill()
    assert exited(place, run)["signal"] == 9


def test_a_higher_rank_is_silent(place, begin) -> None:
    source = "import overnight\nwith overnight.watch('x') as folder:\n    print(folder)\n" \
        "overnight.notify('x')\n"  # fmt: skip
    assert begin(source, env={"RANK": "1"}).communicate(timeout=60) == ("None\n", "")
    assert not runs(place)


# ── under overnight run ──────────────────────────────────────────────────────────────────────────


def test_under_overnight_run_there_is_no_second_run(place) -> None:
    script = place.script(
        """
        import overnight
        with overnight.watch("inner", channels=["phone"], alerts=["loss is nan"]) as folder:
            overnight.notify("half way")
            print(folder)
        """
    )
    run = place.run(script)
    assert isinstance(place.ended(run), Finished)
    assert len(place.runs()) == 1
    assert run.dir in place.log(run)
    names = [record["_event"] for record in read(run.dir, "job").records]
    assert names == ["Watched", "Notify"]
    settings = read_json(run.notify_json)
    assert (settings["channels"], settings["rules"]) == (["phone"], ["loss is nan"])
    place.until(lambda: {"finished", "text"} <= set(messages(place)))


def test_run_for_nobody_is_for_nobody_inside_too(place) -> None:
    script = place.script(
        """
        import overnight
        with overnight.watch("inner", alerts=["loss is nan"]):
            overnight.notify("half way")
        """
    )
    run = place.run(script, "--notify", "none")
    assert isinstance(place.ended(run), Finished)
    assert read_json(run.notify_json)["channels"] == []
    assert messages(place) == []
    assert not list(place.state.glob("overnight/agent/*/follow/*.json"))


# ── the witness, and what the command line says ──────────────────────────────────────────────────


def test_the_witness_killed_the_end_is_known_all_the_same(place, begin) -> None:
    program = begin(WAITS.replace("time.sleep(0.02)", "time.sleep(0.02)") + "    raise OSError(28)")
    run = begun(place)
    place.kill(holder(run)[1])
    assert isinstance(view(run).state, Unattended)
    (place.root / "go").touch()
    assert program.wait(60) == 1
    # The agent, woken by the block's end, writes it down.
    assert exited(place, run)["cause"]["kind"] == "exception"
    place.until(lambda: "crashed" in messages(place))


def test_witness_and_program_killed_it_is_lost(place, begin) -> None:
    program = begin(WAITS, env={"OVERNIGHT_CHANNEL_PHONE": ""})
    run = begun(place)
    place.kill(holder(run)[1])
    program.kill()
    program.wait(60)
    assert isinstance(view(run).state, Lost)
    state = settle(run).state
    assert isinstance(state, Lost)
    (record,) = (each for each in place.events(run) if each["_event"] == "Exited")
    assert record["cause"]["sentence"] == "unknown_own"
    facts = {**facts_of(run, view(run), now_us=record["_t"]), "cause": record["cause"]}
    page = render("lost", facts, format="full", language="en").body
    assert "The process is gone" in page
    assert "First suspect memory" in page
    assert "keeper" not in page


def test_the_verbs_know_whose_run_it_is(place, begin) -> None:
    begin(WAITS)
    run = begun(place)
    assert isinstance(view(run).state, Running)
    assert run.run_id in place.overnight("ls").stdout
    status = json.loads(place.overnight("status", run.run_id, "--json").stdout)
    assert status["state"] == "running"
    for verb in ("stop", "resume", "logs"):
        done = place.overnight(verb, run.run_id)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 3
    assert isinstance(view(run).state, Running)
    (place.root / "go").touch()
    exited(place, run)
    done = place.overnight("resume", run.run_id)
    assert "notebook or a program of your own" in done.stderr
    assert place.overnight("wait", run.run_id).returncode == 0


# ── where things cannot be written ───────────────────────────────────────────────────────────────


def test_a_state_folder_that_cannot_be_written_is_said_once(place, begin) -> None:
    source = """
    import overnight
    for n in range(2):
        with overnight.watch("x"):
            print(n)
    overnight.notify("x")
    """
    no_folder = place.home / "file"
    no_folder.touch()
    said, errors = begin(source, env={"XDG_STATE_HOME": str(no_folder)}).communicate(timeout=60)
    assert said == "0\n1\n"
    lines = errors.splitlines()
    assert len(lines) == len(set(lines)) == 3
    assert all(line.startswith("overnight: ") for line in lines)
    for run in runs(place):
        assert exited(place, run)["outcome"] == "finished"


def test_a_root_that_cannot_be_written_is_said_once(place, begin) -> None:
    (place.root / "experiments").touch()
    source = """
    import overnight
    with overnight.watch("x") as folder:
        print(folder)
    """
    said, errors = begin(source).communicate(timeout=60)
    assert said == "None\n"
    assert len(errors.splitlines()) == 1
    assert "without being watched" in errors


def test_a_disk_full_at_the_end_takes_the_end(place, begin) -> None:
    try:
        with small_disk(40 * 1024) as disk:
            source = WAITS.replace('"go"', repr(str(disk / "go"))) + "    raise ValueError('late')"
            program = begin(source, env={"OVERNIGHT_ROOT": str(disk)})
            place.until(lambda: list(disk.glob("experiments/run/2*/*/events.jsonl")))
            run = RunPaths(str(next(disk.glob("experiments/run/2*/*/claims")).parent))
            place.until(lambda: "Started" in place.event_names(run))
            (disk / "go.part").touch()
            with (disk / "ballast").open("ab", buffering=0) as ballast:
                for size in (1 << 20, 4096, 1):
                    with contextlib.suppress(OSError):
                        while ballast.write(b"x" * size) == size:
                            pass
            (disk / "go.part").rename(disk / "go")
            assert program.wait(60) == 1
            assert (read_json(run.exit_json) or {})["code"] == 1
            (disk / "ballast").unlink()
            assert exited(place, run)["cause"]["evidence"] == "ValueError: late"
            place.until(lambda: place.supervisor(run) is None)
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def test_an_interrupt_of_the_terminal_reaches_the_program_alone(place, begin) -> None:
    program = subprocess.Popen(
        [sys.executable, str(place.script(WAITS))],
        env=place.env, cwd=place.root, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    only_run(place)
    place.until(lambda: (place.root / "experiments").exists())
    begun(place)
    os.killpg(program.pid, signal.SIGINT)
    program.wait(60)
    run = only_run(place)
    assert exited(place, run)["outcome"] == "stopped"
    assert isinstance(view(run).state, Stopped)
    place.until(lambda: "stopped" in messages(place))
    assert time.time_ns() // 1000 >= view(run).ended_us
