"""Logging in at KakaoTalk as a person does: a browser here, a browser elsewhere, every mistake."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.channels.kakao import Kakao
from overnight.channels.kakao_login import login, redirect_uri
from overnight.channels.kakao_store import load, path
from overnight.channels.kakao_token import TokenState, state
from overnight.errors import UserError
from overnight.testing import foreign_kakao
from overnight.testing.faults import FakeClock
from overnight.testing.foreign import Answer, Internet
from overnight.testing.foreign_kakao import LOGIN_HOST, REST_KEY

Browse = Callable[[str], str]
ADDRESS = re.compile(r"https://kauth\.kakao\.com/oauth/authorize\S+")


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    with Internet(tmp_path) as net:
        for name, value in net.env.items():
            monkeypatch.setenv(name, value)
        yield net


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def kakao(net: Internet, clock: FakeClock, port: int) -> foreign_kakao.Kakao:
    return foreign_kakao.Kakao(net, clock.time, redirect_uris=(redirect_uri(port), redirect_uri()))


def agree(url: str) -> str:
    """Opens the address in a browser, agrees or not; the address it is sent to."""
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def visit(url: str) -> requests.Response:
    """What a browser on this machine does with an address of this machine."""
    with requests.Session() as browser:
        browser.trust_env = False
        return browser.get(url, timeout=10)


class Listening(threading.Thread):
    """A login that waits for a browser on this machine."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        super().__init__()
        self.said: queue.Queue[str] = queue.Queue()
        self.error: UserError | None = None
        self.state: TokenState | None = None
        self._port, self._timeout_s = port, timeout_s
        self.start()

    def run(self) -> None:
        try:
            self.state = login(
                "phone", REST_KEY, say=self.said.put, open_port=self._port,
                timeout_s=self._timeout_s,
            )  # fmt: skip
        except UserError as error:
            self.error = error

    def address(self) -> str:
        """The address it shows."""
        while True:
            found = ADDRESS.search(self.said.get(timeout=30))
            if found:
                return found[0]


def paste(
    kakao: foreign_kakao.Kakao, browse: Browse = agree, secret: str | None = None
) -> TokenState:
    """A login whose browser is elsewhere: what ``browse`` makes of the address is pasted."""
    said: list[str] = []

    def ask(prompt: str) -> str:
        found = ADDRESS.search("\n".join(said))
        assert found
        return browse(found[0])

    return login("phone", REST_KEY, secret, say=said.append, ask=ask)


def code_of(address: str) -> str:
    return address.partition("code=")[2].partition("&")[0]


def test_with_a_browser_on_this_machine(kakao: foreign_kakao.Kakao, port: int) -> None:
    listening = Listening(port)
    page = visit(agree(listening.address()))
    listening.join()
    assert listening.error is None
    assert listening.state is not None
    assert listening.state.needs_login is state("phone").needs_login is False
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "has arrived" in page.text
    assert page.headers["cache-control"] == "no-store"
    Kakao("phone", f"kakao://{REST_KEY}").send("text")
    assert len(kakao.sent) == 1


def test_it_says_exactly_what_to_register(kakao: foreign_kakao.Kakao, port: int) -> None:
    listening = Listening(port)
    said = listening.said.get(timeout=30)
    assert f"add exactly http://127.0.0.1:{port}/kakao\n" in said
    assert "talk_message" in said
    visit(agree(listening.address()))
    listening.join()
    asked = kakao.net.requests[0].query
    assert asked["redirect_uri"] == f"http://127.0.0.1:{port}/kakao"
    assert (asked["scope"], asked["response_type"]) == ("talk_message", "code")
    assert len(asked["state"]) >= 32


def test_a_browser_s_other_doings_are_passed_over(kakao: foreign_kakao.Kakao, port: int) -> None:
    listening = Listening(port)
    address = listening.address()
    # A connection ahead of time, an icon, an empty visit, the tab of an earlier login.
    with socket.create_connection(("127.0.0.1", port)):
        base = redirect_uri(port)
        assert visit(f"http://127.0.0.1:{port}/favicon.ico").status_code == 404
        assert visit(base).status_code == 200
        assert "another login" in visit(f"{base}?code=x&state=old").text
        assert "passed over" in listening.said.get(timeout=30)
        assert "another login" in visit(f"{base}?error=access_denied&state=old").text
        assert visit(f"{base}?{'&'.join(['a=b'] * 99)}").status_code == 200
        assert "has arrived" in visit(agree(address)).text
        listening.join()
    assert listening.error is None


def test_two_logins_one_after_the_other_use_the_same_port(
    kakao: foreign_kakao.Kakao, port: int
) -> None:
    for _ in range(2):
        listening = Listening(port)
        visit(agree(listening.address()))
        listening.join()
        assert listening.error is None


def test_not_agreeing(kakao: foreign_kakao.Kakao, port: int) -> None:
    kakao.agrees = False
    listening = Listening(port)
    assert "did not agree" in visit(agree(listening.address())).text
    listening.join()
    assert listening.error is not None
    assert listening.error.key == "kakao.login_denied"
    with pytest.raises(UserError) as error:
        paste(kakao)
    assert error.value.key == "kakao.login_denied"
    assert load("phone") is None


def test_nobody_comes(kakao: foreign_kakao.Kakao, port: int) -> None:
    listening = Listening(port, timeout_s=0.05)
    listening.join()
    assert listening.error is not None
    assert listening.error.key == "kakao.login_timeout"
    assert "KOE006" in listening.error.fix


def test_a_port_that_is_taken(kakao: foreign_kakao.Kakao) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listening = Listening(server.getsockname()[1])
        listening.join()
    assert listening.error is not None
    assert listening.error.key == "kakao.port"
    for no_port in (-1, 70_000):
        with pytest.raises(UserError) as error:
            login("phone", REST_KEY, say=print, open_port=no_port)
        assert error.value.key == "kakao.port"


def test_a_login_somebody_else_has_begun_is_not_taken(
    kakao: foreign_kakao.Kakao, port: int
) -> None:
    """Else one's messages would go to the other's chat."""
    listening = Listening(port)
    address = listening.address()
    forged = re.sub("state=[^&]+", "state=forged", agree(address))
    assert "another login" in visit(forged).text
    with pytest.raises(UserError) as error:
        paste(kakao, lambda url: re.sub("state=[^&]+", "state=forged", agree(url)))
    assert error.value.key == "kakao.login_state"
    visit(agree(address))
    listening.join()


@pytest.mark.parametrize(
    "shape",
    [
        lambda address: address,
        lambda address: f"  {address}\n",
        lambda address: f'"{address}"',
        lambda address: address.partition("?")[2],
        code_of,
    ],
    ids=["address", "spaces", "quotes", "query", "code"],
)
def test_what_may_be_pasted(kakao: foreign_kakao.Kakao, shape: Browse) -> None:
    assert paste(kakao, lambda url: shape(agree(url))).needs_login is False


@pytest.mark.parametrize(
    ("pasted", "key"),
    [
        ("", "kakao.login_paste"),
        ("http://127.0.0.1:8765/kakao", "kakao.login_paste"),
        ("https://kauth.kakao.com/oauth/authorize?client_id=1&state=2", "kakao.login_paste"),
        ("two words", "kakao.login_paste"),
        ("x" * 5000, "kakao.login_paste"),
        ("http://[bad?code=x", "kakao.login_paste"),
        ("code=x&state=other", "kakao.login_state"),
        ("error=access_denied&state=other", "kakao.login_state"),
        ("not-a-code", "kakao.login_code"),
    ],
)
def test_what_may_not_be_pasted(kakao: foreign_kakao.Kakao, pasted: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        paste(kakao, lambda url: pasted)
    assert error.value.key == key
    assert load("phone") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text() | st.text().map("code={0}".format) | st.text().map("http://h/?{0}".format))
def test_any_pasted_text_gives_a_clear_error(kakao: foreign_kakao.Kakao, text: str) -> None:
    with pytest.raises(UserError) as error:
        paste(kakao, lambda url: text)
    assert error.value.fix


def test_a_code_is_good_once_and_not_for_long(kakao: foreign_kakao.Kakao, clock: FakeClock) -> None:
    codes: list[str] = []

    def keep_code(url: str) -> str:
        codes.append(code_of(agree(url)))
        return codes[-1]

    paste(kakao, keep_code)
    with pytest.raises(UserError) as error:
        paste(kakao, lambda url: codes[0])
    assert error.value.key == "kakao.login_code"
    assert codes[0] not in f"{error.value!r} {error.value.fix}"
    assert state("phone").needs_login is False  # the first login stands

    def late(url: str) -> str:
        address = agree(url)
        clock.advance(601)
        return address

    with pytest.raises(UserError) as error:
        paste(kakao, late)
    assert error.value.key == "kakao.login_code"


def test_a_code_got_with_another_redirect_address(kakao: foreign_kakao.Kakao, port: int) -> None:
    def elsewhere(url: str) -> str:
        return agree(url.replace("8765", str(port)))

    with pytest.raises(UserError) as error:
        paste(kakao, elsewhere)
    assert error.value.key == "kakao.login_redirect"
    assert "http://127.0.0.1:8765/kakao" in error.value.fix


def test_what_the_browser_shows_when_something_is_registered_otherwise(
    kakao: foreign_kakao.Kakao,
) -> None:
    pages: list[str] = []

    def look(url: str) -> str:
        pages.append(requests.get(url, allow_redirects=False, timeout=10).text)
        return ""

    kakao.redirect_uris = ()
    with pytest.raises(UserError):
        paste(kakao, look)
    kakao.rest_key = "f" * 32
    with pytest.raises(UserError):
        paste(kakao, look)
    assert [re.sub("<[^>]+>", "", page) for page in pages] == ["KOE006", "KOE101"]


def test_the_apps_key_and_secret(kakao: foreign_kakao.Kakao) -> None:
    kakao.client_secret = "s" * 32
    for secret in (None, "t" * 32):
        with pytest.raises(UserError) as error:
            paste(kakao, secret=secret)
        assert error.value.key == "kakao.bad_secret"
        assert "t" * 32 not in f"{error.value!r} {error.value.fix}"
    assert paste(kakao, secret="s" * 32).needs_login is False

    def change_key(url: str) -> str:
        address = agree(url)
        kakao.rest_key = "f" * 32
        return address

    with pytest.raises(UserError) as error:
        paste(kakao, change_key, secret="s" * 32)
    assert error.value.key == "kakao.bad_key"
    with pytest.raises(UserError) as error:
        login("phone", "no key", say=print, ask=lambda prompt: "")
    assert error.value.key == "kakao.url_key"


def test_agreeing_to_the_login_and_not_to_messages(kakao: foreign_kakao.Kakao) -> None:
    kakao.scopes = ("profile",)
    # Kakao then grants tokens without a scope, and says -402 at the first message.
    assert paste(kakao).needs_login is False
    with pytest.raises(UserError) as error:
        Kakao("phone", f"kakao://{REST_KEY}").send("text")
    assert error.value.key == "kakao.no_consent"
    tokens = {"access_token": "a", "refresh_token": "r", "scope": "profile_nickname account_email"}

    def only_profile(url: str) -> str:
        address = agree(url)
        kakao.net.fault(LOGIN_HOST, Answer(200, tokens))
        return address

    with pytest.raises(UserError) as error:
        paste(kakao, only_profile)
    assert error.value.key == "kakao.no_consent"


@pytest.mark.parametrize(
    "fault",
    [
        "refused",
        "cut",
        "dns",
        Answer(503),
        Answer(200, "hotel"),
        Answer(200, {"access_token": "a"}),
    ],
    ids=repr,
)
def test_a_network_that_fails_at_the_last_step(kakao: foreign_kakao.Kakao, fault: object) -> None:
    paste(kakao)
    before = load("phone")

    def cut_off(url: str) -> str:
        address = agree(url)
        kakao.net.fault(LOGIN_HOST, fault)  # type: ignore[arg-type]
        return address

    with pytest.raises(UserError) as error:
        paste(kakao, cut_off)
    assert error.value.key == "kakao.login_network"
    assert load("phone") == before


def test_an_error_nobody_knows(kakao: foreign_kakao.Kakao) -> None:
    def odd(url: str) -> str:
        address = agree(url)
        answer = Answer(400, {"error": "x", "error_code": "KOE999", "error_description": address})
        kakao.net.fault(LOGIN_HOST, answer)
        return address

    with pytest.raises(UserError) as error:
        paste(kakao, odd)
    assert error.value.key == "kakao.login_refused"
    assert "KOE999" in error.value.what
    assert "code=" not in f"{error.value!r}"


def test_nothing_of_the_login_is_printed(
    kakao: foreign_kakao.Kakao, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    listening = Listening(port)
    visit(agree(listening.address()))
    # A browser that hangs up in the middle.
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as half:
        half.send(b"GET /kakao?code=abc")
    listening.join()
    assert capfd.readouterr() == ("", "")
    assert path("phone").exists()
    said = "".join(listening.said.queue)
    token = load("phone")
    assert token is not None
    assert token.access not in said
    assert token.refresh not in said
