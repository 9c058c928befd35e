"""Sending to KakaoTalk: what arrives, and what each of its answers becomes."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import open_channel
from overnight.channels.base import Refused, Retry
from overnight.channels.kakao import Kakao, make_url
from overnight.channels.kakao_login import login
from overnight.channels.kakao_store import path
from overnight.errors import UserError
from overnight.messages import speaking
from overnight.testing import foreign_kakao
from overnight.testing.channel_contract import Case, check
from overnight.testing.faults import FakeClock
from overnight.testing.foreign import Answer, Internet
from overnight.testing.foreign_kakao import API_HOST, LOGIN_HOST, REST_KEY

URL = f"kakao://{REST_KEY}"
#: 2026-03-31 21:30 in Korea: two and a half hours before a new day and a new month.
NOW_S = 1_774_960_200.0
TO_MIDNIGHT_S = 2.5 * 3600 + 60
Send = Callable[[str], None]


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with FakeClock(NOW_S).installed() as clock:
        yield clock


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with Internet(tmp_path) as net:
        for name, value in net.env.items():
            monkeypatch.setenv(name, value)
        yield net


@pytest.fixture
def kakao(net: Internet, clock: FakeClock) -> foreign_kakao.Kakao:
    return foreign_kakao.Kakao(net, clock.time)


def log_in(name: str = "phone", secret: str | None = None) -> None:
    """As a person with a browser on another machine does."""
    said: list[str] = []

    def browse(prompt: str) -> str:
        url = next(word for line in said for word in line.split() if "/oauth/" in word)
        answer = requests.get(url, allow_redirects=False, timeout=10)
        return answer.headers["Location"]

    login(name, REST_KEY, secret, say=said.append, ask=browse)


@pytest.fixture
def send(kakao: foreign_kakao.Kakao) -> Send:
    """Sends from a channel that is logged in."""
    log_in()
    return Kakao("phone", URL).send


def test_a_text_arrives_with_its_link(kakao: foreign_kakao.Kakao, send: Send) -> None:
    send("[완료] digits · 6시간 12분")
    link = {
        "web_url": "https://developers.kakao.com",
        "mobile_web_url": "https://developers.kakao.com",
    }
    assert kakao.sent == [
        {
            "object_type": "text",
            "text": "[완료] digits · 6시간 12분",
            "link": link,
            "button_title": "Kakao Developers",
        }
    ]


def test_a_link_and_a_button_of_ones_own(kakao: foreign_kakao.Kakao, send: Send) -> None:
    for button in ("로그 보기", ""):
        url = make_url(REST_KEY, link="https://gpu02.example.com/log?a=1&b=2", button=button)
        Kakao("phone", url).send("text")
    assert [sent["link"]["web_url"] for sent in kakao.sent] == [
        "https://gpu02.example.com/log?a=1&b=2"
    ] * 2
    assert [sent.get("button_title") for sent in kakao.sent] == ["로그 보기", None]


@pytest.mark.parametrize(
    ("title", "text", "arrives"),
    [
        ("[완료] digits", "6시간", "[완료] digits\n6시간"),
        ("[완료]", "[완료] digits", "[완료] digits"),
        ("", "한" * 453, "한" * 199 + "…"),
        ("", "한" * 200, "한" * 200),
        ("", "a\x1b\x00\x07b\tc\ud800\n d ", "ab\tc?\n d"),
        ("", "🎉" * 101, "🎉" * 99 + "…"),  # two each
        ("a\nb", "c", "a b\nc"),
        # A Mac's way to write 한글: three code points each.
        ("", "\u1112\u1161\u11ab" * 150, "한" * 150),
    ],
)
def test_any_text_is_made_to_fit(
    kakao: foreign_kakao.Kakao, send: Send, title: str, text: str, arrives: str
) -> None:
    Kakao("phone", URL).send(text, title=title)
    assert kakao.sent[-1]["text"] == arrives


def test_an_empty_text_is_refused_here(kakao: foreign_kakao.Kakao, send: Send) -> None:
    with pytest.raises(Refused) as refused:
        send(" \x00\n")
    assert refused.value.key == "kakao.empty"
    assert kakao.sent == []


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (-2, "kakao.bad_message"),
        (-3, "kakao.not_allowed"),
        (-5, "kakao.not_allowed"),
        (-402, "kakao.no_consent"),
        (-501, "kakao.no_account"),
        (-530, "kakao.blocked"),
    ],
)
def test_what_will_not_help_later_is_refused_with_a_fix(
    kakao: foreign_kakao.Kakao, send: Send, code: int, key: str
) -> None:
    kakao.refuse(code)
    with pytest.raises(Refused) as refused:
        send("text")
    assert refused.value.key == key
    assert refused.value.fix
    send("text")
    assert len(kakao.sent) == 1


@pytest.mark.parametrize(
    ("code", "after_s"),
    [
        (-10, TO_MIDNIGHT_S),
        (-532, TO_MIDNIGHT_S),
        (-533, TO_MIDNIGHT_S),
        (-536, TO_MIDNIGHT_S),
        (-531, TO_MIDNIGHT_S),  # the month ends with the day
        (-1, None),
        (-7, None),
        (-9798, None),
    ],
)
def test_what_may_help_later_is_tried_again_then(
    kakao: foreign_kakao.Kakao, send: Send, code: int, after_s: float | None
) -> None:
    kakao.refuse(code)
    with pytest.raises(Retry) as retry:
        send("text")
    assert retry.value.after_s == after_s
    assert str(code) in retry.value.why


def test_a_month_s_quota_is_full_again_on_the_first(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send
) -> None:
    clock.advance(86_400)  # April 1 in the evening
    kakao.refuse(-531)
    with pytest.raises(Retry) as retry:
        send("text")
    assert retry.value.after_s == TO_MIDNIGHT_S + 29 * 86_400


def test_a_void_token_is_replaced_once(kakao: foreign_kakao.Kakao, send: Send) -> None:
    kakao.forget_access()
    send("text")
    assert len(kakao.sent) == kakao.num_refreshes == 1
    kakao.refuse(-401, times=2)
    with pytest.raises(Refused) as refused:
        send("text")
    assert refused.value.key == "kakao.void"
    assert kakao.num_refreshes == 2


def test_a_consent_taken_back_needs_a_login(kakao: foreign_kakao.Kakao, send: Send) -> None:
    kakao.forget_access()
    kakao.forget_refresh()
    for _ in range(2):  # the second time nobody is asked
        with pytest.raises(Refused) as refused:
            send("text")
        assert refused.value.key == "kakao.dead"
        assert "overnight notify login kakao --name phone" in refused.value.fix
    asked = [r for r in kakao.net.requests if r.form.get("grant_type") == "refresh_token"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("change", "key"),
    [({"rest_key": "f" * 32}, "kakao.bad_key"), ({"client_secret": "s" * 32}, "kakao.bad_secret")],
)
def test_an_app_that_was_changed(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send, change: dict[str, str], key: str
) -> None:
    clock.advance(7 * 3600)
    for name, value in change.items():
        setattr(kakao, name, value)
    with pytest.raises(Refused) as refused:
        send("text")
    assert refused.value.key == key
    # Put right again, the tokens are good as before.
    kakao.rest_key, kakao.client_secret = REST_KEY, None
    send("text")


@pytest.mark.parametrize("host", [API_HOST, LOGIN_HOST])
@pytest.mark.parametrize(
    ("fault", "after_s"),
    [
        ("refused", None),
        ("dns", None),
        ("cut", None),
        (Answer(500, "<html>"), None),
        (Answer(503, {"code": -9798}), None),
        (Answer(429, headers={"Retry-After": "7"}), 7.0),
        (Answer(429, headers={"Retry-After": "soon"}), None),
        (Answer(400, {"error": "x", "error_code": "KOE237"}), None),
        (Answer(200, "<html>log in to the hotel's network</html>"), None),
        (Answer(302, headers={"Location": "http://login.hotel.example.com/"}), None),
        (Answer(200, b"\xff" * 100), None),
        (Answer(200, "[1, 2]"), None),
        (Answer(200, "{" * 200_000), None),
    ],
    ids=repr,
)
def test_a_fault_of_the_network_is_tried_again(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send, host: str, fault: object,
    after_s: float | None,
) -> None:  # fmt: skip
    clock.advance(7 * 3600)  # a token is needed first
    kakao.net.fault(host, fault)  # type: ignore[arg-type]
    with pytest.raises(Retry) as retry:
        send("text")
    assert retry.value.after_s == after_s
    assert retry.value.why
    send("text")


@pytest.mark.parametrize(("minute", "after_s"), [(31, 60.0), (29, 0.0)])
def test_when_to_try_again_may_be_a_date(
    kakao: foreign_kakao.Kakao, send: Send, minute: int, after_s: float
) -> None:
    date = f"Tue, 31 Mar 2026 12:{minute}:00 GMT"
    kakao.net.fault(API_HOST, Answer(429, headers={"Retry-After": date}))
    with pytest.raises(Retry) as retry:
        send("text")
    assert retry.value.after_s == after_s


@pytest.mark.parametrize("host", [API_HOST, LOGIN_HOST])
def test_a_frozen_server_is_not_waited_for(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send, host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("overnight.channels.kakao_api._READ_TIMEOUT_S", 0.2)
    clock.advance(7 * 3600)
    kakao.net.fault(host, "frozen")
    with pytest.raises(Retry):
        send("text")
    send("text")


def test_a_certificate_of_somebody_else_s_is_told(
    kakao: foreign_kakao.Kakao, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name)
    with speaking("en"), pytest.raises(Retry, match="cannot be trusted"):
        send("text")


def test_the_token_server_may_be_down_while_the_token_is_good(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send
) -> None:
    clock.advance(5.8 * 3600)  # due, and good for ten minutes
    kakao.net.fault(LOGIN_HOST, Answer(503))
    send("text")
    assert (len(kakao.sent), kakao.num_refreshes) == (1, 0)
    send("text")
    assert (len(kakao.sent), kakao.num_refreshes) == (2, 1)


def test_a_check_renews_and_sends_nothing(
    kakao: foreign_kakao.Kakao, clock: FakeClock, send: Send
) -> None:
    clock.advance(7 * 86_400)
    Kakao("phone", URL).check()
    assert (kakao.num_refreshes, kakao.sent) == (1, [])


def test_it_keeps_to_what_every_channel_keeps_to(
    kakao: foreign_kakao.Kakao, tmp_path: Path
) -> None:
    log_in()
    check(
        Case(
            open=lambda: open_channel("phone", URL),
            secrets=(REST_KEY, json.loads(path("phone").read_text())["access"]),
            received=lambda: [sent["text"] for sent in kakao.sent],
            break_down=lambda: kakao.refuse(-9798),
            refuse=lambda: kakao.refuse(-530),
        ),
        tmp_path,
    )


BAD_URLS = {
    "kakao://": "kakao.url_key",
    "kakao://short": "kakao.url_key",
    f"kakao://{REST_KEY}한글": "kakao.url_key",
    f"kakao://{'k' * 65}": "kakao.url_key",
    f"kakao://{REST_KEY}/refresh-token-of-apprise": "kakao.url_token",
    f"kakao://secret@{REST_KEY}": "kakao.url_token",
    f"kakao://{REST_KEY}?client_sekret=abcdefghij": "kakao.url_options",
    f"kakao://{REST_KEY}?client_secret": "kakao.url_options",
    f"kakao://{REST_KEY}?client_secret=short": "kakao.url_secret",
    f"kakao://{REST_KEY}?link=gpu02/log": "kakao.url_link",
    f"kakao://{REST_KEY}?link=https://[bad": "kakao.url_link",
    f"kakao://{REST_KEY}?link=javascript:alert(1)": "kakao.url_link",
    f"kakao://{REST_KEY}?button={'b' * 15}": "kakao.url_button",
}


@pytest.mark.parametrize(("url", "key"), BAD_URLS.items())
def test_a_url_that_cannot_be_is_an_error_at_once(url: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        Kakao("phone", url)
    assert error.value.key == key
    for word in url.removeprefix("kakao://").replace("?", "/").replace("=", "/").split("/"):
        if len(word) > 8 and word not in ("client_secret", "client_sekret"):
            assert word not in f"{error.value} {error.value.fix} {error.value!r}"


@given(st.text())
def test_any_url_gives_a_channel_or_an_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert Kakao("phone", "kakao://" + text).rest_key in text


@given(
    key=st.text(st.sampled_from("0123456789abcdef"), min_size=20, max_size=64),
    secret=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8),
)
def test_a_made_url_is_read_as_it_was_meant(key: str, secret: str | None) -> None:
    if secret is None or len(secret) <= 128:
        channel = Kakao("phone", make_url(key, secret))
        assert (channel.rest_key, channel.client_secret) == (key, secret)


def test_no_secret_is_ever_shown(
    kakao: foreign_kakao.Kakao, clock: FakeClock, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    kakao.client_secret = "c1" * 16
    log_in(secret=kakao.client_secret)
    channel = Kakao("phone", make_url(REST_KEY, kakao.client_secret))
    channel.send("text")
    caplog.clear()  # of the browser's part, which shows the key in its address
    saved = json.loads(path("phone").read_text())
    secrets = [saved["access"], saved["refresh"], REST_KEY, kakao.client_secret]
    shown: list[str] = []
    answers = [
        Answer(400, {"code": -2, "msg": f"bad key {REST_KEY} or {kakao.client_secret}"}),
        Answer(400, {"code": -777, "msg": f"bearer {saved['access']}"}),
        Answer(401, {"code": -401, "msg": REST_KEY}),
        Answer(403, {"code": -3, "msg": saved["access"]}),
        Answer(500, REST_KEY),
    ]
    for answer in answers:
        kakao.net.fault(API_HOST, answer, times=2)
        with pytest.raises((Refused, Retry)) as error:
            channel.send("text")
        kakao.net.heal(API_HOST)
        shown += [repr(error.value), str(vars(error.value))]
    kakao.net.fault(API_HOST, "refused")
    with pytest.raises(Retry) as retry:
        channel.send("text")
    shown += [repr(retry.value), repr(channel), caplog.text, *capfd.readouterr()]
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []
