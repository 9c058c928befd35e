"""Runs looked up in W&B: its own client against a server on loopback that speaks its GraphQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

STATES = ["running", "finished", "crashed", "killed", "failed"]
NUM_RUNS, PER_PAGE = 25, 10
KEY = "k" * 40


def node(number: int) -> dict[str, Any]:
    """The run of that number, as W&B answers; the higher the newer."""
    return {
        "id": f"id{number}", "tags": ["cv", f"n{number}"], "name": f"run{number}",
        "displayName": f"baseline-{number:03d}", "sweepName": None, "state": STATES[number % 5],
        "group": None, "jobType": "train", "commit": None, "readOnly": False,
        "createdAt": f"2026-01-01T00:{number:02d}:00Z", "heartbeatAt": "2026-01-01T01:00:00Z",
        "description": "", "notes": "", "historyLineCount": 1, "projectId": "1",
        "config": json.dumps({"lr": {"value": number / 10}, "_wandb": {"value": {}}}),
        "systemMetrics": "{}", "historyKeys": {}, "sampledHistory": [], "runInfo": {},
        "summaryMetrics": json.dumps({"macro_f1": number / 100, "_runtime": 3, "text": "x"}),
        "user": {"name": "kim", "username": "kim"},
    }  # fmt: skip


class Api(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body) if self.path == "/graphql" else {}
        self._answer(self.answer(asked) if asked else {})

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        query, given = asked["query"], asked.get("variables") or {}
        if "viewer" in query and "runs(" not in query:
            viewer = {"id": "1", "entity": "team", "username": "kim", "email": "", "flags": "{}"}
            return {"data": {"viewer": {**viewer, "teams": {"edges": []}}}}
        if given.get("project") != "cats":
            return {"data": {"project": None}}
        assert given["order"] == "-created_at"
        begin = int(given["cursor"] or 0)
        end = min(begin + PER_PAGE, NUM_RUNS)
        edges = [
            {"node": node(NUM_RUNS - 1 - at), "cursor": str(at + 1)} for at in range(begin, end)
        ]
        page = {"endCursor": str(end), "hasNextPage": end < NUM_RUNS}
        runs = {"edges": edges, "pageInfo": page}
        project = {"internalId": "1", "runCount": NUM_RUNS, "readOnly": False, "runs": runs}
        if "run(name:" in query:
            number = int(str(given["name"]).removeprefix("run"))
            project["run"] = node(number)
        return {"data": {"project": project}}

    def _answer(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


PROGRAM = """
from overnight.errors import UserError
from overnight.tracking import get_latest_runs, get_runs

runs = get_runs(source="wandb", project="cats", entity="team")
assert [run.name for run in runs] == [f"baseline-{n:03d}" for n in reversed(range(25))]
assert [run.state for run in runs[:5]] == ["failed", "stopped", "lost", "finished", "running"]
newest = runs[0]
assert (newest.run_id, newest.kind, newest.tags) == ("run24", "train", ("cv", "n24"))
assert newest.created_us == 1_767_225_600_000_000 + 24 * 60_000_000
assert newest.url.endswith("/team/cats/runs/run24"), newest.url
assert newest.config == {"lr": 2.4}, newest.config
assert newest.metrics == {"macro_f1": 0.24}, newest.metrics
found = get_latest_runs(2, "failed", "cv", source="wandb", project="cats")
assert [run.name for run in found] == ["baseline-024", "baseline-019"]
try:
    get_runs(source="wandb", project="dogs")
except UserError as error:
    assert error.key == "tracking.unreachable" and "k" * 40 not in str(error), error
else:
    raise AssertionError
"""


def program(code: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "overnight.yaml").touch()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "WANDB_"))}
    env |= {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder), "OVERNIGHT_LANG": "en"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**env, "WANDB_DIR": str(folder), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_runs_of_a_project(tmp_path: Path, address: str) -> None:
    pytest.importorskip("wandb")
    done = program(PROGRAM, tmp_path, WANDB_BASE_URL=address, WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
