"""What services answer, and what it means: delivered, later or never; no secret in any of it."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import Channel, Refused, Retry, answers, open_channel
from overnight.errors import UserError
from overnight.testing.foreign import Answer, Fault, Internet, Request

HOOK = "https://hooks.slack.com/services/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"
BOT = "slack://xoxb-1234567890-abcdefghijk/C0123ABCD"
LINE = "line://" + "Ab1%2B%2F" * 34 + "c%3D/U" + "0123456789abcdef" * 2
TELEGRAM = "tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/-100123456"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
#: URL → its host, and a good answer of it.
SERVICES: dict[str, tuple[str, Answer]] = {
    HOOK: ("hooks.slack.com", Answer(200, "ok")),
    BOT: ("slack.com", Answer(200, {"ok": True, "channel": "C0123ABCD", "ts": "1.1"})),
    LINE: ("api.line.me", Answer(200, {"sentMessages": []})),
    TELEGRAM: ("api.telegram.org", Answer(200, {"ok": True, "result": {"message_id": 1}})),
    DISCORD: ("discord.com", Answer(200, {"id": "1"})),
}
SECRETS = ("T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", "1234567890-abc", "Ab1+/Ab1+/", "Ab1%2B%2FAb1",
           "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "JHMHI8qBe7bk2ZwO5U711o3dV_js")  # fmt: skip


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        for name, value in internet.env.items():
            monkeypatch.setenv(name, value)
        for host, answer in SERVICES.values():
            internet.serve(host, lambda request, answer=answer: answer)
        yield internet


def raised(channel: Channel, text: str = "hello", **more: str) -> Retry | Refused:
    """What sending raises."""
    with pytest.raises((Retry, Refused)) as caught:
        channel.send(text, title="title", **more)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    if isinstance(caught.value, Refused):
        told += caught.value.what + caught.value.fix + caught.value.where + caught.value.said
    assert not [secret for secret in SECRETS if secret in told], told
    return caught.value  # type: ignore[return-value]


FAULTS: list[Fault] = [
    "refused",
    "dns",
    "cut",
    "frozen",
    Answer(500, "oops"),
    Answer(502, "<html>bad gateway</html>"),
    Answer(503, {"message": "maintenance"}),
    Answer(408),
    Answer(429, {"message": "slow down"}, {"Retry-After": "7"}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("url", SERVICES, ids=lambda url: SERVICES[url][0])
def test_what_passes_is_tried_again(
    net: Internet, monkeypatch: pytest.MonkeyPatch, url: str, fault: Fault
) -> None:
    if fault == "frozen":  # as long as it takes, but not that long
        monkeypatch.setattr(answers, "_READ_TIMEOUT_S", 0.2)
        url += "?rto=0.2" if url in (LINE, DISCORD) else ""
    channel = open_channel("phone", url)
    net.fault(SERVICES[url.partition("?")[0]][0], fault)
    retry = raised(channel)
    assert isinstance(retry, Retry)
    host = SERVICES[url.partition("?")[0]][0]
    assert host in retry.why
    if isinstance(fault, Answer):
        assert str(fault.status) in retry.why
        assert "<" not in retry.why
    assert retry.after_s == (7 if fault == FAULTS[-1] else None)
    channel.send("once more")


@pytest.mark.parametrize(
    ("status", "key"),
    [
        (400, "channel.refused_message"),
        (401, "channel.refused_key"),
        (403, "channel.refused_key"),
        (404, "channel.refused_address"),
        (410, "channel.refused_address"),
        (413, "channel.refused_message"),
    ],
)
@pytest.mark.parametrize("url", [HOOK, BOT, LINE, DISCORD], ids=lambda url: SERVICES[url][0])
def test_what_a_service_understood_and_refused_is_not_sent_again(
    net: Internet, url: str, status: int, key: str
) -> None:
    host, _ = SERVICES[url]
    # A service may repeat what it was given: the token is not shown for that.
    given = re.split("[:/?]+", url)
    answer = Answer(status, {"message": f"no {given[-1]} {given[-2]} here"})
    net.fault(host, answer)
    refusal = raised(open_channel("phone", url))
    assert isinstance(refusal, Refused)
    assert refusal.key == key
    assert host in refusal.what
    assert str(status) in refusal.what
    assert "here" in refusal.what, "the service's own words"
    assert "phone" in refusal.fix


@pytest.mark.parametrize(
    ("answer", "after_s"),
    [
        (Answer(429, headers={"Retry-After": "2.5"}), 2.5),
        (Answer(429, {"retry_after": 3.25}), 3.25),
        (Answer(429, {"parameters": {"retry_after": 35}}), 35),
        (Answer(429, headers={"Retry-After": "Fri, 02 Jan 1998 00:00:00 GMT"}), 0),
        (Answer(503, headers={"Retry-After": "soon"}), None),
        (Answer(429, {"retry_after": "soon"}), None),
        (Answer(429, {"retry_after": -1}), None),
        (Answer(429, [1, 2]), None),
        (Answer(429, {"parameters": None}), None),
    ],
)
def test_how_long_to_wait(net: Internet, answer: Answer, after_s: float | None) -> None:
    net.fault("discord.com", answer)
    retry = raised(open_channel("phone", DISCORD))
    assert isinstance(retry, Retry)
    assert retry.after_s == after_s


def test_a_full_month_of_line_is_waited_for(net: Internet) -> None:
    net.fault("api.line.me", Answer(429, {"message": "You have reached your monthly limit."}))
    retry = raised(open_channel("phone", LINE))
    assert isinstance(retry, Retry)
    assert retry.after_s is not None
    there = time.gmtime(time.time() + retry.after_s + 9 * 3600 + 60)
    assert (there.tm_mday, there.tm_hour) == (1, 0), "midnight of the first, in Japan"


def test_a_line_message_whose_answer_was_lost_is_not_doubled(net: Internet) -> None:
    taken: dict[str, str] = {}

    def line(request: Request) -> Answer:
        key = request.headers["X-Line-Retry-Key"]
        if key in taken:
            return Answer(409, {"message": "The retry key is already accepted"})
        taken[key] = request.json["messages"][0]["text"]
        return Answer(200, {"sentMessages": []})

    net.serve("api.line.me", line)
    channel = open_channel("phone", LINE)
    net.fault("api.line.me", "cut")
    raised(channel, "finished", key="run-1 finished")
    channel.send("finished", title="title", key="run-1 finished")
    channel.send("another", key="run-2 finished")
    assert list(taken.values()) == ["title\nfinished", "another"]


def test_of_several_receivers_one_that_refuses_decides(net: Internet) -> None:
    def line(request: Request) -> Answer:
        return Answer(400, {"message": "bad"}) if request.json["to"] == "Ubad1" else Answer(200)

    net.serve("api.line.me", line)
    refusal = raised(open_channel("phone", "line://" + "Ab1%2B%2F" * 34 + "c%3D/Ugood1/Ubad1"))
    assert isinstance(refusal, Refused)


def test_a_receiver_that_was_told_before_does_not_stand_for_the_others(net: Internet) -> None:
    def line(request: Request) -> Answer:
        return Answer(409) if request.json["to"] == "Utold1" else Answer(500)

    net.serve("api.line.me", line)
    channel = open_channel("phone", "line://" + "Ab1%2B%2F" * 34 + "c%3D/Utold1/Uother1")
    assert isinstance(raised(channel, key="run-1 finished"), Retry)


@pytest.mark.parametrize(
    ("url", "host", "body"),
    [
        # Apprise takes these two answers for a delivery …
        ("lark://abcd1234-ab12-cd34-ef56-abcdef123456", "open.larksuite.com", {"code": 9499}),
        ("dingtalk://abcd1234ef56", "oapi.dingtalk.com", {"errcode": 310000, "errmsg": "no"}),
        # … and this one not.
        ("wxpusher://AT_abcd1234ef56/UID_abcd", "wxpusher.zjiecode.com", {"code": 1001}),
    ],
)
def test_a_service_that_answers_200_and_means_no(
    net: Internet, url: str, host: str, body: dict[str, object]
) -> None:
    net.serve(host, lambda request: Answer(200, body))
    retry = raised(open_channel("phone", url))
    assert isinstance(retry, Retry)
    assert "abcd1234" not in retry.why


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    for url in (HOOK, LINE):
        assert isinstance(raised(open_channel("phone", url)), Retry)


def test_a_certificate_that_is_not_trusted(net: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name)
    for url in (HOOK, LINE):
        retry = raised(open_channel("phone", url))
        assert isinstance(retry, Retry)
        assert "certificate" in retry.why


def test_nothing_of_a_url_is_logged_or_printed(
    net: Internet, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    for url, (host, _) in SERVICES.items():
        net.fault(host, "refused")
        channel = open_channel("phone", url)
        raised(channel)
        channel.send("hello")
    captured = capfd.readouterr()
    told = caplog.text + captured.out + captured.err
    assert not [secret for secret in SECRETS if secret in told]
    assert logging.getLogger("apprise").propagate, "put back as it was"


@pytest.mark.parametrize(
    "url",
    [
        "line://" + "Ab1%2B%2F" * 34 + "c%3D/",
        "tgram://AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
        "slack://T1JJ3T3L2/B1BRTD4JD",
        "slack://xoxb-1234567890-abcdefghijk",
        "slack://xoxp-1234567890-abcdefghijk/C012345",
        "discord://JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "kakaotalk://TIiajkdnlazkcOXrIdevi7FQ/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "mailtos://me@TIiajkdnlazkcOXrIdevi7FQ",
        "pover://TIiajkdnlazkcOXrIdevi7FQ",
        "jsons://TIiajkdnlazkcOXrIdevi7FQ:x@/",
        "https://example.com/TIiajkdnlazkcOXrIdevi7FQ",
        "slakc://TIiajkdnlazkcOXrIdevi7FQ",
        "nothing://TIiajkdnlazkcOXrIdevi7FQ",
        "TIiajkdnlazkcOXrIdevi7FQ",
        "slack:// TIiajkdnlazkcOXrIdevi7FQ",
    ],
)
def test_a_url_that_cannot_be_is_told_without_its_secrets(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    with pytest.raises(UserError) as error:
        open_channel("phone", url)
    captured = capfd.readouterr()
    told = "".join(traceback.format_exception(error.value)) + error.value.fix + error.value.where
    told += caplog.text + captured.out + captured.err
    assert not [secret for secret in SECRETS if secret in told], told
    assert error.value.what
    assert error.value.fix


def test_a_misspelt_scheme_is_guessed() -> None:
    with pytest.raises(UserError, match="slack"):
        open_channel("phone", "slakc://a/b/c")


def test_other_requests_of_the_process_are_left_alone(net: Internet) -> None:
    net.serve("h.example.com", lambda request: Answer(404, "nothing"))
    open_channel("phone", LINE).send("hello")
    assert requests.get("https://h.example.com/", timeout=10).status_code == 404
    with answers.watched() as exchanges:
        assert requests.get("https://h.example.com/", timeout=10).status_code == 404
    assert [exchange.status for exchange in exchanges] == [404]


def test_an_embarrassing_text_calls_nobody_on_discord(net: Internet) -> None:
    open_channel("phone", DISCORD).send("@everyone @here **kwargs __init__")
    content = net.requests[-1].json["content"]
    assert "@everyone" not in content
    assert "@here" not in content
    assert "\\*\\*kwargs \\_\\_init\\_\\_" in content


def test_a_token_that_a_service_gave_outlives_the_process(net: Internet, tmp_path: Path) -> None:
    def service(request: Request) -> Answer:
        if request.path.endswith("access_token"):
            return Answer(200, {"access_token": "tok-abcd1234", "expires_in": 3600})
        return Answer(200, {"result": True})

    net.serve("api.sendpulse.com", service)
    url = "sendpulse://me@example.com/client1234id/secret5678key/you@example.com"
    for _ in range(2):
        open_channel("phone", url).send("hello")
    asked = [request.path for request in net.requests if request.path.endswith("access_token")]
    assert len(asked) == 1
    folder = tmp_path / "state" / "overnight" / "apprise"
    assert folder.stat().st_mode & 0o077 == 0, "for the owner alone"


@given(
    st.integers(100, 599),
    st.binary(max_size=120)
    | st.sampled_from([b'{"retry_after": 1e999}', b'{"parameters": {"retry_after": 5}}', b"[[[["]),
    st.text(max_size=20) | st.sampled_from(["9" * 400, "1.5", "Mon, 99 Foo", "-1", "nan"]),
)
def test_any_answer_means_something(status: int, body: bytes, retry_after: str) -> None:
    exchange = answers.Exchange("h.example.com", status, {"Retry-After": retry_after}, body)
    meant = answers.judge(exchange, name="phone", hide=str)
    if isinstance(meant, Retry):
        assert meant.after_s is None or 0 <= meant.after_s <= 33 * 86400
    else:
        assert (meant is None) == (200 <= status < 300)
