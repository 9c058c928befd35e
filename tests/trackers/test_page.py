"""Who has the token sees MLflow's page; the machine's other users do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import uvicorn

from overnight.trackers.mlflow_page import Guard, free_socket

TOKEN = "a-token-that-nobody-guesses"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


@pytest.fixture
def address() -> Iterator[str]:
    listening = free_socket()
    config = uvicorn.Config(Guard(page, TOKEN), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    listening.close()


def test_only_the_token_opens_it(address: str) -> None:
    for wrong in ({}, {"params": {"token": "x"}}, {"cookies": {"overnight_token_1": TOKEN}},
                  {"headers": {"Authorization": "Bearer x"}}):  # fmt: skip
        refused = requests.get(address, timeout=20, **wrong)  # type: ignore[arg-type]
        assert refused.status_code == 401
        assert "the page" not in refused.text
    with requests.Session() as browser:
        shown = browser.get(address, params={"token": TOKEN}, timeout=20)
        assert (shown.status_code, shown.text) == (200, "the page")
        assert TOKEN not in shown.url
        assert browser.get(address + "ajax-api", timeout=20).status_code == 200
        # Beside what other pages of this machine have set, well formed or not.
        [mine] = [f"{each.name}={each.value}" for each in browser.cookies]
    for others in ('a[b]={"c": 1}; ', "lone; ", "overnight_token_1=x; "):
        sent = {"Cookie": others + mine}
        assert requests.get(address, headers=sent, timeout=20).status_code == 200, others
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(address, headers=bearer, timeout=20).status_code == 200
