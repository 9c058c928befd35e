"""Starting the agent with the machine: systemd's user manager, launchd, or cron's ``@reboot``.

Without it the agent is started by whoever has work for it; after a reboot that is the next
``overnight`` command. Installed, it tells of a reboot by itself.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from overnight.errors import UserError
from overnight.ledger import files
from overnight.outbox.folder import VARIABLE, agent_paths

assert sys.platform != "win32"

How = Literal["systemd", "launchd", "cron"]
_UNIT = "overnight-agent.service"
_LABEL = "overnight.agent"
_MARK = "# overnight agent"
_TIMEOUT_S = 20.0
#: What Vixie's, cronie's, dcron's and BusyBox's crontab say where a person has none yet.
_NO_CRONTAB = re.compile(r"(?i)no crontab|can't open .*no such file")


@dataclass(frozen=True, slots=True)
class Installed:
    """How the agent is started with the machine, and where that stands."""

    how: How
    where: str
    #: systemd ends a user's services at logout unless the user lingers.
    lingers: bool = True


def install() -> Installed:
    """Sees to it that the agent is started with the machine.

    Raises:
        UserError: There is no way to do so here, or it was refused.
    """
    how = _way()
    if how == "systemd":
        files_dir = os.path.dirname(_unit())
        os.makedirs(files_dir, exist_ok=True)
        files.replace(_unit(), _unit_text().encode(), mode=0o600)
        _call("systemctl", "--user", "daemon-reload")
        _call("systemctl", "--user", "enable", "--now", _UNIT)
    elif how == "launchd":
        os.makedirs(os.path.dirname(_plist()), exist_ok=True)
        files.replace(_plist(), _plist_text().encode(), mode=0o600)
        _call("launchctl", "load", "-w", _plist())
    else:
        _write_crontab([*_other_lines(), _cron_line()])
    found = installed()
    if found is None:
        raise UserError("agent.install_vanished", where=how)
    return found


def uninstall() -> Installed | None:
    """Takes it back; None if it was not installed.

    Raises:
        UserError: It was refused.
    """
    found = installed()
    if found is None:
        return None
    if found.how == "systemd":
        _call("systemctl", "--user", "disable", "--now", _UNIT)
        files.discard(_unit())
        _call("systemctl", "--user", "daemon-reload")
    elif found.how == "launchd":
        _call("launchctl", "unload", "-w", _plist())
        files.discard(_plist())
    else:
        _write_crontab(_other_lines())
    return found


def installed() -> Installed | None:
    """How it is started with the machine, if it is."""
    if os.path.exists(_unit()):
        return Installed("systemd", _unit(), _lingers())
    if sys.platform == "darwin" and os.path.exists(_plist()):
        return Installed("launchd", _plist())
    try:
        if any(line.endswith(_MARK) for line in _crontab()):
            return Installed("cron", "crontab")
    except UserError:  # a machine that lets nobody use cron
        return None
    return None


def _way() -> How:
    system: str = sys.platform  # as a text, so that no type checker prunes the other ways
    if system == "darwin":
        return "launchd"
    if (
        shutil.which("systemctl")
        and _run("systemctl", "--user", "show-environment").returncode == 0
    ):
        return "systemd"
    if shutil.which("crontab"):
        return "cron"
    raise UserError("agent.install_no_way", where=sys.platform)


#: Where the agent of this person keeps things, and how it reaches the network: what starts programs
#: with a machine knows none of it.
_CARRIED = (
    "XDG_STATE_HOME", "XDG_CONFIG_HOME", "LANG", "http_proxy", "https_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "OVERNIGHT_LANG",
    VARIABLE,
)  # fmt: skip


def _environment() -> dict[str, str]:
    """What is carried over; no address with a password in it, since others can read these."""
    said = {**os.environ, VARIABLE: agent_paths().dir}
    return {
        name: value
        for name in _CARRIED
        if (value := said.get(name, "")) and "@" not in value and value.isprintable()
    }


def _argv() -> list[str]:
    return [sys.executable, "-I", os.path.dirname(os.path.abspath(__file__)), "--stay"]


def _unit() -> str:
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "systemd", "user", _UNIT)


def _unit_text() -> str:
    # systemd.service(5), "Command lines": a dollar sign is doubled, in a command only.
    command = " ".join(map(_in_unit, _argv())).replace("$", "$$")
    env = "".join(f"Environment={_in_unit(f'{k}={v}')}\n" for k, v in _environment().items())
    return (
        "[Unit]\nDescription=Overnight: tells how training runs are going\n\n"
        f"[Service]\n{env}ExecStart={command}\nRestart=on-failure\nRestartSec=30\n"
        "\n[Install]\nWantedBy=default.target\n"
    )


def _in_unit(word: str) -> str:
    """A word in a unit: quoted, a percent sign doubled."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _lingers() -> bool:
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return True
    return os.path.exists(f"/var/lib/systemd/linger/{user}")


def _plist() -> str:
    return os.path.join(os.path.expanduser("~"), "Library", "LaunchAgents", _LABEL + ".plist")


def _plist_text() -> str:
    words = "".join(f"<string>{escape(word)}</string>" for word in _argv())
    env = "".join(
        f"<key>{name}</key><string>{escape(value)}</string>"
        for name, value in _environment().items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
        '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
        f'<plist version="1.0"><dict><key>Label</key><string>{_LABEL}</string>'
        f"<key>ProgramArguments</key><array>{words}</array>"
        f"<key>EnvironmentVariables</key><dict>{env}</dict>"
        "<key>RunAtLoad</key><true/><key>KeepAlive</key>"
        "<dict><key>SuccessfulExit</key><false/></dict></dict></plist>\n"
    )


def _cron_line() -> str:
    env = [f"{name}={value}" for name, value in _environment().items()]
    # In a crontab a percent sign ends the command.
    return "@reboot " + shlex.join(["env", *env, *_argv()]).replace("%", r"\%") + " " + _MARK


def _crontab() -> list[str]:
    """The lines there are.

    Raises:
        UserError: They cannot be read: nothing may be written over them then.
    """
    if not shutil.which("crontab"):
        return []
    shown = _run("crontab", "-l")
    if shown.returncode == 0:
        return shown.stdout.splitlines()
    if _NO_CRONTAB.search(shown.stderr):
        return []
    raise UserError("agent.crontab_unread", where="crontab -l", reason=_last_line(shown))


def _other_lines() -> list[str]:
    return [line for line in _crontab() if not line.endswith(_MARK)]


def _write_crontab(lines: list[str]) -> None:
    _call("crontab", "-", stdin="".join(line + "\n" for line in lines))


def _call(*argv: str, stdin: str = "") -> None:
    done = _run(*argv, stdin=stdin)
    if done.returncode != 0:
        raise UserError("agent.install_refused", where=shlex.join(argv), reason=_last_line(done))


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else str(done.returncode)


def _run(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))
