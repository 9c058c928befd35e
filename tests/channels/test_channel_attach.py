"""Files after a text: never for long, never at the cost of the text."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.channels import Retry, answers, attach, open_channel
from overnight.testing.foreign import Answer, Internet, Request

BOT = "slack://xoxb-1234567890-abcdefghijk/C0123ABCD"
TELEGRAM = "tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/-100123456"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
HOSTS = {BOT: "slack.com", TELEGRAM: "api.telegram.org", DISCORD: "discord.com"}
PLACE = "https://files.slack.com/upload/v1/a"
GOOD = {
    "ok": True, "channel": "C0123ABCD", "ts": "17.1", "result": {"message_id": 1},
    "upload_url": PLACE, "file_id": "F1",
}  # fmt: skip


class Service:
    """Takes texts at once, and answers each file with ``status`` after ``slow_s``."""

    def __init__(self, net: Internet) -> None:
        self.texts = 0
        self.files: list[int] = []
        self.slow_s, self.status = 0.0, 200
        for host in (*HOSTS.values(), "files.slack.com"):
            net.serve(host, self.handle)

    def handle(self, request: Request) -> Answer:
        is_upload = request.host == "files.slack.com"
        if is_upload or "multipart" in request.headers.get("Content-Type", ""):
            time.sleep(self.slow_s)
            self.files.append(len(request.body))
            return Answer(self.status, GOOD)
        if b"finished" in request.body:
            self.texts += 1
        return Answer(200, GOOD)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        for name, value in internet.env.items():
            monkeypatch.setenv(name, value)
        yield internet


@pytest.fixture
def service(net: Internet) -> Service:
    return Service(net)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """As many as a run that has finished brings along."""
    made = [tmp_path / f"{number}.png" for number in range(4)]
    for path in made:
        path.write_bytes(b"\x89PNG" + b"x" * 300_000)
    return made


@pytest.mark.parametrize("url", HOSTS, ids=HOSTS.get)
def test_all_of_them_arrive(service: Service, pictures: list[Path], url: str) -> None:
    pictures.insert(2, pictures[0].with_name("gone.png"))
    open_channel("phone", url).send("finished", files=pictures)
    assert service.texts == 1
    assert len(service.files) == 4
    assert all(size >= 300_004 for size in service.files)


@pytest.mark.parametrize("url", HOSTS, ids=HOSTS.get)
def test_all_of_them_together_have_a_short_time(
    net: Internet, service: Service, pictures: list[Path], url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(attach, "_WITHIN_S", 1.0)
    service.slow_s = 0.7
    begun = time.monotonic()
    open_channel("phone", url).send("finished", files=pictures)
    assert time.monotonic() - begun < 2.5
    assert service.texts == 1
    assert len([r for r in net.requests if len(r.body) > 300_000]) == 2, "a third is not begun"


@pytest.mark.parametrize("url", HOSTS, ids=HOSTS.get)
def test_the_first_that_fails_is_the_last_that_is_tried(
    service: Service, pictures: list[Path], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 503
    open_channel("phone", url).send("finished", files=pictures)
    assert (service.texts, len(service.files)) == (1, 1)
    assert "0.png was not attached" in caplog.text


def test_a_line_that_takes_a_little_at_a_time_is_given_up() -> None:
    """Each piece is taken well in time; the whole would take a minute."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()

        def read() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while connection.recv(8192):
                    time.sleep(0.05)

        thread = threading.Thread(target=read)
        thread.start()
        begun = time.monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with answers.within(1.0), pytest.raises(Retry):
            answers.post(url, b"x" * 8 * 2**20, name="phone", hide=str)
        assert time.monotonic() - begun < 5
        thread.join()


def test_a_large_one_is_left_out(service: Service, pictures: list[Path]) -> None:
    pictures[0].write_bytes(b"\x89PNG" + b"x" * (8 * 2**20))
    open_channel("phone", TELEGRAM).send("finished", files=pictures)
    assert len(service.files) == 3
