"""What of a channel's URL may be shown: next to nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.channels.url import hide, masked, secrets_of, service_of

#: URL → service, and every part that must never be shown.
URLS = {
    "kakao://0123456789abcdef0123456789abcdef?client_secret=QwErTyUiOp123456": (
        "kakao",
        ["0123456789abcdef0123456789abcdef", "QwErTyUiOp123456"],
    ),
    "mailtos://overnight.tester:ABCD12EFGH34@naver.com": ("naver", ["ABCD12EFGH34"]),
    "mailto://me:p%40ss%2Fword@example.com?smtp=smtp.example.com": (
        "mail",
        ["p%40ss%2Fword", "p@ss/word"],
    ),
    # A password may look like the name of a host.
    "mailtos://me:hunter.two@gmail.com": ("mail", ["hunter.two"]),
    "ntfys://ntfy.example.com/my.topic.kr": ("ntfy", ["my.topic.kr"]),
    "mailtos://me:p@ssword1@gmail.com": ("mail", ["p@ssword1"]),
    "https://hooks.slack.com/services/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": (
        "slack",
        ["T1JJ3T3L2", "B1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"],
    ),
    "slack://xoxb-1234567890-abcdefghijk/C0123ABCD": ("slack", ["xoxb-1234567890-abcdefghijk"]),
    "line://aaaa+bbb/cccc%3D/U0123456789abcdef0123456789abcdef": (
        "line",
        ["aaaa+bbb", "cccc%3D", "cccc=", "U0123456789abcdef0123456789abcdef"],
    ),
    "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": (
        "discord",
        ["4174216298", "JHMHI8qBe7bk2ZwO5U711o3dV_js"],
    ),
    "tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/-100123456": (
        "telegram",
        ["123456789", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "-100123456"],
    ),
    "https://prod-5.koreacentral.logic.azure.com/workflows/643e69f83c/triggers/manual/paths/"
    "invoke?sp=%2Ftriggers&sig=KODuebWbDGYFr0z0eu": ("teams", ["643e69f83c", "KODuebWbDGYFr0z0eu"]),
    "ntfys://ntfy.sh/my-secret-topic": ("ntfy", ["my-secret-topic"]),
    "ntfys://my-secret-topic": ("ntfy", ["my-secret-topic"]),
    "jsons://user:passw0rd@h.example.com:8443/hook-path?token=abc123def": (
        "jsons",
        ["passw0rd", "hook-path", "abc123def"],
    ),
    "pover://userkey12345678@apptoken12345678": (
        "pover",
        ["userkey12345678", "apptoken12345678"],
    ),
    "desktop://": ("desktop", []),
    "console:///dev/pts/3": ("console", []),
}


@pytest.mark.parametrize("url", URLS)
def test_a_mask_tells_the_service_and_three_characters_at_most(url: str) -> None:
    service, secrets = URLS[url]
    shown = masked(url)
    assert service_of(url) == service
    assert shown.partition(" ")[0] == service
    assert len(shown.partition("…")[2]) <= 3
    for secret in secrets:
        assert secret not in shown


@pytest.mark.parametrize("url", URLS)
def test_no_secret_part_is_left_in_a_text(url: str) -> None:
    _, secrets = URLS[url]
    text = hide(f"cannot reach {url}: " + " ".join(f"<{secret}>" for secret in secrets), url)
    for secret in secrets:
        assert secret not in text


def test_what_helps_a_person_stays() -> None:
    url = "mailtos://overnight.tester:ABCD12EFGH34@naver.com?smtp=smtp.naver.com"
    text = "smtp.naver.com refused overnight.tester on port 465"
    assert hide(text, url) == text


@pytest.mark.parametrize("url", ["", "x", "://", "a://", "slack:", "\0", "kakao://" + "x" * 10_000])
def test_any_oddity_has_a_mask(url: str) -> None:
    assert len(masked(url)) < 60


@given(st.text(max_size=200))
def test_any_text_can_be_masked_and_hidden(url: str) -> None:
    masked(url)
    for secret in secrets_of("jsons://host.example/" + url):
        assert secret not in hide(f"x {secret} y", "jsons://host.example/" + url)
