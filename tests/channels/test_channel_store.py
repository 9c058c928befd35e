"""The person's channels: one private file, variables over it, nothing lost, nothing shown."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import store
from overnight.errors import UserError
from overnight.testing.faults import small_files

HOOK = "https://hooks.slack.com/services/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"
MAIL = "mailtos://me:hunter22@naver.com"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith(store.VARIABLE)]:
        monkeypatch.delenv(name)
    return tmp_path / "config" / "overnight"


def test_a_channel_is_kept_and_found_and_forgotten() -> None:
    assert store.load({}) == {}
    store.add("Phone", HOOK + "\n", "short")
    store.add("mail_of mine".replace(" ", "_"), MAIL)
    found = store.load({})
    assert list(found) == ["mail-of-mine", "phone"]
    assert found["phone"] == store.Named("phone", HOOK, "file", "short")
    assert store.remove("PHONE")
    assert not store.remove("phone")
    assert list(store.load({})) == ["mail-of-mine"]


def test_the_same_name_again_replaces() -> None:
    store.add("phone", HOOK)
    store.add("phone", MAIL)
    assert store.load({})["phone"].url == MAIL


def test_a_variable_defines_a_channel_and_wins() -> None:
    store.add("phone", HOOK)
    found = store.load({"OVERNIGHT_CHANNEL_PHONE": f" {MAIL} ", "OVERNIGHT_CHANNEL_TEAM_A": HOOK})
    assert found["phone"] == store.Named("phone", MAIL, "environment", None)
    assert found["team-a"].source == "environment"
    assert "empty" not in store.load({"OVERNIGHT_CHANNEL_EMPTY": ""})


def test_the_environment_is_the_processs_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_CHANNEL_PHONE", MAIL)
    assert store.load()["phone"].url == MAIL


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_for_its_owner_alone(config: Path) -> None:
    store.add("phone", HOOK)
    assert stat.S_IMODE(store.path().stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    store.path().chmod(0o644)
    assert "phone" in store.load({})
    assert stat.S_IMODE(store.path().stat().st_mode) == 0o600, "taken back from the others"


@pytest.mark.skipif(
    sys.platform == "win32" or os.getuid() != 0, reason="only root can give a file away"
)
def test_a_file_that_cannot_be_made_private_is_refused() -> None:
    store.add("phone", HOOK)
    os.chown(store.path(), 12345, -1)
    store.path().chmod(0o644)
    with pytest.raises(UserError) as error:
        store.load({})
    assert "chmod 600" in error.value.fix
    assert error.value.where == str(store.path())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '{"channels": []}',
        '{"channels": {"phone": "slack://x"}}',
        '{"channels": {"phone": {"url": 7}}}',
        '{"channels": {"phone": {"url": "a://b", "format": "loud"}}}',
        '{"channels": {"../phone": {"url": "a://b"}}}',
        '{"channels":' * 3000,
    ],
)
def test_a_damaged_file_is_named_and_left_alone(text: str) -> None:
    store.add("phone", HOOK)
    store.path().write_text(text, encoding="utf-8")
    for act in (lambda: store.load({}), lambda: store.add("b", MAIL), lambda: store.remove("b")):
        with pytest.raises(UserError) as error:
            act()
        assert error.value.key == "channel.file_damaged"
        assert str(store.path()) in error.value.where
    assert store.path().read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "name", ["", " ", "-phone", "a/b", "a b", "a" * 33, "../x", "x\x1b[2J", "a\nb", ".", "a:b"]
)
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(UserError) as error:
        store.add(name, HOOK)
    assert error.value.key == "channel.name"
    assert error.value.where.isprintable()
    assert not store.path().exists()


def test_a_name_may_be_korean() -> None:
    store.add("내폰", HOOK)
    assert store.load({})["내폰"].url == HOOK


def test_a_variable_with_an_impossible_name_is_named() -> None:
    with pytest.raises(UserError) as error:
        store.load({"OVERNIGHT_CHANNEL_A.B": HOOK})
    assert error.value.where == "OVERNIGHT_CHANNEL_A.B"
    assert HOOK not in str(error.value)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UserError):
        store.add("phone", HOOK, "loud")  # type: ignore[arg-type]


def test_nothing_of_a_channel_is_shown_by_accident() -> None:
    named = store.add("phone", HOOK)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in repr(named)
    assert named.masked == "slack …7FQ"


ADDER = """
import sys
from overnight.channels import store
for turn in range(10):
    store.add(f"c{sys.argv[1]}-{turn}", "jsons://host.example/" + sys.argv[1])
"""


def test_channels_added_at_the_same_moment_are_all_kept() -> None:
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(number)]) for number in range(4)]
    assert [adder.wait(timeout=120) for adder in adders] == [0] * 4
    assert len(store.load({})) == 40


def test_a_write_that_fails_leaves_the_old_file(config: Path) -> None:
    store.add("phone", HOOK)
    before = store.path().read_bytes()
    with small_files(10), pytest.raises(UserError) as error:
        store.add("mail", MAIL)
    assert error.value.key == "channel.file_unwritable"
    assert store.path().read_bytes() == before
    assert [path.suffix for path in config.iterdir() if path.suffix == ".tmp"] == []


def test_a_folder_in_the_files_place_is_said(config: Path) -> None:
    store.path().mkdir(parents=True)
    with pytest.raises(UserError):
        store.load({})


@given(st.binary(max_size=300))
def test_any_bytes_in_the_file_give_channels_or_an_error(data: bytes) -> None:
    store.path().parent.mkdir(parents=True, exist_ok=True)
    store.path().write_bytes(data)
    store.path().chmod(0o600)
    try:
        found: object = store.load({})
    except UserError as error:
        found = error.fix
    assert isinstance(found, dict | str)


@given(st.text(max_size=60))
def test_any_name_is_one_or_is_refused(name: str) -> None:
    try:
        spelled = store.canonical(name)
    except UserError:
        return
    assert store.canonical(spelled) == spelled
    assert json.loads(json.dumps(spelled)) == spelled
