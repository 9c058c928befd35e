"""Reading for a tracker: the merged order, from a cursor on; a batch can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.ledger.reader import current, rows
from overnight.ledger.writer import Pen
from overnight.trackers.counting import Counting, names_of
from overnight.trackers.records import Record, Records, end_of


def write(folder: Path, stem: str, records: list[dict[str, Any]], attempt: int = 0) -> None:
    pen = Pen(str(folder), stem, attempt=attempt, segment_bytes=300)
    for record in records:
        pen.append(record)
    pen.close()


def where(records: list[Record]) -> list[tuple[str, int]]:
    return [(record.stem, record.seq) for record in records]


def test_a_batch_is_made_again_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "metrics", [{"step": n, "_t": 10 * n} for n in range(30)])
    write(tmp_path, "metrics.p7", [{"step": n, "_t": 10 * n + 5} for n in range(30)])
    write(tmp_path, "system", [{"cpu_percent": n, "_t": 40 * n} for n in range(5)])
    reading = Records(str(tmp_path), {})
    first = reading.take(13)
    begun = end_of(first, {})
    second = reading.take(13)
    ended = end_of(second, begun)
    write(tmp_path, "metrics", [{"step": 99, "_t": 1}])  # written meanwhile
    again = Records(str(tmp_path), begun).take(1, ended)
    assert where(again) == where(second)
    rest = Records(str(tmp_path), ended).take(1000)
    every = where([*first, *second, *rest])
    assert len(every) == len(set(every)) == 66


def test_what_comes_later_is_found_where_reading_stopped(tmp_path: Path) -> None:
    write(tmp_path, "metrics", [{"step": n} for n in range(20)])
    reading = Records(str(tmp_path), {})
    assert len(reading.take(100)) == 20
    assert reading.take(100) == []
    write(tmp_path, "metrics", [{"step": n} for n in range(20, 40)])
    write(tmp_path, "media", [{"_kind": "figure", "key": "curve"}])
    found = reading.take(100)
    assert [each.data.get("step") for each in found if each.base == "metrics"] == [*range(20, 40)]
    assert [each.base for each in found].count("media") == 1


def sent(folder: Path) -> set[tuple[str, int, float]]:
    counting, records = Counting(), Records(str(folder), {}).take(10_000)
    for record in records:
        counting.see(record)
    return {
        (name, counted.axis, value)
        for _, counted in names_of(records, counting)
        for name, value in counted.values.items()
    }


ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["step", "epoch"]), st.integers(0, 6)),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(attempts=st.lists(ROWS, min_size=1, max_size=3))
def test_what_is_sent_is_what_counts_in_the_ledger(
    tmp_path_factory: Any, attempts: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for attempt, found in enumerate(attempts):
        made = [
            {"_kind": kind, "fold": fold, kind: axis, kind + "_loss": number / 10, "lr": number}
            for number, (fold, kind, axis) in enumerate(found)
        ]
        write(folder, "metrics", made, attempt)
    counting = current(rows(str(folder)))
    with_epochs = {fold for found in attempts for fold, kind, _ in found if kind == "epoch"}

    def name(fold: int | None, kind: str, key: str) -> str:
        """Of one that has two axes in this fold the epoch's has the plain name."""
        second = key == "lr" and kind == "step" and fold in with_epochs
        return f"fold{fold}/step/{key}" if second else f"fold{fold}/{key}"

    should = {
        (
            name(row.scope.fold, row.kind, key),
            row.epoch if row.kind == "epoch" else row.step,
            value,
        )
        for row in counting
        for key, value in row.values.items()
    }
    assert sent(folder) == should


def test_a_number_logged_on_two_axes_has_two_names(tmp_path: Path) -> None:
    write(tmp_path, "metrics", [
        {"_kind": "step", "step": 1, "lr": 0.3, "batch_loss": 2.0},
        {"_kind": "epoch", "epoch": 0, "fold": 2, "lr": 0.2},
        {"_kind": "summary", "fold": 2, "lr": 0.1, "score": 1.0},
        {"_kind": "summary", "lr": 0.1, "macro_f1": 1.0},
        {"_kind": "epoch", "epoch": 0, "fold": 2, "macro_f1": 0.9},
        {"_kind": "step", "step": 2, "stage": "tune", "trial": 3, "fold": 1, "x": 1.0},
    ])  # fmt: skip
    assert {name for name, _, _ in sent(tmp_path)} == {
        "lr", "summary/lr", "batch_loss", "fold2/lr", "fold2/summary/lr", "fold2/score",
        "macro_f1", "fold2/macro_f1", "tune/trial3/fold1/x",
    }  # fmt: skip


def test_what_was_sent_and_does_not_count_any_more_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "metrics", [{"_kind": "step", "step": n, "loss": 1.0} for n in range(5)])
    records = Records(str(tmp_path), {}).take(100)
    counting = Counting()
    for record in records:
        counting.see(record)
        counting.note_sent(record)
    assert not counting.outdated
    kept = Counting()
    kept.restore(counting.sent())
    write(tmp_path, "metrics", [{"_kind": "step", "step": 5, "loss": 1.0}], attempt=1)
    for record in Records(str(tmp_path), {}).take(100):
        kept.see(record)
    assert not kept.outdated  # it goes on behind what was sent
    write(tmp_path, "metrics", [{"_kind": "step", "step": 3, "loss": 1.0}], attempt=2)
    for record in Records(str(tmp_path), {}).take(100):
        kept.see(record)
    assert kept.outdated


def test_an_epoch_takes_the_plain_name_of_what_was_sent(tmp_path: Path) -> None:
    write(tmp_path, "metrics", [{"_kind": "step", "step": 1, "lr": 1.0}])
    write(tmp_path, "metrics.p2", [{"_kind": "epoch", "epoch": 1, "lr": 1.0}])
    first, second = Records(str(tmp_path), {}).take(100)
    counting = Counting()
    counting.see(first)
    counting.note_sent(first)
    counting.see(second)
    assert counting.outdated
