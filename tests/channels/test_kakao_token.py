"""KakaoTalk's tokens through time, deaths, full disks, wrong clocks and other processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import kakao_token
from overnight.channels.base import Refused, Retry
from overnight.channels.kakao import Kakao
from overnight.channels.kakao_login import login
from overnight.channels.kakao_store import Token, forget, load, path
from overnight.channels.kakao_token import problem, state
from overnight.errors import UserError
from overnight.messages import speaking
from overnight.testing import foreign_kakao
from overnight.testing.faults import FakeClock, FaultUnavailableError, armed, small_disk
from overnight.testing.foreign import Internet
from overnight.testing.foreign_kakao import LOGIN_HOST, REST_KEY

HOUR_S, DAY_S = 3600.0, 86_400.0
URL = f"kakao://{REST_KEY}"
#: Sends a text from a process of its own, whose clock shows another time and goes on from there.
SENDER = f"""
import sys, time
ahead_s, real = float(sys.argv[1]) - time.time(), time.time
time.time = lambda: real() + ahead_s
from overnight.channels.base import Refused, Retry
from overnight.channels.kakao import Kakao
try:
    Kakao("phone", {URL!r}).send(sys.argv[2])
except Refused as refused:
    print("refused", refused.key)
except Retry as retry:
    print("retry", retry.why)
else:
    print("sent")
"""


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with FakeClock().installed() as clock:
        yield clock


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    with Internet(tmp_path) as net:
        for name, value in net.env.items():
            monkeypatch.setenv(name, value)
        yield net


@pytest.fixture
def kakao(net: Internet, clock: FakeClock) -> foreign_kakao.Kakao:
    """KakaoTalk, with a channel "phone" that is logged in."""
    kakao = foreign_kakao.Kakao(net, clock.time)
    log_in()
    return kakao


def log_in() -> None:
    said: list[str] = []

    def browse(prompt: str) -> str:
        url = next(word for line in said for word in line.split() if "/oauth/" in word)
        return requests.get(url, allow_redirects=False, timeout=10).headers["Location"]

    login("phone", REST_KEY, say=said.append, ask=browse)


def send(text: str = "text") -> None:
    Kakao("phone", URL).send(text)


def token() -> Token:
    found = load("phone")
    assert found is not None
    return found


def begin(clock: FakeClock, text: str = "text", env: dict[str, str] | None = None) -> Sending:
    """A process that sends now."""
    argv = [sys.executable, "-c", SENDER, repr(clock.time()), text]
    return subprocess.Popen(
        argv, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


Sending = subprocess.Popen[str]


def end(process: Sending) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def to_rotation(clock: FakeClock) -> None:
    """Lets time pass until a refresh will replace the refresh token; the access token is fresh."""
    clock.advance(30 * DAY_S - HOUR_S)
    send("just before the last month")
    clock.advance(2 * HOUR_S)


def test_the_file_is_private(kakao: foreign_kakao.Kakao) -> None:
    where = path("phone")
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert stat.S_IMODE(where.parent.stat().st_mode) == 0o700
    where.chmod(0o644)
    send()
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert token().access not in repr(token())
    assert token().refresh not in repr(token())


@pytest.mark.slow
def test_a_year_of_a_message_a_week(kakao: foreign_kakao.Kakao, clock: FakeClock) -> None:
    for week in range(52):
        send(f"week {week}")
        clock.advance(7 * DAY_S)
    assert len(kakao.sent) == 52
    # 60 days of life, replaced when 30 are left: every five weeks.
    assert 9 <= kakao.num_rotations <= 11
    assert state("phone").needs_login is False


def test_a_night_of_messages_asks_for_few_tokens(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    for _ in range(24):
        send()
        clock.advance(0.5 * HOUR_S)
    assert kakao.num_refreshes == 2
    clock.advance(18 * DAY_S + 12 * HOUR_S)  # between 33 and 30 days left: soon to be replaced
    before = kakao.num_refreshes
    clock.advance(9 * DAY_S)
    for _ in range(24):
        send()
        clock.advance(0.5 * HOUR_S)
    assert kakao.num_rotations == 0
    assert kakao.num_refreshes - before <= 12  # one an hour


def test_days_left_are_told_from_two_weeks_on(kakao: foreign_kakao.Kakao, clock: FakeClock) -> None:
    assert problem("phone") is None
    clock.advance(46.5 * DAY_S)
    found = problem("phone")
    assert found is not None
    assert found.level == "warn"
    assert "runs out in 13 days" in found.text
    assert "overnight notify test phone" in found.fix
    send()  # and one message renews it
    assert problem("phone") is None
    clock.advance(61 * DAY_S)
    assert state("phone").why == "expired"
    found = problem("phone")
    assert found is not None
    assert found.level == "bad"
    assert found.fix == "overnight notify login kakao --name phone"
    with pytest.raises(Refused) as refused:
        send()
    assert refused.value.key == "kakao.dead"
    assert state("phone").why == "refused"


def test_before_the_first_login(net: Internet) -> None:
    assert load("phone") is None
    assert (state("phone").needs_login, state("phone").why) == (True, "missing")
    with pytest.raises(Refused) as refused:
        send()
    assert refused.value.key == "kakao.no_token"
    assert refused.value.fix == "overnight notify login kakao --name phone"
    assert forget("phone") is False


def test_forgetting_removes_the_tokens(kakao: foreign_kakao.Kakao) -> None:
    assert forget("phone") is True
    assert state("phone").why == "missing"


@pytest.mark.parametrize("name", ["", "../phone", "a/b", "x" * 99, "a\nb"])
def test_a_name_that_is_no_file_s(net: Internet, name: str) -> None:
    with pytest.raises(UserError):
        path(name)


def test_a_clock_set_back_or_forth_keeps_nobody_from_sending(
    kakao: foreign_kakao.Kakao, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = clock.time()
    monkeypatch.setattr(kakao, "clock", lambda: now_s)  # Kakao's own clock is right
    for away_s in (-3 * HOUR_S, -90 * DAY_S, 3 * HOUR_S, 400 * DAY_S, 0.0):
        clock.set_wall(now_s + away_s)
        send()
        days_left = state("phone").days_left
        assert days_left is not None
        assert days_left <= 60.0
    assert len(kakao.sent) == 5
    assert state("phone") == kakao_token.TokenState(days_left, needs_login=False, why="")


def test_a_kill_between_refresh_and_save_costs_nothing_while_the_refresh_token_stays(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    clock.advance(5.7 * HOUR_S)
    for point in ("token.refreshed", "token.saved"):
        before = kakao.num_refreshes
        code, _, err = end(begin(clock, env=armed(point)))
        assert code == -signal.SIGKILL, err
        assert kakao.num_refreshes == before + 1
        assert end(begin(clock, point)) == (0, "sent\n", "")
        assert state("phone").needs_login is False
        clock.advance(5.7 * HOUR_S)
    assert [sent["text"] for sent in kakao.sent] == ["token.refreshed", "token.saved"]


def test_a_kill_after_the_save_of_a_rotation_costs_nothing(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    to_rotation(clock)
    assert end(begin(clock, env=armed("token.saved")))[0] == -signal.SIGKILL
    assert kakao.num_rotations == 1
    clock.advance(7 * HOUR_S)
    send()
    assert kakao.num_rotations == 1
    assert state("phone").needs_login is False


def test_a_kill_between_the_writing_of_a_rotation_and_its_name_costs_nothing(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    to_rotation(clock)
    before = token()
    assert end(begin(clock, env=armed("token.written")))[0] == -signal.SIGKILL
    assert kakao.num_rotations == 1
    assert token() == before
    clock.advance(7 * HOUR_S)
    assert end(begin(clock)) == (0, "sent\n", "")
    assert (state("phone").needs_login, kakao.num_rotations) == (False, 1)
    assert token().refresh != before.refresh
    assert [p.name for p in path("phone").parent.iterdir() if p.is_file()] == ["phone.json"]


def test_tokens_that_are_forgotten_do_not_come_back(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    to_rotation(clock)
    assert end(begin(clock, env=armed("token.written")))[0] == -signal.SIGKILL
    assert forget("phone")
    with pytest.raises(Refused) as refused:
        send()
    assert refused.value.key == "kakao.no_token"
    assert not [p.name for p in path("phone").parent.iterdir() if p.is_file()]


def test_a_kill_before_the_save_of_a_rotation_leaves_hours_to_say_so(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    to_rotation(clock)
    assert end(begin(clock, env=armed("token.refreshed")))[0] == -signal.SIGKILL
    assert kakao.num_rotations == 1  # and nobody knows the new token
    for _ in range(2):
        send("with the old access token")
        assert state("phone").why == "refused"
        found = problem("phone")
        assert found is not None
        assert (found.level, found.fix) == ("bad", "overnight notify login kakao --name phone")
        clock.advance(1.9 * HOUR_S)
    clock.advance(2 * HOUR_S)
    with pytest.raises(Refused) as refused:
        send()
    assert refused.value.key == "kakao.dead"
    log_in()
    send("again")
    assert state("phone").needs_login is False
    # Nothing of the dead process is left.
    assert [p.name for p in path("phone").parent.iterdir() if p.is_file()] == ["phone.json"]


def test_an_answer_lost_on_its_way_is_like_a_kill(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    to_rotation(clock)
    kakao.net.fault(LOGIN_HOST, "cut")
    send("the old access token sends")
    assert kakao.num_rotations == 1
    assert state("phone").needs_login is False  # nobody knows yet
    send("the next refresh finds out")
    assert state("phone").why == "refused"
    assert len(kakao.sent) == 3


@pytest.mark.parametrize("rotating", [False, True])
def test_many_processes_at_once_refresh_once(
    kakao: foreign_kakao.Kakao, clock: FakeClock, rotating: bool
) -> None:
    clock.advance(40 * DAY_S if rotating else 7 * HOUR_S)  # no access token to fall back on
    processes = [begin(clock, f"text {number}") for number in range(5)]
    assert [end(process) for process in processes] == [(0, "sent\n", "")] * 5
    assert (kakao.num_refreshes, kakao.num_rotations) == (1, int(rotating))
    assert len(kakao.sent) == 5


def test_many_threads_at_once_refresh_once(kakao: foreign_kakao.Kakao, clock: FakeClock) -> None:
    clock.advance(40 * DAY_S)
    errors: list[Exception] = []

    def run() -> None:
        try:
            send()
        except (Refused, Retry) as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (kakao.num_refreshes, len(kakao.sent)) == (1, 8)


def test_a_login_while_others_refresh_is_not_overwritten(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    for _ in range(3):
        clock.advance(40 * DAY_S)
        processes = [begin(clock) for _ in range(3)]
        log_in()
        assert [end(process)[1] for process in processes] == ["sent\n"] * 3
        send()
        clock.advance(7 * HOUR_S)
        send()


def test_a_process_of_another_machine_that_is_gone_is_not_waited_for(
    kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    clock.advance(7 * HOUR_S)
    claims = path("phone").parent / "claims"
    (newest,) = claims.iterdir()
    number = int(newest.name.split(".")[1])
    elsewhere = claims / f"phone.{number + 1}"
    identity = {"machine": "m", "boot": "b", "pidns": "p", "host": "gpu02"}
    elsewhere.write_text(json.dumps({**identity, "pid": 7, "start_ticks": 7}))
    os.utime(elsewhere, (clock.time(), clock.time()))
    with pytest.raises(Retry, match="another process"):
        send()
    clock.advance(200)
    send()
    assert kakao.num_refreshes == 1


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe\x00",
    b'{"access": "a"}',
    b'{"access": "", "refresh": "b", "dead": "", "access_expires_s": 1, "refresh_expires_s": 1, '
    b'"granted_s": 1}',
    b'{"access": "a", "refresh": "b", "dead": "", "access_expires_s": NaN, "refresh_expires_s": 1,'
    b' "granted_s": 1}',
    b'{"access": "a", "refresh": "b", "dead": "", "access_expires_s": true, "refresh_expires_s": 1'
    b', "granted_s": 1}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:12]))
def test_a_damaged_file_says_so_and_a_login_mends_it(
    kakao: foreign_kakao.Kakao, data: bytes
) -> None:
    path("phone").write_bytes(data)
    with pytest.raises(Refused) as refused:
        send()
    assert refused.value.key == "kakao.token_damaged"
    assert (state("phone").needs_login, state("phone").why) == (True, "damaged")
    assert problem("phone") is not None
    log_in()
    send()


@given(data=st.binary() | st.text().map(str.encode))
def test_any_bytes_give_tokens_or_a_clear_error(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        path("phone").parent.mkdir(parents=True)
        path("phone").write_bytes(data)
        with contextlib.suppress(Refused):
            load("phone")
        assert state("phone").why in ("damaged", "")


def test_a_folder_in_the_file_s_place(kakao: foreign_kakao.Kakao) -> None:
    path("phone").unlink()
    path("phone").mkdir()
    assert state("phone").why in ("damaged", "unreadable")
    with pytest.raises(Refused):
        send()


@pytest.fixture
def disk(net: Internet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 128 KiB that holds the tokens."""
    try:
        with small_disk(128) as folder:
            monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
            yield folder
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    return ballast


def test_a_full_disk_keeps_no_message_back_and_loses_no_token(
    disk: Path, kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    before = token()
    clock.advance(7 * HOUR_S)
    ballast = fill(disk)
    send("the disk is full")
    send("still")
    assert (len(kakao.sent), kakao.num_refreshes) == (2, 2)
    assert token() == before
    ballast.unlink()
    send()
    assert kakao.num_refreshes == 3
    assert token().granted_s == clock.time()


def test_on_a_full_disk_no_refresh_token_is_replaced(
    disk: Path, kakao: foreign_kakao.Kakao, clock: FakeClock
) -> None:
    clock.advance(31 * DAY_S)
    ballast = fill(disk)
    with pytest.raises(Retry, match="cannot be saved: No space left"):
        send()
    assert kakao.num_rotations == 0
    ballast.unlink()
    send()
    assert kakao.num_rotations == 1
    clock.advance(DAY_S)
    send()


def test_a_login_without_room_says_so_before_anybody_opens_a_browser(
    disk: Path, net: Internet, clock: FakeClock
) -> None:
    foreign_kakao.Kakao(net, clock.time)
    ballast = fill(disk)
    with pytest.raises(UserError) as error:
        log_in()
    assert error.value.key == "kakao.token_unwritable"
    assert net.requests == []
    ballast.unlink()
    log_in()
    assert state("phone").needs_login is False


def test_a_read_only_folder(disk: Path, kakao: foreign_kakao.Kakao, clock: FakeClock) -> None:
    clock.advance(7 * HOUR_S)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    send()
    with pytest.raises(UserError, match="Read-only file system"):
        log_in()
    with pytest.raises(UserError, match="Read-only file system"):
        forget("phone")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    send()
    assert len(kakao.sent) == 2


@pytest.mark.parametrize("why", ["missing", "damaged", "expired", "refused", "unreadable"])
def test_each_state_is_said_in_both_languages(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kakao_token.TokenState(None, needs_login=True, why=why)  # type: ignore[arg-type]
    monkeypatch.setattr(kakao_token, "state", lambda name: found)
    texts = set()
    for language in ("en", "ko"):
        with speaking(language):  # type: ignore[arg-type]
            told = problem("phone")
            assert told is not None
            texts.add(told.text)
    assert len(texts) == 2
