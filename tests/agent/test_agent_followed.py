"""What an agent makes of one run's files, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight.agent import followed as module
from overnight.agent.followed import Followed
from overnight.ledger import files
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.writer import Pen
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import DELIVERED, Message, settle, waiting


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return AgentPaths(str(tmp_path / "agent")).make()


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    run = create_run(str(tmp_path), "run", "job")
    files.replace(run.run_json, files.to_json({"name": "job"}))
    asked = {"channels": ["phone"], "rules": [], "events": ["crashed", "text"]}
    files.replace(run.notify_json, files.to_json(asked))
    me = Identity.of()
    assert me is not None
    files.replace(run.lease, files.to_json({"supervisor": me.to_json()}))
    write(run, "events", _event="Started")
    return run


def write(run: RunPaths, stem: str, **record: Any) -> None:
    pen = Pen(run.dir, stem, attempt=1)
    pen.append(record)
    pen.close()


def crash(run: RunPaths) -> None:
    """The end is on the disk, and its supervisor is gone: no page of the run is to come."""
    write(run, "events", _event="Exited", outcome="failed", code=1, final=True)
    files.discard(run.lease)


def told(paths: AgentPaths) -> list[tuple[str, str]]:
    return sorted(
        (each.channel, str(each.facts.get("text", each.event))) for each in waiting(paths)
    )


def test_what_is_said_right_before_the_end_is_told(
    paths: AgentPaths, run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = Followed(paths, run)
    followed.look()
    read_status = followed._read_status

    def in_between() -> None:
        if not Path(run.at("job.jsonl")).exists():
            write(run, "job", _event="Notify", text="done")
            crash(run)
        read_status()

    monkeypatch.setattr(followed, "_read_status", in_between)
    while not followed.is_done:
        followed.look()
    assert told(paths) == [("phone", "crashed"), ("phone", "done")]


def test_whatever_a_job_writes_its_crash_is_told(
    paths: AgentPaths, run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    odd: list[Any] = [5, [5], "desk", ["desk", None], {"a": 1}, [[]], [{}]]
    for number, channels in enumerate(odd):
        write(run, "job", _event="Notify", text=f"text {number}", channels=channels, files=channels)
    write(run, "job", _event=["NewBest"], epoch={}, value=[])
    write(run, "job", _event="NewBest", epoch={}, value=[], metric=7)
    write(run, "metrics", epoch=[], step={}, loss={"a": 1})
    files.replace(run.status_json, files.to_json({"attempt": [], "progress": 5, "estimate": "x"}))
    crash(run)
    followed = Followed(paths, run)
    followed.look()
    assert followed.is_done
    texts = told(paths)
    assert ("phone", "crashed") in texts
    assert ("desk", "text 2") in texts
    assert ("desk", "text 3") in texts
    assert sum(channel == "phone" for channel, _ in texts) == 6
    assert "Traceback" not in capsys.readouterr().err


def test_what_cannot_be_judged_is_written_to_the_log_once(
    paths: AgentPaths,
    run: RunPaths,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed = Followed(paths, run)

    def broken(*_: object) -> list[Any]:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(followed.judge, "job", broken)
    for _ in range(3):
        write(run, "job", _event="Notify", text="text")
    crash(run)
    followed.look()
    assert told(paths) == [("phone", "crashed")]
    assert capsys.readouterr().err.count("a bug of ours\n") == 1


def test_what_was_told_costs_nothing_and_many_are_put_bit_by_bit(
    paths: AgentPaths, run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = []

    def counted(*given: Any, **more: Any) -> dict[str, Any]:
        gathered.append(1)
        return facts_of(*given, **more)

    facts_of = module.facts_of
    monkeypatch.setattr(module, "facts_of", counted)
    monkeypatch.setattr(module, "_PUTS_FOR_S", 0.001)
    for number in range(30):
        write(run, "job", _event="Notify", text=f"text {number}")
    followed = Followed(paths, run)
    followed.look()
    assert followed.has_more, "the couriers have their turn"
    while followed.has_more:
        followed.look()
    assert len(waiting(paths)) == 30
    assert len(gathered) < 30
    monkeypatch.setattr(module, "_PUTS_FOR_S", 60.0)
    for number in range(30, 60):
        write(run, "job", _event="Notify", text=f"text {number}")
    gathered.clear()
    followed.look()
    assert len(waiting(paths)) == 60
    assert len(gathered) == 1, "once for all of a look"
    for each in waiting(paths)[:20]:
        settle(paths, Message(each.key, each.channel, each.event, 1), DELIVERED)
    gathered.clear()
    again = Followed(paths, run)
    again.look()
    assert gathered == []
    assert len(waiting(paths)) == 40
