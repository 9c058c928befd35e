"""``overnight notify login kakao`` by terminal, against KakaoTalk on the loopback internet."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from overnight.channels import kakao_store, store
from overnight.channels.kakao_login import redirect_uri
from overnight.testing.foreign import Internet
from overnight.testing.foreign_kakao import REST_KEY, Kakao

ADDRESS = re.compile(r"https://kauth\.kakao\.com/oauth/authorize\S+(?=\r\n)")
KEY_QUESTION = {"en": "REST API key (not shown): ", "ko": "REST API 키 (보이지 않음): "}
SECRET_QUESTION = {"en": "switched it off) (not shown): ", "ko": "비워 두십시오) (보이지 않음): "}
#: What each page ends with.
LOGGED_IN = {"en": "is logged in", "ko": "채널에 로그인했습니다"}


@pytest.fixture
def net(shell: Any, tmp_path: Path) -> Iterator[Internet]:
    with Internet(tmp_path) as net:
        shell.env.update(net.env)
        shell.env.pop("SSH_CONNECTION", None)
        yield net


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def kakao(net: Internet, port: int) -> Kakao:
    return Kakao(net, time.time, redirect_uris=(redirect_uri(port), redirect_uri()))


def agree(terminal: Any, net: Internet) -> str:
    """Opens the address that is shown, and agrees; the address the browser is sent to."""
    terminal.read_until("state=")
    while not (found := ADDRESS.search(terminal.shown)):
        assert terminal._read(), terminal.shown
    answer = requests.get(
        found[0],
        allow_redirects=False,
        timeout=10,
        proxies={"https": net.env["HTTPS_PROXY"]},
        verify=net.env["REQUESTS_CA_BUNDLE"],
    )
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"])


def type_key(terminal: Any, lang: str, key: str = REST_KEY) -> None:
    """Answers the two questions about the app."""
    terminal.read_until(KEY_QUESTION[lang])
    terminal.type(key + "\n")
    terminal.read_until(SECRET_QUESTION[lang])
    terminal.type("\n")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_browser_on_this_machine(
    shell: Any, net: Internet, kakao: Kakao, port: int, lang: str
) -> None:
    words = ("notify", "login", "kakao", "--name", "Phone", "--listen", "--port", str(port))
    terminal = shell.terminal(*words, lang=lang, columns=400)
    type_key(terminal, lang)
    back = agree(terminal, net)
    with requests.Session() as browser:
        browser.trust_env = False
        assert browser.get(back, timeout=10).status_code == 200
    assert terminal.end() == 0, terminal.shown
    assert LOGGED_IN[lang] in terminal.shown
    assert "59" in terminal.shown
    assert store.load()["phone"].url == f"kakao://{REST_KEY}"
    done = shell("notify", "test", "phone", lang=lang)
    assert "✓ phone" in done.stdout
    assert len(kakao.sent) == 1


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_browser_elsewhere(shell: Any, net: Internet, kakao: Kakao, lang: str) -> None:
    shell.env["SSH_CONNECTION"] = "10.0.0.1 1 10.0.0.2 22"
    shell.env["DISPLAY"] = "localhost:10.0"  # forwarded: what it shows is no browser of theirs
    terminal = shell.terminal(
        "notify", "add", "phone", "kakao", "--format", "full", lang=lang, columns=400
    )
    type_key(terminal, lang)
    back = agree(terminal, net)
    terminal.read_until("Paste the address here" if lang == "en" else "붙여 넣으십시오")
    terminal.type(back + "\n")
    assert terminal.end() == 0, terminal.shown
    code = back.partition("code=")[2].partition("&")[0]
    assert code not in terminal.shown, "what was pasted is not shown"
    assert store.load()["phone"].format == "full"
    token = kakao_store.load("phone")
    assert token is not None


def test_a_wrong_key_can_be_replaced_and_a_login_keeps_what_was_set_up(
    shell: Any, net: Internet, kakao: Kakao
) -> None:
    store.add("phone", "kakao://" + "f" * 32, "full")
    shell.env["SSH_CONNECTION"] = "10.0.0.1 1 10.0.0.2 22"
    # `add` asks anew …
    terminal = shell.terminal("notify", "add", "PHONE", "kakao", columns=400)
    type_key(terminal, "en")
    back = agree(terminal, net)
    terminal.read_until("Paste the address here")
    terminal.type(back + "\n")
    assert terminal.end() == 0, terminal.shown
    assert store.load()["phone"].url == f"kakao://{REST_KEY}"
    # … and `login` does not.
    store.add("phone", f"kakao://{REST_KEY}", "full")
    terminal = shell.terminal("notify", "login", "kakao", "--name", "Phone", columns=400)
    back = agree(terminal, net)
    assert KEY_QUESTION["en"] not in terminal.shown
    terminal.read_until("Paste the address here")
    terminal.type(back + "\n")
    assert terminal.end() == 0, terminal.shown
    assert store.load()["phone"].format == "full"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_whoever_has_no_browser_here_is_told_what_to_type(
    shell: Any, net: Internet, kakao: Kakao, port: int, lang: str
) -> None:
    store.add("phone", f"kakao://{REST_KEY}")
    terminal = shell.terminal("notify", "login", "kakao", "--port", str(port), lang=lang)
    terminal.read_until("overnight notify login kakao --name phone --paste")
    terminal.type("\x03")
    assert terminal.end() == 130
    terminal = shell.terminal("notify", "add", "phone", "kakao", "--paste", lang=lang, columns=400)
    type_key(terminal, lang)
    back = agree(terminal, net)
    terminal.read_until("Paste the address here" if lang == "en" else "붙여 넣으십시오")
    terminal.type(back + "\n")
    assert terminal.end() == 0, terminal.shown


def test_a_login_without_a_name_is_the_only_channel_s(
    shell: Any, net: Internet, kakao: Kakao
) -> None:
    store.add("phone", f"kakao://{REST_KEY}", "full")
    terminal = shell.terminal("notify", "login", "kakao", "--paste", columns=400)
    back = agree(terminal, net)
    terminal.read_until("Paste the address here")
    terminal.type(back + "\n")
    assert terminal.end() == 0, terminal.shown
    assert list(store.load()) == ["phone"], "a second one would be told of everything too"
    assert kakao_store.load("phone") is not None
    store.add("tablet", f"kakao://{REST_KEY}")
    for lang in ("en", "ko"):
        done = shell("notify", "login", "kakao", code=2, lang=lang)
        assert "phone, tablet" in done.stderr
        assert "--name" in done.stderr


def test_whoever_does_not_agree_keeps_what_there_was(
    shell: Any, net: Internet, kakao: Kakao
) -> None:
    kakao.agrees = False
    shell.env["SSH_CONNECTION"] = "10.0.0.1 1 10.0.0.2 22"
    terminal = shell.terminal("notify", "login", "kakao", columns=400)
    type_key(terminal, "en")
    back = agree(terminal, net)
    terminal.read_until("Paste the address here")
    terminal.type(back + "\n")
    assert terminal.end() == 2
    assert store.load() == {}


def test_what_cannot_be_logged_in_to_says_so(shell: Any) -> None:
    for words in (("slack",), ("kakoa",), ("kakao", "--name", "a b")):
        done = shell("notify", "login", *words, code=2)
        assert len(done.stderr.splitlines()) == 3, done.stderr


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_run_says_at_its_start_that_a_login_is_missing(shell: Any, lang: str) -> None:
    store.add("phone", f"kakao://{REST_KEY}")
    shell.script("print(1)")
    done = shell("run", "--notify", "phone", "job.py", lang=lang)
    assert "! " in done.stderr
    assert "overnight notify login kakao --name phone" in done.stderr


def test_a_channel_of_the_project_s_own_variables_is_looked_at_too(shell: Any) -> None:
    (shell.root / ".env").write_text(f"OVERNIGHT_CHANNEL_PHONE=kakao://{REST_KEY}\n")
    shell.script("print(1)")
    done = shell("run", "--notify", "phone", "job.py")
    assert "overnight notify login kakao --name phone" in done.stderr
