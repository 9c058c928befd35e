"""Mail, to a real server on the loopback: plain, STARTTLS and SSL; Hangul and pictures survive."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from overnight.channels import Channel, Refused, Retry, mail, open_channel
from overnight.errors import UserError
from overnight.testing.channel_contract import Case, check

# aiosmtpd, at each connection: a password without TLS is unwise.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
PASSWORD = "ABCD12EFGH34"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


@dataclass
class Postman:
    """Takes mail, and refuses as he is told to."""

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse_login: str = ""
    refuse_data: str = ""
    refuse_receiver: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse_receiver:
            return self.refuse_receiver[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse_data:
            said, self.refuse_data = self.refuse_data, ""
            return said
        assert isinstance(envelope.content, bytes)
        message = BytesParser(policy=policy.default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.mails.append((list(envelope.rcpt_tos), message))
        return "250 OK"

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        if self.refuse_login:
            return AuthResult(success=False, handled=False, message=self.refuse_login)
        return AuthResult(success=data.password.decode() == PASSWORD)

    def newest(self) -> EmailMessage:
        return self.mails[-1][1]


@dataclass
class Office:
    postman: Postman
    plain: int = 0
    starttls: int = 0
    ssl: int = 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    authority = trustme.CA()
    pem = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return pem, context


@pytest.fixture(scope="module")
def doors(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[tuple[Postman, list[int]]]:
    """One postman behind three doors: plain, STARTTLS and SSL."""
    _, context = certificate
    postman = Postman()
    common: dict[str, Any] = {"authenticator": postman.login, "auth_required": True}
    kinds: list[dict[str, Any]] = [
        {"auth_require_tls": False},
        {"tls_context": context, "require_starttls": True},
        {"ssl_context": context, "auth_require_tls": False},
    ]
    ports = []
    with ExitStack() as stack:
        for kind in kinds:
            door = Controller(postman, "localhost", free_port(), **common, **kind)
            door.start()
            stack.callback(door.stop)
            ports.append(door.port)
        yield postman, ports


@pytest.fixture
def office(
    doors: tuple[Postman, list[int]],
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    """The postman with an empty bag."""
    postman, ports = doors
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    for each in fields(Postman):
        setattr(postman, each.name, getattr(Postman(), each.name))
    return Office(postman, *ports)


def body_of(message: EmailMessage) -> str:
    body = message.get_body()
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").removesuffix("\n")


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as taken:
        return int(taken.getsockname()[1])


def naver(port: int, mode: str, more: str = "") -> str:
    return f"mailtos://tester:{PASSWORD}@naver.com:{port}?smtp=localhost&mode={mode}{more}"


@pytest.mark.parametrize("mode", ["plain", "starttls", "ssl"])
def test_mail_arrives_through_every_door(office: Office, mode: str) -> None:
    port = getattr(office, mode)
    channel = open_channel("mail", naver(port, mode.replace("plain", "insecure")))
    channel.send("손실 0.031\n둘째 줄", title="[완료] 기준 모델", key="run-1 finished")
    receivers, message = office.postman.mails[-1]
    assert office.postman.logins == [("tester", PASSWORD)]
    assert receivers == ["tester@naver.com"]
    assert message["Subject"] == "[완료] 기준 모델"
    assert str(message["From"]) == "Overnight <tester@naver.com>"
    assert message["To"] == "tester@naver.com"
    assert body_of(message) == "손실 0.031\n둘째 줄"
    assert message["Date"]
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_picture_and_its_name_survive(office: Office, tmp_path: Path) -> None:
    picture = tmp_path / '손실 곡선 #1 "최종".png'
    picture.write_bytes(PNG)
    table = tmp_path / "결과.csv"
    table.write_text("epoch,loss\n1,0.5\n", encoding="utf-8")
    channel = open_channel("mail", naver(office.ssl, "ssl"))
    channel.send("끝", title="끝", files=[picture, tmp_path / "gone.png", table])
    parts = list(office.postman.newest().iter_attachments())
    assert [part.get_filename() for part in parts] == [picture.name, "결과.csv"]
    assert parts[0].get_content_type() == "image/png"
    assert parts[0].get_content() == PNG
    assert body_of(office.postman.newest()) == "끝"


def test_the_same_message_has_the_same_id(office: Office) -> None:
    channel = open_channel("mail", naver(office.ssl, "ssl"))
    for key in ("run-1 finished", "run-1 finished", "run-2 finished", "", ""):
        channel.send("끝", key=key)
    ids = [message["Message-ID"] for _, message in office.postman.mails]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_receivers_copies_and_blind_copies(office: Office) -> None:
    url = naver(office.ssl, "ssl", "&to=a@b.kr,c@d.kr&cc=e@f.kr&bcc=g@h.kr")
    open_channel("mail", url).send("hello")
    receivers, message = office.postman.mails[-1]
    assert sorted(receivers) == ["a@b.kr", "c@d.kr", "e@f.kr", "g@h.kr"]
    assert message["To"] == "a@b.kr, c@d.kr"
    assert message["Cc"] == "e@f.kr"
    assert "g@h.kr" not in message.as_string()


def test_a_subject_cannot_smuggle_a_header(office: Office) -> None:
    channel = open_channel("mail", naver(office.ssl, "ssl"))
    channel.send("text", title="a\r\nBcc: everyone@example.com\n\x1b[2J\u202e")
    assert office.postman.newest()["Bcc"] is None
    assert office.postman.newest()["Subject"].startswith("a Bcc: everyone@example.com")
    channel.send("first line is the subject\nsecond")
    assert office.postman.newest()["Subject"] == "first line is the subject"


def raised(channel: Channel) -> Retry | Refused:
    with pytest.raises((Retry, Refused)) as caught:
        channel.send("hello", title="title")
    told = "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, Refused):
        told += caught.value.what + caught.value.fix
    assert PASSWORD not in told
    return caught.value  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("attribute", "said", "kind", "key"),
    [
        ("refuse_login", f"535 5.7.8 bad password {PASSWORD}", Refused, "channel.refused_naver"),
        ("refuse_login", "454 4.7.0 accounts cannot be looked up", Retry, ""),
        ("refuse_data", "451 4.7.1 greylisted, come back", Retry, ""),
        ("refuse_data", "421 shutting down", Retry, ""),
        ("refuse_data", "554 5.7.1 looks like spam", Refused, "channel.refused_message"),
        ("refuse_data", "552 too large", Refused, "channel.refused_message"),
    ],
)
def test_what_a_server_says_decides(
    office: Office, attribute: str, said: str, kind: type, key: str
) -> None:
    channel = open_channel("mail", naver(office.ssl, "ssl"))
    setattr(office.postman, attribute, said)
    error = raised(channel)
    assert type(error) is kind
    if isinstance(error, Refused):
        assert error.key == key
        assert said[:3] in error.what
    else:
        assert said[:3] in error.why
    office.postman.refuse_login = ""
    channel.send("once more")


@pytest.mark.parametrize("said", ["552 5.3.4 too large", "554 5.7.1 attachments are not taken"])
def test_a_mail_refused_for_its_files_goes_without_them(
    office: Office, tmp_path: Path, said: str
) -> None:
    picture = tmp_path / "curve.png"
    picture.write_bytes(PNG)
    office.postman.refuse_data = said
    open_channel("mail", naver(office.ssl, "ssl")).send("끝", files=[picture])
    (came,) = office.postman.mails
    assert body_of(came[1]) == "끝"
    assert not list(came[1].iter_attachments())


def test_what_is_not_about_the_files_is_asked_once(office: Office, tmp_path: Path) -> None:
    picture = tmp_path / "curve.png"
    picture.write_bytes(PNG)
    office.postman.refuse_login = "535 no"
    channel = open_channel("mail", naver(office.ssl, "ssl"))
    with pytest.raises(Refused):
        channel.send("끝")
    asked = len(office.postman.logins)
    with pytest.raises(Refused):
        channel.send("끝", files=[picture])
    assert len(office.postman.logins) == 2 * asked


def test_naver_is_told_what_to_switch_on(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    office.postman.refuse_login = "535 no"
    error = raised(open_channel("mail", naver(office.ssl, "ssl")))
    assert isinstance(error, Refused)
    assert "애플리케이션 비밀번호" in error.fix
    assert "IMAP/SMTP" in error.fix


def test_one_receiver_of_two_is_better_than_none(office: Office) -> None:
    office.postman.refuse_receiver = {"gone@b.kr": "550 no such user"}
    channel = open_channel("mail", naver(office.ssl, "ssl", "&to=gone@b.kr,here@b.kr"))
    channel.send("hello")
    assert office.postman.mails[-1][0] == ["here@b.kr"]
    office.postman.refuse_receiver["here@b.kr"] = "450 busy"
    assert isinstance(raised(channel), Retry)
    office.postman.refuse_receiver["here@b.kr"] = "550 no such user"
    assert isinstance(raised(channel), Refused)


def test_nobody_there(office: Office) -> None:
    assert isinstance(raised(open_channel("mail", naver(free_port(), "ssl"))), Retry)
    url = naver(office.ssl, "ssl").replace("smtp=localhost", "smtp=nowhere.invalid")
    assert isinstance(raised(open_channel("mail", url)), Retry)


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n"])
@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_server_that_stops_talking(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes, hangs_up: bool
) -> None:
    monkeypatch.setattr(mail, "_TIMEOUT_S", 0.2)
    with socket.create_server(("localhost", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)
                while not hangs_up and connection.recv(100):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        channel = open_channel("mail", naver(server.getsockname()[1], "insecure"))
        assert isinstance(raised(channel), Retry)
        thread.join()


def test_the_wrong_door(office: Office) -> None:
    assert isinstance(raised(open_channel("mail", naver(office.plain, "ssl"))), Retry)
    error = raised(open_channel("mail", naver(office.plain, "starttls")))
    assert isinstance(error, Refused)
    assert error.key == "channel.mail_no_starttls"


@pytest.mark.parametrize("offers", [b"250 localhost\r\n", b"250-localhost\r\n250 AUTH NTLM\r\n"])
def test_a_server_that_takes_no_login_is_said_to_take_none(offers: bytes) -> None:
    with socket.create_server(("localhost", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb", buffering=0) as talk:
                talk.write(b"220 hello\r\n")
                for command in talk:
                    talk.write(offers if command.startswith(b"ehlo") else b"235 go on\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        error = raised(open_channel("mail", naver(server.getsockname()[1], "insecure")))
        thread.join()
    assert isinstance(error, Refused)
    assert error.key == "channel.mail_no_login"
    assert "localhost" in error.what


def test_a_certificate_that_is_not_trusted(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    for port, mode in ((office.ssl, "ssl"), (office.starttls, "starttls")):
        error = raised(open_channel("mail", naver(port, mode)))
        assert isinstance(error, Retry)
        assert "certificate" in error.why
    assert office.postman.logins == [], "no password to a server that is not who it says"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("mailtos://me:pw@naver.com", ("smtp.naver.com", 465, "ssl")),
        ("mailto://me:pw@naver.com", ("smtp.naver.com", 465, "ssl")),
        ("mailtos://me:p%40w@NAVER.com?to=a@b.kr", ("smtp.naver.com", 465, "ssl")),
        ("mailtos://me:pw@daum.net", ("smtp.daum.net", 465, "ssl")),
        ("mailtos://me:pw@hanmail.net", ("smtp.daum.net", 465, "ssl")),
        ("mailtos://me:pw@kakao.com", ("smtp.kakao.com", 465, "ssl")),
        ("mailtos://me:pw@nate.com", ("smtp.mail.nate.com", 465, "ssl")),
        ("mailtos://me:pw@naver.com:587?mode=starttls", ("smtp.naver.com", 587, "starttls")),
        ("mailtos://me:pw@gmail.com", ("smtp.gmail.com", 587, "starttls")),
        # The path names receivers: whose provider they have is nobody's business here.
        (
            "mailtos://me:pw@company.co.kr/you@naver.com?mode=ssl",
            ("company.co.kr", 465, "ssl"),
        ),
        ("mailtos://me:pw@naver.com/you@gmail.com", ("smtp.naver.com", 465, "ssl")),
        (
            "mailtos://me:pw@example.com?smtp=mx.example.com&mode=ssl",
            ("mx.example.com", 465, "ssl"),
        ),
    ],
)
def test_each_provider_has_its_server(url: str, server: tuple[str, int, str]) -> None:
    channel = open_channel("mail", url)
    assert isinstance(channel, mail.Mail)
    assert (channel.server.host, channel.server.port, channel.server.mode) == server


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("mailtos://me@naver.com", "channel.mail_no_password"),
        ("mailtos://me:pw@gmail.com?pgp=yes", "channel.mail_pgp"),
        ("mailtos://", "channel.url_incomplete"),
        ("mailtos://me:pw@gmail.com?mode=loud", "channel.url_incomplete"),
    ],
)
def test_a_mail_url_that_cannot_be(url: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        open_channel("mail", url)
    assert error.value.key == key


def test_mail_keeps_the_contract(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mail.log"), "propagate", False)  # the server's own

    def texts() -> list[str]:
        return [body_of(message) for _, message in office.postman.mails]

    def names() -> list[str]:
        return [
            str(part.get_filename())
            for _, message in office.postman.mails
            for part in message.iter_attachments()
        ]

    def say(attribute: str, said: str) -> None:
        setattr(office.postman, attribute, said)

    check(
        Case(
            open=lambda: open_channel("mail", naver(office.starttls, "starttls")),
            secrets=(PASSWORD,),
            received=texts,
            received_files=names,
            break_down=lambda: say("refuse_data", "451 later"),
            refuse=lambda: say("refuse_login", f"535 {PASSWORD}"),
        ),
        tmp_path,
    )
