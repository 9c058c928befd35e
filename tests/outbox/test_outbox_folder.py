"""Which folder is the agent's, whatever the machine is called at the moment."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.ledger import identity
from overnight.outbox import summon
from overnight.outbox.folder import VARIABLE, AgentPaths, agent_paths


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    identity.here.cache_clear()
    yield
    monkeypatch.undo()
    identity.here.cache_clear()


def call_it(monkeypatch: pytest.MonkeyPatch, name: str, machine: str = "") -> AgentPaths:
    """As a process that begins when the machine is called so."""
    if machine:
        monkeypatch.setattr(identity, "_here_from_proc", lambda: (machine, "boot", "pidns"))
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    identity.here.cache_clear()
    return agent_paths()


def test_an_agent_works_where_it_was_started_for(monkeypatch: pytest.MonkeyPatch) -> None:
    before = call_it(monkeypatch, "gpu-7.example", "m1")
    after = call_it(monkeypatch, "localhost", "m1")
    assert before != after
    monkeypatch.setenv(VARIABLE, before.dir)
    assert agent_paths() == before
    # The same home on another machine, which finds there what the first has installed.
    other = call_it(monkeypatch, "gpu-8.example", "m2")
    assert other.dir not in (before.dir, after.dir)
    monkeypatch.setenv(VARIABLE, "nonsense")
    assert agent_paths() == other


def test_a_real_agent_takes_the_folder_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    if not identity.here()[0] or identity.here()[0] == socket.gethostname():
        pytest.skip("without a machine's id its name is all there is")
    with monkeypatch.context() as earlier:
        old = call_it(earlier, "an-earlier-name").make()
    identity.here.cache_clear()
    assert agent_paths() != old
    summon.start(old, os.environ)
    until = time.monotonic() + 60
    while (agent := summon.alive(old)) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(agent.pid, signal.SIGTERM)
    while summon.alive(old) is not None:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not Path(agent_paths().claims).exists()
