"""A tracking server of MLflow's on loopback, as a process of its own that can be told to fail.

``python -m overnight.testing.foreign_mlflow FOLDER``. It speaks what the client asks of it over
HTTP (experiments, runs, batches, artifacts), refuses the names MLflow refuses, and keeps everything
in ``FOLDER/kept.json``. ``FOLDER/fault`` says what it does instead: ``500``, ``half``, ``401``,
``slow``. Its port stands in ``FOLDER/port``.

    https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_NAME = re.compile(r"^[/\w.\- :]*$")
_MOST_NAME_CHARS = 250
_API = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
_STARTS_WITHIN_S = 30.0
_SLOW_S = 0.3


class Invalid(Exception):  # noqa: N818 - it is an answer
    """The request is refused; the arguments are MLflow's code, its words and the status."""


class Store:
    """What the server holds: experiments, runs with their numbers, files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self._lock = Lock()

    def answer(self, what: str, said: dict[str, Any]) -> dict[str, Any]:
        """One call of the API."""
        with self._lock:
            method = getattr(self, "_do_" + what.replace("/", "_").replace("-", "_"), None)
            if method is None:
                raise Invalid("ENDPOINT_NOT_FOUND", f"no such call: {what}", 404)
            found: dict[str, Any] = method(said)
            kept = self.folder / "kept.json"
            aside = kept.with_suffix(".tmp")
            aside.write_text(json.dumps({"experiments": self.experiments, "runs": self.runs}))
            aside.replace(kept)
            return found

    def _do_experiments_search(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"experiments": [self._experiment(name) for name in self.experiments]}

    def _do_experiments_get_by_name(self, said: dict[str, Any]) -> dict[str, Any]:
        name = said["experiment_name"]
        if name not in self.experiments:
            raise Invalid("RESOURCE_DOES_NOT_EXIST", f"no experiment {name}", 404)
        return {"experiment": self._experiment(name)}

    def _do_experiments_create(self, said: dict[str, Any]) -> dict[str, Any]:
        self.experiments[said["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[said["name"]]}

    def _experiment(self, name: str) -> dict[str, Any]:
        return {
            "experiment_id": self.experiments[name],
            "name": name,
            "lifecycle_stage": "active",
            "artifact_location": f"mlflow-artifacts:/{self.experiments[name]}",
        }

    def _do_runs_create(self, said: dict[str, Any]) -> dict[str, Any]:
        number = uuid.uuid4().hex
        self.runs[number] = {
            "info": {
                "run_id": number,
                "run_uuid": number,
                "run_name": said.get("run_name", ""),
                "experiment_id": said["experiment_id"],
                "status": "RUNNING",
                "start_time": said.get("start_time", 0),
                "artifact_uri": f"mlflow-artifacts:/{said['experiment_id']}/{number}/artifacts",
                "lifecycle_stage": "active",
            },
            "tags": {tag["key"]: tag["value"] for tag in said.get("tags", ())},
            "params": {},
            "metrics": [],
        }
        return {"run": self._run(number)}

    def _do_runs_search(self, said: dict[str, Any]) -> dict[str, Any]:
        match = re.fullmatch(r"tags\.`(.+)` = '(.+)'", said.get("filter", ""))
        assert match is not None, said
        found = [
            self._run(number)
            for number, run in self.runs.items()
            if run["tags"].get(match[1]) == match[2] and run["info"]["lifecycle_stage"] == "active"
        ]
        return {"runs": found}

    def _do_runs_get(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._run(self._known(said))}

    def _do_runs_update(self, said: dict[str, Any]) -> dict[str, Any]:
        info = self.runs[self._known(said)]["info"]
        info |= {key: said[key] for key in ("status", "end_time", "run_name") if key in said}
        return {"run_info": info}

    def _do_runs_delete(self, said: dict[str, Any]) -> dict[str, Any]:
        self.runs[self._known(said)]["info"]["lifecycle_stage"] = "deleted"
        return {}

    def _do_runs_log_batch(self, said: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[self._known(said)]
        if run["info"]["lifecycle_stage"] != "active":
            raise Invalid("INVALID_PARAMETER_VALUE", "The run must be in the 'active' state.", 400)
        for kind in ("metrics", "params", "tags"):
            for each in said.get(kind, ()):
                key = each["key"]
                if not _NAME.match(key) or len(key) > _MOST_NAME_CHARS:
                    raise Invalid("INVALID_PARAMETER_VALUE", f"Invalid name: '{key[:40]}'", 400)
        known = {json.dumps(each) for each in run["metrics"]}
        for each in said.get("metrics", ()):
            row = [each["key"], each["value"], each["timestamp"], each.get("step", 0)]
            if json.dumps(row) not in known:
                run["metrics"].append(row)
        run["params"] |= {each["key"]: each["value"] for each in said.get("params", ())}
        run["tags"] |= {each["key"]: each["value"] for each in said.get("tags", ())}
        return {}

    def _known(self, said: dict[str, Any]) -> str:
        number = str(said.get("run_id") or said.get("run_uuid"))
        if number not in self.runs:
            raise Invalid("RESOURCE_DOES_NOT_EXIST", f"Run '{number}' not found", 404)
        return number

    def _run(self, number: str) -> dict[str, Any]:
        run = self.runs[number]
        data = {
            kind: [{"key": key, "value": value} for key, value in run[kind].items()]
            for kind in ("tags", "params")
        }
        return {"info": run["info"], "data": data}


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Any call."""
        self._answer()

    def do_POST(self) -> None:
        """Any call."""
        self._answer()

    def do_PUT(self) -> None:
        """An artifact."""
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.store.folder / "fault"
        mode, _, only = (fault.read_text() if fault.exists() else "").partition(" ")
        if only and f"experiment_name={only}" not in self.path:
            mode = ""
        if mode == "slow":
            time.sleep(_SLOW_S)
        if mode in ("500", "401"):
            self._send_text(int(mode), "You are not authenticated." if mode == "401" else "No.")
            return
        split = urlsplit(self.path)
        path = unquote(split.path)
        if path.startswith(_ARTIFACTS):
            target = self.server.store.folder / "artifacts" / path[len(_ARTIFACTS) :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
            self._send(200, {})
            return
        said = json.loads(body) if body else {k: v[0] for k, v in parse_qs(split.query).items()}
        try:
            found = self.server.store.answer(path.removeprefix(_API), said)
        except Invalid as error:
            code, words, status = error.args
            self._send(status, {"error_code": code, "message": words})
            return
        self._send(200, found, half=mode == "half")

    def _send(self, status: int, value: dict[str, Any], *, half: bool = False) -> None:
        self._send_text(status, json.dumps(value), half=half)

    def _send_text(self, status: int, text: str, *, half: bool = False) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = half

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """The server.

    Args:
        folder: Where it keeps everything.
        port: Its port; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = Store(folder)
        kept = folder / "kept.json"
        if kept.exists():
            said = json.loads(kept.read_text())
            self.store.experiments, self.store.runs = said["experiments"], said["runs"]


class ForeignMlflow:
    """Starts such a process, and makes it fail.

    Args:
        folder: A folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, at the same port as before."""
        (self.folder / "port").unlink(missing_ok=True)
        argv = [sys.executable, "-m", __name__, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(argv)
        until = time.monotonic() + _STARTS_WITHIN_S
        while not (self.folder / "port").exists():
            assert time.monotonic() < until, "it does not start"
            time.sleep(0.02)
        self.port = int((self.folder / "port").read_text())

    def stop(self) -> None:
        """Ends it: whoever asks now is refused."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def fail(self, how: str) -> None:
        """Fails from now on.

        Args:
            how: ``500``; ``401``; ``half`` of each answer, what was asked for being done; ``slow``:
                takes its time for each; ``frozen``: says nothing; ``refused``: is not there;
                ``401 NAME``, ``500 NAME``: for the experiment of that name. Nothing: it answers
                again.
        """
        if self.process is None and how != "refused":
            self.start()
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP if how == "frozen" else signal.SIGCONT)
        if how == "refused":
            self.stop()
        (self.folder / "fault").write_text(how)

    def runs(self) -> list[dict[str, Any]]:
        """The runs it holds that nobody has deleted."""
        kept = self.folder / "kept.json"
        runs = json.loads(kept.read_text())["runs"].values() if kept.exists() else ()
        return [run for run in runs if run["info"]["lifecycle_stage"] == "active"]


def main(words: list[str]) -> int:
    """The process."""
    folder = Path(words[0])
    server = Server(folder, int(words[1]) if len(words) > 1 else 0)
    aside = folder / f"port.{os.getpid()}"
    aside.write_text(str(server.server_port))
    aside.replace(folder / "port")
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
