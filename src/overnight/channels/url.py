"""What a channel's URL says: which service it is, and which of its parts are secret.

Everything in such a URL may be: a webhook's path, a topic of ntfy, the host of
``line://TOKEN/USER``. So all is taken for secret but the scheme, what is plainly a host's or an
option's name, and the user of a mail address.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from overnight.redact import MASK, redact

#: ``https`` and a host for the services that hand out web addresses.
_WEB_HOSTS = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "logic.azure.com": "teams",
    "api.powerplatform.com": "teams",
    "ntfy.sh": "ntfy",
}
#: Scheme → service, where they differ.
_SCHEMES = {
    "mailto": "mail",
    "mailtos": "mail",
    "tgram": "telegram",
    "workflow": "teams",
    "workflows": "teams",
    "ntfys": "ntfy",
    "kakaotalk": "kakao",
}
_MAIL = re.compile(r"(?i)mailtos?")
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]{0,31}):/")
_HOST_NAME = re.compile(
    r"(?i)localhost|\d{1,3}(?:\.\d{1,3}){3}|(?:[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?\.){1,6}[a-z]{2,12}"
)
_ADDRESS = re.compile(r"[^@\s/]+@[\w.-]+\.[a-z]{2,}", re.IGNORECASE)
#: Words that stand in every URL of a service, and so tell nothing.
_PUBLIC_WORDS = frozenset(
    {"services", "webhooks", "workflows", "triggers", "manual", "paths", "invoke"}
)
#: Options that say how to send, not who one is.
_PUBLIC_OPTIONS = frozenset(
    {"smtp", "mode", "to", "cc", "bcc", "from", "name", "reply", "format", "overflow", "verify",
     "cto", "rto", "retry", "wait", "auth", "image", "link", "button", "api-version", "sv"}
)  # fmt: skip
_MAX_PORT_DIGITS = 5
#: Shorter words would garble a text and give nothing away.
_MIN_SECRET_CHARS = 4
#: A tail of three characters is shown of a token at least this long.
_MIN_TAIL_OF_CHARS = 16
_TAIL_CHARS = 3


def scheme_of(url: str) -> str:
    """The scheme in small letters; empty where there is none."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def service_of(url: str) -> str:
    """The service's word; for what only Apprise knows, its scheme; ``?`` where there is none."""
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        host = _host(url)
        for known, service in _WEB_HOSTS.items():
            if host == known or host.endswith("." + known):
                return service
        return "web"
    if _MAIL.fullmatch(scheme):
        host = _host(url)
        return "naver" if host == "naver.com" or host.endswith(".naver.com") else "mail"
    return _SCHEMES.get(scheme, scheme) or "?"


def _host(url: str) -> str:
    try:
        return (urlsplit(url.strip()).hostname or "").lower()
    except ValueError:
        return ""


def secrets_of(url: str) -> tuple[str, ...]:
    """Every part of ``url`` that must not be shown, as written and decoded, longest first."""
    scheme, _, rest = url.strip().partition("://")
    is_mail = _MAIL.fullmatch(scheme) is not None
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    # The last @ ends the user's part: a password may hold one that nobody has encoded.
    login, _, host = authority.rpartition("@")
    user, _, password = login.partition(":")
    host, _, port = host.partition(":")
    parts = [password, *re.split(r"[/#]", path)]
    if not is_mail:
        parts += [user, port]  # tgram://123:TOKEN/… has its token where others have a port
        parts += [] if _HOST_NAME.fullmatch(host) else [host, f"{host}:{port}"]
    for pair in re.split(r"[&;]", query):
        key, _, value = pair.partition("=")
        if key.lower() not in _PUBLIC_OPTIONS:
            parts += re.split(r"[/#]", value)
    found: set[str] = set()
    for part in parts:
        decoded = unquote(part)
        if is_mail and _ADDRESS.fullmatch(decoded):
            continue  # a receiver
        # user:token, a,b and #channel within a part
        spellings = {part, decoded, quote(decoded, safe=""), *re.split(r"[:@,\s#]", decoded)}
        found |= {word for word in spellings if _is_secret(word)}
    return tuple(sorted(found, key=lambda word: (-len(word), word)))


def _is_secret(word: str) -> bool:
    is_port = word.isdigit() and len(word) <= _MAX_PORT_DIGITS
    return len(word) >= _MIN_SECRET_CHARS and word.lower() not in _PUBLIC_WORDS and not is_port


def masked(url: str) -> str:
    """The service, and of a long token its last three characters: enough to tell two apart."""
    service = service_of(url)
    tokens = () if _MAIL.fullmatch(scheme_of(url)) else secrets_of(url)
    tail = tokens[0][-_TAIL_CHARS:] if tokens and len(tokens[0]) >= _MIN_TAIL_OF_CHARS else ""
    return f"{service} …{tail}" if tail.isalnum() else service


def hide(text: str, url: str) -> str:
    """``text`` without any secret part of ``url``, nor of the environment."""
    for secret in secrets_of(url):
        if secret in text:
            text = text.replace(secret, MASK)
    return redact(text)
