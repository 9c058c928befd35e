"""A small storm; ``make storm-courier`` is the large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.outbox.message import DELIVERED, Message, put, settle
from overnight.testing.storm_courier import Server, Storm


@pytest.mark.slow
def test_sixty_alerts_arrive_whatever_is_killed(tmp_path: Path) -> None:
    storm = Storm(tmp_path, alerts=60, seed=11)
    found = storm.run()
    log = Path(storm.paths.log)
    assert found.is_clean, (found, log.read_text() if log.exists() else "")
    assert found.kills.total() > 0
    assert found.agents > 0
    assert found.lost == found.waiting == 0


def test_the_storm_would_notice(tmp_path: Path) -> None:
    """What it counts is counted: a loss, a repetition, one that was noted before."""
    storm = Storm(tmp_path, alerts=3, seed=1)
    found = storm.found
    server = Server(storm.paths, found, seed=1)
    server.server_close()
    for _ in range(40):  # some of these meet a fault, and are not taken
        server.take(b"alert-0-on-c0")
    assert found.delivered["alert-0-on-c0"] > 1
    assert found.duplicates <= found.in_flight
    assert found.lost == 2
    assert not found.is_clean
    noted = Message("alert-1-on-c1", "c1", "text", 1)
    assert put(storm.paths, noted)
    settle(storm.paths, noted, DELIVERED)
    assert not found.wrong
    server.take(b"alert-1-on-c1")
    assert found.wrong
    assert "came again" in found.wrong[0]
