"""Channels of an environment, kept for an agent that is older than the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.ledger.files import read_json
from overnight.outbox.folder import agent_paths
from overnight.outbox.keep import channels_in, keep_channels

ENV = {"OVERNIGHT_CHANNEL_MY_PHONE": " json://h/ ", "OVERNIGHT_CHANNEL_": "x", "OTHER": "y",
       "OVERNIGHT_CHANNEL_EMPTY": " "}  # fmt: skip


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_a_variable_names_its_channel() -> None:
    assert channels_in(ENV) == {"my-phone": "json://h/"}


def test_only_what_is_asked_for_and_defined_is_kept_for_this_user_alone() -> None:
    keep_channels(["MY_phone", "mail"], ENV)
    path = Path(agent_paths().kept_channel("my-phone"))
    assert read_json(str(path)) == {"name": "my-phone", "url": "json://h/", "format": None}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert len(list(path.parent.iterdir())) == 1


def test_nothing_is_made_where_nothing_is_to_be_kept(tmp_path) -> None:
    keep_channels(["mail"], ENV)
    assert not list(tmp_path.iterdir())


def test_a_changed_address_is_kept_anew() -> None:
    keep_channels(["my-phone"], ENV)
    keep_channels(["my-phone"], {"OVERNIGHT_CHANNEL_MY_PHONE": "json://other/"})
    kept = read_json(agent_paths().kept_channel("my-phone")) or {}
    assert kept["url"] == "json://other/"
