"""``overnight report --wandb`` against the server on loopback that speaks W&B's protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.testing.foreign_wandb import KEY, ForeignWandb
from overnight.testing.long_run import make


@pytest.fixture
def server() -> Iterator[ForeignWandb]:
    served = ForeignWandb()
    served.runs["night"] = {"project": "digits"}
    yield served
    served.close()


def in_wandb(run: RunPaths, server: ForeignWandb) -> RunPaths:
    """A run that a mirror has taken there."""
    track.write(run, [{"name": "wandb", "address": server.address}])
    Path(run.cursors).mkdir()
    url = f"{server.address}/someone/digits/runs/{run.run_id}"
    files.replace(run.cursor("wandb"), files.to_json({"url": url}))
    return run


def verb(tmp_path: Path, *words: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    env |= {"WANDB_API_KEY": key} if key else {}
    return subprocess.run(
        [sys.executable, "-m", "overnight", "report", *words, "--wandb"],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_a_report_of_two_runs(tmp_path: Path, server: ForeignWandb) -> None:
    runs = [in_wandb(make(tmp_path / "root", name=name), server) for name in ("one", "two")]
    done = verb(tmp_path, runs[0].dir, runs[1].dir, "--json", "--lang", "ko")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["path"] is None
    assert "/someone/digits/reports/" in answer["url"]
    (report,) = server.reports
    assert (report["entityName"], report["projectName"]) == ("someone", "digits")
    spec = json.dumps(report["spec"], ensure_ascii=False)
    assert "실행이 59분 만에 끝났습니다." in spec
    assert all(run.run_id in spec for run in runs)
    assert "fold1/macro_f1" in spec


@pytest.mark.slow
def test_what_a_server_refuses_is_said(tmp_path: Path, server: ForeignWandb) -> None:
    run = in_wandb(make(tmp_path / "root"), server)
    done = verb(tmp_path, run.dir, key="x" * 40)
    assert done.returncode == 2
    assert "W&B did not take the report" in done.stderr
    assert "x" * 40 not in done.stderr


def test_without_a_key_or_a_run_there_it_says_how(tmp_path: Path, server: ForeignWandb) -> None:
    here = make(tmp_path / "root", name="here")
    done = verb(tmp_path, here.dir)
    assert done.returncode == 2
    assert f"overnight sync {here.run_id} --track wandb" in done.stderr
    there = in_wandb(make(tmp_path / "root", name="there"), server)
    done = verb(tmp_path, there.dir, key="")
    assert done.returncode == 2
    assert "WANDB_API_KEY" in done.stderr
    assert not server.operations
