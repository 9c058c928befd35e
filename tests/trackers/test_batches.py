"""The note of batches that a tracker has only on trust: whole, or not believed."""

from __future__ import annotations

from pathlib import Path

from overnight.ledger.paths import create_run
from overnight.trackers.batches import Batch, Batches


def test_what_follows_without_a_gap_is_read_back(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "job")
    Path(run.cursors).mkdir()
    made = Batches(run, "wandb")
    assert made.read() == []
    first, second = Batch(0, 20, {"metrics": (0, 19)}), Batch(20, 25, {"metrics": (1, 3)})
    for batch in (first, second, second):  # its mirror died before it noted that it had noted it
        made.note(batch)
    assert made.read() == [first, second]
    path = Path(run.cursor("wandb")).with_suffix(".batches")
    with path.open("ab") as file:  # the disk was full
        file.write(b'{"begin": 25, "num')
    third = Batch(25, 40, {"metrics": (1, 18), "media": (0, 0)})
    made.note(third)
    assert made.read() == [first, second, third]
    made.note(Batch(60, 80, {"metrics": (1, 58)}))  # one in between is lost: nothing before counts
    assert [batch.begin for batch in made.read()] == [60]
    made.forget()
    made.forget()
    assert made.read() == []
