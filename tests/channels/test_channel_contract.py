"""Every channel of ours keeps the contract that a plug-in's is held to."""

from __future__ import annotations

import html
import logging
import os
import pty
import re
import select
import sys
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from overnight.alerts.compose import render
from overnight.channels import open_channel
from overnight.testing.channel_contract import Case, check
from overnight.testing.foreign import Answer, Internet, Request

HOOK = "https://hooks.slack.com/services/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"
BOT = "slack://xoxb-1234567890-abcdefghijk/C0123ABCD"
LINE = "line://" + "Ab1%2B%2F" * 34 + "c%3D/U" + "0123456789abcdef" * 2
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TELEGRAM = "tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/-100123456"
NTFY = "ntfys://ntfy.sh/my-secret-topic"
TEAMS = (
    "https://prod-5.koreacentral.logic.azure.com:443/workflows/643e69f83c/triggers/manual/paths/"
    "invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        for name, value in internet.env.items():
            monkeypatch.setenv(name, value)
        yield internet


class Service:
    """What arrived at a service, as its users read it."""

    def __init__(self, net: Internet, host: str) -> None:
        self.net, self.host = net, host
        self.texts: list[str] = []
        self.files: list[str] = []
        net.serve(host, self.handle)

    def handle(self, request: Request) -> Answer:
        raise NotImplementedError

    def case(self, url: str, *secrets: str, refusal: Answer | None = None) -> Case:
        refusal = refusal or Answer(401, {"message": f"bad token {' '.join(secrets)}"})
        return Case(
            open=lambda: open_channel("phone", url),
            secrets=secrets,
            received=lambda: self.texts,
            received_files=lambda: self.files,
            break_down=lambda: self.net.fault(self.host, Answer(503, "try later " + secrets[0])),
            refuse=lambda: self.net.fault(self.host, refusal),
        )


def files_of(request: Request) -> list[str]:
    """Names of the files in a multipart body."""
    return [name.decode() for name in re.findall(rb'filename="([^"]*)"', request.body)]


class SlackHook(Service):
    def handle(self, request: Request) -> Answer:
        self.texts.append(html.unescape(request.json["text"]))
        return Answer(200, "ok")


class SlackBot(Service):
    def handle(self, request: Request) -> Answer:
        assert request.headers["Authorization"] == "Bearer xoxb-1234567890-abcdefghijk"
        return getattr(self, request.path.rpartition("/")[2].replace(".", "_"))(request)

    def chat_postMessage(self, request: Request) -> Answer:  # noqa: N802 - its name
        self.texts.append(html.unescape(request.json["text"]))
        stamp = f"17{len(self.texts)}.0001"
        return Answer(200, {"ok": True, "channel": "C0123ABCD", "ts": stamp})

    def chat_update(self, request: Request) -> Answer:
        value = request.json
        if value["ts"] != f"17{len(self.texts)}.0001" or value["channel"] != "C0123ABCD":
            return Answer(200, {"ok": False, "error": "message_not_found"})
        self.texts[-1] = html.unescape(value["text"])
        return Answer(200, {"ok": True, "channel": "C0123ABCD", "ts": value["ts"]})

    def files_getUploadURLExternal(self, request: Request) -> Answer:  # noqa: N802
        self.files.append(request.form["filename"])
        self.net.serve("files.slack.com", lambda sent: Answer(200, f"OK {len(sent.body)}"))
        place = "https://files.slack.com/upload/v1/abc"
        return Answer(200, {"ok": True, "upload_url": place, "file_id": "F1"})

    def files_completeUploadExternal(self, request: Request) -> Answer:  # noqa: N802
        assert request.json["channel_id"] == "C0123ABCD"
        assert request.json["files"][0]["id"] == "F1"
        return Answer(200, {"ok": True, "files": []})


class Line(Service):
    def handle(self, request: Request) -> Answer:
        assert request.json["to"] == "U" + "0123456789abcdef" * 2
        self.texts.append(request.json["messages"][0]["text"])
        return Answer(200, {"sentMessages": [{"id": "461230966842064897"}]})


class Discord(Service):
    def handle(self, request: Request) -> Answer:
        if "multipart" in request.headers["Content-Type"]:
            self.files += files_of(request)
        else:
            content = request.json["content"].replace("\r\n", "\n").replace("\u200b", "")
            self.texts.append(re.sub(r"\\([\\*_~`|])", r"\1", content))
        return Answer(204)


class Telegram(Service):
    def handle(self, request: Request) -> Answer:
        match request.path.rpartition("/")[2]:
            case "sendMessage":
                assert "parse_mode" not in request.json
                self.texts.append(request.json["text"])
            case "editMessageText":
                if request.json["message_id"] != len(self.texts):
                    bad = {"ok": False, "description": "Bad Request: message to edit not found"}
                    return Answer(400, bad)
                self.texts[-1] = request.json["text"]
            case _:
                self.files += files_of(request)
        return Answer(200, {"ok": True, "result": {"message_id": len(self.texts)}})


class Ntfy(Service):
    def handle(self, request: Request) -> Answer:
        if request.path == "/":
            self.texts.append(request.json["message"])
        else:
            self.files.append(request.query["filename"])
        return Answer(200, {"id": "xE73Iyuabi"})


class Teams(Service):
    def handle(self, request: Request) -> Answer:
        blocks = request.json["attachments"][0]["content"]["body"]
        texts = [re.sub(r"\\(.)", r"\1", block["text"]) for block in blocks]
        self.texts.append("\n".join(texts).replace("\n\n", "\n"))
        return Answer(202)


def test_slack_webhook(net: Internet, tmp_path: Path) -> None:
    case = SlackHook(net, "hooks.slack.com").case(
        HOOK, "T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", refusal=Answer(404, "no_service")
    )
    check(case, tmp_path)


def test_slack_bot(net: Internet, tmp_path: Path) -> None:
    refusal = Answer(200, {"ok": False, "error": "invalid_auth"})
    case = SlackBot(net, "slack.com").case(BOT, "xoxb-1234567890-abcdefghijk", refusal=refusal)
    check(case, tmp_path)


def test_line(net: Internet, tmp_path: Path) -> None:
    url_token, user = LINE.removeprefix("line://").split("/")
    check(Line(net, "api.line.me").case(LINE, url_token, unquote(url_token), user), tmp_path)


def test_discord(net: Internet, tmp_path: Path) -> None:
    secrets = DISCORD.removeprefix("discord://").split("/")
    check(Discord(net, "discord.com").case(DISCORD, *secrets), tmp_path)


def test_telegram(net: Internet, tmp_path: Path) -> None:
    token = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
    check(Telegram(net, "api.telegram.org").case(TELEGRAM, token, "123456789"), tmp_path)


def test_ntfy(net: Internet, tmp_path: Path) -> None:
    check(Ntfy(net, "ntfy.sh").case(NTFY, "my-secret-topic"), tmp_path)


def test_teams(net: Internet, tmp_path: Path) -> None:
    service = Teams(net, "prod-5.koreacentral.logic.azure.com")
    check(service.case(TEAMS, "643e69f83c", "KODuebWbDGYFr0z0eu"), tmp_path)


def test_any_url_of_apprise(net: Internet, tmp_path: Path) -> None:
    class Json(Service):
        def handle(self, request: Request) -> Answer:
            if request.json["message"]:
                self.texts.append(request.json["message"])
            self.files += [each["filename"] for each in request.json["attachments"]]
            return Answer(200, {})

    url = "jsons://user:passw0rd@h.example.com/hook-path?+X-Token=abc123def"
    case = Json(net, "h.example.com").case(url, "passw0rd", "hook-path", "abc123def")
    check(case, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_console(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    tty.setraw(terminal)  # what is written arrives as it is
    texts: list[str] = []

    def received() -> list[str]:
        shown = b""
        while select.select([screen], [], [], 0)[0]:
            shown += os.read(screen, 4096)
        texts.extend(filter(str.strip, shown.decode().replace("\r\n", "\n").split("\a")))
        return texts

    try:
        url = "console://" + os.ttyname(terminal)
        check(Case(open=lambda: open_channel("here", url), secrets=(), received=received), tmp_path)
    finally:
        os.close(screen)
        os.close(terminal)


#: With what Discord reads as marks in every line.
EVIDENCE = "\n".join(
    f"RuntimeError: layer_{n}.attention_{n}.weight_{n}: copying a param with shape "
    f"torch.Size([768, {n}]) {'x' * (7 * n % 31)} from checkpoint_{n}, [512, {n}] in current_model"
    for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("kind", "host", "url"),
    [
        (Discord, "discord.com", DISCORD),
        (Teams, "prod-5.koreacentral.logic.azure.com", TEAMS),
        (Ntfy, "ntfy.sh", NTFY),
    ],
)
def test_a_command_arrives_whole(net: Internet, kind: type[Service], host: str, url: str) -> None:
    """A message written for a channel's limits is not cut again on its way."""
    service, channel = kind(net, host), open_channel("phone", url)
    command = "overnight resume digits_20260304_1548"
    for num_chars in range(0, 2600, 65):
        facts = {
            "name": "digits 손실_비교 " + "가" * (num_chars % 29), "resume": command,
            "run": "digits_20260304_1548", "host": "gpu02", "epoch": 3, "epochs": 20,
            "duration_s": 22320.0,
            "log": "/home/mina_kim/logs/" + "run_20260304-1548_" * 12 + ".log",
            "cause": {
                "kind": "error", "sentence": "error", "fields": {},
                "evidence": EVIDENCE[-num_chars:],
            },
        }  # fmt: skip
        text = render(
            "crashed", facts, format="full", language="ko", max_chars=channel.limits.num_chars
        )
        assert command in text.body
        channel.send(text.body, title=text.title)
        assert command in service.texts[-1], f"{len(text.title)} + {len(text.body)} characters"
        assert "…" not in service.texts[-1][-20:]


def test_a_channel_that_breaks_its_promises_is_told(tmp_path: Path) -> None:
    class Leaky:
        name, service = "phone", "leaky"

        def __init__(self, **limits: Any) -> None:
            from overnight.channels import Limits

            self.limits = Limits(**limits)

        def __repr__(self) -> str:
            return "Leaky(token1234)"

        def send(self, text: str, **more: Any) -> str | None:
            return None

    class Chatty(Leaky):
        def __repr__(self) -> str:
            return "Chatty()"

        def send(self, text: str, **more: Any) -> str | None:
            try:
                raise ValueError("token1234")
            except ValueError:
                logging.getLogger("chatty").exception("it failed")
            return None

    with pytest.raises(AssertionError, match="holds a secret"):
        check(Case(open=Leaky, secrets=("token1234",)), tmp_path)
    with pytest.raises(AssertionError, match="log of chatty holds a secret"):
        check(Case(open=Chatty, secrets=("token1234",)), tmp_path)
    with pytest.raises(AssertionError, match="one send is one message"):
        check(Case(open=Leaky, secrets=(), received=list), tmp_path)
    with pytest.raises(AssertionError, match="Retry"):
        check(Case(open=Leaky, secrets=(), break_down=lambda: None), tmp_path)
    with pytest.raises(AssertionError, match="Refused"):
        check(Case(open=Leaky, secrets=(), refuse=lambda: None), tmp_path)
    with pytest.raises(AssertionError, match="gives a reference"):
        check(Case(open=lambda: Leaky(edits=True), secrets=()), tmp_path)
    with pytest.raises(AssertionError, match="reserved"):
        check(Case(open=lambda: Leaky(num_reserved=5), secrets=()), tmp_path)
