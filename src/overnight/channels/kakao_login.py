"""Logging in at KakaoTalk: the person agrees in a browser, the tokens come to this machine.

Kakao sends the browser to an address of this machine's own (``http://127.0.0.1:8765/kakao``), which
must be registered with the app to the letter. Where the browser runs elsewhere, nothing answers
there, and the person pastes the address the browser was sent to.
"""

from __future__ import annotations

import hmac
import html
import os
import queue
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

from overnight import messages
from overnight.channels import kakao_api, kakao_store, kakao_token
from overnight.channels.base import Retry
from overnight.channels.kakao import Kakao, make_url
from overnight.channels.kakao_api import Rejected
from overnight.channels.kakao_token import TokenState
from overnight.errors import UserError

PORT = 8765
_PATH = "/kakao"
_SCOPE = "talk_message"
#: A person finds a telephone, a password, and what to register.
TIMEOUT_S = 900.0
#: A browser that connects ahead of time and says nothing.
_IDLE_S = 10.0
#: How long a Ctrl-C may go unheard.
_SLICE_S = 0.5
#: What stands in a pasted line; a code is some 90 characters.
_MAX_PASTED_CHARS = 4096
_REDEEM_ERRORS = {
    "KOE320": "kakao.login_code",
    "KOE303": "kakao.login_redirect",
    "KOE006": "kakao.login_redirect",
    "KOE101": "kakao.bad_key",
    "KOE010": "kakao.bad_secret",
}


@dataclass(frozen=True, slots=True)
class _Back:
    """What came back from the browser."""

    code: str = ""
    state: str = ""
    error: str = ""


def redirect_uri(port: int = PORT) -> str:
    """The address to be registered with the app, to the letter."""
    return f"http://127.0.0.1:{port}{_PATH}"


def login(
    name: str,
    rest_key: str,
    client_secret: str | None = None,
    *,
    say: Callable[[str], None],
    ask: Callable[[str], str] | None = None,
    open_port: int = PORT,
    timeout_s: float = TIMEOUT_S,
) -> TokenState:
    """Takes a person through the login and saves the tokens it brings.

    Args:
        name: The channel the tokens are for.
        rest_key: The app's REST API key.
        client_secret: The app's client secret, where it has one switched on.
        say: Shows a line: what to register, the address to open.
        ask: Asks for a line without showing what is typed, and returns it; what it asks ends
            without a colon. If given, the browser runs on another machine: nothing listens here,
            and the person pastes the address the browser ended at (or the code in it).
        open_port: The port of the registered redirect address; listened to unless ``ask`` is given.
        timeout_s: How long to wait for the browser.

    Raises:
        UserError: The person refused, the time is over, the port is taken, something is registered
            otherwise, Kakao cannot be reached, or the tokens cannot be saved. No earlier login is
            lost by it.
    """
    app = Kakao(name, make_url(rest_key, client_secret))
    kakao_store.check_room(name)
    address = redirect_uri(open_port)
    state = secrets.token_urlsafe(24)
    query = {"response_type": "code", "client_id": app.rest_key, "redirect_uri": address}
    url = f"{kakao_api.AUTHORIZE_URL}?{urlencode(query | {'scope': _SCOPE, 'state': state})}"
    say(messages.say("kakao.register", redirect=address))
    if ask is None:
        with _Listener(name, open_port, state) as listener:
            say(messages.say("kakao.open", url=url, name=name))
            back = listener.wait(timeout_s, say)
    else:
        say(messages.say("kakao.open_elsewhere", url=url, redirect=address))
        back = _pasted(name, ask(messages.say("kakao.paste")), state)
    if back.error:
        denied = back.error == "access_denied"
        if denied:
            raise UserError("kakao.login_denied", where=name)
        raise UserError("kakao.login_refused", where=name, code=_word(back.error))
    kakao_token.save_login(name, lambda: _redeem(app, back.code, address))
    return kakao_token.state(name)


def _redeem(app: Kakao, code: str, address: str) -> dict[str, object]:
    try:
        answer = kakao_api.redeem(
            code, rest_key=app.rest_key, client_secret=app.client_secret, redirect_uri=address
        )
    except Retry as retry:
        raise UserError("kakao.login_network", where=app.name, why=retry.why) from None
    except Rejected as rejected:
        key = _REDEEM_ERRORS.get(rejected.code, "kakao.login_refused")
        what = rejected.code or f"HTTP {rejected.status}"
        raise UserError(key, where=app.name, name=app.name, code=what, redirect=address) from None
    if not isinstance(answer.get("refresh_token"), str):
        why = messages.say("kakao.not_kakao")
        raise UserError("kakao.login_network", where=app.name, why=why)
    scope = answer.get("scope")
    if isinstance(scope, str) and scope and _SCOPE not in scope.replace(",", " ").split():
        raise UserError("kakao.no_consent", where=app.name, name=app.name)
    return dict(answer)


def _pasted(name: str, text: str, state: str) -> _Back:
    """What a person pasted: the address the browser was sent to, its query, or the code alone."""
    text = text.strip().strip("'\"<>")
    if not text or len(text) > _MAX_PASTED_CHARS or any(c.isspace() for c in text):
        raise UserError("kakao.login_paste", where=name)
    if "=" not in text and "/" not in text:
        # Typed by the person whose login it is: it needs no state to prove where it came from.
        return _Back(code=text)
    try:
        back = _read(urlsplit(text).query if "?" in text else text)
    except ValueError:
        raise UserError("kakao.login_paste", where=name) from None
    if not back.code and not back.error:
        raise UserError("kakao.login_paste", where=name)
    if not _is_ours(back, state):
        raise UserError("kakao.login_state", where=name)
    return back


def _read(query: str) -> _Back:
    fields = parse_qs(query, max_num_fields=50)
    first = {key: values[0] for key, values in fields.items()}
    return _Back(first.get("code", ""), first.get("state", ""), first.get("error", ""))


def _is_ours(back: _Back, state: str) -> bool:
    """Whether it answers this login, and not one that somebody else has begun."""
    return hmac.compare_digest(back.state.encode(), state.encode())


def _word(text: str) -> str:
    """A word of the server's, harmless to show."""
    return "".join(char for char in text if char.isalnum() or char in "_-")[:40]


class _Listener:
    """Waits on 127.0.0.1 for the browser to come back."""

    def __init__(self, name: str, port: int, state: str) -> None:
        self._backs: queue.SimpleQueue[_Back] = queue.SimpleQueue()
        self._name = name
        self.state = state
        try:
            self._server = _Server(("127.0.0.1", port), _Page)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UserError("kakao.port", where=name, port=port, why=why) from None
        self._server.listener = self
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> _Listener:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def came(self, query: str) -> str:
        """Takes what a browser brings; the key of the sentence it is shown."""
        try:
            back = _read(query)
        except ValueError:
            back = _Back()
        if not back.code and not back.error:
            return "kakao.page_empty"
        self._backs.put(back)
        if not _is_ours(back, self.state):
            return "kakao.page_other"
        return "kakao.page_denied" if back.error else "kakao.page_done"

    def wait(self, timeout_s: float, say: Callable[[str], None]) -> _Back:
        """The first answer to this login; one to another login is told and passed over."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            try:
                # In slices: a Ctrl-C right before a wait does not end that wait.
                back = self._backs.get(timeout=min(_SLICE_S, left_s))
            except queue.Empty:
                continue
            if _is_ours(back, self.state):
                return back
            say(messages.say("kakao.other_login"))
        raise UserError("kakao.login_timeout", where=self._name)


class _Server(ThreadingTCPServer):
    # A login tried again at once finds its port free; on Windows this would share it with others.
    allow_reuse_address = os.name == "posix"
    daemon_threads = True
    # A browser's idle connection is not waited for.
    block_on_close = False
    listener: _Listener

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no error of anybody's."""


class _Page(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_S

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found = parts.path == _PATH
        key = self.server.listener.came(parts.query) if found else "kakao.page_empty"
        text = html.escape(messages.say(key))
        page = f"<!doctype html><meta charset=utf-8><title>Overnight</title><p>{text}</p>"
        body = page.encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        # The code stands in the address: it goes to nobody else.
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request's line holds the code."""
