"""W&B's server, as far as a sweep needs it: made, an agent registered, and asked what to run.

Three calls of its GraphQL interface. W&B's library offers them to its own agent only, under other
names in each version; the server's are those that every agent out there uses.

    https://docs.wandb.ai/models/sweeps
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overnight.errors import UserError
from overnight.trackers.base import Retry
from overnight.trackers.reach import Declined, answer, words_of

#: As its own agent: an agent that is not heard of is taken for dead, and its run for crashed.
BEAT_S = 5.0
_GONE, _NO_KEY = 404, (401, 403)
_CREATE = """
mutation UpsertSweep($config: String, $entityName: String, $projectName: String,
                     $displayName: String) {
  upsertSweep(input: {config: $config, entityName: $entityName, projectName: $projectName,
                      displayName: $displayName}) {
    sweep { name project { id name entity { id name } } }
    configValidationWarnings
  }
}"""
_REGISTER = """
mutation CreateAgent($host: String!, $projectName: String, $entityName: String, $sweep: String!) {
  createAgent(input: {host: $host, projectName: $projectName, entityName: $entityName,
                      sweep: $sweep}) {
    agent { id }
  }
}"""
_BEAT = """
mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
  agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) {
    agent { id }
    commands
  }
}"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep on the server, as ``sweep.json`` of its run has it."""

    id: str
    entity: str
    project: str
    address: str

    @property
    def url(self) -> str:
        """Where a person finds it."""
        page = self.address.rstrip("/").replace("//api.", "//")
        return f"{page}/{self.entity}/{self.project}/sweeps/{self.id}"


class Server:
    """The server.

    Args:
        address: Its base URL.
        key: The person's.
    """

    def __init__(self, address: str, key: str) -> None:
        self.address, self._key = address, key

    def create(
        self, config: Mapping[str, Any], *, name: str, project: str, entity: str | None
    ) -> Sweep:
        """Makes a sweep.

        Raises:
            Retry: It does not answer.
            UserError: It will not.
        """
        said = {"config": json.dumps(config), "projectName": project, "displayName": name}
        found = self._call(_CREATE, {**said, "entityName": entity})["upsertSweep"]["sweep"]
        where = found["project"]
        return Sweep(found["name"], where["entity"]["name"], where["name"], self.address)

    def register(self, sweep: Sweep) -> str:
        """Makes this process an agent of a sweep; which one.

        Raises:
            Retry: It does not answer.
            UserError: It will not.
        """
        said = {"host": socket.gethostname(), "sweep": sweep.id}
        said |= {"projectName": sweep.project, "entityName": sweep.entity}
        return str(self._call(_REGISTER, said)["createAgent"]["agent"]["id"])

    def beat(self, agent: str, running: str | None) -> list[dict[str, Any]]:
        """Says what this agent is at; what it is to do.

        Args:
            agent: Which one.
            running: The run it is at, by its id there.

        Raises:
            Retry: It does not answer.
            UserError: It will not; the sweep was deleted.
        """
        runs = {running: True} if running else {}
        said = {"id": agent, "metrics": "{}", "runState": json.dumps(runs)}
        found = json.loads(self._call(_BEAT, said)["agentHeartbeat"]["commands"])
        return [each for each in found or () if isinstance(each, dict)]

    def _call(self, query: str, variables: Mapping[str, Any]) -> Any:
        asked = json.dumps({"query": query, "variables": variables}).encode()
        try:
            said = answer(self.address.rstrip("/") + "/graphql", asked, key=self._key)
        except Declined as error:
            if error.status in _NO_KEY:
                raise UserError("track.wandb_key", where="W&B", why=error.why) from None
            if error.status == _GONE:
                raise UserError("track.sweep_gone", where="W&B", why=error.why) from None
            raise UserError("track.sweep_refused", where="W&B", why=error.why) from None
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, dict) or not all(data.values()):
            why = words_of(said) or "an empty answer"
            raise UserError("track.sweep_refused", where="W&B", why=why)
        return data


class Agent:
    """This process as an agent of a sweep: a thread that is heard of while a trial runs.

    Args:
        server: Where the sweep is.
        sweep: Which one.
    """

    def __init__(self, server: Server, sweep: Sweep) -> None:
        self._server, self._sweep = server, sweep
        self._id = ""
        #: Held while the server is asked: by whoever wants the next values, or by the thread.
        self._asking = threading.Lock()
        self._running: str | None = None
        #: Runs that the server has stopped.
        self.stopped: set[str] = set()
        #: The sweep has no more to run, or a person has ended it.
        self.is_over = False
        self._told: list[tuple[str, Mapping[str, Any]]] = []
        threading.Thread(target=self._go_on_beating, daemon=True, name="sweep").start()

    def begin(self, run_id: str) -> None:
        """A run is under way in this process."""
        self._running = run_id

    def end(self) -> None:
        """It is not any more."""
        self._running = None

    def next(self) -> tuple[str, Mapping[str, Any]] | None:
        """What to run: the run's id there, and its values by name; None: nothing yet, or no more.

        Raises:
            Retry: The server does not answer.
            UserError: It will not.
        """
        with self._asking:
            if not self._told:
                self._beat()
            return self._told.pop(0) if self._told else None

    def _beat(self) -> None:
        self._id = self._id or self._server.register(self._sweep)
        running = self._running
        for said in self._server.beat(self._id, running):
            run_id = str(said.get("run_id") or "")
            match said.get("type"):
                case "run" | "resume":
                    args = said.get("args")
                    self._told.append((run_id, args if isinstance(args, dict) else {}))
                case "stop":
                    self.stopped.add(run_id)
                case "exit":
                    self.is_over = True
                    self.stopped |= {running} if running else set()

    def _go_on_beating(self) -> None:
        while True:
            time.sleep(BEAT_S)
            with self._asking:
                if self._running is None:
                    continue
                try:
                    self._beat()
                except (Retry, UserError):
                    # A server that is away harms no trial; whoever asks for the next one says so.
                    continue
