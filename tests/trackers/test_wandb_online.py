"""W&B over a network, played by a server on loopback that refuses what W&B refuses, and fails."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.outbox.message import waiting
from overnight.outbox.standing import Standing, standing
from overnight.testing.foreign_wandb import KEY

#: Each starts W&B's library several times.
pytestmark = pytest.mark.slow
#: At the start, in the middle, at the end.
_OUTAGES = [("refused", "frozen", "500"), ("500", "half", "refused"), ("half", "500", "frozen")]


def there(run: RunPaths) -> Standing:
    [found] = standing(run)
    return found


@pytest.mark.parametrize(("at_start", "in_the_middle", "at_the_end"), _OUTAGES)
def test_whatever_it_does_every_number_is_there_once(
    play: Any, at_start: str, in_the_middle: str, at_the_end: str
) -> None:
    server, run = play.server, play.run()
    play.write(run, 0, 20)
    server.fail(at_start)
    play.wait(play.start(run))
    assert not there(run).sent
    assert there(run).failures == 1
    assert "wandb" in there(run).trouble
    assert not there(run).fix  # a server that is away is nobody's wrong key
    server.fail("")
    mirror = play.start(run)
    play.until(lambda: len(play.rows(run)) == 20)
    server.fail(in_the_middle)
    play.write(run, 20, 40)  # W&B's library takes them, and they die with it
    play.until(lambda: there(run).sent == 40)
    play.end(mirror, signal.SIGKILL)
    server.fail("")
    mirror = play.start(run)
    play.until(lambda: len(play.rows(run)) == 40)
    server.fail(at_the_end)
    play.write(run, 40, 60)
    play.bench.end(run)
    play.wait(mirror)
    assert not there(run).closed
    assert there(run).failures == 1
    server.fail("")
    play.wait(play.start(run))
    assert there(run).closed, there(run)
    assert not there(run).trouble
    assert play.numbers(run) == Counter(("fold0/loss", n, repr(n / 7)) for n in range(60))
    assert server.runs[run.run_id]["exit"] == 0


def test_a_run_that_was_sent_and_went_on_is_there_once(play: Any) -> None:
    run = play.run()
    play.write(run, 0, 20)
    mirror = play.start(run)
    play.until(lambda: len(play.rows(run)) == 20)
    play.end(mirror, signal.SIGTERM)
    assert set(play.server.runs) == {run.run_id}
    play.write(run, 20, 30)
    mirror = play.start(run)  # resumed: behind what is there
    play.until(lambda: len(play.rows(run)) == 30)
    play.write(run, 25, 32, attempt=1)
    play.bench.end(run, 1)
    play.wait(mirror)
    assert there(run).closed, play.server.operations
    assert set(play.server.runs) == {run.run_id + "-g2"}
    assert play.server.deleted == {run.run_id}
    should = {n: n / 7 if n < 25 else n / 7 - 1 for n in range(32)}
    assert play.numbers(run, "-g2") == Counter(
        ("fold0/loss", n, repr(value)) for n, value in should.items()
    )
    [found] = play.server.runs.values()
    assert found["exit"] == 1
    assert found["displayName"] == run.run_id
    assert {"baseline", "unknown"} <= set(found["tags"])
    assert ("job-config", ["latest"]) in play.server.artifacts


def test_rows_that_it_does_not_take_are_not_given_up(play: Any) -> None:
    run = play.run()
    play.write(run, 0, 20)
    play.bench.end(run)
    play.server.fail("rows")  # and all else it takes: W&B's library says that all is well
    play.wait(play.start(run))
    assert not there(run).closed
    assert there(run).failures == 1
    play.server.fail("")
    play.wait(play.start(run))
    assert there(run).closed
    assert len(play.rows(run)) == 20


def test_a_run_deleted_there_comes_back_only_when_asked_for(play: Any) -> None:
    run = play.run()
    play.write(run, 0, 5)
    mirror = play.start(run)
    play.until(lambda: len(play.rows(run)) == 5)
    play.end(mirror, signal.SIGTERM)
    del play.server.runs[run.run_id]
    play.server.deleted.add(run.run_id)
    play.bench.end(run)
    play.wait(play.start(run))
    assert "deleted" in there(run).trouble
    assert not track.asked()
    play.wait(play.start(run, again=True))
    assert there(run).closed
    assert not there(run).trouble
    assert len(play.rows(run, "-g2")) == 5


def test_a_wrong_key_is_told_once_and_the_right_one_helps(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = play.run()
    files.replace(run.notify_json, files.to_json({"schema": 1, "channels": ["phone"]}))
    play.write(run, 0, 1)
    play.bench.end(run)
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    for again in (False, True):
        play.wait(play.start(run, again=again))
    assert "W&B refuses us" in there(run).trouble
    assert "WANDB_API_KEY" in there(run).fix
    assert there(run).retry_s > 3000
    [told] = waiting(play.bench.paths)
    assert "The run itself goes on" in told.facts["text"]
    assert "f" * 40 not in Path(run.cursor("wandb")).read_text()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    play.wait(play.start(run, again=True))
    assert there(run).closed
    assert len(play.rows(run)) == 1
