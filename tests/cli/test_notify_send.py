"""``overnight notify send`` and ``test`` against a server on loopback; what ``channels`` says."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.channels import store
from overnight.outbox.folder import agent_paths
from overnight.outbox.message import MERGED, settle, waiting

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


class Server(ThreadingHTTPServer):
    """Answers with ``status``, and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.got: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append(said)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(shell: Any) -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    store.add("phone", f"json://127.0.0.1:{server.server_port}/secret-path/")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_text_is_delivered_with_its_file(shell: Any, server: Server) -> None:
    picture = shell.root / "a plot.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    words = ("notify", "send", "라벨링 완료", "--title", "fold 3", "--attach", str(picture))
    done = shell(*words, "--to", "Phone")
    assert "✓ phone" in done.stdout
    # The words go first: a picture that is refused must not cost them.
    words_came, picture_came = server.got
    assert "라벨링 완료" in words_came["message"]
    assert "fold 3" in words_came["message"]
    (attached,) = picture_came["attachments"]
    assert base64.b64decode(attached["base64"]) == picture.read_bytes()
    assert waiting(agent_paths()) == []


def test_a_text_comes_from_a_pipe_too(shell: Any, server: Server) -> None:
    def send(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "overnight", "notify", "send", "-"],
            cwd=shell.root, env=shell.env, input=text, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    assert send("from a pipe\n").returncode == 0
    assert "from a pipe" in server.got[0]["message"]
    assert send(" \n").returncode == 2
    assert len(server.got) == 1


def test_all_mistakes_are_told_at_once(shell: Any, server: Server) -> None:
    done = shell("notify", "send", " ", "--attach", "no.png", "--attach", "none.png", code=2)
    assert done.stderr.count("no.png") == 1
    assert len(done.stderr.splitlines()) == 9
    done = shell("notify", "send", "hello", "--to", "fone", "--to", "mail", code=2)
    assert "phone" in done.stderr
    assert len(done.stderr.splitlines()) == 6
    done = shell("notify", "send", "hi", "--to", "json://127.0.0.1/secret-token-9", code=2)
    assert "secret-token-9" not in done.stderr
    assert server.got == []
    store.remove("phone")
    for words in (("send", "hello"), ("test",)):
        assert "overnight notify add phone" in shell("notify", *words, code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_refusal_is_shown_with_what_to_do_and_stays_in_the_list(
    shell: Any, server: Server, lang: str
) -> None:
    server.status = 403
    done = shell("notify", "test", lang=lang, code=1)
    assert "✗ phone" in done.stdout
    assert "→" in done.stdout
    done = shell("notify", "send", "hello", lang=lang, code=1)
    assert ("refused" if lang == "en" else "거부") in done.stdout
    assert "secret-path" not in done.stdout + done.stderr
    listed = shell("notify", "channels", lang=lang)
    assert "! phone" in listed.stdout
    assert "403" in listed.stdout
    doctor = shell("doctor", lang=lang, code=None).stdout
    assert "phone" in doctor
    assert "403" in doctor
    assert "secret-path" not in listed.stdout + doctor


@pytest.mark.slow
def test_what_cannot_be_delivered_now_waits_and_is_seen(shell: Any, server: Server) -> None:
    server.status = 503
    terminal = shell.terminal("notify", "send", "hello")
    shell.until(lambda: len(server.got) > 0)
    shell.until(lambda: "503" in shell("notify", "channels").stdout)
    answer = shell.json("notify", "channels")
    jsonschema.validate(
        answer, json.loads((SCHEMAS / "notify-channels.json").read_text(encoding="utf-8"))
    )
    assert answer["channels"][0]["num_waiting"] == 1
    server.status = 200
    shell.until(lambda: not waiting(agent_paths()))
    assert terminal.end() == 0, terminal.shown
    assert "phone: delivered" in terminal.shown
    assert "! phone" not in shell("notify", "channels").stdout


def test_the_answer_for_programs_keeps_to_its_schema(shell: Any, server: Server) -> None:
    answer = shell.json("notify", "send", "hello")
    jsonschema.validate(
        answer, json.loads((SCHEMAS / "notify-send.json").read_text(encoding="utf-8"))
    )
    assert answer["messages"] == [{"channel": "phone", "outcome": "delivered", "why": None}]


def test_this_terminal_and_this_desktop_need_no_setting_up(shell: Any, server: Server) -> None:
    store.add("screen", "console://")
    for name in ("screen", "console"):
        terminal = shell.terminal("notify", "test", name)
        assert terminal.end() == 0, terminal.shown
        assert "This channel works" in terminal.shown
    terminal = shell.terminal("notify", "send", "labels are ready", "--to", "screen")
    assert terminal.end() == 0, terminal.shown
    assert "labels are ready" in terminal.shown.partition("sending")[2]
    assert "no terminal" in shell("notify", "test", "screen", code=1).stdout
    done = shell("notify", "test", "desktop", code=None, env={"XDG_RUNTIME_DIR": "/nowhere"})
    assert "✗ desktop: " in done.stdout


def test_the_project_s_own_variables_define_channels(shell: Any, server: Server) -> None:
    url = store.load()["phone"].url
    store.remove("phone")
    (shell.root / ".env").write_text(f"OVERNIGHT_CHANNEL_LAB={url}\n")
    assert "lab" in shell("notify", "channels").stdout
    assert "✓ lab" in shell("notify", "test").stdout
    assert "✓ lab" in shell("notify", "send", "hello", "--to", "lab").stdout
    assert len(server.got) == 2
    assert "unset OVERNIGHT_CHANNEL_LAB" in shell("notify", "remove", "lab", code=2).stderr


def test_what_goes_out_with_others_has_arrived(shell: Any, server: Server) -> None:
    """The agent is played: what it notes of a message is all there is to read."""
    server.status = 503
    terminal = shell.terminal("notify", "send", "hello", "--json")
    shell.until(lambda: bool(waiting(agent_paths())))
    (message,) = waiting(agent_paths())
    settle(agent_paths(), message, MERGED, into="digest")
    assert terminal.end() == 0, terminal.shown


def test_only_what_a_person_waits_for_is_urgent(shell: Any, server: Server) -> None:
    """A loop must not use up the places that are kept for a crash and an end."""
    server.status = 503
    terminal = shell.terminal("notify", "send", "by hand")
    shell.until(lambda: len(waiting(agent_paths())) == 1)
    assert [message.urgent for message in waiting(agent_paths())] == [True]
    looped = subprocess.Popen(
        [sys.executable, "-m", "overnight", "notify", "send", "by a loop"],
        cwd=shell.root, env=shell.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shell.until(lambda: len(waiting(agent_paths())) == 2)
    urgent = {str(each.facts["text"]): each.urgent for each in waiting(agent_paths())}
    assert urgent == {"by hand": True, "by a loop": False}
    server.status = 200
    assert looped.wait(60) == 0
    assert terminal.end() == 0, terminal.shown
