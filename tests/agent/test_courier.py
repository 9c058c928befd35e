"""One courier against a real server on loopback, through a channel that a plug-in brings."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import overnight
from overnight.agent import lane as lanes
from overnight.agent.courier import Courier
from overnight.ledger import files
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import (
    DELIVERED,
    EXPIRED,
    MERGED,
    REFUSED,
    Message,
    put,
    waiting,
)
from overnight.outbox.reserve import set_aside
from overnight.testing.faults import FakeClock, FaultUnavailableError, armed, points, small_disk

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
#: Noon of 20 November 2026 in Seoul, in seconds.
NOON_S = 1_795_143_600.0

#: A plug-in as somebody might write it. Limits and address stand in the URL.
PLUGIN = """
import http.client, json
from urllib.parse import parse_qs, urlsplit
from overnight.channels.base import Limits, Refused, Retry

class Quota:
    service = "quota"

    def __init__(self, name, url):
        self.name = name
        self.where = urlsplit(url)
        said = {key: json.loads(values[0]) for key, values in parse_qs(self.where.query).items()}
        self.limits = Limits(**said)

    def send(self, text, *, title="", key="", files=(), edit=None):
        said = {"key": key, "title": title, "text": text, "edit": edit,
                "files": [file.read_bytes()[:8].hex() for file in files]}
        host, port = self.where.hostname, self.where.port
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("POST", "/", json.dumps(said), {"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Retry(f"no answer: {error} hf_abcdefgh1234567890") from None
        finally:
            connection.close()
        if answer.status >= 500 or answer.status == 429:
            after = answer.headers["Retry-After"]
            raise Retry(f"status {answer.status}", float(after) if after else None)
        if answer.status == 418:
            raise RuntimeError("a bug in a plug-in")
        if answer.status >= 400:
            raise Refused.because("it says no", fix="ask it nicely", where=self.name)
        return body or None
"""


class Sink(ThreadingHTTPServer):
    """Takes messages; ``script`` says how the next requests are answered, then all are taken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.closing = threading.Event()

    def texts(self) -> list[str]:
        return [each["text"] for each in self.taken]

    def handle_error(self, *_: object) -> None:
        """A client that gives up, or dies, breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.asked.append(said)
        answer = server.script.pop(0) if server.script else 200
        if callable(answer):
            answer = answer(said)
        if answer == "freeze":
            server.closing.wait(30)
            return
        if answer == "cut":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nref")
            return
        if answer == "lost":  # it arrives, and its answer does not
            server.taken.append(said)
            return
        status, after = answer if isinstance(answer, tuple) else (answer, None)
        if status == 200:
            server.taken.append(said)
        body = f"ref-{len(server.taken)}".encode() if status == 200 else b""
        self.send_response(status)
        if after is not None:
            self.send_header("Retry-After", str(after))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    plugins = tmp_path / "plugins"
    info = plugins / "quota_channel-1.0.dist-info"
    info.mkdir(parents=True)
    (plugins / "quota_channel.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quota_channel\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[overnight.channels]\nquota = quota_channel:Quota\n")
    monkeypatch.syspath_prepend(str(plugins))
    return agent_paths().make()


def define(paths: AgentPaths, sink: Sink, **limits: Any) -> None:
    """Keeps the channel ``phone``, as a run started with a variable of that name does."""
    query = "&".join(f"{key}={json.dumps(value)}" for key, value in limits.items())
    url = f"quota://127.0.0.1:{sink.server_port}/?{query}"
    kept = files.to_json({"name": "phone", "url": url, "format": None})
    files.replace(paths.kept_channel("phone"), kept)


def text(key: str, **fields: Any) -> Message:
    made = {"created_us": time.time_ns() // 1000, "facts": {"text": key}, **fields}
    return Message(key, "phone", made.pop("event", "text"), **made)


def put_all(paths: AgentPaths, messages: Sequence[Message]) -> None:
    for message in messages:
        assert put(paths, message)


def work(paths: AgentPaths) -> lanes.Lane:
    """What one courier does before it leaves."""
    Courier(paths, "phone", lingers_s=0).work()
    lane = lanes.read(paths, "phone")
    assert lane is not None
    return lane


def outcome(paths: AgentPaths, message: Message) -> dict[str, Any]:
    return files.read_json(paths.told(message.id)) or {}


# -- delivering -----------------------------------------------------------------------------------


def test_the_urgent_first_then_as_they_came(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    messages = [text(f"news {number}") for number in range(3)]
    messages.append(text("it crashed", urgent=True))
    put_all(paths, messages)
    lane = work(paths)
    assert [each.split("\n")[-1] for each in sink.texts()] == [
        "it crashed", "news 0", "news 1", "news 2",
    ]  # fmt: skip
    assert [outcome(paths, message)["outcome"] for message in messages] == [DELIVERED] * 4
    assert [each["key"] for each in sink.taken] == [messages[at].id for at in (3, 0, 1, 2)]
    assert waiting(paths) == []
    assert not lanes.describe(lane, time.time_ns() // 1000)


def test_a_message_is_put_once_whatever_became_of_it(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    message = text("once")
    assert put(paths, message)
    assert not put(paths, message)
    work(paths)
    assert not put(paths, message)
    assert len(sink.taken) == 1


def test_nothing_secret_leaves(
    paths: AgentPaths, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "s3cret-of-mine")
    define(paths, sink)
    url = str((files.read_json(paths.kept_channel("phone")) or {})["url"])
    put_all(paths, [text(f"token s3cret-of-mine at {url} hf_abcdefghijklmnopqrstuvwxyz")])
    work(paths)
    (said,) = sink.texts()
    for secret in ("s3cret-of-mine", url, "hf_abcdefghijklmnopqrstuvwxyz"):
        assert secret not in said


def test_a_gap_between_messages_is_kept_across_processes(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, min_gap_s=300.0)
    put_all(paths, [text("one"), text("two")])
    with FakeClock(NOON_S).installed() as clock:
        lane = work(paths)
        assert len(sink.taken) == 1
        assert lane.next_at_us == lane.last_sent_us + 300 * SECOND
        clock.advance(200)
        work(paths)
        assert len(sink.taken) == 1
        clock.advance(100)
        work(paths)
        assert len(sink.taken) == 2


def test_the_loss_curve_goes_with_the_end(paths: AgentPaths, sink: Sink, tmp_path: Path) -> None:
    run = tmp_path / "experiments" / "run" / "20261120" / "r_20261120_1200"
    run.mkdir(parents=True)
    rows = [
        {"_seq": at, "_t": NOON_S * SECOND + at, "_kind": "epoch", "epoch": at,
         "train_loss": 1 / (at + 1)}
        for at in range(10)
    ]  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = tmp_path / "own.png"
    own.write_bytes(b"\x89PNG my")
    define(paths, sink, attaches=True)
    gone = str(tmp_path / "gone.png")
    facts = {"run": "r_20261120_1200"}
    put_all(
        paths,
        [
            text("end", event="finished", facts=facts, run_dir=str(run), files=(str(own), gone)),
            text("beat", event="heartbeat", facts=facts, run_dir=str(run)),
        ],
    )
    work(paths)
    png = b"\x89PNG\r\n\x1a\n".hex()
    assert [each["files"] for each in sink.taken] == [[b"\x89PNG my".hex(), png], []]
    assert not list(Path(paths.pictures("any")).parent.iterdir())


def test_the_pictures_of_the_job_go_with_a_good_end(
    paths: AgentPaths, sink: Sink, tmp_path: Path
) -> None:
    run = tmp_path / "experiments" / "run" / "20261120" / "r_20261120_1200"
    (run / "media").mkdir(parents=True)
    for at in range(4):
        picture = run / "media" / f"matrix_{at}.png"
        picture.write_bytes(b"\x89PNG " + bytes([at]))
        os.utime(picture, (NOON_S + at, NOON_S + at))
    define(paths, sink, attaches=True)
    facts = {"run": "r_20261120_1200"}
    put_all(
        paths,
        [
            text("end", event="finished", facts=facts, run_dir=str(run)),
            text("failure", event="crashed", facts=facts, run_dir=str(run)),
        ],
    )
    work(paths)
    newest = [(b"\x89PNG " + bytes([at])).hex()[:16] for at in (3, 2, 1)]
    assert sorted((each["files"] for each in sink.taken), key=len) == [[], newest]
    assert len(list((run / "media").iterdir())) == 4


def test_one_live_message_is_edited(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, edits=True)
    for beat in range(3):
        put_all(paths, [text(f"beat {beat}", event="heartbeat", live=True, run_dir="/run")])
        work(paths)
    assert [each["edit"] for each in sink.taken] == [None, "ref-1", "ref-2"]
    # Those that could not be told in time are not worth a message each.
    now_us = time.time_ns() // 1000
    late = [
        text(f"late {at}", event="heartbeat", live=True, run_dir="/run", created_us=now_us + at)
        for at in range(5)
    ]
    other = text("beat", event="heartbeat", live=True, run_dir="/other", created_us=now_us)
    put_all(paths, [*late, other])
    work(paths)
    assert len(sink.taken) == 5
    assert {each["edit"] for each in sink.taken[3:]} == {"ref-3", None}
    assert [outcome(paths, message)["outcome"] for message in late] == [MERGED] * 4 + [DELIVERED]
    assert outcome(paths, late[0])["into"] == late[-1].id


def test_where_nothing_can_be_edited_they_are_ordinary(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    put_all(paths, [text(f"beat {at}", live=True, run_dir="/run") for at in range(3)])
    work(paths)
    assert [each["edit"] for each in sink.taken] == [None] * 3


# -- what goes wrong on the way -------------------------------------------------------------------


@pytest.mark.parametrize("fault", [500, 503, (429, None), "cut", "freeze", 418])
def test_it_comes_again_when_the_server_is_well(paths: AgentPaths, sink: Sink, fault: Any) -> None:
    define(paths, sink)
    put_all(paths, [text("one"), text("two")])
    sink.script = [fault]
    lane = work(paths)
    now_us = time.time_ns() // 1000
    assert (sink.taken, len(sink.asked)) == ([], 1)
    assert lane.why == "retry"
    assert 0 < lane.next_at_us - now_us < 7 * SECOND
    assert lane.error
    assert "abcdefgh1234567890" not in lane.error
    with FakeClock(time.time() + 8).installed():
        lane = work(paths)
    assert len(sink.taken) == 2
    assert (lane.why, lane.error, lane.failures, lane.tries) == ("", "", 0, {})


def test_nobody_at_home(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    kept = files.read_json(paths.kept_channel("phone")) or {}
    for url in ("quota://127.0.0.1:1/", "quota://does-not-exist.invalid:80/"):
        files.replace(paths.kept_channel("phone"), files.to_json({**kept, "url": url}))
        message = text(url)
        put_all(paths, [message])
        with FakeClock(time.time() + 86_000).installed():
            assert work(paths).why == "retry"
        assert not outcome(paths, message)


def test_the_service_says_when_to_come_back(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, attaches=True)
    put_all(paths, [text("one", files=(__file__,))])
    sink.script = [(429, 600)]
    lane = work(paths)
    assert 590 * SECOND < lane.next_at_us - time.time_ns() // 1000 <= 600 * SECOND
    with FakeClock(time.time() + 500).installed() as clock:
        work(paths)
        assert len(sink.asked) == 1
        clock.advance(101)
        work(paths)
    # It was asked to wait: nothing says that the picture was at fault.
    assert [len(each["files"]) for each in sink.taken] == [1]


def test_a_second_try_goes_without_the_picture(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, attaches=True)
    put_all(paths, [text("one", files=(__file__,))])
    sink.script = [500]
    work(paths)
    with FakeClock(time.time() + 10).installed():
        work(paths)
    assert [len(each["files"]) for each in sink.asked] == [1, 0]


def test_one_that_always_fails_lets_the_others_pass(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    put_all(paths, [text("poison", urgent=True), *(text(f"good {at}") for at in range(5))])
    sink.script = [_fail_poison] * 100
    with FakeClock(time.time()).installed() as clock:
        for _ in range(4):
            work(paths)
            clock.advance(30)
        assert len(sink.taken) == 5
        assert [each.key for each in waiting(paths)] == ["poison"]
        # It waits alone; who comes later does not wait for it.
        lane = work(paths)
        put_all(paths, [text("later")])
        work(paths)
        assert len(sink.taken) == 6
        assert lane.tries
        clock.advance(86_400)
        work(paths)
    told = outcome(paths, text("poison"))
    assert told["outcome"] == EXPIRED


def _fail_poison(said: dict[str, Any]) -> int:
    return 500 if "poison" in said["text"] else 200


def test_what_is_refused_is_noted_with_its_reason(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    first, second = text("one"), text("two")
    put_all(paths, [first])
    sink.script = [403]
    lane = work(paths)
    told = outcome(paths, first)
    assert (told["outcome"], told["fix"]) == (REFUSED, "ask it nicely")
    assert "it says no" in told["why"]
    assert lane.trouble is not None
    assert lane.trouble.fix == "ask it nicely"
    assert lanes.describe(lane, time.time_ns() // 1000)
    put_all(paths, [second])
    assert work(paths).trouble is None


def test_after_a_day_it_is_given_up_and_said(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    message = text("one", urgent=True)
    put_all(paths, [message])
    sink.script = [500] * 1000
    with FakeClock(time.time()).installed() as clock:
        while not outcome(paths, message):
            lane = work(paths)
            clock.advance(max(1, lane.next_at_us / SECOND - time.time()))
        assert clock.time() - message.created_us / SECOND > 86_400
    assert outcome(paths, message)["outcome"] == EXPIRED
    assert "500" in outcome(paths, message)["why"]
    assert lane.num_expired == 1
    assert len(sink.asked) < 60


def test_an_urgent_one_that_nobody_tried_is_not_given_up(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    old_us = time.time_ns() // 1000 - 3 * DAY  # a laptop that slept over the weekend
    crashed, beat = text("crashed", urgent=True, created_us=old_us), text("beat", created_us=old_us)
    put_all(paths, [crashed, beat])
    work(paths)
    assert outcome(paths, crashed)["outcome"] == DELIVERED
    assert outcome(paths, beat)["outcome"] == EXPIRED


def test_a_channel_nobody_has_defined(paths: AgentPaths, sink: Sink) -> None:
    message = text("one", urgent=True)
    put_all(paths, [message])
    assert work(paths).why == "undefined"
    files.replace(paths.kept_channel("phone"), files.to_json({"url": "not a url"}))
    with FakeClock(time.time() + 700).installed():
        assert work(paths).why == "unusable"
    define(paths, sink)
    with FakeClock(time.time() + 1400).installed():
        assert work(paths).why == ""
    assert len(sink.taken) == 1


# -- quotas ---------------------------------------------------------------------------------------

KAKAO = {"per_day": 20, "num_reserved": 5, "num_chars": 200, "format": "short"}


def test_five_hundred_in_a_minute_and_a_crash(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    with FakeClock(NOON_S, tick_s=0.001).installed() as clock:
        for minute_part in range(5):
            put_all(paths, [text(f"alert {minute_part}-{at}") for at in range(100)])
            work(paths)
            clock.advance(12)
        assert 1 <= len(sink.taken) <= 9
        put_all(paths, [text("it crashed", event="crashed", urgent=True, facts={"run": "r"})])
        work(paths)
        assert "r" in sink.texts()[-1]
        crash = sink.taken[-1]
        clock.advance(12 * 3600)  # the next day begins at midnight in Seoul
        work(paths)
        clock.advance(24 * 3600)
        work(paths)
    assert crash["key"] == text("it crashed").id
    assert len(sink.taken) <= 12
    assert all(len(each["text"]) <= 200 for each in sink.taken)
    told = [files.read_json(str(note)) for note in Path(paths.sent).iterdir()]
    outcomes = [each["outcome"] for each in told if each]
    assert len(outcomes) >= 501
    assert set(outcomes) == {DELIVERED, MERGED}
    assert waiting(paths) == []


def test_a_few_go_one_by_one_until_the_pace_says_wait(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    with FakeClock(NOON_S - 12 * 3600, tick_s=0.001).installed() as clock:  # midnight
        for number in range(8):
            put_all(paths, [text(f"n{number}")])
            lane = work(paths)
            clock.advance(60)
        assert (len(sink.taken), lane.why) == (4, "pace")
        assert lane.budget.day.normal == 4
        clock.advance((lane.normal_at_us / SECOND) - clock.time())
        work(paths)
    assert len(sink.taken) == 5
    assert "4" in sink.texts()[-1]  # so many waited, and went as one
    assert waiting(paths) == []


def test_an_empty_budget_waits_for_the_new_day(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, per_day=2, num_reserved=1)
    with FakeClock(NOON_S, tick_s=0.001).installed() as clock:
        for number in range(3):
            put_all(paths, [text(f"u{number}", urgent=True)])
            lane = work(paths)
        assert (len(sink.taken), lane.why) == (2, "budget")
        assert lane.next_at_us == pytest.approx((NOON_S + 12 * 3600) * SECOND, abs=SECOND)
        assert "12 h" in " ".join(lanes.describe(lane, time.time_ns() // 1000))
        clock.set_wall(NOON_S - 86_400)  # a clock set back gives no new budget
        work(paths)
        assert len(sink.taken) == 2
        clock.set_wall(NOON_S + 12 * 3600 + 2)
        work(paths)
    assert len(sink.taken) == 3


def test_many_urgent_ones_share_what_is_left(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    with FakeClock(NOON_S, tick_s=0.001).installed():
        put_all(paths, [text(f"lost {at}", event="lost", urgent=True) for at in range(40)])
        work(paths)  # a machine with forty runs was started anew
    assert len(sink.taken) == 1
    assert waiting(paths) == []


def test_an_evening_without_a_network_costs_two(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    put_at = NOON_S - 12 * 3600
    with FakeClock(put_at, tick_s=0.001).installed() as clock:
        put_all(paths, [text("one", urgent=True)])
        sink.script = [500] * 9
        while waiting(paths):
            lane = work(paths)
            clock.advance(max(1, lane.next_at_us / SECOND - clock.time()))
    assert lane.budget.day.urgent == 2


def test_a_digest_that_fails_comes_again_as_the_same(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    with FakeClock(NOON_S, tick_s=0.001).installed() as clock:
        put_all(paths, [text(f"n{at}") for at in range(6)])
        sink.script = [500]
        work(paths)
        put_all(paths, [text("later"), text("crashed", urgent=True)])
        clock.advance(10)
        work(paths)
    keys = [each["key"] for each in sink.asked]
    assert keys[0] == keys[2]
    assert sink.taken[0]["key"] == text("crashed").id
    assert waiting(paths) == []


def test_a_digest_that_fails_in_an_outage_is_not_left_behind(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **KAKAO)
    with FakeClock(NOON_S).installed() as clock:
        sink.script = [lambda _: 500 if clock.time() < NOON_S + 20 else 200] * 10_000
        for at_s in range(180):
            if at_s % 12 == 0 and at_s < 60:
                put_all(paths, [text(f"alert {at_s}-{at}") for at in range(100)])
            work(paths)
            clock.advance(1)
    assert waiting(paths) == []
    assert len(sink.taken) <= 7
    assert told_by(paths, sink) == {f"alert {at_s}-{at}" for at_s in range(0, 60, 12)
                                    for at in range(100)}  # fmt: skip


def told_by(paths: AgentPaths, sink: Sink) -> set[str]:
    """The key of each message that arrived, by itself or in a digest."""
    arrived = {each["key"] for each in sink.taken}
    notes = [files.read_json(str(note)) or {} for note in Path(paths.sent).glob("*.json")]
    return {
        note["key"]
        for note in notes
        if note["event"] != "digest"
        and note.get("into", Message(note["key"], "phone", note["event"], 0).id) in arrived
    }


def test_a_digest_that_never_arrives_does_not_stop_the_next(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, **{**KAKAO, "per_day": 200})
    with FakeClock(NOON_S).installed() as clock:
        put_all(paths, [text(f"bad {at}") for at in range(6)])
        bad: list[str] = []

        def fail_the_first(said: dict[str, Any]) -> int:
            bad.append(bad[0] if bad else said["key"])
            return 500 if said["key"] == bad[0] else 200

        sink.script = [fail_the_first] * 10_000
        for minute in range(60):
            work(paths)
            put_all(paths, [text(f"good {minute}-{at}") for at in range(6 if minute > 2 else 0)])
            clock.advance(60)
        work(paths)
        assert {each.key.split()[0] for each in waiting(paths)} == {"bad"}
        assert len(sink.taken) <= 60  # digests, not each by itself
        assert sum(each["key"] == bad[0] for each in sink.asked) <= 15
        clock.advance(86_400)
        work(paths)
    assert waiting(paths) == []
    assert outcome(paths, text("bad 0"))["outcome"] == EXPIRED


def test_after_an_outage_the_urgent_one_is_no_later_than_second(
    paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink)
    with FakeClock(NOON_S).installed() as clock:
        put_all(paths, [text("it crashed", urgent=True)])
        sink.script = [500] * 4
        while sink.script:
            lane = work(paths)
            clock.advance(max(1, lane.next_at_us / SECOND - clock.time()))
        put_all(paths, [text(f"normal {at}") for at in range(20)])
        work(paths)
    assert waiting(paths) == []
    assert text("it crashed").id in [each["key"] for each in sink.taken[:2]]


# -- deaths and disks -----------------------------------------------------------------------------


def die_at(paths: AgentPaths, point: str, nth: int = 1, *, certainly: bool = True) -> bool:
    """Runs a courier in a process of its own that dies there; whether it did."""
    source = str(Path(overnight.__file__).parent.parent)
    plugins = str(Path(paths.dir).parents[3] / "plugins")
    script = (
        f"import sys; sys.path[:0] = [{source!r}, {plugins!r}]\n"
        "from overnight.agent.courier import main\n"
        "raise SystemExit(main('phone'))\n"
    )
    argv = [sys.executable, "-I", "-c", script]
    done = subprocess.run(
        argv, env={**os.environ, **armed(point, nth)}, check=False, capture_output=True, timeout=60
    )
    assert done.returncode == -9 or not certainly, done.stderr.decode()
    return done.returncode == -9


#: Whoever puts a message reaches these two; a courier all the others.
_OF_THE_PUTTER = ("message.before", "message.put")
_OF_THE_COURIER = [
    name for name in points() if name.startswith("message.") and name not in _OF_THE_PUTTER
]


@pytest.mark.parametrize("point", _OF_THE_COURIER)
def test_a_death_anywhere_loses_nothing(paths: AgentPaths, sink: Sink, point: str) -> None:
    define(paths, sink, **KAKAO)
    messages = [text(f"n{number}") for number in range(5)]
    put_all(paths, messages)
    die_at(paths, point)
    answers_lost = 1 if point == "message.sent" else 0
    work(paths)
    assert waiting(paths) == []
    assert len(sink.taken) == 1 + answers_lost
    assert len({each["key"] for each in sink.taken}) == 1
    assert [outcome(paths, message)["outcome"] for message in messages] == [MERGED] * 5


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("point", ["replace.torn", "replace.written", "replace.renamed"])
def test_a_death_in_any_file_loses_nothing(
    paths: AgentPaths, sink: Sink, point: str, nth: int
) -> None:
    define(paths, sink)
    messages = [text(f"n{number}") for number in range(3)]
    put_all(paths, messages)
    die_at(paths, point, nth)
    work(paths)
    assert waiting(paths) == []
    assert len({each["key"] for each in sink.taken}) == 3
    assert len(sink.taken) <= 4
    assert [outcome(paths, message)["outcome"] for message in messages] == [DELIVERED] * 3


def test_a_death_after_counting_costs_one_and_never_gives_one(
    paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink, per_day=3)
    put_all(paths, [text("u", urgent=True)])
    die_at(paths, "message.counted")
    lane = work(paths)
    assert len(sink.taken) == 1
    assert lane.budget.day.urgent == 2


def test_a_lost_answer_is_asked_for_once_more(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    put_all(paths, [text("one")])
    sink.script = ["lost"]
    work(paths)
    with FakeClock(time.time() + 10).installed():
        work(paths)
    assert [each["key"] for each in sink.taken] == [text("one").id] * 2


def test_a_full_disk_makes_nothing_come_twice(sink: Sink, monkeypatch: pytest.MonkeyPatch,
                                              paths: AgentPaths) -> None:  # fmt: skip
    assert paths.dir
    try:
        with small_disk(256) as disk:
            monkeypatch.setenv("XDG_STATE_HOME", str(disk))
            on_disk = agent_paths().make()
            define(on_disk, sink, **KAKAO)
            lanes.Lane("phone").save(on_disk, sync=True)
            messages = [text(f"n{at}", urgent=True) for at in range(3)]
            put_all(on_disk, messages)
            fill(disk)
            for _ in range(3):
                lane = work(on_disk)
            assert len(sink.taken) == 3
            assert waiting(on_disk) == []
            assert lane.budget.day.urgent == 3
            assert not put(on_disk, messages[0])
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def fill(disk: Path) -> None:
    """Takes all that is left of a small disk, to the last byte."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def test_the_first_message_of_a_channel_is_delivered_on_a_full_disk(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, paths: AgentPaths
) -> None:
    assert paths.dir
    try:
        with small_disk(256) as disk:
            monkeypatch.setenv("XDG_STATE_HOME", str(disk))
            on_disk = agent_paths().make()
            define(on_disk, sink, **KAKAO)
            set_aside(on_disk)
            fill(disk)
            crashed = text("it crashed", urgent=True)
            assert put(on_disk, crashed)
            fill(disk)  # whatever else writes there takes what is left of the room
            with pytest.raises(OSError, match="No space"):
                put(on_disk, text("another", urgent=True))
            (disk / "ballast").unlink()
            set_aside(on_disk)
            fill(disk)
            work(on_disk)  # the lane's first block
            assert len(sink.taken) == 1
            assert waiting(on_disk) == []
            assert not put(on_disk, crashed)
    except FaultUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_digests_under_kills_lose_no_member(paths: AgentPaths, sink: Sink, seed: int) -> None:
    """Real couriers, each killed somewhere, on a channel whose quota makes digests."""
    define(paths, sink, per_day=1000)
    rng = random.Random(seed)
    keys: set[str] = set()
    deaths_after_sending = 0
    for number in range(15):
        batch = [text(f"{number}-{at}", urgent=at == 1) for at in range(rng.choice([1, 6, 40]))]
        put_all(paths, batch)
        keys |= {message.key for message in batch}
        point = rng.choice([*_OF_THE_COURIER, "replace.torn", "replace.written"])
        killed = die_at(paths, point, rng.randint(1, 6), certainly=False)
        deaths_after_sending += killed
    with FakeClock(time.time() + 600).installed() as clock:
        for _ in range(20):
            work(paths)
            clock.advance(120)
    assert waiting(paths) == []
    assert told_by(paths, sink) == keys
    arrived = [each["key"] for each in sink.taken]
    assert len(arrived) - len(set(arrived)) <= deaths_after_sending
    assert len(arrived) < len(keys)


def test_a_second_courier_leaves_at_once(paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink)
    put_all(paths, [text("one")])
    from overnight.agent.courier import main
    from overnight.ledger import claims

    number = claims.take(paths.claims, lanes.claim_of("phone"))
    assert number is not None
    assert main("phone") == lanes.BUSY
    claims.leave(paths.claims, lanes.claim_of("phone"), number)
    assert sink.taken == []
