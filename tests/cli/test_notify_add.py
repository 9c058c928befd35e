"""``overnight notify add``, ``remove`` and ``heartbeat``, typed on a terminal and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from overnight.agent.ping import heartbeat_file, heartbeat_url
from overnight.channels import kakao_store, kakao_token, store

BOT = "xoxb-1234567890-abcdefghij"
PASSWORD = "abcd efgh ijkl"


def answers(terminal: Any, *pairs: tuple[str, str]) -> str:
    """Waits for each question and types its answer; gives all that was shown, to the end."""
    for question, answer in pairs:
        terminal.read_until(question)
        terminal.type(answer + "\n")
    terminal.code = terminal.end()
    return str(terminal.shown)


def test_answers_are_asked_for_and_a_secret_one_is_not_shown(shell: Any) -> None:
    terminal = shell.terminal("notify", "add", "Team_Slack", "slack")
    shown = answers(terminal, ("bot's token (not shown): ", BOT), ("(for a bot): ", "C012345"))
    assert terminal.code == 0, shown
    assert BOT not in shown
    assert "C012345" in shown
    assert "overnight notify test team-slack" in shown
    named = store.load()["team-slack"]
    assert named.url == f"slack://{BOT}/C012345"
    assert store.path().stat().st_mode & 0o777 == 0o600
    assert store.path().parent.stat().st_mode & 0o777 == 0o700


def test_without_a_service_it_is_asked_for_and_a_slip_is_met_with_the_nearest(shell: Any) -> None:
    terminal = shell.terminal("notify", "add", "phone", lang="ko")
    shown = answers(terminal, ("서비스: ", "slak"))
    assert terminal.code == 2
    assert "카카오톡" in shown
    error = shown.partition("서비스: slak\r\n")[2].strip().splitlines()
    assert len(error) == 3
    assert "slack" in error[0]
    assert store.load() == {}


def test_login_naver_asks_for_the_application_password(shell: Any) -> None:
    terminal = shell.terminal("notify", "login", "naver", "--name", "mail")
    shown = answers(
        terminal, ("Naver id: ", "minsu"), ("(not shown): ", PASSWORD), ("yourself): ", "")
    )
    assert terminal.code == 0, shown
    assert PASSWORD not in shown
    assert store.load()["mail"].url.startswith("mailtos://minsu:")


@pytest.mark.parametrize(
    ("lang", "what", "fix"),
    [
        ("en", "this is not a Naver id", "before @naver.com"),
        ("ko", "네이버 아이디가 아닙니다", "@naver.com 앞부분"),
    ],
)
def test_a_wrong_answer_is_an_error_at_once(shell: Any, lang: str, what: str, fix: str) -> None:
    terminal = shell.terminal("notify", "add", "mail", "naver", lang=lang)
    terminal.read_until(": ")
    terminal.type("min su\n")
    terminal.read_until("shown): " if lang == "en" else "보이지 않음): ")
    terminal.type(PASSWORD + "\n")
    terminal.read_until("yourself): " if lang == "en" else "본인): ")
    terminal.type("\n")
    assert terminal.end() == 2
    assert what in terminal.shown
    assert fix in terminal.shown
    assert PASSWORD not in terminal.shown
    assert store.load() == {}


@pytest.mark.parametrize("key", ["\x04", "\x03"])
def test_whoever_breaks_off_changes_nothing(shell: Any, key: str) -> None:
    terminal = shell.terminal("notify", "add", "phone", "slack")
    terminal.read_until("(not shown): ")
    terminal.type(key)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert store.load() == {}


def test_lines_fit_a_narrow_terminal(shell: Any) -> None:
    terminal = shell.terminal("notify", "add", "mail", "naver", columns=50)
    terminal.read_until("Naver id: ")
    terminal.type("minsu\n")
    shown = terminal.read_until("(not shown): ")
    assert max(len(line) for line in shown.splitlines()) <= 60, "50 columns and colours"


@pytest.mark.parametrize(
    "words",
    [
        ("notify", "add", "phone", "slack://" + BOT),
        ("notify", "add", "https://hooks.slack.com/services/T01234/B01234/abcdefghijkl"),
        ("notify", "add", "phone", BOT),
        ("notify", "add", "me@example.com", "mail"),
        ("notify", "add", "phone", "line", "line://Ab1Ab1Ab1Ab1Ab1Ab1/U0123456789abcdef"),
        ("notify", "add", "mail", "naver", "myAppPassw0rd"),
        ("notify", "add", "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
        ("notify", "add", "phone", "0123456789abcdef0123456789abcdef"),
        ("notify", "remove", "phone", "myAppPassw0rd"),
        ("notify", "heartbeat", "https://hc-ping.example/0f3c-secret"),
        ("notify", "https://hc-ping.example/0f3c-secret"),
    ],
)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_an_address_on_the_command_line_is_refused_with_the_reason(
    shell: Any, words: tuple[str, ...], lang: str
) -> None:
    done = shell(*words, code=2, lang=lang)
    assert ("history" if lang == "en" else "셸 기록") in done.stderr
    assert len(done.stderr.splitlines()) == 3
    for word in words[1:]:
        assert word not in done.stderr or len(word) <= len("heartbeat")
    assert store.load() == {}


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("add",), "is missing", "overnight notify add --help"),
        (("ad", "phone"), "no verb 'ad'", "add"),
        (("send", "hello", "world"), "extra argument", "overnight notify send --help"),
    ],
)
def test_a_slip_is_answered_for_the_verb_it_was_made_in(
    shell: Any, words: tuple[str, ...], what: str, fix: str
) -> None:
    done = shell("notify", *words, code=2)
    assert what in done.stderr
    assert fix in done.stderr.splitlines()[-1]


def test_on_a_plain_terminal_a_secret_is_not_shown_either(shell: Any) -> None:
    """Emacs and the like have a terminal that cannot move its cursor."""
    terminal = shell.terminal("notify", "add", "team", "slack", term="dumb")
    shown = answers(terminal, ("bot's token (not shown): ", BOT), ("(for a bot): ", "C012345"))
    assert terminal.code == 0, shown
    assert BOT not in shown


def test_whoever_sets_a_channel_up_anew_keeps_its_format(shell: Any) -> None:
    store.add("mail", "mailtos://old:0000@naver.com", "short")
    for words in (("login", "naver", "--name", "mail"), ("add", "mail", "naver")):
        terminal = shell.terminal("notify", *words)
        answers(terminal, ("Naver id: ", "minsu"), ("(not shown): ", PASSWORD), ("yourself): ", ""))
        assert terminal.code == 0, terminal.shown
        assert store.load()["mail"].url.startswith("mailtos://minsu:")
        assert store.load()["mail"].format == "short"
    # Another service under the same name is another thing.
    terminal = shell.terminal("notify", "add", "mail", "slack")
    answers(terminal, ("bot's token (not shown): ", BOT), ("(for a bot): ", "C012345"))
    assert store.load()["mail"].format is None


def test_a_file_or_a_pipe_brings_a_url(shell: Any) -> None:
    import subprocess
    import sys

    def add(line: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "overnight", "notify", "add", *words],
            cwd=shell.root, env=shell.env, input=line, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    done = add("json://127.0.0.1:9/\n", "home", "--format", "short")
    assert done.returncode == 0, done.stderr
    assert store.load()["home"].format == "short"
    for line, words in (
        ("", ["home"]),
        ("not a url\n", ["home"]),
        ("nosuchscheme://x\n", ["home"]),
        ("json://127.0.0.1/\n", ["home", "--format", "long"]),
        ("json://127.0.0.1/\n", ["a name with blanks"]),
    ):
        done = add(line, *words)
        assert done.returncode == 2, words
        assert len(done.stderr.splitlines()) == 3, done.stderr
    assert store.load()["home"].url == "json://127.0.0.1:9/"
    done = add("kakao://0123456789abcdef0123456789abcdef\n", "phone")
    assert "overnight notify login kakao --name phone" in done.stdout


def test_what_is_removed_is_gone_with_its_tokens(shell: Any) -> None:
    store.add("phone", "kakao://0123456789abcdef0123456789abcdef")
    kakao_token.save_login("phone", lambda: {"access_token": "a", "refresh_token": "r"})
    shell("notify", "remove", "Phone")
    assert store.load() == {}
    assert kakao_store.load("phone") is None
    done = shell("notify", "remove", "phone", code=2)
    assert len(done.stderr.splitlines()) == 3
    # What a variable defines cannot be removed, and is not half removed.
    kakao_token.save_login("phone", lambda: {"access_token": "a", "refresh_token": "r"})
    variable = {"OVERNIGHT_CHANNEL_PHONE": "kakao://0123456789abcdef0123456789abcdef"}
    shell("notify", "remove", "phone", code=2, env=variable)
    assert kakao_store.load("phone") is not None
    of_env = {"OVERNIGHT_CHANNEL_MY_PHONE": "json://127.0.0.1:9/"}
    for lang in ("en", "ko"):
        done = shell("notify", "remove", "my-phone", code=2, lang=lang, env=of_env)
        assert "unset OVERNIGHT_CHANNEL_MY_PHONE" in done.stderr


def test_channels_are_listed_without_their_secrets(shell: Any) -> None:
    done = shell("notify", "channels")
    assert "overnight notify add phone" in done.stdout
    store.add("team", f"slack://{BOT}/C0123456", "full")
    env = {"OVERNIGHT_CHANNEL_HOME": "json://user:secret77@127.0.0.1:9/path-of-mine"}
    for lang in ("en", "ko"):
        shown = shell("notify", "channels", env=env, lang=lang).stdout
        for secret in (BOT, "secret77", "path-of-mine"):
            assert secret not in shown
        assert "team" in shown
        assert "home" in shown
    answer = json.loads(shell("notify", "channels", "--json", env=env).stdout)
    assert [each["name"] for each in answer["channels"]] == ["home", "team"]
    assert [each["source"] for each in answer["channels"]] == ["environment", "file"]


def test_a_heartbeat_address_is_kept_and_forgotten(shell: Any) -> None:
    secret = "https://hc-ping.example/0f3c-secret"
    terminal = shell.terminal("notify", "heartbeat")
    shown = answers(terminal, ("(not shown): ", secret))
    assert terminal.code == 0, shown
    assert secret not in shown
    assert heartbeat_url() == secret
    assert Path(heartbeat_file()).stat().st_mode & 0o777 == 0o600
    terminal = shell.terminal("notify", "heartbeat")
    assert "https://" in answers(terminal, ("(not shown): ", "hc-ping.example"))
    assert terminal.code == 2
    assert heartbeat_url() == secret
    shell("notify", "heartbeat", "--remove")
    assert heartbeat_url() == ""
