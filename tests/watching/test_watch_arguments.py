"""What is said of arguments that cannot be, and where ``notify`` puts what it tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.ledger.files import read_json
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.reader import read
from overnight.messages import watch as sentences
from overnight.supervisor.process_tree import processes_with_environment
from overnight.watching.end import end_of

if sys.platform != "linux":
    pytest.skip("looks into /proc", allow_module_level=True)

Program = Callable[..., tuple[str, list[str]]]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Runs a program with the channels ``phone`` and ``my-mail``; what it says on both streams."""
    state = tmp_path / "state"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(state),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "OVERNIGHT_CHANNEL_PHONE": "json://127.0.0.1:9/",
        "OVERNIGHT_CHANNEL_MY_MAIL": "json://127.0.0.1:9/mail",
    }

    def run(source: str, **more: str) -> tuple[str, list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", "import overnight\n" + source],
            env={**env, **more}, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout, done.stderr.splitlines()

    yield run
    while left := _living(state):
        for claim in state.glob("overnight/agent/*/claims/agent.*"):
            agent = Identity.from_json(read_json(str(claim)))
            if agent is not None and agent.pid in left and agent.look() == ALIVE:
                os.kill(agent.pid, signal.SIGTERM)


def _living(state: Path) -> set[int]:
    found = processes_with_environment("XDG_STATE_HOME", str(state))
    return {pid for pid in found if Identity.of(pid) is not None}


def _waiting(folder: Path) -> list[dict[str, Any]]:
    found = (read_json(str(path)) for path in folder.glob("state/overnight/agent/*/outbox/*.json"))
    return sorted(filter(None, found), key=lambda message: str(message["channel"]))


def _run_dir(folder: Path) -> Path:
    (claims,) = folder.glob("experiments/run/2*/*/claims")
    return claims.parent


# ── wrong arguments ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("channels=['fone']", "fone"),
        ("channels=['slack://token@x/y']", "an address"),
        ("channels=3", "not int"),
        ("channels=['phone', None]", "not NoneType"),
        ("alerts=['val_f1 >> 0.9']", "character 9"),
        ("alerts=[0.9]", "not float"),
        ("alerts={'a': 1}", "not dict"),
        ("'a/b'", "a/b cannot name a run; it is called a_b"),
        ("''", "cannot name a run"),
        ("7", "cannot name a run"),
        ("'x', ['phone']", "by name"),
        ("channel=['phone']", "no option channel"),
        ("'x', name='y'", "no option name"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_the_block_is_watched(
    program, tmp_path, arguments, said
) -> None:
    shown, errors = program(f"with overnight.watch({arguments}) as folder:\n    print(folder)")
    assert Path(shown.strip()) == _run_dir(tmp_path)
    assert any(said in line for line in errors), errors
    assert len(errors) <= 2
    assert "token" not in "".join(errors)


def test_hostile_arguments_do_not_reach_the_program(program) -> None:
    source = """
class Rude:
    def __getattr__(self, name): raise RuntimeError(name)
    def __str__(self): raise KeyError("no text")
    __repr__ = __str__
    def __iter__(self): raise ZeroDivisionError
with overnight.watch(Rude(), channels=Rude(), alerts=[Rude()]):
    print("one")
overnight.notify(Rude(), files=Rude(), channels=[Rude()])
overnight.notify("x", title=Rude())
overnight.notify("x", files=[Rude(), 3, "gone.png"])
assert overnight.watch(int) is int
print("two")
"""
    shown, errors = program(source)
    assert shown == "one\ntwo\n"
    assert all(line.startswith("overnight: ") for line in errors)


def test_good_arguments_and_the_usual_channels(program, tmp_path) -> None:
    source = "with overnight.watch('x', channels='MY_MAIL', alerts='loss is nan'): pass"
    assert program(source) == ("", [])
    found = read_json(str(_run_dir(tmp_path) / "notify.json"))
    assert (found["channels"], found["rules"]) == (["my-mail"], ["loss is nan"])


def test_without_names_all_channels_are_told_or_those_of_the_file(program, tmp_path) -> None:
    assert program("with overnight.watch('x'): pass") == ("", [])
    notify_json = _run_dir(tmp_path) / "notify.json"
    assert read_json(str(notify_json))["channels"] == ["my-mail", "phone"]
    config = tmp_path / "config" / "overnight"
    config.mkdir(parents=True)
    (config / "notify.yaml").write_text("channels: [phone]\nalerts: ['loss is nan']\n")
    shown, _ = program("with overnight.watch('y') as folder: print(folder)")
    found = read_json(str(Path(shown.strip()) / "notify.json"))
    assert (found["channels"], found["rules"]) == (["phone"], ["loss is nan"])


def test_no_channel_at_all_is_said(program, tmp_path) -> None:
    none = {"OVERNIGHT_CHANNEL_PHONE": "", "OVERNIGHT_CHANNEL_MY_MAIL": ""}
    source = "with overnight.watch('x'): pass\novernight.notify('y')"
    _, (line,) = program(source, **none)
    assert "overnight notify add" in line
    assert not (_run_dir(tmp_path) / "notify.json").exists()


def test_a_name_may_be_given_by_its_word(program) -> None:
    shown, errors = program("with overnight.watch(name='baseline') as folder: print(folder)")
    assert errors == []
    assert Path(shown.strip()).name.startswith("baseline_")


def test_an_exception_that_cannot_be_shown_is_the_end_all_the_same(program, tmp_path) -> None:
    source = """
import traceback
def broken(*_, **__): raise RuntimeError("no text")
traceback.format_exception = broken
try:
    with overnight.watch("x"):
        raise ValueError
except ValueError:
    pass
"""
    assert len(program(source)[1]) == 1
    assert read_json(str(_run_dir(tmp_path) / "exit.json"))["code"] == 1


# ── nobody, and who is misspelt ──────────────────────────────────────────────────────────────────


def _asks(folder: Path, text: str) -> None:
    config = folder / "config" / "overnight"
    config.mkdir(parents=True)
    (config / "notify.yaml").write_text(text)


@pytest.mark.parametrize("said", ["channels: off", "channels: []"])
def test_who_wants_nobody_told_is_heard(program, tmp_path, said) -> None:
    _asks(tmp_path, said)
    source = """
with overnight.watch("x"):
    overnight.notify("one")
    with overnight.watch("y", alerts="loss is nan"): pass
overnight.notify("two")
overnight.init("z")
overnight.notify("three")
"""
    assert program(source) == ("", [])
    assert _waiting(tmp_path) == []
    for notify_json in tmp_path.glob("experiments/run/2*/*/notify.json"):
        assert read_json(str(notify_json))["channels"] == []
    assert not list(tmp_path.glob("state/overnight/agent/*/follow/*.json"))


def test_nobody_may_be_said_in_the_program_too(program, tmp_path) -> None:
    source = """
with overnight.watch("x", channels="none"):
    overnight.notify("one")
overnight.notify("two", channels=[])
"""
    assert program(source) == ("", [])
    assert _waiting(tmp_path) == []


def test_a_channel_that_is_named_is_told_even_then(program, tmp_path) -> None:
    _asks(tmp_path, "channels: off")
    source = """
overnight.notify("one", channels=["phone"])
with overnight.watch("x"):
    overnight.notify("two", channels=["phone"])
"""
    assert program(source) == ("", [])
    # The second goes by the run's ledger; whoever follows that may have been here already.
    told = {(message["channel"], message["facts"]["text"]) for message in _waiting(tmp_path)}
    assert ("phone", "one") in told
    assert told <= {("phone", "one"), ("phone", "two")}
    assert len(list(tmp_path.glob("state/overnight/agent/*/follow/*.json"))) == 1


def test_a_misspelt_channel_of_the_file_is_said(program, tmp_path) -> None:
    _asks(tmp_path, "channels: [phnoe, phone, desktop]")
    source = "with overnight.watch('x'): pass\novernight.notify('y')"
    _, (line,) = program(source)
    assert "there is no channel phnoe" in line
    found = read_json(str(_run_dir(tmp_path) / "notify.json"))
    assert found["channels"] == ["phone", "desktop"]
    assert {message["channel"] for message in _waiting(tmp_path)} == {"phone", "desktop"}


# ── notify ───────────────────────────────────────────────────────────────────────────────────────


def test_without_a_run_a_message_per_channel_waits(program, tmp_path) -> None:
    (tmp_path / "cm.png").write_bytes(PNG)
    source = "overnight.notify('fold 3 done', title='folds', files=['cm.png', 'gone.png'])"
    _, (line,) = program(source, MY_API_KEY="fold 3 done".replace(" ", "_"))
    assert "gone.png is not attached" in line
    messages = _waiting(tmp_path)
    assert [message["channel"] for message in messages] == ["my-mail", "phone"]
    for message in messages:
        assert message["event"] == "text"
        assert message["facts"]["text"] == "fold 3 done"
        (file,) = message["files"]
        assert Path(file).name == "cm.png"
        assert Path(file).read_bytes() == PNG
        assert not Path(file).is_relative_to(tmp_path / "cm.png")
    (kept,) = tmp_path.glob("state/overnight/agent/*/channels/phone.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert read_json(str(kept))["url"] == "json://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("files=['gone.png']", ["gone.png is not attached", "nothing to tell"]),
        ("message='x'", ["no option message", "nothing to tell"]),
        ("'x', text='y'", ["no option text"]),
        ("'x', ['phone']", ["by name"]),
        ("", ["nothing to tell"]),
    ],
)
def test_a_wrong_call_is_said_and_does_not_reach_the_program(program, arguments, said) -> None:
    shown, errors = program(f"overnight.notify({arguments})\nprint('on')")
    assert shown == "on\n"
    assert [any(part in line for line in errors) for part in said] == [True] * len(said)
    assert len(errors) == len(said)


def test_a_picture_alone_or_one_that_cannot_be_drawn(program, tmp_path) -> None:
    (tmp_path / "cm.png").write_bytes(PNG)
    source = """
class Figure:
    def savefig(self, path, **_): raise ImportError("no backend")
overnight.notify(files=["cm.png"], channels="phone")
open("cm.png", "wb").close()
overnight.notify(text="with words", files=Figure(), channels="phone")
"""
    _, (line,) = program(source)
    assert "no backend" in line
    one, two = _waiting(tmp_path)
    one, two = sorted((one, two), key=lambda message: message["created_us"])
    assert Path(one["files"][0]).read_bytes() == PNG
    assert (two["facts"]["text"], two["files"]) == ("with words", [])
    (attached,) = tmp_path.glob("state/overnight/agent/*/attached")
    for folder in [*attached.iterdir()]:
        os.utime(folder, (0, 0))
    program("open('cm.png', 'wb').close()\novernight.notify(files='cm.png')")
    assert len([*attached.iterdir()]) == 1


def test_secrets_of_the_environment_are_not_told(program, tmp_path) -> None:
    program("overnight.notify('key is sesame-open-now')", DB_PASSWORD="sesame-open-now")
    assert {message["facts"]["text"] for message in _waiting(tmp_path)} == {"key is [DB_PASSWORD]"}


def test_in_a_run_it_is_a_line_of_the_ledger_and_pictures_are_kept(program, tmp_path) -> None:
    (tmp_path / "cm.png").write_bytes(PNG)
    (tmp_path / "table.csv").write_text("a\n")
    source = """
with overnight.watch("x"):
    overnight.notify("one", files=["cm.png", "table.csv"], channels=["phone"])
    open("cm.png", "wb").close()
    overnight.notify("two")
"""
    assert program(source) == ("", [])
    run = _run_dir(tmp_path)
    one, two = read(str(run), "job").records
    assert (one["_event"], one["text"], one["channels"]) == ("Notify", "one", ["phone"])
    assert one["files"][1] == str(tmp_path / "table.csv")
    assert Path(one["files"][0]).parent == run / "media"
    assert Path(one["files"][0]).read_bytes() == PNG
    assert two["text"] == "two"


def test_in_a_run_that_asked_for_nothing_only_what_it_says_is_told(program, tmp_path) -> None:
    assert program("overnight.init('x')\novernight.notify('hello')") == ("", [])
    found = read_json(str(_run_dir(tmp_path) / "notify.json"))
    assert (found["channels"], found["events"]) == (["my-mail", "phone"], ["text"])


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=200), st.sampled_from([ValueError, SystemExit, OSError]))
@settings(max_examples=200)
def test_any_end_fits_the_room_set_aside(text, kind) -> None:
    try:
        raise kind(text * 300)
    except BaseException as error:
        end = end_of(error, ran_s=1.0)
    assert len(json.dumps(end, ensure_ascii=False).encode()) < 16 * 1024
    assert 0 <= end["code"] <= 255


def test_both_languages_say_it_without_a_particle_that_depends_on_a_field() -> None:
    assert sentences.EN.keys() == sentences.KO.keys()
