"""Three months of a KakaoTalk channel, each step by a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from overnight.testing import foreign_kakao
from overnight.testing.faults import FakeClock, armed
from overnight.testing.foreign import Internet
from overnight.testing.foreign_kakao import REST_KEY

HOUR_S, DAY_S = 3600.0, 86_400.0
PRELUDE = """
import sys, time
ahead_s, real = float(sys.argv[1]) - time.time(), time.time
time.time = lambda: real() + ahead_s
from overnight.channels import kakao_token, open_channel
from overnight.channels.kakao_login import login
from overnight.errors import UserError
"""
LOGIN = f"""
def show(text):
    print(text, flush=True)
print("days:", login("phone", {REST_KEY!r}, say=show, open_port=int(sys.argv[2])).days_left)
"""
SEND = f"""
try:
    open_channel("phone", "kakao://{REST_KEY}").send(sys.argv[2])
except UserError as error:
    print(error.key, "·", error.fix)
problem = kakao_token.problem("phone")
if problem is not None:
    print(problem.level, "·", problem.text, "·", problem.fix)
"""


class Story:
    """The person, the machine and KakaoTalk."""

    def __init__(self, net: Internet, home: Path) -> None:
        self.clock = FakeClock(1_794_000_000)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = int(server.getsockname()[1])
        redirect = f"http://127.0.0.1:{self.port}/kakao"
        self.kakao = foreign_kakao.Kakao(net, self.clock.time, redirect_uris=(redirect,))
        self.net = net
        self.env = os.environ | net.env | {"XDG_CONFIG_HOME": str(home), "OVERNIGHT_LANG": "en"}

    def start(self, code: str, argument: str, env: dict[str, str]) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", PRELUDE + code, repr(self.clock.time()), argument]
        return subprocess.Popen(
            argv, env=self.env | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def login(self) -> str:
        """Starts a login and opens the address it prints in a browser on the same machine."""
        with self.start(LOGIN, str(self.port), {}) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.match(r"https://kauth\S+", line):
                    proxies = {"https": self.net.env["HTTPS_PROXY"]}
                    ca = self.net.env["SSL_CERT_FILE"]
                    agreed = requests.get(
                        found[0], allow_redirects=False, timeout=10, proxies=proxies, verify=ca
                    )
                    assert requests.get(agreed.headers["Location"], timeout=10).ok
                    break
            out, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
            return out

    def send(self, text: str, env: dict[str, str] | None = None) -> str:
        """What a process that sends ``text`` prints."""
        out, err = self.die_sending(text, env or {}, 0)
        assert err == ""
        return out

    def die_sending(self, text: str, env: dict[str, str], code: int) -> tuple[str, str]:
        with self.start(SEND, text, env) as process:
            out, err = process.communicate(timeout=60)
            assert process.returncode == code, err
            return out, err

    @property
    def texts(self) -> list[str]:
        """What has arrived at the phone."""
        return [sent["text"] for sent in self.kakao.sent]


@pytest.mark.slow
def test_login_send_expiry_rotation_kill_send(tmp_path: Path) -> None:
    with Internet(tmp_path) as net:
        story = Story(net, tmp_path / "설정 폴더")
        clock, kakao = story.clock, story.kakao

        assert "days: 59.9" in story.login()
        assert story.send("로그인했습니다") == ""

        clock.advance(7 * HOUR_S)  # the access token has run out
        assert story.send("한밤중") == ""
        assert (kakao.num_refreshes, kakao.num_rotations) == (1, 0)

        clock.advance(46 * DAY_S)  # the refresh token is in its last month; a fortnight is left
        assert story.send("오랜만") == ""
        assert (kakao.num_refreshes, kakao.num_rotations) == (2, 1)
        clock.advance(7 * HOUR_S)
        assert story.send("회전한 토큰으로") == ""  # the rotated one was kept
        assert (kakao.num_refreshes, kakao.num_rotations) == (3, 1)

        clock.advance(10 * DAY_S)
        # An ordinary refresh, answered and not saved: the refresh token is as good as before.
        story.die_sending("잃음", armed("token.refreshed"), -signal.SIGKILL)
        assert story.send("다시") == ""

        clock.advance(20 * DAY_S - 8 * HOUR_S)
        assert story.send("마지막 달이 되기 전") == ""
        clock.advance(3 * HOUR_S)
        # The refresh that rotates, answered and not saved: nobody knows the new token.
        story.die_sending("잃음", armed("token.refreshed"), -signal.SIGKILL)
        assert kakao.num_rotations == 2
        out = story.send("그래도 갑니다")  # by the access token that was still good
        assert "no longer accepts the login" in out
        assert "overnight notify login kakao --name phone" in out

        clock.advance(7 * HOUR_S)
        assert "kakao.dead · log in again: overnight notify login kakao --name phone" in story.send(
            "끝"
        )
        assert "days: 59.9" in story.login()
        assert story.send("다시 로그인했습니다") == ""

        clock.advance(45 * DAY_S)
        # The refresh that rotates once more, saved and not yet in the old tokens' place.
        story.die_sending("잃음", armed("token.written"), -signal.SIGKILL)
        assert kakao.num_rotations == 3
        assert story.send("구했습니다") == ""
        assert kakao.num_rotations == 3

        assert story.texts == [
            "로그인했습니다",
            "한밤중",
            "오랜만",
            "회전한 토큰으로",
            "다시",
            "마지막 달이 되기 전",
            "그래도 갑니다",
            "다시 로그인했습니다",
            "구했습니다",
        ]
