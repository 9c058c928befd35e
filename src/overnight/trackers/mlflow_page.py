"""MLflow's own page, on loopback, for whoever has the token: other people share the machine."""

from __future__ import annotations

import hmac
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: A browser keeps one cookie for all ports of a machine: each page has one of its own.
_COOKIE = "overnight_token_{port}"


class Guard:
    """Lets through who has the token: in the address once, then in a cookie; or as a bearer.

    Args:
        app: What it guards.
        token: The token.
    """

    def __init__(self, app: App, token: str) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        name = _COOKIE.format(port=(scope.get("server") or ("", 0))[1])
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.get("token", [""])[0]
        if scope["type"] == "http" and self._is_it(given):
            # Out of the address bar, and of every link that is followed from there.
            cookie = f"{name}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, [(b"location", b"/"), (b"set-cookie", cookie.encode())])
        elif self._is_it(_cookie(headers, name)) or self._is_it(_bearer(headers)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(
                send, 401, [], b"`overnight ui` has printed the address with its token.\n"
            )

    def _is_it(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def _cookie(headers: dict[bytes, str], name: str) -> str:
    # The parser of the standard library ends at the first cookie it cannot read: another page's.
    pairs = (each.strip().partition("=") for each in headers.get(b"cookie", "").split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def _bearer(headers: dict[bytes, str]) -> str:
    kind, _, given = headers.get(b"authorization", "").partition(" ")
    return given if kind.lower() == "bearer" else ""


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    headers = [*headers, (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def free_socket(port: int = 0) -> socket.socket:
    """A socket on loopback, listening from now on: nobody can take its port in between.

    Raises:
        OSError: The port is taken.
    """
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.listen(128)
    return found


def serve(address: str, root: Path, listening: socket.socket, token: str) -> None:
    """Serves the page until it is interrupted.

    Args:
        address: The database, as SQLAlchemy names it.
        root: The root: its artifacts lie there.
        listening: Where.
        token: Who has it is let in.
    """
    # As `mlflow server` tells its workers; what it starts beside them (jobs) is not wanted here.
    told = {
        "_MLFLOW_SERVER_FILE_STORE": address,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (root / "mlartifacts").as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    os.environ.update(told)
    import uvicorn
    from mlflow.server.fastapi_app import app

    config = uvicorn.Config(Guard(app, token), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
