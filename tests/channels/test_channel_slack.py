"""Slack's bot: one live message, pictures, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import Refused, Retry, open_channel
from overnight.errors import UserError
from overnight.testing.foreign import Answer, Internet, Request

BOT = "slack://xoxb-1234567890-abcdefghijk/%23training"
GOOD = Answer(200, {"ok": True, "channel": "C0123ABCD", "ts": "17.1"})


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        for name, value in internet.env.items():
            monkeypatch.setenv(name, value)
        internet.serve("slack.com", lambda request: GOOD)
        yield internet


def test_a_live_message_is_edited_by_the_channels_id(net: Internet) -> None:
    channel = open_channel("team", BOT)
    reference = channel.send("epoch 1/20", title="run_1")
    assert channel.send("epoch 2/20", title="run_1", edit=reference) == reference
    posted, edited = net.requests
    assert (posted.path, edited.path) == ("/api/chat.postMessage", "/api/chat.update")
    assert posted.json["channel"] == "#training"
    assert (edited.json["channel"], edited.json["ts"]) == ("C0123ABCD", "17.1")
    assert edited.json["text"] == "run_1\nepoch 2/20"
    assert edited.json["mrkdwn"] is False


@pytest.mark.parametrize(
    "error", ["message_not_found", "edit_window_closed", "cant_update_message"]
)
def test_what_cannot_be_edited_is_sent_anew(net: Internet, error: str) -> None:
    net.fault("slack.com", Answer(200, {"ok": False, "error": error}))
    assert open_channel("team", BOT).send("epoch 2", edit="C1:17.0") == "C0123ABCD:17.1"
    assert [request.path for request in net.requests] == [
        "/api/chat.update",
        "/api/chat.postMessage",
    ]


def test_an_edit_that_meets_a_fault_is_not_sent_anew(net: Internet) -> None:
    net.fault("slack.com", Answer(503))
    with pytest.raises(Retry):
        open_channel("team", BOT).send("epoch 2", edit="C1:17.0")
    assert len(net.requests) == 1


@pytest.mark.parametrize(
    ("error", "kind", "key"),
    [
        ("invalid_auth", Refused, "channel.refused_key"),
        ("token_revoked", Refused, "channel.refused_key"),
        ("channel_not_found", Refused, "channel.slack_no_channel"),
        ("not_in_channel", Refused, "channel.slack_not_in"),
        ("is_archived", Refused, "channel.slack_not_in"),
        ("missing_scope", Refused, "channel.slack_scope"),
        ("msg_too_long", Refused, "channel.refused_message"),
        ("", Refused, "channel.refused_message"),
        ("ratelimited", Retry, ""),
        ("internal_error", Retry, ""),
        ("service_unavailable", Retry, ""),
    ],
)
def test_what_its_errors_mean(net: Internet, error: str, kind: type, key: str) -> None:
    answer = {"ok": False, "error": error, "needed": "chat:write"}
    net.serve("slack.com", lambda request: Answer(200, answer))
    with pytest.raises((Retry, Refused)) as caught:
        open_channel("team", BOT).send("hello")
    assert type(caught.value) is kind
    if isinstance(caught.value, Refused):
        assert caught.value.key == key
        assert caught.value.fix


def test_a_rate_limit_says_how_long(net: Internet) -> None:
    net.fault(
        "slack.com", Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"})
    )
    with pytest.raises(Retry) as retry:
        open_channel("team", BOT).send("hello")
    assert retry.value.after_s == 30


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'{"ok": "yes"}', b'{"ok": 1}'])
def test_an_answer_that_is_none(net: Internet, body: bytes) -> None:
    net.serve("slack.com", lambda request: Answer(200, body))
    with pytest.raises((Retry, Refused)):
        open_channel("team", BOT).send("hello")


def test_a_picture_goes_up_in_three_steps(net: Internet, tmp_path: Path) -> None:
    picture = tmp_path / "손실 곡선.png"
    picture.write_bytes(b"\x89PNG" + b"x" * 500)
    uploads: list[bytes] = []

    def api(request: Request) -> Answer:
        if request.path.endswith("getUploadURLExternal"):
            assert request.form == {"filename": "손실 곡선.png", "length": "504"}
            place = "https://files.slack.com/upload/v1/a"
            return Answer(200, {"ok": True, "upload_url": place, "file_id": "F1"})
        return GOOD

    def files(request: Request) -> Answer:
        uploads.append(request.body)
        assert request.headers["Authorization"] is None, "the place itself is the permission"
        return Answer(200, "OK")

    net.serve("slack.com", api)
    net.serve("files.slack.com", files)
    open_channel("team", BOT).send("done", files=[picture])
    assert uploads == [picture.read_bytes()]
    done = net.requests[-1]
    assert done.path == "/api/files.completeUploadExternal"
    assert done.json["channel_id"] == "C0123ABCD"


def test_a_picture_is_never_sent_to_another_host(net: Internet, tmp_path: Path) -> None:
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG")
    net.serve("evil.example.com", lambda request: Answer(200))
    for place in ("https://evil.example.com/", "http://files.slack.com/", "https://notslack.com/"):
        good = {**GOOD.body, "upload_url": place, "file_id": "F1"}  # type: ignore[dict-item]
        net.serve("slack.com", lambda request, good=good: Answer(200, good))
        assert open_channel("team", BOT).send("done", files=[picture])
    assert {request.host for request in net.requests} == {"slack.com"}


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("slack://xoxb-1234567890-abc", "channel.slack_channel_form"),
        ("slack://xoxb-1234567890-abc/", "channel.slack_channel_form"),
        ("slack://xoxb-1234567890-abc/a%20b", "channel.slack_channel_form"),
        ("slack://xoxp-1234567890-abc/C01", "channel.slack_key_form"),
        ("slack://T1/B2", "channel.slack_hook_form"),
        ("https://hooks.slack.com/workflows/T1/2/3", "channel.slack_hook_form"),
    ],
)
def test_a_url_that_cannot_be(url: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        open_channel("team", url)
    assert error.value.key == key


@given(st.text(max_size=60))
def test_any_rest_of_a_url_opens_or_is_refused(rest: str) -> None:
    try:
        said = open_channel("team", "slack://" + rest).service
    except UserError as error:
        said = error.fix
    assert said
