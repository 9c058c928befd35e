"""What every tracker must do, ours and a plug-in's: subclass it, and let pytest run it.

::

    class TestMine(TrackerContract):
        def tracker(self, root): return MyTracker("", root, {})
        def numbers(self, root, run_id): …   # {(name, axis): value}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from overnight.trackers.base import End, Item, Point, RunInfo, Tracker


class TrackerContract:
    """The contract."""

    def tracker(self, root: Path) -> Tracker:
        """A tracker, opened as a mirror opens it; each call is another process's."""
        raise NotImplementedError

    def numbers(self, root: Path, run_id: str) -> Mapping[tuple[str, int], float]:
        """What it holds of a run now: (name, axis) → value.

        Fails where it holds one of them twice.
        """
        raise NotImplementedError

    def about(self, root: Path, *, generation: int = 0, known: bool = False) -> RunInfo:
        """A run."""
        folder = root / "experiments" / "run" / "20260101" / "contract_20260101_0000"
        folder.mkdir(parents=True, exist_ok=True)
        return RunInfo(
            dir=folder,
            run_id=folder.name,
            name="contract",
            kind="run",
            project="contract",
            created_us=1_767_225_600_000_000,
            generation=generation,
            tags={"overnight.host": "here"},
            labels=["baseline", "size=small"],
            config={"train": {"lr": 0.1}},
            options={"mode": "offline"},
            known=known,
        )

    def points(self, first: int, last: int, value: float = 0.0) -> list[Point]:
        """Rows of two folds, an epoch each."""
        return [
            Point(
                number=n,
                t_us=1_767_225_600_000_000 + n * 1000,
                kind="epoch",
                axis=n,
                prefix=f"fold{n % 2}/",
                values={f"fold{n % 2}/loss": n + value},
                file="metrics.jsonl",
                seq=n,
            )
            for n in range(first, last)
        ]

    def expected(self, last: int) -> dict[tuple[str, int], float]:
        """What is there after :meth:`points` from 1."""
        return {(f"fold{n % 2}/loss", n): float(n) for n in range(1, last)}

    def test_what_comes_twice_is_there_once(self, tmp_path: Path) -> None:
        """As after a mirror that died between sending and noting."""
        about = self.about(tmp_path)
        session = self.tracker(tmp_path).open(about)
        assert not session.send(self.points(1, 21))
        session.leave()
        session = self.tracker(tmp_path).open(self.about(tmp_path, known=True))
        begin = 1 if session.is_new else 11
        assert not session.send(self.points(begin, 31))
        session.close(End("finished", 0, 1_767_225_700_000_000))
        assert self.numbers(tmp_path, about.run_id) == self.expected(31)

    def test_a_run_that_is_begun_anew_holds_nothing_of_before(self, tmp_path: Path) -> None:
        """As after a resume that went over what was sent."""
        about = self.about(tmp_path)
        session = self.tracker(tmp_path).open(about)
        session.send(self.points(1, 6, value=0.5))
        session.leave()
        session = self.tracker(tmp_path).open(self.about(tmp_path, generation=1))
        session.send(self.points(1, 9))
        session.close(End("failed", 1, 1_767_225_700_000_000, "cuda_oom", "out of memory"))
        assert self.numbers(tmp_path, about.run_id) == self.expected(9)

    def test_a_file_that_is_gone_harms_nobody(self, tmp_path: Path) -> None:
        """It is rejected, and what comes after it arrives."""
        about = self.about(tmp_path)
        session = self.tracker(tmp_path).open(about)
        record = {"files": [{"name": "a", "path": "/nowhere/a", "sha256": "0"}]}
        gone = Item("artifact", "model", about.dir, None, 1, 3, record)
        rejected = session.send([*self.points(1, 3), gone, *self.points(4, 6)])
        assert [each.key for each in rejected] == ["model"]
        session.close(End("killed", 143, 1_767_225_700_000_000, "stopped"))
        should = {k: v for k, v in self.expected(6).items() if k[1] != 3}
        assert self.numbers(tmp_path, about.run_id) == should
