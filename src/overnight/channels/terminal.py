"""On this machine: the terminal a run was started from, and the desktop.

Both are for a person who is still there; a message that finds nobody is refused, not kept, since a
terminal that is gone does not come back.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from overnight.channels.base import Refused, Retry
from overnight.channels.fit import cut, folded, line, plain
from overnight.channels.services import SERVICES
from overnight.errors import UserError
from overnight.messages import say

_DESKTOP_TIMEOUT_S = 10.0
#: A dialogue of 400 characters fills a notification's box.
_MAX_TITLE_CHARS = 80
#: No other device is ever opened: some do things when they are.
_DEVICE = re.compile(r"/dev/(?:pts/\d+|tty\w{0,20})")
#: What a Linux desktop needs to be reached, and a process started over SSH does not have.
_BUS = "DBUS_SESSION_BUS_ADDRESS"
#: AppleScript that takes its texts as arguments: nothing in them is ever code.
_OSASCRIPT = (
    "on run argv\n"
    "display notification (item 2 of argv) with title (item 1 of argv)\n"
    "end run"
)  # fmt: skip


def console_url(streams: Sequence[int] = (2, 1, 0)) -> str | None:
    """The URL of the terminal this process was started from; None if there is none.

    Args:
        streams: File descriptors, the likeliest terminal first.
    """
    if sys.platform != "win32":
        for fd in streams:
            try:
                return "console://" + os.ttyname(fd)
            except OSError:
                continue
    return None


class Console:
    """A terminal, while it is open and the person's own.

    Raises:
        UserError: The URL names something that cannot be a terminal.
    """

    service = "console"
    limits = SERVICES["console"].limits

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        rest = url.partition("://")[2].partition("?")[0]
        self._device = unquote(rest)
        if self._device.strip("/") and not _DEVICE.fullmatch(self._device):
            raise UserError("channel.console_form", where=name)

    def __repr__(self) -> str:
        return f"Console({self.name!r}, {self._device!r})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``. Raises Retry while the terminal is held (Ctrl-S)."""
        device = self._device
        if not device.strip("/"):
            raise Refused("channel.console_none", where=self.name)
        names = "".join(f"\n  {line(str(file))}" for file in files)
        # A line of its own whatever the person is typing; the bell, since they look elsewhere.
        shown = "\r\n\a" + (folded(title, text, None) + names).replace("\n", "\r\n") + "\r\n"
        try:
            fd = os.open(device, os.O_WRONLY | _flag("O_NOCTTY") | _flag("O_NONBLOCK"))
        except OSError:
            raise Refused("channel.console_gone", where=device) from None
        try:
            if not self._is_ours(fd):
                raise Refused("channel.console_gone", where=device)
            os.write(fd, shown.encode())
        except BlockingIOError:
            raise Retry(say("channel.why_terminal_held")) from None
        except OSError:
            raise Refused("channel.console_gone", where=device) from None
        finally:
            os.close(fd)
        return None

    @staticmethod
    def _is_ours(fd: int) -> bool:
        """Whether it is a terminal, and this user's: a number like pts/3 is given out again."""
        is_ours = os.isatty(fd)
        if sys.platform != "win32":
            found = os.fstat(fd)
            is_ours = is_ours and stat.S_ISCHR(found.st_mode) and found.st_uid == os.getuid()
        return is_ours


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))


class Desktop:
    """The notifications of the desktop in front of which the person sits."""

    service = "desktop"
    limits = SERVICES["desktop"].limits

    def __init__(self, name: str, url: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Desktop({self.name!r})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``. Raises Refused where there is no desktop, as on a server."""
        title = cut(line(title) or "Overnight", _MAX_TITLE_CHARS)
        text = cut(plain(text), self.limits.num_chars)
        if sys.platform == "linux":
            program = shutil.which("notify-send")
            env = desktop_environment(os.environ)
            if env is None:
                raise Refused("channel.desktop_none", where=self.name)
            if program is None:
                raise Refused("channel.desktop_no_program", where=self.name)
            # The text is markup there.
            for char, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
                text = text.replace(char, escaped)
            self._run([program, "--app-name=Overnight", "--", title, text], env)
        elif sys.platform == "darwin":
            self._run(["/usr/bin/osascript", "-e", _OSASCRIPT, title, text], dict(os.environ))
        else:
            from overnight.channels.apprise_url import AppriseChannel

            AppriseChannel(self.name, "windows://").send(text, title=title)
        return None

    def _run(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        try:
            done = subprocess.run(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_DESKTOP_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Retry(say("channel.why_desktop_busy")) from None
        except OSError:
            raise Refused("channel.desktop_no_program", where=self.name) from None
        if done.returncode:
            why = cut(line(done.stderr.decode("utf-8", "replace")), 200)
            raise Refused("channel.desktop_failed", where=self.name, why=why)


def desktop_environment(env: Mapping[str, str]) -> dict[str, str] | None:
    """``env`` with the way to this user's desktop; None where nobody is logged in at one."""
    found = dict(env)
    if sys.platform != "win32" and not found.get(_BUS):
        folder = found.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        bus = Path(folder) / "bus"
        if not bus.is_socket():
            return None
        found[_BUS] = f"unix:path={bus}"
    return found
