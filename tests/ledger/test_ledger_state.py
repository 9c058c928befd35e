"""A folder folded into what the run is now: every state, and any bytes in any file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overnight.ledger import files, state
from overnight.ledger.format import encode
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.state import View, exit_status, state_from_json, state_to_json, view
from overnight.ledger.writer import Pen

T_US = 1_767_225_600_000_000


def me() -> Identity:
    mine = Identity.of()
    assert mine is not None
    return mine


@pytest.fixture(scope="module")
def gone() -> Identity:
    """A process of this machine that is no more."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(process.pid)
    process.communicate(b"\n")
    assert identity is not None
    return identity


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return create_run(str(tmp_path), "run", "state")


def events(run: RunPaths, *names: str | dict[str, Any], attempt: int = 0) -> None:
    pen = Pen(run.dir, "events", attempt=attempt)
    for each in names:
        pen.append({"_event": each} if isinstance(each, str) else each)
    pen.close()


def lease(run: RunPaths, supervisor: Identity) -> None:
    said = {"generation": 0, "supervisor": supervisor.to_json(), "renewed_us": T_US}
    files.replace(run.lease, files.to_json(said))


def keeper(run: RunPaths, keeper: Identity, job: Identity, attempt: int = 0) -> None:
    said = {"attempt": attempt, "keeper": keeper.to_json(), "job": job.to_json()}
    files.replace(run.keeper_json, files.to_json(said))


def ended(run: RunPaths, **fields: Any) -> None:
    files.replace(
        run.exit_json, files.to_json({"attempt": 0, "ran_s": 2.5, "ended_us": T_US, **fields})
    )


def test_a_folder_just_made_is_queued_and_an_old_one_lost(run: RunPaths) -> None:
    assert view(run).state == state.Queued()
    files.replace(run.run_json, b'{"name": "state"}')
    assert view(run).state == state.Queued()
    os.utime(run.run_json, (0, 0))
    assert view(run).state == state.Lost("never_started")


def test_a_run_that_is_looked_after(run: RunPaths, gone: Identity) -> None:
    lease(run, me())
    host = me().host
    events(run, "Queued")
    assert view(run).state == state.Queued()
    keeper(run, me(), me())
    events(run, "Started")
    assert view(run).state == state.Running(host)
    assert view(run).started_us is not None
    events(run, {"_event": "Stalled", "silent_s": 640.0})
    assert view(run).state == state.Stalled(640.0)
    events(run, "Recovered")
    assert view(run).state == state.Running(host)
    events(run, {"_event": "Exited", "code": 1, "outcome": "failed", "final": False})
    assert view(run).state == state.Restarting(0)
    events(run, "Restarting")
    assert view(run).state == state.Restarting(0)
    keeper(run, me(), me(), attempt=1)
    events(run, "Started", attempt=1)
    assert (view(run).state, view(run).attempt) == (state.Running(host), 1)
    events(run, {"_event": "Stopping", "by": "kim", "now": False}, attempt=1)
    assert view(run).state == state.Stopping("kim")


@pytest.mark.parametrize(
    ("fields", "expected", "status"),
    [
        ({"code": 0, "outcome": "finished"}, state.Finished(), 0),
        ({"code": 3, "outcome": "failed"}, state.Failed(3, None), 3),
        ({"code": None, "signal": 9, "outcome": "failed"}, state.Failed(None, 9), 137),
        (
            {"code": 1, "outcome": "failed", "cause": {"kind": "cuda_oom"}},
            state.Failed(1, None, {"kind": "cuda_oom"}),
            1,
        ),
        ({"code": None, "signal": 15, "outcome": "stopped"}, state.Stopped(None, 15), 143),
        ({"code": 0, "outcome": "stopped"}, state.Stopped(0, None), 0),
        ({"outcome": "lost", "why": "reboot"}, state.Lost("reboot"), 125),
        ({"code": 0, "outcome": "failed"}, state.Failed(0, None), 0),
    ],
)
def test_a_run_that_is_over(
    run: RunPaths, fields: dict[str, Any], expected: state.State, status: int
) -> None:
    lease(run, me())
    events(run, "Started", {"_event": "Exited", "final": True, "ran_s": 1.5, **fields})
    seen = view(run)
    assert (seen.state, seen.ran_s, seen.unsettled) == (expected, 1.5, False)
    assert exit_status(seen.state) == status
    events(run, "Resumed", attempt=1)
    assert view(run).state == state.Queued()


def test_a_run_whose_supervisor_is_gone(run: RunPaths, gone: Identity) -> None:
    lease(run, gone)
    events(run, "Queued", "Started")
    keeper(run, gone, me())
    assert view(run).state == state.Unattended(me().pid)
    keeper(run, me(), gone)  # the keeper is about to write exit.json
    assert view(run).state == state.Unattended(gone.pid)
    keeper(run, gone, gone)
    assert (view(run).state, view(run).unsettled) == (state.Lost("unseen"), True)
    ended(run, code=0, signal=None)
    assert (view(run).state, view(run).unsettled) == (state.Finished(), True)
    assert view(run).ran_s == 2.5
    assert view(run).ended_us == T_US
    ended(run, code=None, signal=11)
    assert view(run).state == state.Failed(None, 11)
    events(run, {"_event": "Stopping", "by": "kim"})
    assert view(run).state == state.Stopped(None, 11)


def test_an_end_of_an_older_attempt_is_not_the_newest_ones(run: RunPaths, gone: Identity) -> None:
    lease(run, gone)
    events(run, "Started", {"_event": "Exited", "code": 1, "outcome": "failed", "final": False})
    ended(run, code=1, signal=None)
    keeper(run, gone, gone, attempt=1)
    assert view(run).state == state.Lost("unseen")
    ended(run, code=0, signal=None, attempt=1)
    assert view(run).state == state.Finished()


def test_after_a_reboot_a_run_is_lost_to_it(run: RunPaths) -> None:
    before = replace(me(), boot="another boot")
    lease(run, before)
    events(run, "Started")
    keeper(run, before, before)
    assert view(run).state == state.Lost("reboot")


@pytest.mark.parametrize("changed", [{"machine": "other"}, {"pidns": "pid:[1]"}])
def test_from_elsewhere_only_the_lease_speaks(run: RunPaths, changed: dict[str, Any]) -> None:
    there = replace(me(), host="gpu02", **changed)
    events(run, "Started")
    keeper(run, there, there)
    lease(run, there)
    seen = view(run).state
    assert isinstance(seen, state.Running)
    assert seen.host == "gpu02"
    assert seen.seen_s is not None
    old_s = time.time() - 2 * state.LEASE_FRESH_S
    os.utime(run.lease, (old_s, old_s))
    seen = view(run).state
    assert isinstance(seen, state.Elsewhere)
    assert seen.host == "gpu02"
    assert seen.seen_s is not None
    assert seen.seen_s > state.LEASE_FRESH_S
    events(run, {"_event": "Exited", "code": 0, "outcome": "finished"})
    assert view(run).state == state.Finished()


def test_an_unsupervised_run(run: RunPaths, gone: Identity) -> None:
    def written_by(process: Identity) -> state.State:
        info = {"supervised": False, "process": process.to_json(), "created_us": T_US}
        files.replace(run.run_json, files.to_json(info))
        return view(run).state

    assert written_by(me()) == state.Running(me().host)
    assert view(run).started_us == T_US
    assert written_by(gone) == state.Lost("unseen")
    assert written_by(replace(gone, boot="before")) == state.Lost("reboot")
    assert written_by(replace(gone, machine="m", host="gpu02")) == state.Elsewhere("gpu02", None)
    ended(run, code=0, signal=None)
    assert view(run).state == state.Finished()


def test_a_reused_process_number_is_not_taken_for_the_process(run: RunPaths) -> None:
    other = replace(me(), start_ticks=me().start_ticks - 1)
    assert other.look() == "gone"
    assert me().look() == "alive"


def some_states() -> Iterator[state.State]:
    yield from (state.Queued(), state.Running("h"), state.Running("h", 3.0), state.Stalled(1.5))
    yield from (state.Restarting(2), state.Stopping("kim"), state.Finished(), state.Failed(1, None))
    yield from (state.Failed(None, 9, {"kind": "x"}), state.Stopped(None, 15), state.Unattended(5))
    yield from (state.Lost("reboot"), state.Elsewhere("h", None))


@pytest.mark.parametrize("each", list(some_states()), ids=lambda each: state.word(each))
def test_a_state_comes_back_from_its_json(each: state.State) -> None:
    spelled = json.loads(json.dumps(state_to_json(each)))
    assert state_from_json(spelled) == each
    assert state_from_json({**spelled, "a_later_field": 1}) == each
    assert (exit_status(each) is None) == (not isinstance(each, (*state.ENDED, state.Elsewhere)))


# ── any bytes ────────────────────────────────────────────────────────────────────────────────────

identities = st.fixed_dictionaries(
    {},
    optional={
        "machine": st.sampled_from([me().machine, "other", 5]),
        "boot": st.sampled_from([me().boot, "other", None]),
        "pidns": st.sampled_from([me().pidns, "other"]),
        "pid": st.sampled_from([0, -1, 1, os.getpid(), 10**4000, 2**40, 1.5, "1", True]),
        "start_ticks": st.sampled_from([me().start_ticks, 0, -1, "x"]),
        "host": st.sampled_from(["h", None, "\ud800"]),
    },
)
numbers: st.SearchStrategy[Any] = st.sampled_from(
    [0, 1, -1, 10**400, 1e308, True, None, "1", [], {}]
)
small_files = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.dictionaries(
        st.sampled_from(
            ["attempt", "code", "signal", "ran_s", "ended_us", "supervised", "created_us",
             "keeper", "job", "supervisor", "process"]
        ),
        identities | numbers,
    ).map(lambda value: json.dumps(value).encode()),
    st.just(b'{"attempt":0,"code":Infinity,"ran_s":NaN}'),
    st.just(b"[" * 100_000),
)  # fmt: skip
event_lines = st.one_of(
    st.binary(max_size=30),
    st.builds(
        lambda seq, event, fields: encode({"_seq": seq, "_event": event, **fields})[:-1],
        st.integers(0, 5),
        st.sampled_from(
            ["Queued", "Started", "Stalled", "Recovered", "Stopping", "Exited", "Restarting",
             "Resumed", "RestartRefused", "Adopted", 5, None]
        ),
        st.dictionaries(
            st.sampled_from(["_attempt", "_t", "code", "signal", "silent_s", "by", "final",
                             "outcome", "cause", "why", "ran_s"]),
            numbers | st.sampled_from(["finished", "failed", "stopped", "lost"]),
        ),
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        dict.fromkeys(("run.json", "keeper.json", "exit.json", "lease", "status.json"), small_files)
    ),
    st.lists(event_lines, max_size=6),
)
@example({"lease": b'{"supervisor":{}}'}, [b'{"_seq":0,"_event":"Stalled","silent_s":1e400}'])
def test_any_bytes_in_any_file_of_the_folder_give_an_answer(
    content: dict[str, bytes | None], lines: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = RunPaths(folder)
        for name, data in content.items():
            if data is not None:
                Path(folder, name).write_bytes(data)
        Path(folder, "events.jsonl").write_bytes(b"\n".join(lines))
        seen = view(run)
    assert_can_be_shown(seen)


def assert_can_be_shown(seen: View) -> None:
    """What a verb would do with it: JSON without NaN, whole seconds, a date."""
    json.dumps(state_to_json(seen.state), allow_nan=False, ensure_ascii=False).encode()
    exit_status(seen.state)
    if seen.ran_s is not None:
        assert isinstance(round(seen.ran_s), int)
    for us in (seen.started_us, seen.ended_us):
        if us is not None:
            time.gmtime(us / 1e6)


def test_no_folder_and_folders_in_place_of_files_give_an_answer(tmp_path: Path) -> None:
    assert view(RunPaths(str(tmp_path / "nowhere"))).state == state.Lost("never_started")
    for name in ("run.json", "keeper.json", "exit.json", "lease", "events.jsonl"):
        (tmp_path / name).mkdir()
    assert_can_be_shown(view(RunPaths(str(tmp_path))))
    (tmp_path / "file").touch()
    assert_can_be_shown(view(RunPaths(str(tmp_path / "file"))))


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["state", "code", "host"]), numbers
                       | st.sampled_from(["finished", "lost", "running"])))  # fmt: skip
def test_any_json_is_a_state_or_none(value: dict[str, Any]) -> None:
    found = state_from_json(value)
    assert found is None or isinstance(found, state.STATES)
