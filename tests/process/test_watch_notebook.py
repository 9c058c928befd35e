"""``overnight.watch`` in a real notebook kernel: killed, restarted, interrupted, raising."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from overnight.ledger.files import read_json
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import Failed, Stopped, view

pytestmark = [
    pytest.mark.slow,
    # Jupyter's own, on its way to asyncio.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]

CELL = """
with overnight.watch("baseline", channels=["phone"]):
    overnight.log({"val_loss": 0.5}, epoch=0)
    while not os.path.exists("go"):
        time.sleep(0.02)
"""


class Notebook:
    """A kernel as a notebook server starts one, and cells that are run in it."""

    def __init__(self, place: Any, name: str) -> None:
        self.place = place
        self.manager = KernelManager(kernel_name="python3")
        env = {**place.env, "JPY_SESSION_NAME": str(place.root / name)}
        self.manager.start_kernel(env=env, cwd=str(place.root))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.run("import os, time, overnight")

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.process.pid)

    def begin(self, cell: str) -> None:
        """Runs a cell without waiting for its end."""
        self.client.execute(cell)

    def run(self, cell: str) -> dict[str, Any]:
        """Runs a cell to its end; the kernel's answer."""
        reply = self.client.execute_interactive(cell, timeout=60, output_hook=lambda _: None)
        found: dict[str, Any] = reply["content"]
        return found

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def place(workplace) -> Any:
    """A workplace with a channel ``phone``."""
    workplace.env |= {
        "OVERNIGHT_CHANNEL_PHONE": "json://127.0.0.1:9/",
        "XDG_CONFIG_HOME": str(workplace.home / ".config"),
        "IPYTHONDIR": str(workplace.home / ".ipython"),
    }
    return workplace


@pytest.fixture
def notebook(place) -> Iterator[Callable[..., Notebook]]:
    opened = []

    def open_one(name: str = "my training.ipynb") -> Notebook:
        opened.append(Notebook(place, name))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def run_of(place, which: int = 0) -> RunPaths:
    """Waits until a run is watched, or over: a short one may be before its witness comes."""
    place.until(lambda: len(place.runs()) > which)
    run = RunPaths(str(sorted(place.runs())[which]))
    place.until(lambda: {"Started", "Exited"} & set(place.event_names(run)))
    return run


def exited(place, run: RunPaths) -> dict[str, Any]:
    place.until(lambda: "Exited" in place.event_names(run))
    (record,) = (each for each in place.events(run) if each["_event"] == "Exited")
    return record


def messages(place) -> list[str]:
    found = place.state.glob("overnight/agent/*/outbox/*.json")
    return sorted((read_json(str(path)) or {}).get("event", "") for path in found)


def test_a_kernel_killed_in_the_middle_is_told(place, notebook) -> None:
    book = notebook()
    book.begin(CELL)
    run = run_of(place)
    os.kill(book.pid, signal.SIGKILL)
    record = exited(place, run)
    assert (record["outcome"], record["signal"]) == ("failed", signal.SIGKILL)
    place.until(lambda: "crashed" in messages(place))
    assert isinstance(view(run).state, Failed)
    assert run.root == str(place.root)
    assert Path(run.supervisor_log).read_text() == ""


def test_a_kernel_restarted_in_the_middle_is_told(place, notebook) -> None:
    book = notebook()
    book.begin(CELL)
    run = run_of(place)
    book.manager.restart_kernel(now=True)
    record = exited(place, run)
    assert record["outcome"] in ("failed", "stopped", "lost")
    place.until(lambda: {"crashed", "stopped", "lost"} & set(messages(place)))
    book.client.wait_for_ready(timeout=60)
    (place.root / "go").touch()
    assert book.run("import os, time, overnight\n" + CELL)["status"] == "ok"
    assert exited(place, run_of(place, 1))["outcome"] == "finished"


def test_a_cell_that_is_interrupted_is_stopped(place, notebook) -> None:
    book = notebook()
    book.begin(CELL)
    run = run_of(place)
    book.manager.interrupt_kernel()
    assert exited(place, run)["outcome"] == "stopped"
    assert isinstance(view(run).state, Stopped)
    # The kernel lives, and the next block is a run of its own.
    (place.root / "go").touch()
    # Jupyter drops what is asked for while it still answers the interrupt.
    place.until(lambda: book.run(CELL)["status"] == "ok")
    assert exited(place, run_of(place, 1))["outcome"] == "finished"


def test_a_cell_that_raises_names_the_cell(place, notebook) -> None:
    book = notebook()
    book.run("def train():\n    x = 1\n    raise ValueError('no such label')\n")
    answer = book.run("@overnight.watch\ndef run():\n    train()\nrun()")
    assert (answer["status"], answer["ename"], answer["evalue"]) == (
        "error", "ValueError", "no such label",
    )  # fmt: skip
    run = run_of(place)
    cause = exited(place, run)["cause"]
    assert cause["kind"] == "exception"
    assert (cause["fields"]["cell"], cause["fields"]["cell_line"]) == ("[2]", "3")
    assert "[2]" in place.overnight("status", run.run_id).stdout


def test_a_run_is_named_after_the_notebook(place, notebook) -> None:
    book = notebook()
    assert book.run("with overnight.watch() as folder:\n    pass")["status"] == "ok"
    info = read_json(run_of(place).run_json) or {}
    assert (info["name"], info["target"]) == ("my_training", str(place.root / "my training.ipynb"))


def test_the_example_notebook_runs(place, notebook) -> None:
    book = notebook("watch.ipynb")
    example = Path(__file__).parents[2] / "examples" / "watch.ipynb"
    for cell in json.loads(example.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            answer = book.run("".join(cell["source"]))
            assert answer["status"] == "ok", answer
    assert len(place.runs()) == 3
    for which in range(3):
        assert exited(place, run_of(place, which))["outcome"] == "finished"
    place.until(lambda: {"finished", "text", "threshold"} <= set(messages(place)))
