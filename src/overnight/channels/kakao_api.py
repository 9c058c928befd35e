"""KakaoTalk's two servers, as far as "send to me" needs them: three requests.

Talked to directly: Apprise's plugin says only that a message failed, not why (a spent quota, a
withdrawn consent and a dead token want different things), keeps the rotated token in a store of
its own, and prints a token it does not like.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from overnight.channels.base import Retry
from overnight.channels.waits import retry_after_s
from overnight.messages import say

AUTHORIZE_URL = "https://kauth.kakao.com/oauth/authorize"
_TOKEN_URL = "https://kauth.kakao.com/oauth/token"
_SEND_URL = "https://kapi.kakao.com/v2/api/talk/memo/default/send"
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 10.0
#: A whole answer, however slowly its bytes drip.
_ANSWER_TIMEOUT_S = 20.0
#: Kakao's answers are below 2 KB; a page of somebody else's may be anything.
_MAX_ANSWER_BYTES = 64 * 1024
#: A temporary error, too many token requests; an internal error, a service closed, an upkeep.
_PASSING = frozenset({"KOE003", "KOE237", "-1", "-7", "-9798"})
_CODE = re.compile(r"KOE\d{1,5}|-\d{1,6}|[a-z_]{3,40}")


class Rejected(Exception):  # noqa: N818 - it says what happened
    """The server understood and said no.

    Attributes:
        status: Of HTTP.
        code: Kakao's own: ``KOE322``, ``-532``; empty where it gave none.
        said: Its explanation. It may quote a code or a key: not to be shown as it is.
    """

    def __init__(self, status: int, code: str, said: str) -> None:
        super().__init__(code or f"HTTP {status}")
        self.status = status
        self.code = code
        self.said = said


def redeem(
    code: str, *, rest_key: str, client_secret: str | None, redirect_uri: str
) -> Mapping[str, Any]:
    """The tokens for a login's code, which is good for one time.

    Raises:
        Rejected: The code, the key or the address is not the right one.
        Retry: No answer.
    """
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    return _tokens(form, rest_key, client_secret)


def renew(refresh: str, *, rest_key: str, client_secret: str | None) -> Mapping[str, Any]:
    """A new access token, and in its last month a new refresh token, which ends the old one.

    Raises:
        Rejected: ``KOE322``: this refresh token is dead.
        Retry: No answer. The old refresh token may have ended all the same.
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    return _tokens(form, rest_key, client_secret)


def send_memo(template: Mapping[str, Any], *, access: str) -> None:
    """Sends a message to the token's own owner.

    Raises:
        Rejected: For the token, the template, the quota, the consent …
        Retry: No answer; the message may have arrived all the same.
    """
    form = {"template_object": json.dumps(template, ensure_ascii=False)}
    _post(_SEND_URL, form, {"Authorization": "Bearer " + access})


def _tokens(form: dict[str, str], rest_key: str, client_secret: str | None) -> Mapping[str, Any]:
    form["client_id"] = rest_key
    if client_secret:
        form["client_secret"] = client_secret
    answer = _post(_TOKEN_URL, form, {})
    if not isinstance(answer.get("access_token"), str):
        raise Retry(say("kakao.not_kakao"))
    return answer


def _post(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
    # Costs 18 MB and 100 ms: only who sends pays.
    import requests

    until_s = time.monotonic() + _ANSWER_TIMEOUT_S
    body = b""
    try:
        with requests.post(
            url,
            data=form,
            headers={**headers, "Accept": "application/json"},
            timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
            allow_redirects=False,  # Kakao's servers do not redirect; a hotel's network does
            stream=True,
        ) as response:
            for chunk in response.iter_content(8192):
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > until_s:
                    raise Retry(say("kakao.not_kakao"))
            status, after = response.status_code, response.headers.get("Retry-After", "")
    except requests.exceptions.SSLError:
        raise Retry(say("kakao.no_trust")) from None
    except requests.Timeout:
        raise Retry(say("kakao.timeout")) from None
    except requests.RequestException as error:
        # The class alone: the text may hold a proxy's password.
        raise Retry(say("kakao.no_connection", why=type(error).__name__)) from None
    return _read(status, after, body)


def _read(status: int, after: str, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer, is_kakao = {}, False
    else:
        is_kakao = True
    code = str(answer.get("error_code") or answer.get("code") or answer.get("error") or "")
    code = code if _CODE.fullmatch(code) else ""
    # A spent quota (-10 and its like) is the caller's to know, whatever the status it comes with.
    if code in _PASSING or status >= 500 or (status == 429 and not code.startswith("-")):
        what = code or f"HTTP {status}"
        raise Retry(say("kakao.unavailable", code=what), retry_after_s(after))
    if not 200 <= status < 300:
        if not is_kakao and status != 401:
            raise Retry(say("kakao.not_kakao"))
        raise Rejected(status, code, str(answer.get("msg") or answer.get("error_description")))
    if not is_kakao:
        raise Retry(say("kakao.not_kakao"))
    return answer
