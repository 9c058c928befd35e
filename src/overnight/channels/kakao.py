"""KakaoTalk, "send to me": a text of 200 characters into one's own chat.

The URL names the app, ``kakao://REST_API_KEY[?client_secret=…&link=…&button=…]``; the tokens of the
login lie in a file of their own (``kakao_token``). Kakao allows 20 messages a day from one person
to the same one, sends no files and edits nothing.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from overnight.channels import kakao_api, kakao_token
from overnight.channels.base import Refused, Retry
from overnight.channels.fit import cut, folded, line
from overnight.channels.kakao_api import Rejected
from overnight.channels.services import SERVICES
from overnight.channels.waits import until_next_day_s, until_next_month_s
from overnight.errors import UserError
from overnight.messages import say
from overnight.redact import MASK, redact

#: A text template has to have a link, and its button opens only for a domain that is registered
#: with the app ([Product Link]). The text arrives in any case. Most people register none: theirs
#: names Kakao's own site, and the button says so rather than "details".
DEFAULT_LINK = "https://developers.kakao.com"
DEFAULT_BUTTON = "Kakao Developers"
#: Beyond it the button is cut on a phone.
_MAX_BUTTON_CHARS = 14
#: Kakao's are 32 hexadecimal digits; the form is left open, its length is not.
_KEY = re.compile(r"[0-9A-Za-z]{20,64}")
_SECRET = re.compile(r"[!-~]{8,128}")
_OPAQUE = re.compile(r"(?=[!-~]{0,99}\d)[!-~]{20,}")
_OPTIONS = frozenset({"client_secret", "link", "button"})
#: Quotas are counted by the Korean day; a minute for the two clocks.
_AFTER_MIDNIGHT_S = 60.0
#: Spent quotas. -10: all calls of the app; by day, of a sender, a recipient, a pair of them.
_SPENT_TODAY = frozenset({"-10", "-532", "-533", "-536"})
_SPENT_THIS_MONTH = "-531"
#: Code → sentence.
_REASONS = {
    "-2": "kakao.bad_message",
    "-3": "kakao.not_allowed",
    "-4": "kakao.not_allowed",
    "-5": "kakao.not_allowed",
    "-401": "kakao.void",
    "-402": "kakao.no_consent",
    "-403": "kakao.no_consent",
    "-501": "kakao.no_account",
    "-530": "kakao.blocked",
}
_LIMITS = SERVICES["kakao"].limits


class Kakao:
    """A person's own KakaoTalk.

    Args:
        name: The channel's name, by which its tokens are found.
        url: ``kakao://REST_API_KEY`` and options.

    Raises:
        UserError: The URL cannot be one.
    """

    service = "kakao"
    limits = _LIMITS

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.rest_key, options = _parse(name, url)
        self.client_secret = options.get("client_secret")
        self._link = options.get("link", DEFAULT_LINK)
        self._button = options.get("button", "" if "link" in options else DEFAULT_BUTTON)

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> None:
        """Sends a text; see :class:`~overnight.channels.base.Channel`. Files cannot be sent.

        Raises:
            Retry: No answer, an upkeep, or a spent quota: then until it is filled again.
            Refused: A login is needed, or the app may not.
        """
        template = self._template(text, title)
        access = self._access()
        try:
            kakao_api.send_memo(template, access=access)
        except Rejected as rejected:
            if rejected.status != 401:
                raise self._error(rejected) from None
            self._send_again(template, void=access)

    def check(self) -> None:
        """Sees that a message could be sent, and sends none; keeps an idle channel's token alive.

        Raises:
            Retry: Kakao does not answer.
            Refused: A login is needed.
        """
        self._access()

    def _send_again(self, template: Mapping[str, Any], *, void: str) -> None:
        try:
            kakao_api.send_memo(template, access=self._access(void=void))
        except Rejected as rejected:
            raise self._error(rejected) from None

    def _access(self, void: str = "") -> str:
        return kakao_token.access(self.name, self._renew, void=void)

    def _renew(self, refresh: str) -> Mapping[str, Any]:
        try:
            return kakao_api.renew(
                refresh, rest_key=self.rest_key, client_secret=self.client_secret
            )
        except Rejected as rejected:
            match rejected.code:
                case "KOE101":
                    raise Refused("kakao.bad_key", where=self.name, name=self.name) from None
                case "KOE010":
                    raise Refused("kakao.bad_secret", where=self.name, name=self.name) from None
                case ("KOE322" | "invalid_grant") as code:
                    raise kakao_token.Dead(code) from None
                case _:
                    raise self._error(rejected) from None

    def _error(self, rejected: Rejected) -> Refused | Retry:
        code = rejected.code or ("-401" if rejected.status == 401 else "")
        if code in _SPENT_TODAY:
            after_s = until_next_day_s(time.time()) + _AFTER_MIDNIGHT_S
            return Retry(say("kakao.spent_today", code=code), after_s)
        if code == _SPENT_THIS_MONTH:
            after_s = until_next_month_s(time.time()) + _AFTER_MIDNIGHT_S
            return Retry(say("kakao.spent_month", code=code), after_s)
        # A key or a token that it quotes: words of a sentence are shorter or have no digit.
        said = cut(line(_OPAQUE.sub(MASK, redact(rejected.said))), 120)
        what = code or f"HTTP {rejected.status}"
        key = _REASONS.get(code, "kakao.refused")
        refused = Refused(key, where=self.name, name=self.name, code=what, said=said)
        refused.said = f"{what}: {said}"
        return refused

    def _template(self, text: str, title: str) -> dict[str, Any]:
        # As few characters as the same text can have: a Mac's file names have three for one.
        title, text = (unicodedata.normalize("NFC", each) for each in (title, text))
        title = "" if text.startswith(title) else title
        whole = folded(title, text.strip(), _LIMITS.num_chars).strip()
        if not whole:
            raise Refused("kakao.empty", where=self.name)
        template: dict[str, Any] = {
            "object_type": "text",
            "text": whole,
            "link": {"web_url": self._link, "mobile_web_url": self._link},
        }
        return template | ({"button_title": self._button} if self._button else {})


def make_url(
    rest_key: str, client_secret: str | None = None, *, link: str = "", button: str = ""
) -> str:
    """A channel's URL from its parts; :class:`Kakao` says whether it can be one."""
    options = {"client_secret": client_secret or "", "link": link, "button": button}
    query = urlencode({word: value for word, value in options.items() if value})
    return f"kakao://{quote(rest_key.strip(), safe='')}" + ("?" + query if query else "")


def _parse(name: str, url: str) -> tuple[str, dict[str, str]]:
    """The REST API key and the options. No error repeats any of them: all may be secret."""
    _, _, rest = url.strip().partition("://")
    rest, _, query = rest.partition("?")
    key, _, path = rest.partition("/")
    if path or "@" in key:
        # Apprise's way of writing it, with a refresh token that would be dead in two months.
        raise UserError("kakao.url_token", where=name, name=name)
    if not _KEY.fullmatch(key):
        raise UserError("kakao.url_key", where=name)
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise UserError("kakao.url_options", where=name) from None
    options = {word: value for word, value in pairs if value}
    if not {word for word, _ in pairs} <= _OPTIONS:
        raise UserError("kakao.url_options", where=name)
    if "client_secret" in options and not _SECRET.fullmatch(options["client_secret"]):
        raise UserError("kakao.url_secret", where=name)
    if "link" in options and not _is_web_address(options["link"]):
        raise UserError("kakao.url_link", where=name)
    if len(options.get("button", "")) > _MAX_BUTTON_CHARS:
        raise UserError("kakao.url_button", where=name, limit=_MAX_BUTTON_CHARS)
    return key, options


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text
    except ValueError:
        return False
