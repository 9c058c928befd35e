"""A short storm; the long one is ``make storm``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from overnight.testing.storm import plan


def _storm(*words: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "overnight.testing.storm", "--json", *words],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict = json.loads(done.stdout)
    return said


@pytest.mark.slow
def test_a_short_storm_is_clean() -> None:
    said = _storm("--kills", "24", "--seed", "7", "--workers", "2")
    assert said["wrong"] == []
    assert said["records lost"] == 0
    assert said["processes left"] == 0
    assert said["records whole"] >= said["records whose write returned"] > 0
    assert said["kills"].startswith("24 ")


def test_the_same_seed_has_the_same_victims() -> None:
    one = plan(kills=50, seed=7, disk=True)
    assert one == plan(kills=50, seed=7, disk=True)
    assert one != plan(kills=50, seed=8, disk=True)
    assert sum(len(episode.victims) for episode in one) == 50
    assert {victim for episode in one for victim in episode.victims} == {
        "job", "keeper", "supervisor", "disk",
    }  # fmt: skip
    assert "disk" not in {v for e in plan(kills=50, seed=7, disk=False) for v in e.victims}
