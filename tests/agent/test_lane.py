"""What a channel's file remembers, and what becomes of it when it is damaged."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.agent import lane as lanes
from overnight.agent.budget import Budget
from overnight.agent.lane import Digest, Lane, Trouble, backoff_s, describe, open_lane, read
from overnight.ledger import files
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import DELIVERED, REFUSED, Message, settle
from overnight.testing.faults import FaultUnavailableError, small_disk

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
NOW = 1_795_143_600 * SECOND  # noon of 20 November 2026 in Seoul


def message(key: str = "k", *, urgent: bool = False, created_us: int = NOW) -> Message:
    return Message(key, "phone", "text", created_us, urgent=urgent)


@pytest.fixture
def paths(tmp_path: Path) -> AgentPaths:
    return AgentPaths(str(tmp_path / "agent 'of \n one'")).make()


def test_what_is_written_is_read(paths: AgentPaths) -> None:
    lane = Lane("phone")
    lane.begin("m1", NOW, urgent=True)
    lane.failed("m1", NOW, "연결할 수 없음", None)
    lane.trouble = Trouble("no", "do", NOW)
    lane.digests = [Digest("digest:1", ["a", "b"]), Digest("digest:2", ["c"])]
    lane.keep_live("/runs/one", "17.1")
    lane.expired("m2")
    lane.save(paths, sync=True)
    assert read(paths, "phone") == lane
    assert read(paths, "other") is None


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_fresh_lane(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    paths = AgentPaths(str(tmp_path_factory.mktemp("agent"))).make()
    Path(paths.lane("phone")).write_bytes(data)
    lane = open_lane(paths, "phone", NOW)
    assert lane.due_us(message(), NOW) <= NOW


@given(
    st.dictionaries(
        st.sampled_from(sorted(Lane.__slots__)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=5,
        ),
    )
)
def test_any_json_is_a_lane_or_none(changed: dict[str, object]) -> None:
    whole = json.loads(files.to_json(lanes.asdict(Lane("phone"))))
    lane = lanes.from_json(whole | changed, "phone")
    if lane is not None:
        lane.due_us(message(), NOW)
        describe(lane, NOW)
        lane.failed("m", NOW, "why", None)
        assert lane.channel == "phone"


def test_a_damaged_lane_counts_what_was_sent(paths: AgentPaths) -> None:
    for number in range(3):
        settle(paths, message(f"k{number}"), DELIVERED, urgent=number == 0)
    settle(paths, message("refused"), REFUSED)
    settle(paths, Message("k", "other", "text", NOW), DELIVERED)
    assert open_lane(paths, "phone", NOW * 2).budget.month.normal == 2
    Path(paths.lane("phone")).write_text('{"channel": "pho')
    budget = open_lane(paths, "phone", NOW * 2).budget
    # One more than is noted: it may have been on its way.
    assert budget.counted(NOW * 2, urgent=True).month.urgent == 1
    rebuilt = open_lane(paths, "phone", NOW * 2)
    assert rebuilt.budget.month.normal == 1  # its own period, which begins anew
    assert rebuilt.last_sent_us > 0


def test_a_full_disk_takes_the_next_state_over_the_old_one() -> None:
    try:
        with small_disk(64) as disk:
            paths = AgentPaths(str(disk / "agent")).make()
            lane = Lane("phone")
            lane.save(paths, sync=True)
            with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
                while file.write(b"x" * 4096) == 4096:
                    pass
            lane.begin("m", NOW, urgent=False)
            lane.save(paths, sync=True)
            assert read(paths, "phone") == lane
            lane.live = {f"/runs/{number}": "x" * 100 for number in range(50)}
            with pytest.raises(OSError, match="No space"):
                lane.save(paths, sync=True)  # it does not fit over the old one
            read_back = read(paths, "phone")
            assert read_back is not None
            assert read_back.sending == "m"
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def test_failures_wait_longer_each_time_up_to_an_hour() -> None:
    waits = [backoff_s(number) for number in range(1, 30)]
    assert 5 <= waits[0] <= 6.25
    assert 10 <= waits[1] <= 12.5
    assert max(waits) == 3600
    assert backoff_s(10**9) == 3600


def test_a_failure_holds_everything_back_and_a_delivery_lifts_it() -> None:
    lane = Lane("phone")
    lane.failed("m1", NOW, "503", None)
    assert NOW + 5 * SECOND <= lane.due_us(message(urgent=True), NOW) <= NOW + 7 * SECOND
    assert lane.why == "retry"
    lane.delivered("m2", NOW + 10 * SECOND)
    assert lane.due_us(message(), NOW + 10 * SECOND) <= NOW + 10 * SECOND
    assert not lane.error
    assert not describe(lane, NOW + 10 * SECOND)


def test_what_the_service_asks_for_is_waited() -> None:
    lane = Lane("phone")
    lane.failed("m1", NOW, "429", 120.0)
    assert lane.next_at_us == NOW + 120 * SECOND
    lane.failed("m1", NOW, "429", 1e12)
    assert lane.next_at_us == NOW + DAY
    assert lane.tries["m1"].num == 2
    assert lane.tries["m1"].bare == 0


def test_a_clock_that_is_set_back_voids_a_wait() -> None:
    lane = Lane("phone")
    lane.wait("budget", NOW, next_us=12 * HOUR)
    assert lane.due_us(message(), NOW) == NOW + 12 * HOUR
    assert lane.due_us(message(), NOW - DAY) <= NOW - DAY


def test_normal_ones_wait_where_urgent_ones_need_not() -> None:
    lane = Lane("phone")
    lane.wait("pace", NOW, normal_us=HOUR)
    assert lane.due_us(message(), NOW) == NOW + HOUR
    assert lane.due_us(message(urgent=True), NOW) <= NOW


def test_one_that_fails_alone_stops_nobody() -> None:
    lane = Lane("phone")
    poison = message("poison")
    for _ in range(3):
        lane.failed(poison.id, NOW, "cut", None)
    lane.delivered("another", NOW)
    lane.failed(poison.id, NOW, "cut", None)
    assert lane.due_us(message("third"), NOW) <= NOW
    assert lane.due_us(poison, NOW) >= NOW + 40 * SECOND


def test_whatever_died_while_it_was_sent_has_failed_once() -> None:
    lane = Lane("phone")
    victim = message("killer")
    for times in range(1, 5):
        lane.begin(victim.id, NOW, urgent=False)
        lane.died(NOW)
        assert lane.tries[victim.id].num == times
        assert (lane.due_us(victim, NOW) > NOW) == (times >= 3)
    lane.died(NOW)
    assert lane.tries[victim.id].num == 4
    assert lane.due_us(victim, NOW) > NOW
    assert lane.due_us(message("other"), NOW) <= NOW


def test_it_remembers_no_more_than_it_must() -> None:
    lane = Lane("phone")
    for number in range(200):
        lane.failed(f"m{number}", NOW, "why", None)
        lane.keep_live(f"/runs/{number}", "ref")
    assert len(lane.tries) <= 64
    assert "m199" in lane.tries
    assert len(lane.live) <= 50
    assert "/runs/199" in lane.live


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_wait_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", language)
    waits: dict[lanes.Why, str] = {
        "retry": "503", "budget": "12", "pace": "60", "undefined": "phone", "unusable": "503",
    }  # fmt: skip
    for why, expected in waits.items():
        lane = Lane("phone", failures=2, error="503", budget=Budget())
        lane.wait(why, NOW, next_us=12 * HOUR, normal_us=HOUR)
        (sentence,) = describe(lane, NOW)
        assert expected in sentence
        assert ("니다" in sentence) == (language == "ko")
    lane = Lane("phone", trouble=Trouble("bad token", "log in again", NOW), num_expired=3)
    refused, expired = describe(lane, NOW)
    assert "bad token" in refused
    assert "log in again" in refused
    assert "3" in expired
    assert describe(Lane("phone"), NOW) == []
