"""KakaoTalk on the loopback internet: its login, its token server, "send to me".

It answers as documented (developers.kakao.com, Kakao Login and Kakao Talk Message, REST API) and
as seen: an access token lives 21,599 s, a refresh token 5,183,999 s; a refresh in the refresh
token's last month brings a new one, and the old one is dead at once. Texts above 200 characters
are refused here; what the real server does with them is not documented.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from overnight.testing.foreign import Answer, Internet, Request

ACCESS_LIFE_S = 21_599
REFRESH_LIFE_S = 5_183_999
#: With less of its life left, a refresh token is replaced by the next refresh.
ROTATES_BELOW_S = 30 * 86_400
CODE_LIFE_S = 600
MAX_TEXT_CHARS = 200
LOGIN_HOST, API_HOST = "kauth.kakao.com", "kapi.kakao.com"
REST_KEY = "0123456789abcdef0123456789abcdef"
REDIRECT_URI = "http://127.0.0.1:8765/kakao"
#: Code → HTTP status and text, for :meth:`Kakao.refuse`.
REFUSALS = {
    -1: (400, "internal error"),
    -2: (400, "template_object is invalid"),
    -3: (403, "App disabled [talk_message] scopes for [TALK_MEMO_DEFAULT_SEND] API"),
    -5: (403, "no permission"),
    -7: (400, "service is closed for a moment"),
    -10: (400, "API limit has been exceeded."),
    -401: (401, "this access token does not exist"),
    -402: (403, "insufficient scopes."),
    -501: (400, "user is not a KakaoTalk user"),
    -530: (400, "blocked sender"),
    -531: (400, "monthly limit exceeded"),
    -532: (400, "daily message limit per sender has been exceeded."),
    -533: (400, "daily message limit per receiver has been exceeded."),
    -536: (400, "daily message limit per sender and receiver has been exceeded."),
    -9798: (503, "the service is under maintenance"),
}


@dataclass(slots=True)
class _Grant:
    """What a code or a token stands for."""

    expires_s: float
    scopes: tuple[str, ...]
    redirect_uri: str = ""


@dataclass(slots=True)
class Kakao:
    """The service and its one user, who is always signed in.

    Attributes:
        net: Where it is served.
        clock: The time in seconds; tokens age by it.
        client_secret: What the app demands, if anything.
        redirect_uris: Those registered with the app.
        agrees: Whether the user agrees when a login asks.
        scopes: What the user agrees to.
        sent: The templates of all messages that were accepted.
        num_refreshes: Refreshes that were granted.
        num_rotations: Those that brought a new refresh token.
    """

    net: Internet
    clock: Callable[[], float]
    rest_key: str = REST_KEY
    client_secret: str | None = None
    redirect_uris: Sequence[str] = (REDIRECT_URI,)
    agrees: bool = True
    scopes: tuple[str, ...] = ("talk_message",)
    sent: list[dict[str, Any]] = field(default_factory=list)
    num_refreshes: int = 0
    num_rotations: int = 0
    _codes: dict[str, _Grant] = field(default_factory=dict)
    _access: dict[str, _Grant] = field(default_factory=dict)
    _refresh: dict[str, _Grant] = field(default_factory=dict)
    _refusals: deque[int] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.net.serve(LOGIN_HOST, self._login)
        self.net.serve(API_HOST, self._api)

    def refuse(self, code: int, times: int = 1) -> None:
        """The next ``times`` sends are refused with ``code``, whatever they hold."""
        with self._lock:
            self._refusals.extend([code] * times)

    def forget_access(self) -> None:
        """Every access token is void, whatever its age."""
        with self._lock:
            self._access.clear()

    def forget_refresh(self) -> None:
        """Every refresh token is void, as when the user unlinks the app."""
        with self._lock:
            self._refresh.clear()

    def _login(self, request: Request) -> Answer:
        with self._lock:
            match (request.method, request.path):
                case ("GET", "/oauth/authorize"):
                    return self._authorize(request)
                case ("POST", "/oauth/token"):
                    return self._token(request.form)
                case _:
                    return Answer(404, "KOE002")

    def _authorize(self, request: Request) -> Answer:
        query = request.query
        # These are shown to the user, who is not sent back.
        if query.get("client_id") != self.rest_key:
            return Answer(401, "<h1>KOE101</h1>", {"Content-Type": "text/html"})
        if query.get("redirect_uri") not in self.redirect_uris:
            return Answer(400, "<h1>KOE006</h1>", {"Content-Type": "text/html"})
        back = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            back |= {"error": "invalid_request", "error_description": "KOE201"}
        elif not self.agrees:
            back |= {"error": "access_denied", "error_description": "User denied access"}
        else:
            back["code"] = _secret()
            asked = query.get("scope", "").split(",")
            self._codes[back["code"]] = _Grant(
                self.clock() + CODE_LIFE_S,
                tuple(scope for scope in self.scopes if scope in asked),
                query["redirect_uri"],
            )
        return Answer(302, b"", {"Location": query["redirect_uri"] + "?" + urlencode(back)})

    def _token(self, form: dict[str, str]) -> Answer:
        if form.get("client_id") != self.rest_key:
            return _no(401, "invalid_client", "Not exist client_id", "KOE101")
        if self.client_secret is not None and form.get("client_secret") != self.client_secret:
            return _no(401, "invalid_client", "Bad client credentials", "KOE010")
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._renew(form.get("refresh_token", ""))
            case _:
                return _no(400, "unsupported_grant_type", "grant_type is missing", "KOE114")

    def _redeem(self, form: dict[str, str]) -> Answer:
        code = form.get("code", "")
        grant = self._codes.pop(code, None)
        if grant is None or grant.expires_s < self.clock():
            text = f"authorization code not found for code={code}"
            return _no(400, "invalid_grant", text, "KOE320")
        if form.get("redirect_uri") != grant.redirect_uri:
            return _no(400, "invalid_grant", "Redirect URI mismatch.", "KOE303")
        return Answer(200, self._new_access(grant.scopes) | self._new_refresh(grant.scopes))

    def _renew(self, token: str) -> Answer:
        grant = self._refresh.get(token)
        if grant is None or grant.expires_s < self.clock():
            return _no(400, "invalid_grant", "expired_or_invalid_refresh_token", "KOE322")
        answer = self._new_access(grant.scopes)
        self.num_refreshes += 1
        if grant.expires_s - self.clock() < ROTATES_BELOW_S:
            del self._refresh[token]
            answer |= self._new_refresh(grant.scopes)
            self.num_rotations += 1
        return Answer(200, answer)

    def _new_access(self, scopes: tuple[str, ...]) -> dict[str, Any]:
        token = _secret()
        self._access[token] = _Grant(self.clock() + ACCESS_LIFE_S, scopes)
        answer = {"token_type": "bearer", "access_token": token, "expires_in": ACCESS_LIFE_S}
        return answer | ({"scope": " ".join(scopes)} if scopes else {})

    def _new_refresh(self, scopes: tuple[str, ...]) -> dict[str, Any]:
        token = _secret()
        self._refresh[token] = _Grant(self.clock() + REFRESH_LIFE_S, scopes)
        return {"refresh_token": token, "refresh_token_expires_in": REFRESH_LIFE_S}

    def _api(self, request: Request) -> Answer:
        with self._lock:
            if (request.method, request.path) != ("POST", "/v2/api/talk/memo/default/send"):
                return Answer(404, {"msg": "no such API", "code": -4})
            if self._refusals:
                return _refusal(self._refusals.popleft())
            return self._send(request)

    def _send(self, request: Request) -> Answer:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        grant = self._access.get(bearer)
        if grant is None:
            return _refusal(-401)
        if grant.expires_s < self.clock():
            return Answer(401, {"msg": "this access token is already expired", "code": -401})
        if "talk_message" not in grant.scopes:
            scopes = {"required_scopes": ["talk_message"], "allowed_scopes": list(grant.scopes)}
            return Answer(403, {"msg": "insufficient scopes.", "code": -402} | scopes)
        try:
            template = json.loads(request.form["template_object"])
            links = [template["link"][name] for name in ("web_url", "mobile_web_url")]
            text = template["text"]
            good = template["object_type"] == "text" and 0 < len(text) <= MAX_TEXT_CHARS
            good = good and all(link.startswith(("http://", "https://")) for link in links)
        except (KeyError, TypeError, AttributeError, ValueError):
            good = False
        if not good:
            return _refusal(-2)
        self.sent.append(template)
        return Answer(200, {"result_code": 0})


def _secret() -> str:
    return secrets.token_urlsafe(40)


def _no(status: int, error: str, text: str, code: str) -> Answer:
    return Answer(status, {"error": error, "error_description": text, "error_code": code})


def _refusal(code: int) -> Answer:
    status, text = REFUSALS[code]
    return Answer(status, {"msg": text, "code": code})
