"""The terminal and the desktop: reached while somebody is there, refused with a reason if not."""

from __future__ import annotations

import os
import pty
import socket
import stat
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.channels import Refused, Retry, open_channel
from overnight.channels.terminal import console_url, desktop_environment
from overnight.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.fixture
def screen() -> Iterator[tuple[int, int, str]]:
    """The screen's end of a terminal, the program's end, and its URL."""
    shown, typed = pty.openpty()
    tty.setraw(typed)
    yield shown, typed, "console://" + os.ttyname(typed)
    for fd in (shown, typed):
        try:
            os.close(fd)
        except OSError:
            continue


def test_a_message_appears_on_the_terminal(screen: tuple[int, int, str]) -> None:
    shown, typed, url = screen
    assert console_url([typed]) == url
    open_channel("here", url).send(
        "loss \x1b[2J0.5\r\n둘째\x07", title="[완료]", files=[Path("/x/a.png")]
    )
    text = os.read(shown, 4096).decode()
    assert text == "\r\n\a[완료]\r\nloss [2J0.5\r\n둘째\r\n  /x/a.png\r\n"


def test_a_terminal_that_is_gone_is_refused(screen: tuple[int, int, str]) -> None:
    shown, typed, url = screen
    os.close(typed)
    os.close(shown)
    with pytest.raises(Refused) as error:
        open_channel("here", url).send("hello")
    assert error.value.key == "channel.console_gone"


def test_a_terminal_that_does_not_read_is_tried_later(screen: tuple[int, int, str]) -> None:
    _, typed, url = screen
    termios.tcflow(typed, termios.TCOOFF)  # what Ctrl-S does
    channel = open_channel("here", url)

    def fill() -> None:
        while True:
            channel.send("x" * 10_000)

    with pytest.raises(Retry):
        fill()
    termios.tcflow(typed, termios.TCOON)


@pytest.mark.skipif(
    sys.platform != "win32" and os.getuid() != 0, reason="only root gives files away"
)
def test_somebody_elses_terminal_is_left_alone(screen: tuple[int, int, str]) -> None:
    shown, typed, url = screen
    os.fchown(typed, 12345, -1)
    with pytest.raises(Refused):
        open_channel("here", url).send("hello")
    os.set_blocking(shown, False)
    with pytest.raises(BlockingIOError):
        os.read(shown, 1)


def test_a_number_that_was_never_given_out_is_refused() -> None:
    with pytest.raises(Refused) as error:
        open_channel("here", "console:///dev/pts/999999").send("hello")
    assert error.value.key == "channel.console_gone"


def test_no_terminal_at_all() -> None:
    with pytest.raises(Refused) as error:
        open_channel("here", "console://").send("hello")
    assert error.value.key == "channel.console_none"
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        assert console_url([nothing.fileno()]) is None


@pytest.mark.parametrize(
    "url",
    ["console:///etc/passwd", "console:///dev/sda", "console:///dev/pts/../sda", "console://x"],
)
def test_a_console_url_is_a_device(url: str) -> None:
    with pytest.raises(UserError) as error:
        open_channel("here", url)
    assert error.value.key == "channel.console_form"


def test_the_desktop_is_found_by_its_bus(tmp_path: Path) -> None:
    assert desktop_environment({"XDG_RUNTIME_DIR": str(tmp_path)}) is None
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        env = desktop_environment({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert env is not None
    assert env["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={tmp_path}/bus"
    assert desktop_environment({"DBUS_SESSION_BUS_ADDRESS": "unix:x"}) is not None


@pytest.fixture
def notify_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop whose program writes down what it was told."""
    told = tmp_path / "told"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="notify-send is Linux's")
def test_a_desktop_shows_the_message(notify_send: Path) -> None:
    open_channel("desk", "desktop://").send("loss <b>0.5</b> & more", title="-t [완료]")
    assert notify_send.read_text(encoding="utf-8").splitlines() == [
        "--app-name=Overnight",
        "--",
        "-t [완료]",
        "loss &lt;b&gt;0.5&lt;/b&gt; &amp; more",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="notify-send is Linux's")
def test_a_desktop_that_fails_says_why(notify_send: Path) -> None:
    program = notify_send.with_name("notify-send")
    program.write_text("#!/bin/sh\necho 'no bus' >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(Refused, match="no bus"):
        open_channel("desk", "desktop://").send("hello")
    program.unlink()
    with pytest.raises(Refused) as error:
        open_channel("desk", "desktop://").send("hello")
    assert error.value.key in ("channel.desktop_no_program", "channel.desktop_failed")


@pytest.mark.skipif(sys.platform != "linux", reason="notify-send is Linux's")
def test_a_server_has_no_desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(Refused) as error:
        open_channel("desk", "desktop://").send("hello")
    assert error.value.key == "channel.desktop_none"
    assert "phone" in error.value.fix
