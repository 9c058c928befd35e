"""Pretrained weights: had, on their way, or told to be missing in a moment."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from overnight.preflight import hub
from overnight.tasks.image_classification import weights
from overnight.tasks.image_classification.config import Model

RESNET = Model(name="resnet18")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.socket() as taken:  # a port nobody listens on
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return {"HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{port}"}


@contextmanager
def server_that_says(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_without_a_network_the_ways_out_are_named(env: dict[str, str]) -> None:
    error = weights.why_not(RESNET, env)
    assert error is not None
    assert f"{env['HF_ENDPOINT']}: Connection refused" in error.what
    assert error.where == "model.pretrained"
    assert "model.pretrained: false" in error.fix
    assert "model.path" in error.fix


@pytest.mark.parametrize("asked", [{"pretrained": False}, {"path": Path("own.safetensors")}])
def test_who_needs_no_hub_is_not_kept(env: dict[str, str], asked: dict[str, object]) -> None:
    assert weights.why_not(RESNET.model_copy(update=asked), env) is None


def test_a_proxy_that_was_there_before_is_not_asked(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request._opener", None)
    with monkeypatch.context() as before:
        before.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        before.setenv("NO_PROXY", "")
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen("http://127.0.0.1:9", timeout=5)
    with server_that_says(200) as address:
        assert weights.why_not(RESNET, {**env, "HF_ENDPOINT": address}) is None


@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_answer_is_a_network(env: dict[str, str], status: int) -> None:
    with server_that_says(status) as address:
        assert weights.why_not(RESNET, {**env, "HF_ENDPOINT": address}) is None


def test_a_hub_that_is_switched_off_is_not_asked(env: dict[str, str]) -> None:
    with server_that_says(200) as address:
        off = {**env, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "1"}
        assert hub.unreachable(off) == "HF_HUB_OFFLINE is set"


def test_a_hub_that_hangs_is_given_up(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        said = hub.unreachable({**env, "HF_ENDPOINT": address})
    assert address in said


@pytest.mark.parametrize("address", ["not an address", "http://[", "http://"])
def test_no_address_is_told(env: dict[str, str], address: str) -> None:
    assert hub.unreachable({**env, "HF_ENDPOINT": address})


@pytest.mark.parametrize(
    "place",
    [
        ".cache/huggingface/hub/models--timm--resnet18.a1_in1k/snapshots/49/model.safetensors",
        ".cache/torch/hub/checkpoints/resnet18-5c106cde.pth",
    ],
)
def test_what_is_here_needs_no_network(env: dict[str, str], tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    assert weights.why_not(RESNET, env) is not None, "a folder alone is a download that broke off"
    file.touch()
    assert weights.why_not(RESNET, env) is None
    assert weights.why_not(Model(name="efficientnet_b3"), env) is not None
