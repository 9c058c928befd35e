"""Messages on disk: put once, read however damaged, listed without reading them anew."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.agent.pile import Pile
from overnight.ledger import files
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import DELIVERED, Message, put, settle, waiting
from overnight.testing.faults import armed

NOW = 1_795_143_600_000_000


@pytest.fixture
def paths(tmp_path: Path) -> AgentPaths:
    return AgentPaths(str(tmp_path / "agent")).make()


def message(key: str, channel: str = "phone", *, urgent: bool = False, at: int = NOW) -> Message:
    return Message(key, channel, "text", at, facts={"text": key}, urgent=urgent)


def test_what_is_put_is_read(paths: AgentPaths) -> None:
    whole = Message(
        "k\0é", "phone", "crashed", NOW, facts={"a": [1, {"b": "행"}]}, urgent=True, live=True,
        format="short", template="{name}", language="ko", files=("/a b.png",), run_dir="/runs/x",
    )  # fmt: skip
    assert put(paths, whole)
    assert waiting(paths) == [whole]
    assert Pile(paths, lambda _: True).look() == [whole]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(sorted(Message.__annotations__)),
                                                JSON))  # fmt: skip
def test_any_file_is_a_message_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, changed: dict[str, object]
) -> None:
    paths = AgentPaths(str(tmp_path_factory.mktemp("agent"))).make()
    good = message("good")
    assert put(paths, good)
    Path(paths.outbox, "x.json").write_bytes(data)
    whole = json.loads(Path(paths.waiting(good.id)).read_bytes())
    Path(paths.outbox, "y.json").write_bytes(files.to_json(whole | changed))
    assert good in waiting(paths)
    assert Pile(paths, lambda _: True).look() == [good]


@pytest.mark.parametrize(
    ("point", "there"),
    [("message.before", False), ("claim.written", False), ("claim.taken", True),
     ("message.put", True)],
)  # fmt: skip
def test_a_death_while_putting_puts_it_or_not(paths: AgentPaths, point: str, there: bool) -> None:
    script = (
        "import sys\n"
        "from overnight.outbox.folder import AgentPaths\n"
        "from overnight.outbox.message import Message, put\n"
        f"put(AgentPaths(sys.argv[1]), Message('k', 'phone', 'text', {NOW}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, paths.dir], env={**os.environ, **armed(point)}, check=False
    )
    assert done.returncode == -9
    assert len(waiting(paths)) == there
    assert put(paths, Message("k", "phone", "text", NOW)) is not there
    assert len(waiting(paths)) == 1


def test_a_told_message_is_not_put_again(paths: AgentPaths) -> None:
    one = message("one")
    put(paths, one)
    settle(paths, one, DELIVERED)
    assert not put(paths, one)
    assert waiting(paths) == []
    assert put(paths, message("one", "other"))


def test_a_pile_shows_what_changes(paths: AgentPaths) -> None:
    pile = Pile(paths, lambda channel: channel == "phone")
    assert pile.look() == []
    put(paths, message("late", at=NOW + 5))
    put(paths, message("early"))
    put(paths, message("urgent", at=NOW + 9, urgent=True))
    put(paths, message("foreign", "other", at=NOW + 1))
    seen = pile.look()
    assert [each.key for each in seen] == ["urgent", "early", "foreign", "late"]
    assert [bool(each.facts) for each in seen] == [True, True, False, True]
    settle(paths, message("early"), DELIVERED)
    assert [each.key for each in pile.look()] == ["urgent", "foreign", "late"]


def test_a_pile_reads_each_message_once(paths: AgentPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        put(paths, message(f"m{number}"))
    reads: list[str] = []
    lists: list[str] = []
    real_read, real_list = files.read_json, os.listdir
    monkeypatch.setattr(files, "read_json", lambda path: reads.append(path) or real_read(path))
    monkeypatch.setattr(os, "listdir", lambda path: lists.append(path) or real_list(path))
    pile = Pile(paths, lambda _: True)
    os.utime(paths.outbox, (time.time() - 60, time.time() - 60))
    for _ in range(50):
        assert len(pile.look()) == 200
    assert (len(reads), len(lists)) == (200, 1)
    put(paths, message("new"))
    assert len(pile.look()) == 201
    assert len(reads) == 201


def test_a_listing_that_failed_is_not_taken_for_an_empty_one(paths: AgentPaths) -> None:
    put(paths, message("one"))
    old = time.time() - 60
    os.utime(paths.outbox, (old, old))  # nothing comes: the folder's time does not change again
    pile = Pile(paths, lambda _: True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.listdir(paths.outbox)  # noqa: PTH208 - it is what the pile does
        assert pile.look() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [each.key for each in pile.look()] == ["one"]


def test_a_file_under_a_foreign_name_is_no_message(paths: AgentPaths) -> None:
    put(paths, message("one"))
    Path(paths.waiting(message("one").id)).rename(paths.waiting("0" * 24))
    assert Pile(paths, lambda _: True).look() == []
