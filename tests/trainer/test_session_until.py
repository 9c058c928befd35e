"""A training whose time is over, in this process: what it leaves, and what a later attempt does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.paths import RunPaths
from overnight.testing.sessions import NUM, Attempt, attempt, begin, small_config
from overnight.trainer import kept
from overnight.trainer.fits import Folds

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_config(tmp_path_factory.mktemp("data"))


def in_seconds(seconds: float) -> str:
    return f'"{(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}"'


def card(run: RunPaths) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run.at("model", "overnight.json")).read_text())
    return found


@pytest.fixture(scope="module")
def cut(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    """Time for next to nothing: the first fold is cut at once."""
    found = attempt(begin(config, tmp_path_factory.mktemp("root"), until=in_seconds(15)))
    assert found.error is None, found.log
    return found


def test_too_little_time_still_leaves_a_model_and_says_what_it_is(cut: Attempt) -> None:
    assert "[PLAN] ! " in cut.log
    assert "[FOLD] fold0 ends in epoch" in cut.log
    assert ": deadline\n" in cut.log
    assert "[FOLD] fold1 is left out: no time\n" in cut.log
    assert re.search(r"\[DONE\] 1 of 2 folds in .* s: valid_loss", cut.log)
    (member,) = card(cut.run)["members"]
    assert (member["fold"], member["ended"]) == (0, "deadline")
    assert len(cut.array("oof_ids.npy")) == NUM / 2
    told = cut.events("Planned")
    assert [each["why"] for each in told] == ["too_late", "fold_cut", "fold_left_out"]
    assert told[-1]["num_folds"] == 1
    assert told[-1]["folds_asked"] == 2
    assert told[-1]["ends_us"] <= told[-1]["until_us"]


def test_an_attempt_after_the_time_trains_nothing_more(cut: Attempt) -> None:
    made = card(cut.run)["members"]
    again = attempt(cut.run, 1)
    assert again.error is None
    assert "fold0 is over since an earlier attempt" in again.log
    assert "to train on" not in again.log
    assert card(again.run)["members"] == made


def test_a_time_that_is_over_before_any_fold_was_begun_is_an_error(
    config: Path, tmp_path: Path
) -> None:
    run = begin(config, tmp_path, until=in_seconds(-60))
    found = attempt(run)
    assert found.error is not None
    assert getattr(found.error, "key", "") == "until.over"
    assert not Path(run.at("model")).exists()


def test_with_enough_time_nothing_is_trimmed(config: Path, tmp_path: Path) -> None:
    found = attempt(begin(config, tmp_path, until=in_seconds(7200), data__valid_fold="0"))
    assert found.error is None
    assert "is left out" not in found.log
    assert [each["why"] for each in found.events("Planned")] == ["start", "measured"]
    (member,) = card(found.run)["members"]
    assert member["ended"] == "finished"


@pytest.mark.parametrize(
    ("values", "members"),
    [
        ([("finished", 0.8), ("early_stopped", 0.7), ("deadline", 0.6)], [0, 1]),
        ([("finished", 0.8), ("early_stopped", 0.7), ("deadline", 0.7)], [0, 1, 2]),
        ([("deadline", 0.6)], [0]),
    ],
)
def test_a_fold_that_was_cut_is_a_member_where_it_is_no_worse(
    config: Path, tmp_path: Path, values: list[tuple[str, float]], members: list[int]
) -> None:
    from overnight import spec as specs
    from overnight.tasks.base import DataIndex, Scope
    from overnight.trainer.console import Console
    from overnight.trainer.stop import SignalStop
    from overnight.trainer.until import Planner
    from overnight.trainer.work import Work

    spec = specs.read(config, {})
    plan = kept.Plan(DataIndex([], [], [], "", [], {}), [], [])
    run = begin(config, tmp_path)
    folds = Folds(run, Console(), SignalStop(), spec, plan, Planner(Work.of(spec, plan)))
    done = [
        kept.Fold(Scope(number), {"macro_f1": value}, ended, tmp_path, None)
        for number, (ended, value) in enumerate(values)
    ]
    assert [fold.scope.fold for fold in folds._members(done)] == members
