"""A login that ends is said in time, once, and where it can still be heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.agent import logins
from overnight.alerts.settings import Settings
from overnight.channels import kakao_token, store
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import Message, settle, waiting
from overnight.testing.faults import FakeClock

DAY_S = 86_400
BOTH = Settings(channels=("mail", "phone"), language="ko")


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with FakeClock().installed() as clock:
        yield clock


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store.add("mail", "mailtos://me:pass@example.com")
    store.add("phone", "kakao://0123456789abcdef0123456789abcdef")
    log_in(60)
    return agent_paths().make()


def log_in(days: int) -> None:
    answer = {"access_token": "a", "refresh_token": "r", "refresh_token_expires_in": days * DAY_S}
    kakao_token.save_login("phone", lambda: answer)


def told(paths: AgentPaths, settings: Settings = BOTH) -> list[Message]:
    """What is told now; noted as sent, as a courier would."""
    logins.tell(paths, settings)
    found = waiting(paths)
    for message in found:
        settle(paths, message, "delivered")
    return found


def test_a_login_that_lasts_is_not_spoken_of(paths: AgentPaths) -> None:
    assert told(paths) == []
    assert logins.problems(["phone", "mail", "unknown"], {}) == {}


def test_one_that_ends_soon_is_told_on_its_own_channel_once_a_week(
    paths: AgentPaths, clock: FakeClock
) -> None:
    clock.advance((60 - 13) * DAY_S)
    (message,) = told(paths)
    assert (message.channel, message.event) == ("phone", "channel")
    assert "overnight notify login kakao --name phone" in message.facts["text"]
    assert "만료" in message.facts["text"]
    assert not message.urgent
    assert told(paths) == []
    clock.advance(7 * DAY_S)
    assert len(told(paths)) == 1


def test_one_that_has_ended_is_told_on_the_others_until_the_next_login(
    paths: AgentPaths, clock: FakeClock
) -> None:
    clock.advance(61 * DAY_S)
    (message,) = told(paths)
    assert message.channel == "mail"
    clock.advance(30 * DAY_S)
    assert told(paths) == []
    log_in(60)
    assert told(paths) == []
    clock.advance(61 * DAY_S)
    assert [each.channel for each in told(paths)] == ["mail"]
    assert told(paths, Settings(channels=("phone",))) == []


def test_a_damaged_list_of_channels_tells_nothing_and_stops_nothing(paths: AgentPaths) -> None:
    store.path().write_text("{")
    assert told(paths) == []
