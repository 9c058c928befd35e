"""``overnight agent``; ``--install`` with programs that behave like the real ones."""

from __future__ import annotations

import json
import plistlib
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.agent import install as installing
from overnight.ledger import files
from overnight.outbox import summon
from overnight.outbox.folder import agent_paths
from overnight.outbox.message import Message, put

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "agent.json"

#: As Vixie's and cronie's: a file per person, read and replaced as a whole.
CRONTAB = """#!/bin/sh
tab="$HOME/crontab.txt"
case "$1" in
-l) if [ -e "$HOME/denied" ]; then echo "You ($USER) are not allowed to use this program" >&2
      exit 1; fi
    [ -e "$tab" ] && exec cat "$tab"; echo "no crontab for me" >&2; exit 1;;
-)  cat > "$tab";;
*)  exit 2;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
[ "$1" = --user ] || exit 1
case "$2" in
show-environment|daemon-reload) exit 0;;
enable) [ -e "$HOME/broken" ] && { echo "Failed to enable unit" >&2; exit 1; }; exit 0;;
disable) exit 0;;
*) exit 1;;
esac
"""


@pytest.fixture
def home(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a PATH that holds next to nothing."""
    home = tmp_path / "a home"
    (home / "bin").mkdir(parents=True)
    for name in ("sh", "cat", "env"):
        (home / "bin" / name).symlink_to(f"/bin/{name}" if name != "env" else "/usr/bin/env")
    changed = {"HOME": str(home), "PATH": str(home / "bin"), "USER": "minsu"}
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    shell.env.update(changed)
    return home


def program(home: Path, name: str, text: str) -> None:
    path = home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def test_it_says_whether_it_is_at_work_begins_and_ends(shell: Any) -> None:
    assert "No agent is at work" in shell("agent").stdout
    begun = shell("agent", "start").stdout
    agent = summon.alive()
    assert agent is not None
    assert str(agent.pid) in begun
    answer = shell.json("agent")
    jsonschema.validate(answer, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert answer["pid"] == agent.pid
    assert "동작 중입니다" in shell("agent", lang="ko").stdout
    assert "No agent" in shell("agent", "stop").stdout
    assert summon.alive() is None
    assert "No agent" in shell("agent", "stop").stdout


def test_whoever_stops_it_does_not_find_it_back_at_once(shell: Any) -> None:
    paths = agent_paths().make()
    put(paths, Message("k", "undefined-channel", "text", time.time_ns() // 1000))
    shell("agent", "start")
    assert "No agent" in shell("agent", "stop").stdout
    assert summon.alive() is None
    shell("ls")
    shell.until(lambda: summon.alive() is not None)


def test_mistakes(shell: Any) -> None:
    for words in (("begin",), ("--install", "--uninstall"), ("--instal",)):
        done = shell("agent", *words, code=2)
        assert len(done.stderr.splitlines()) == 3, done.stderr


def test_one_in_another_container_is_not_stopped_from_here(shell: Any) -> None:
    shell("agent", "start")
    agent = summon.alive()
    assert agent is not None
    claim = next(Path(agent_paths().claims).glob("agent.*"))
    said = files.read_json(str(claim)) or {}
    files.replace(str(claim), files.to_json({**said, "pidns": "pid:[1]"}))
    done = shell("agent", "stop", code=2)
    assert "container" in done.stderr
    assert agent.look() == "alive"
    files.replace(str(claim), files.to_json(said))
    shell("agent", "stop")


def test_cron_keeps_all_other_lines(shell: Any, home: Path) -> None:
    program(home, "crontab", CRONTAB)
    tab = home / "crontab.txt"
    mine = "MAILTO=me\n# a remark\n0 3 * * * backup --to '50%'\n"
    tab.write_text(mine)
    shell.env["XDG_STATE_HOME"] = str(home / "100% full")
    shown = shell("agent", "--install").stdout
    assert "crontab" in shown
    assert tab.read_text().startswith(mine)
    (line,) = tab.read_text()[len(mine) :].splitlines()
    assert line.startswith("@reboot ")
    # cron(8): a percent sign that is not escaped ends the command.
    command = line.removeprefix("@reboot ").replace("\\%", "\n").replace("%", "").replace("\n", "%")
    words = shlex.split(command, comments=True)
    assert f"XDG_STATE_HOME={home / '100% full'}" in words
    assert words[-1] == "--stay"
    shell("agent", "--install")
    assert tab.read_text().count("@reboot") == 1, "once is enough"
    assert "crontab" in shell("agent").stdout
    assert shell.json("agent")["installed"] == "cron"
    shell("agent", "--uninstall")
    assert tab.read_text() == mine
    assert "not installed" in shell("agent", "--uninstall").stdout


def test_a_first_crontab_and_one_that_cannot_be_read(shell: Any, home: Path) -> None:
    program(home, "crontab", CRONTAB)
    shell("agent", "--install")
    shell("agent", "--uninstall")
    assert (home / "crontab.txt").read_text() == ""
    (home / "crontab.txt").write_text("0 0 * * * precious\n")
    (home / "denied").touch()
    for lang in ("en", "ko"):
        done = shell("agent", "--install", code=2, lang=lang)
        assert "not allowed" in done.stderr
        assert len(done.stderr.splitlines()) == 3
    assert (home / "crontab.txt").read_text() == "0 0 * * * precious\n"
    shell("agent")


def test_where_there_is_no_way_it_says_so(shell: Any, home: Path) -> None:
    done = shell("agent", "--install", code=2)
    assert "cron" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_systemd(shell: Any, home: Path) -> None:
    program(home, "systemctl", SYSTEMCTL)
    program(home, "crontab", CRONTAB)
    shell.env["HTTPS_PROXY"] = "http://proxy.example:3128"
    shell.env["https_proxy"] = "http://me:pass77@proxy.example:3128"
    shown = shell("agent", "--install").stdout
    unit = Path(shell.env["XDG_CONFIG_HOME"]) / "systemd" / "user" / "overnight-agent.service"
    assert str(unit) in shown
    text = unit.read_text()
    assert f'"{sys.executable}" "-I" ' in text
    assert 'Environment="HTTPS_PROXY=http://proxy.example:3128"' in text
    assert "pass77" not in text
    log = (home / "systemctl.log").read_text()
    assert "--user enable --now overnight-agent.service" in log
    assert shell.json("agent")["installed"] == "systemd"
    shell("agent", "--uninstall")
    assert not unit.exists()
    (home / "broken").touch()
    done = shell("agent", "--install", code=2)
    assert "Failed to enable unit" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_launchd_is_given_a_list_it_can_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = home / "launchctl.log"
    program(home, "launchctl", f'#!/bin/sh\necho "$@" >> "{record}"\n')
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "a & b <c>"))
    found = installing.install()
    assert found.how == "launchd"
    said = plistlib.loads(Path(found.where).read_bytes())
    assert said["ProgramArguments"][0] == sys.executable
    assert said["ProgramArguments"][-1] == "--stay"
    assert said["EnvironmentVariables"]["XDG_STATE_HOME"] == str(home / "a & b <c>")
    assert said["RunAtLoad"] is True
    assert installing.uninstall() == found
    assert record.read_text() == f"load -w {found.where}\nunload -w {found.where}\n"
    assert installing.installed() is None
