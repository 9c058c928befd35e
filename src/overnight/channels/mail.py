"""E-mail, by ``mailto://`` (STARTTLS where the server has it set so) and ``mailtos://`` URLs.

The URL is Apprise's, with its presets; ours are added for the Korean providers, whose host Apprise
does not know (it would try ``naver.com:587``). The message and its delivery are the standard
library's: a server's code then says whether to try again, and a name in Hangul survives.
"""

from __future__ import annotations

import mimetypes
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs

from overnight.channels.apprise_url import AppriseChannel
from overnight.channels.base import Refused, Retry
from overnight.channels.fit import cut, line, plain
from overnight.channels.services import SERVICES
from overnight.channels.url import hide, service_of
from overnight.errors import UserError
from overnight.messages import say

#: Mail address → server; all of them on 465, encrypted from the first byte.
_SERVERS = {
    "naver.com": "smtp.naver.com",
    "daum.net": "smtp.daum.net",
    "hanmail.net": "smtp.daum.net",
    "kakao.com": "smtp.kakao.com",
    "nate.com": "smtp.mail.nate.com",
}
_SSL_PORT = 465
_TIMEOUT_S = 30.0
_MAX_SUBJECT_CHARS = 200
_MAX_CHARS = 100_000
#: Servers take 10 to 25 MB, a third of which base64 eats.
_MAX_FILES_BYTES = 7 * 10**6
#: 421 going away, 450/451/452 busy or greylisting, 454 its accounts cannot be looked up just now.
_LOGIN_CODES = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over: ``mode`` is ssl, starttls or insecure."""

    host: str
    port: int
    mode: str


class Mail:
    """Mail to oneself or to others; From is the account, as the providers demand.

    Raises:
        UserError: The URL is not complete.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.service = service_of(url)
        self.limits = SERVICES["mail"].limits
        self._url = url
        if "pgp" in parse_qs(url.partition("?")[2]):
            raise UserError("channel.mail_pgp", where=name)
        plugin = AppriseChannel(name, _with_server(url)).plugin
        self.server = Server(plugin.smtp_host or plugin.host, plugin.port, plugin.secure_mode)
        self._user: str = plugin.user or ""
        self._password: str = plugin.password or ""
        if self._user and not self._password:
            raise UserError("channel.mail_no_password", where=name)
        shown, address = plugin.from_addr
        self._from = _address(name, address, shown or "Overnight")
        self._to = [_address(name, to, shown or "") for shown, to in plugin.targets]
        self._cc = [_address(name, to, plugin.names.get(to) or "") for to in sorted(plugin.cc)]
        self._bcc = sorted(plugin.bcc)

    def __repr__(self) -> str:
        return f"Mail({self.name!r}, {self.service})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``. The same ``key`` gives the same Message-ID. Returns None."""
        message = self._compose(plain(text), line(title), key, files)
        receivers = [*(each.addr_spec for each in (*self._to, *self._cc)), *self._bcc]
        try:
            self._hand_over(message, receivers)
        except (OSError, smtplib.SMTPException, _Lacks) as error:
            if message.is_multipart() and _may_mean_the_files(error):
                return self.send(text, title=title, key=key)
            raise self._failure(error) from None
        return None

    def _compose(self, text: str, title: str, key: str, files: Sequence[Path]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = cut(title or text.partition("\n")[0].strip(), _MAX_SUBJECT_CHARS)
        message["From"] = self._from
        message["To"] = self._to
        if self._cc:
            message["Cc"] = self._cc
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = (
            f"<{sha256(key.encode()).hexdigest()[:32]}@overnight>" if key else make_msgid()
        )
        message["Auto-Submitted"] = "auto-generated"  # no holiday replies to a machine
        message.set_content(cut(text, _MAX_CHARS))
        room = _MAX_FILES_BYTES
        for file in files:
            try:
                data = file.read_bytes() if file.stat().st_size <= room else b""
            except OSError:
                continue  # the text is worth more than a picture that is gone
            if data:
                room -= len(data)
                main, _, sub = (mimetypes.guess_type(file.name)[0] or "").partition("/")
                message.add_attachment(
                    data,
                    maintype=main or "application",
                    subtype=sub or "octet-stream",
                    filename=line(file.name),
                )
        return message

    def _hand_over(self, message: EmailMessage, receivers: Sequence[str]) -> None:
        server = self.server
        context = ssl.create_default_context()
        smtp: smtplib.SMTP
        if server.mode == "ssl":
            smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_S, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        try:
            if server.mode == "starttls":
                with _needs("starttls"):
                    smtp.starttls(context=context)
            if self._user:
                with _needs("login"):
                    smtp.login(self._user, self._password)
            # Those it refuses while it takes others come back: they are few and no reason to
            # tell the others again.
            smtp.send_message(message, self._from.addr_spec, receivers)
        except BaseException:
            smtp.close()
            raise
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()  # the mail is with the server, however it says goodbye

    def _failure(self, error: Exception) -> Retry | Refused:
        host = self.server.host
        if isinstance(error, _Lacks):
            return Refused(f"channel.mail_no_{error.what}", where=self.name, host=host)
        code, words = _code_of(error)
        if code:
            said = f"{code} {cut(hide(line(words), self._url), 200)}".strip()
            if code < 500 or isinstance(error, smtplib.SMTPConnectError):
                return Retry(say("channel.why_status", host=host, said=said))
            fields = {"host": host, "said": said, "name": self.name}
            if code not in _LOGIN_CODES:
                return Refused("channel.refused_message", where=self.name, **fields)
            if self.service == "naver":
                return Refused("channel.refused_naver", where=self.name, **fields)
            return Refused("channel.refused_login", where=self.name, **fields)
        match error:
            case ssl.SSLCertVerificationError():
                return Retry(say("channel.why_certificate", host=host))
            case ssl.SSLError():
                return Retry(say("channel.why_tls", host=host))
            case socket.gaierror():
                return Retry(say("channel.why_no_host", host=host))
            case TimeoutError():
                return Retry(say("channel.why_timeout", host=host))
            case smtplib.SMTPServerDisconnected() | smtplib.SMTPException():
                return Retry(say("channel.why_broken_off", host=host))
            case _:
                return Retry(say("channel.why_no_connection", host=host))


class _Lacks(Exception):  # noqa: N818 - it says what is the matter
    """The server does not have what is needed: ``what`` is starttls or login."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@contextmanager
def _needs(what: str) -> Iterator[None]:
    """Within it, smtplib's "the server has no such thing" says which thing."""
    try:
        yield
    except smtplib.SMTPNotSupportedError:
        raise _Lacks(what) from None
    except smtplib.SMTPException as error:
        if type(error) is smtplib.SMTPException:  # login: none of the ways the server knows
            raise _Lacks(what) from None
        raise


def _may_mean_the_files(error: Exception) -> bool:
    """Whether the server refused the mail as a whole, for its size or for what is attached."""
    refused = isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused))
    return refused and _code_of(error)[0] >= 500


def _with_server(url: str) -> str:
    """The URL with its provider's server, unless it names one."""
    head, _, query = url.partition("?")
    options = parse_qs(query)
    scheme, _, rest = head.partition("://")
    authority, slash, path = rest.partition("/")  # the path may name receivers, with an @ each
    login, _, domain = authority.rpartition("@")
    server = _SERVERS.get(domain.partition(":")[0].lower())
    if server is None or "smtp" in options:
        return url
    port = "" if ":" in domain else f":{_SSL_PORT}"
    mode = "" if "mode" in options else "&mode=ssl"
    return f"{scheme}://{login}@{domain}{port}{slash}{path}?smtp={server}{mode}" + (
        f"&{query}" if query else ""
    )


def _address(name: str, address: str, shown: str) -> Address:
    try:
        return Address(line(shown), addr_spec=address)
    except (ValueError, IndexError):
        raise UserError("channel.mail_address_form", where=name) from None


def _code_of(error: Exception) -> tuple[int, str]:
    """The server's code and words, where it said any."""
    words: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # All of them: one that may work later is reason enough to try again.
        found = sorted(error.recipients.values(), key=lambda each: each[0])
        code, words = found[0] if found else (0, b"")
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        return 0, ""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return (int(code) if code > 0 else 0), text
