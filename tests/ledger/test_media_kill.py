"""``kill -9`` while pictures are kept: the files of every record are whole."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read
from overnight.testing.faults import armed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")

JOB = """
import os, sys
import overnight
ack = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
number = int(sys.argv[2])
while True:
    grey = memoryview(number.to_bytes(4, "big") * 500).cast("B", (40, 50))
    assert overnight.image(grey, "kept", masks={"m": grey}, step=number)
    assert overnight.table(["a"], [[number]] * 10, "kept", step=number)
    os.write(ack, b".")
    number += 1
"""


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return create_run(str(tmp_path / "root"), "run", "job")


def start(run: RunPaths, ack: Path, attempt: int, **env: str) -> subprocess.Popen[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OVERNIGHT_")}
    clean.update(OVERNIGHT_RUN_DIR=run.dir, OVERNIGHT_ATTEMPT=str(attempt), **env)
    return subprocess.Popen([sys.executable, "-c", JOB, str(ack), str(attempt * 1000)], env=clean)


def whole(run: RunPaths) -> list[dict[str, Any]]:
    """The records, after a look that all their files are whole and no two share one."""
    records = read(run.dir, "media").records
    for record in records:
        for file in [record, *record.get("masks", {}).values()]:
            data = Path(run.dir, file["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
    assert len({record["path"] for record in records}) == len(records)
    return records


POINTS = ("media.written", "media.kept", "record.before", "record.torn", "record.after")


@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_every_point_leaves_whole_records(
    run: RunPaths, tmp_path: Path, point: str
) -> None:
    ack = tmp_path / "ack"
    for attempt, nth in enumerate((1, 4, 5)):
        dead = start(run, ack, attempt, **armed(point, nth))
        assert dead.wait(60) == -signal.SIGKILL
        found = [record["step"] for record in whole(run) if record["_attempt"] == attempt]
        behind = 1 if point == "record.after" else 0
        assert len(found) == nth - 1 + behind
        assert found == [attempt * 1000 + at // 2 for at in range(len(found))]


def test_deaths_at_any_moment(run: RunPaths, tmp_path: Path) -> None:
    rng = random.Random("deaths among pictures")
    ack = tmp_path / "ack"
    for attempt in range(6):
        before = ack.stat().st_size if ack.exists() else 0
        writer = start(run, ack, attempt)
        until = before + rng.randrange(1, 40)
        deadline = time.monotonic() + 60
        while not ack.exists() or ack.stat().st_size < until:
            assert writer.poll() is None
            assert time.monotonic() < deadline
        writer.kill()
        writer.wait()
        acknowledged = ack.stat().st_size - before
        found = [record for record in whole(run) if record["_attempt"] == attempt]
        # The next picture and its table may have been written and not acknowledged yet.
        assert 2 * acknowledged <= len(found) <= 2 * acknowledged + 2
        assert {record["step"] for record in found[: 2 * acknowledged]} == {
            attempt * 1000 + at for at in range(acknowledged)
        }
