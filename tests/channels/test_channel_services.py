"""Each service's questions: answers become a URL that opens, or a mistake is said at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels import open_channel
from overnight.channels.services import SERVICES, find
from overnight.channels.url import service_of
from overnight.errors import UserError

LINE_TOKEN = "Ab1+/" * 34 + "c="
TEAMS_HOOK = (
    "https://prod-5.koreacentral.logic.azure.com:443/workflows/643e/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
)
LINE_USER = "U" + "0123456789abcdef" * 2
GOOD: list[tuple[str, dict[str, str], str]] = [
    ("kakao", {"rest_key": "0123456789abcdef" * 2}, "kakao://" + "0123456789abcdef" * 2),
    (
        "kakao",
        {"rest_key": "0123456789abcdef" * 2, "client_secret": "a/b"},
        "kakao://" + "0123456789abcdef" * 2 + "?client_secret=a%2Fb",
    ),
    (
        "naver",
        {"user": "tester", "password": "ABCD12EFGH34"},
        "mailtos://tester:ABCD12EFGH34@naver.com",
    ),
    (
        "naver",
        {"user": "tester@naver.com", "password": "ABCD 12EF GH34"},
        "mailtos://tester:ABCD12EFGH34@naver.com",
    ),
    (
        "mail",
        {
            "address": "me@example.com",
            "password": "p@/ss",
            "server": "smtp.example.com:587",
            "to": "a@b.kr, c@d.kr",
        },
        "mailtos://me:p%40%2Fss@example.com:587"
        "?smtp=smtp.example.com&mode=starttls&to=a%40b.kr,c%40d.kr",
    ),
    ("mail", {"address": "me@gmail.com", "password": "abcd"}, "mailtos://me:abcd@gmail.com"),
    (
        "slack",
        {"key": "https://hooks.slack.com/services/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"},
        "https://hooks.slack.com/services/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",
    ),
    (
        "slack",
        {"key": "xoxb-123456-abcdef", "channel": "C0123"},
        "slack://xoxb-123456-abcdef/C0123",
    ),
    (
        "slack",
        {"key": "xoxb-123456-abcdef", "channel": "#general"},
        "slack://xoxb-123456-abcdef/%23general",
    ),
    (
        "line",
        {"token": LINE_TOKEN, "to": LINE_USER},
        "line://" + "Ab1%2B%2F" * 34 + "c%3D/" + LINE_USER,
    ),
    (
        "discord",
        {"hook": "https://discord.com/api/v10/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"},
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    ),
    (
        "telegram",
        {"token": "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat": "-100123"},
        "tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/-100123",
    ),
    (
        "teams",
        {"hook": TEAMS_HOOK},
        TEAMS_HOOK,
    ),
    ("ntfy", {"topic": "my-topic"}, "ntfys://ntfy.sh/my-topic"),
    ("ntfy", {"topic": "t", "server": "http://10.0.0.5:8080"}, "ntfy://10.0.0.5:8080/t"),
    ("ntfy", {"topic": "t", "token": "tk_abc"}, "ntfys://tk_abc@ntfy.sh/t?auth=token"),
    ("desktop", {}, "desktop://"),
    ("console", {}, "console://"),
    ("apprise", {"url": "pover://u@t"}, "pover://u@t"),
]
BAD: list[tuple[str, dict[str, str], str]] = [
    ("kakao", {"rest_key": "abc"}, "channel.kakao_key_form"),
    ("kakao", {}, "channel.answer_missing"),
    ("naver", {"user": "me@gmail.com", "password": "x"}, "channel.naver_user_form"),
    ("naver", {"user": "tester", "password": " "}, "channel.answer_missing"),
    ("mail", {"address": "nobody", "password": "x"}, "channel.mail_address_form"),
    ("mail", {"address": "a@b.kr", "password": "x", "to": "c"}, "channel.mail_address_form"),
    ("mail", {"address": "a@b.kr", "password": "x", "server": "a b"}, "channel.mail_server_form"),
    ("slack", {"key": "https://hooks.slack.com/services/T1"}, "channel.slack_hook_form"),
    ("slack", {"key": "https://hooks.slack.com/triggers/T1/2/3"}, "channel.slack_hook_form"),
    ("slack", {"key": "xoxp-1234567890-abc"}, "channel.slack_key_form"),
    ("slack", {"key": "xoxb-1234567890-abc"}, "channel.slack_channel_form"),
    ("line", {"token": "aB3" * 14 + "x", "to": LINE_USER}, "channel.line_notify_ended"),
    ("line", {"token": "short", "to": LINE_USER}, "channel.line_token_form"),
    ("line", {"token": LINE_TOKEN, "to": "my-line-id"}, "channel.line_to_form"),
    ("discord", {"hook": "https://discord.com/channels/1/2"}, "channel.discord_hook_form"),
    ("telegram", {"token": "abc", "chat": "123"}, "channel.telegram_token_form"),
    (
        "telegram",
        {"token": "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat": "my friend"},
        "channel.telegram_chat_form",
    ),
    (
        "teams",
        {"hook": "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d"},
        "channel.teams_connector_ended",
    ),
    ("teams", {"hook": "https://prod-5.logic.azure.com/workflows/6"}, "channel.teams_hook_form"),
    ("teams", {"hook": "https://[x"}, "channel.teams_hook_form"),
    ("ntfy", {"topic": "t", "server": "https://[x"}, "channel.ntfy_server_form"),
    ("ntfy", {"topic": "my own topic"}, "channel.ntfy_topic_form"),
    ("ntfy", {"topic": "t", "server": "ftp://x"}, "channel.ntfy_server_form"),
    ("apprise", {"url": "no url"}, "channel.url_form"),
    ("telegram", {"token": "1\x1b[2J", "chat": "1"}, "channel.answer_unprintable"),
]


@pytest.mark.parametrize(("word", "answers", "url"), GOOD)
def test_good_answers_make_the_url(word: str, answers: dict[str, str], url: str) -> None:
    assert find(word).url(answers) == url
    assert service_of(url) == word or word == "apprise"


@pytest.mark.parametrize(
    ("word", "answers", "url"), [case for case in GOOD if case[0] not in ("apprise", "kakao")]
)
def test_each_url_opens(word: str, answers: dict[str, str], url: str) -> None:
    channel = open_channel("phone", url)
    assert (channel.name, channel.service) == ("phone", word)


@pytest.mark.parametrize(("word", "answers", "key"), BAD)
def test_a_mistake_is_said_and_the_answer_is_not(
    word: str, answers: dict[str, str], key: str
) -> None:
    with pytest.raises(UserError) as error:
        find(word).url(answers)
    assert error.value.key == key
    assert error.value.fix
    for answer in answers.values():
        if len(answer) > 4:
            assert answer not in f"{error.value.what} {error.value.fix} {error.value.where}"


def test_an_ntfy_topic_that_nobody_chose_cannot_be_guessed() -> None:
    made = {find("ntfy").url({}) for _ in range(20)}
    assert len(made) == 20
    assert all(len(url.rpartition("/")[2]) >= 24 for url in made)


def test_a_service_may_be_misspelt() -> None:
    with pytest.raises(UserError) as error:
        find("slakc")
    assert "slack" in error.value.what
    with pytest.raises(UserError) as error:
        find("\x1b[31m")
    assert "kakao" in error.value.fix
    assert find(" Slack ").word == "slack"
    with pytest.raises(UserError) as error:
        find("0123456789abcdef" * 2)
    assert "0123" not in error.value.where + error.value.what + error.value.fix


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("word", SERVICES)
def test_every_question_has_its_sentences(
    word: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", language)
    service = SERVICES[word]
    assert service.title
    for field in service.fields:
        assert service.question(field)
        assert service.help(field)


def test_whatever_may_be_a_password_is_typed_unseen() -> None:
    shown = {
        f"{service.word}.{field.name}"
        for service in SERVICES.values()
        for field in service.fields
        if not field.secret
    }
    assert shown == {
        "naver.user", "naver.to", "mail.address", "mail.server", "mail.to", "slack.channel",
        "line.to", "telegram.chat", "ntfy.server",
    }  # fmt: skip


@given(st.sampled_from(sorted(SERVICES)), st.data())
def test_any_answers_give_a_url_or_a_clear_error(word: str, data: Any) -> None:
    service = SERVICES[word]
    answers = {
        field.name: data.draw(st.text(max_size=60) | st.just("x")) for field in service.fields
    }
    try:
        said = service.url(answers)
    except UserError as error:
        said = error.fix
    assert said
    assert said.isprintable()
