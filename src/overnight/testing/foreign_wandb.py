"""W&B's server on loopback, as far as a mirror speaks to it; a foreign server, so it is played.

It takes GraphQL calls, a run's file stream and uploads, and refuses what W&B refuses: a wrong key,
an operation it does not know, a project's name with characters in it that none may have, a deleted
run's id, a step that goes back.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef01234567"
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
_PROJECT = re.compile(r"[^/\\#?%:]{1,128}")
_ENTITY = "somebody"


class Refusal(Exception):  # noqa: N818 - it is an answer
    """What the server will not do; the arguments are its words and the status."""


class ForeignWandb(ThreadingHTTPServer):
    """The server; ``runs`` holds what arrived.

    Attributes:
        runs: Id → ``history`` (rows), ``exit``, ``tags``, ``config``, ``group``, ``job_type``,
            ``sweep``.
        artifacts: Names and aliases, in their order.
        deleted: Ids that can never be used again.
        sweeps: Id → ``config`` and ``runs``, each with the values it was told to try.
        agents: Of each agent, its sweep.
        reports: Title, project and blocks of each.
        operations: What was asked for, in its order.
        fault: What it does instead of answering; see :meth:`fail`.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: list[tuple[str, list[str]]] = []
        self.deleted: set[str] = set()
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.agents: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.operations: list[str] = []
        self.fault = ""
        self._lock = threading.RLock()
        self._thawed = threading.Event()
        self._thread = self._serve()

    def _serve(self) -> threading.Thread:
        thread = threading.Thread(target=lambda: self.serve_forever(poll_interval=0.02))
        thread.start()
        return thread

    @property
    def address(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Ends it."""
        self._thawed.set()
        if self.fault != "refused":
            self._stop()

    def _stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def fail(self, how: str) -> None:
        """Fails from now on.

        Args:
            how: ``500``; ``half`` of each answer, what was asked for being done; ``frozen``: takes
                connections and says nothing; ``refused``: takes none; ``rows``: takes everything
                but a run's rows. Nothing: it answers again.
        """
        was, self.fault = self.fault, how
        if how == "frozen":
            self._thawed.clear()
        else:
            self._thawed.set()
        if how == "refused" and was != how:
            self._stop()
        elif was == "refused" and how != was:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
            self._thread = self._serve()

    def thaw(self) -> None:
        """Waits while it is frozen."""
        self._thawed.wait()

    def handle_error(self, *_: object) -> None:
        """A client that was killed breaks its connection."""

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        match = _OPERATION.search(query)
        name = match[1] if match else ""
        with self._lock:
            self.operations.append(name)
            method = getattr(self, "_" + name, None)
            if method is None:
                raise Refusal(f"unknown operation {name or query[:80]}", 400)
            found: dict[str, Any] = method(variables)
            return found

    def stream(self, run_id: str, said: dict[str, Any]) -> None:
        """Part of a run's file stream."""
        with self._lock:
            run = self.runs[run_id]
            part = (said.get("files") or {}).get("wandb-history.jsonl")
            for line in (part or {}).get("content", ()):
                row = json.loads(line)
                if run["history"] and row["_step"] <= run["history"][-1]["_step"]:
                    raise Refusal(f"step {row['_step']} goes back", 400)
                run["history"].append(row)
            if said.get("complete"):
                run["exit"] = said.get("exitcode")

    # -- operations ----------------------------------------------------------------------------

    def _Viewer(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - W&B's names
        entity = {"id": "1", "entity": _ENTITY, "username": _ENTITY, "email": "", "flags": "{}"}
        return {"viewer": {**entity, "teams": {"edges": []}}}

    _GetDefaultEntity = _Viewer

    def _ServerFeaturesQuery(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _OrganizationCoreWeaveOrganizationID(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"entity": None}

    def _RunResumeStatus(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.runs.get(said["name"])
        if run is None:
            return {
                "model": {"id": "p", "name": said["project"], "entity": _owner(), "bucket": None}
            }
        last = run["history"][-1] if run["history"] else {}
        bucket = {
            "id": run["id"],
            "name": said["name"],
            "summaryMetrics": json.dumps(last),
            "displayName": run["displayName"],
            "logLineCount": 0,
            "historyLineCount": len(run["history"]),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(last)] if last else []),
            "eventsTail": "[]",
            "config": "{}",
            "tags": run["tags"],
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {"model": {"id": "p", "name": said["project"], "entity": _owner(), "bucket": bucket}}

    def _UpsertBucket(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = said.get("name") or _decoded(said.get("id"))
        if name in self.deleted:
            raise Refusal(f"run {name} was previously created and deleted", 409)
        if said.get("project") and not _PROJECT.fullmatch(said["project"]):
            raise Refusal("invalid project name", 400)
        inserted = name not in self.runs
        run = self.runs.setdefault(
            name, {"id": _encoded(name), "history": [], "exit": None, "tags": [], "config": {}}
        )
        run["displayName"] = said.get("displayName") or run.get("displayName", name)
        run["project"] = said.get("project") or run.get("project")
        run["tags"] = said.get("tags") or run["tags"]
        run["config"] |= json.loads(said.get("config") or "{}")
        told = {"group": "groupName", "job_type": "jobType", "sweep": "sweep"}
        run |= {key: said.get(word) or run.get(key) for key, word in told.items()}
        project = {"name": run["project"], "entity": {"name": _ENTITY}}
        bucket = {"id": run["id"], "name": name, "displayName": run["displayName"]}
        bucket |= {"description": "", "config": "{}", "sweepName": None, "project": project}
        bucket["historyLineCount"] = len(run["history"])
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _CreateRunFiles(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [
            {"name": name, "uploadUrl": f"{self.address}/upload/{name}"} for name in said["files"]
        ]
        return {"createRunFiles": {"runID": said["run"], "uploadHeaders": [], "files": files}}

    def _MarkRunFilesUploaded(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"markRunFilesUploaded": {"success": True}}

    def _CreateArtifact(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = said["input"]
        name = (asked.get("artifactCollectionNames") or [asked.get("artifactCollectionName")])[0]
        aliases = [alias["alias"] for alias in asked.get("aliases") or ()]
        self.artifacts.append((name, aliases))
        number = _encoded(f"artifact{len(self.artifacts)}")
        latest = {"id": number, "versionIndex": len(self.artifacts)}
        found = {
            "id": number,
            "state": "PENDING",
            "artifactSequence": {"id": "s", "latestArtifact": latest},
        }
        return {"createArtifact": {"artifact": found}}

    def _ArtifactByID(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        number = int(_decoded(said["id"]).removeprefix("artifact"))
        name, aliases = self.artifacts[number - 1]
        where = {"id": "p", "internalId": "p", "name": "p", "entity": {"name": _ENTITY}}
        sequence = {"__typename": "ArtifactSequence", "name": name, "project": where}
        found: dict[str, Any] = {"__typename": "Artifact", "id": said["id"], "versionIndex": number}
        found |= {"artifactSequence": sequence, "artifactType": {"name": "file"}, "tags": []}
        found |= {"description": None, "metadata": None, "historyStep": None, "commitHash": "c"}
        found |= {"ttlDurationSeconds": 0, "ttlIsInherited": False, "state": "COMMITTED"}
        found |= {"size": 1, "digest": "d", "fileCount": 1, "createdAt": "2026-01-01T00:00:00"}
        found |= {"updatedAt": None, "aliases": [{"id": "a", "alias": each} for each in aliases]}
        return {"artifact": found}

    def _FetchArtifactDigestAlgorithm(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": None}

    def _XXHashDigestsEnabled(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"entity": None}

    def _CreateArtifactManifest(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        where = {"id": "f", "name": "manifest", "displayName": "manifest", "uploadHeaders": []}
        where["uploadUrl"] = f"{self.address}/upload/manifest"
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": where}}}

    def _UpdateArtifactManifest(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._CreateArtifactManifest(said)["createArtifactManifest"]
        return {"updateArtifactManifest": found}

    def _CreateArtifactFiles(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        edges: list[dict[str, Any]] = []
        for spec in said["input"]["artifactFiles"]:
            node: dict[str, Any] = {"id": "f", "name": spec["name"], "displayName": spec["name"]}
            node |= {"uploadUrl": f"{self.address}/upload/{len(edges)}", "uploadHeaders": []}
            node |= {"storagePath": "", "artifact": {"id": spec["artifactID"]}}
            node["uploadMultipartUrls"] = None
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"commitArtifact": {"artifact": {"id": said["artifactID"], "digest": "d"}}}

    def _GetRun(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.runs.get(said["name"])
        found = None
        if run is not None:
            found = {"id": run["id"], "name": said["name"], "displayName": run["displayName"]}
            found |= {"state": "running", "tags": [], "config": "{}", "summaryMetrics": "{}"}
            found |= {"createdAt": "2026-01-01T00:00:00", "systemMetrics": "{}", "group": None}
            found |= {"description": "", "notes": "", "sweepName": None, "jobType": None}
            found |= {"commit": None, "readOnly": False, "heartbeatAt": "2026-01-01T00:00:00"}
            found |= {"projectId": "1", "user": {"name": _ENTITY, "username": _ENTITY}}
            found |= {"historyLineCount": len(run["history"]), "projectID": "1"}
        return {"project": {"run": found, "internalId": "1"}}

    _Run = _RunInternalId = _GetRun

    def _RunHistoryKeys(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        history = self.runs[said["name"]]["history"]
        last = history[-1]["_step"] if history else -1
        return {"project": {"run": {"historyKeys": {"lastStep": last}}}}

    def _DeleteRun(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = _decoded(said["id"])
        del self.runs[name]
        self.deleted.add(name)
        return {"deleteRun": {"clientMutationId": None}}

    # -- reports -------------------------------------------------------------------------------

    def _ProjectInternalId(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"internalId": _encoded("p")}}

    def _GetProjects(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        names = sorted({str(run["project"]) for run in self.runs.values() if run.get("project")})
        nodes = [
            {"__typename": "Project", "id": _encoded(name), "name": name,
             "entityName": said["entity"], "createdAt": "2026-11-21T00:00:00Z",
             "isBenchmark": False, "user": None}
            for name in names
        ]  # fmt: skip
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": [{"node": node} for node in nodes]}}

    def _upsertView(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        number = _encoded(f"view{len(self.reports)}")
        spec = json.loads(said["spec"])
        self.reports.append({**said, "spec": spec})
        project = {"id": "p", "name": said["projectName"], "entityName": said["entityName"]}
        view = {"id": number, "name": said["name"], "displayName": said["displayName"]}
        view |= {"description": said["description"], "project": project, "spec": said["spec"]}
        return {"upsertView": {"view": view, "inserted": True}}

    # -- sweeps --------------------------------------------------------------------------------

    def stop(self, run_id: str) -> None:
        """A person stops a run of a sweep on its page."""
        self.sweeps[self._sweep_of(run_id)]["to_stop"].append(run_id)

    def _sweep_of(self, run_id: str) -> str:
        return next(name for name, each in self.sweeps.items() if run_id in each["runs"])

    def _UpsertSweep(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        config = json.loads(said["config"])
        if config.get("method") not in ("bayes", "random", "grid") or not config.get("parameters"):
            raise Refusal("invalid sweep config", 400)
        if not _PROJECT.fullmatch(said["projectName"]):
            raise Refusal("invalid project name", 400)
        name = f"sweep{len(self.sweeps)}"
        project = {"id": "p", "name": said["projectName"], "entity": {"id": "1", "name": _ENTITY}}
        self.sweeps[name] = {"config": config, "project": project, "runs": {}, "to_stop": []}
        sweep = {"name": name, "project": project}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}

    def _CreateAgent(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if said["sweep"] not in self.sweeps:
            raise Refusal(f"could not find sweep {said['sweep']}", 404)
        self.agents.append(said["sweep"])
        return {"createAgent": {"agent": {"id": _encoded(f"agent{len(self.agents)}")}}}

    def _Heartbeat(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        agent = int(_decoded(said["id"]).removeprefix("agent"))
        sweep = self.sweeps.get(self.agents[agent - 1])
        if sweep is None:
            raise Refusal("could not find the agent's sweep", 404)
        commands: list[dict[str, Any]] = []
        running = json.loads(said["runState"])
        if running:
            stopped = [each for each in sweep["to_stop"] if each in running]
            commands = [{"type": "stop", "run_id": each} for each in stopped]
        elif len(sweep["runs"]) >= sweep["config"].get("run_cap", 1000):
            commands = [{"type": "exit"}]
        else:
            name, number = f"{self.agents[agent - 1]}r{len(sweep['runs'])}", len(sweep["runs"])
            args = {
                key: {"value": _drawn(each, number)}
                for key, each in sweep["config"]["parameters"].items()
            }
            sweep["runs"][name] = {key: each["value"] for key, each in args.items()}
            commands = [{"type": "run", "run_id": name, "args": args, "program": None}]
        found = {"agent": {"id": said["id"]}, "commands": json.dumps(commands)}
        return {"agentHeartbeat": found}


def _drawn(parameter: dict[str, Any], number: int) -> Any:
    """A value of a sweep's parameter; W&B's own samplers are no business of this one's."""
    if "value" in parameter:
        return parameter["value"]
    if "values" in parameter:
        return parameter["values"][number % len(parameter["values"])]
    low, high = parameter["min"], parameter["max"]
    return low + (high - low) * (number % 4) / 4 if isinstance(low, float) else low


class _Handler(BaseHTTPRequestHandler):
    server: ForeignWandb
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """A GraphQL call, or a part of a file stream."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._is_well():
            return
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic" or base64.b64decode(given) != f"api:{KEY}".encode():
            self._send(401, {"errors": [{"message": "invalid API key"}]})
            return
        said = json.loads(body or b"{}")
        try:
            if self.path.endswith("/file_stream"):
                if self.server.fault == "rows":
                    raise Refusal("no rows today", 400)
                self.server.stream(self.path.split("/")[-2], said)
                self._send(200, {"exitcode": None, "limits": {}})
            else:
                found = self.server.graphql(said["query"], said.get("variables") or {})
                self._send(200, {"data": found})
        except Refusal as error:
            words, status = error.args
            self._send(status, {"errors": [{"message": words}], "error": words})

    def _is_well(self) -> bool:
        """Whether it answers; where it does not, does what it does instead."""
        if self.server.fault == "frozen":
            self.server.thaw()
            self.close_connection = True  # whoever asked has gone, or asks again
            return False
        if self.server.fault == "refused":
            self.close_connection = True
            return False
        if self.server.fault == "500":
            self._send(500, {"error": "so it was told"})
            return False
        return True

    def do_GET(self) -> None:
        """Nothing is asked for like this."""
        self._send(404, {})

    def do_PUT(self) -> None:
        """An upload."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._is_well():
            self._send(200, {})

    def _send(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        half = self.server.fault == "half"
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = half

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _owner() -> dict[str, Any]:
    return {"id": "1", "name": _ENTITY}


def _encoded(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _decoded(number: Any) -> str:
    return base64.b64decode(str(number)).decode()
