"""The internet on this machine's loopback: foreign services for code that does not know of it.

A proxy takes every request, ends its TLS with a certificate authority of its own, and has a handler
play the service of that host name. The code under test is told by the variables it honours anyway::

    with Internet(folder) as net:
        net.serve("api.line.me", lambda request: Answer(200, {}))
        net.fault("api.line.me", Answer(429, headers={"Retry-After": "2"}))
        subprocess.run(command, env={**os.environ, **net.env})
        assert net.requests[-1].json["to"] == "U1"

Nothing but the loopback is ever contacted: a host without a handler does not exist.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

#: A request's head that a client began and does not end. A test ends long before.
_IDLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived. ``headers[...]`` does not mind upper and lower case."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form-encoded body; of equal names the last."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The value of a JSON body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; a body that is not bytes or text is sent as JSON."""

    status: int = 200
    body: bytes | str | list[Any] | dict[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]
#: ``refused`` = the connection is reset, nothing was carried out. ``frozen`` = no answer for as
#: long as the client waits, nothing was carried out. ``cut`` = carried out, half the answer's body
#: arrives. ``dns`` = the proxy says that there is no such host. An Answer stands for the service's.
Fault = Literal["refused", "frozen", "cut", "dns"] | Answer


class Internet:
    """A loopback proxy that plays foreign services; see the module's first lines.

    Args:
        folder: Where the certificate authority's ``ca.pem`` is written.

    Raises:
        Exception: On leaving, what a handler raised: a mistake of the test, not of the client.
    """

    def __init__(self, folder: Path) -> None:
        # A dependency of the tests alone.
        import trustme

        self._ca = trustme.CA()
        self._pem = Path(folder) / "ca.pem"
        self._lock = threading.Lock()
        self._handlers: dict[str, Handler] = {}
        self._faults: dict[str, deque[Fault]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._requests: list[Request] = []
        self._errors: list[Exception] = []
        self._live: set[socket.socket] = set()
        self._closing = False

    def __enter__(self) -> Self:
        self._ca.cert_pem.write_to_path(str(self._pem))
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.internet = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="loopback internet"
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            self._closing = True
            for connection in self._live:
                _hang_up(connection)
        self._server.server_close()  # waits for the threads of all connections
        if error is None and self._errors:
            raise self._errors[0]

    @property
    def port(self) -> int:
        """The proxy's port on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to be in this internet and in no other."""
        proxy, ca = f"http://127.0.0.1:{self.port}", str(self._pem)
        # Both spellings: where a machine sets one, it would win over ours in the other.
        names = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]
        env = {spelling: proxy for name in names for spelling in (name, name.lower())}
        env |= {"NO_PROXY": "", "no_proxy": ""}
        return env | {"REQUESTS_CA_BUNDLE": ca, "CURL_CA_BUNDLE": ca, "SSL_CERT_FILE": ca}

    @property
    def requests(self) -> list[Request]:
        """All that arrived whole, in order, those answered by a fault among them."""
        with self._lock:
            return list(self._requests)

    def serve(self, host: str, handler: Handler) -> None:
        """Has ``handler`` play ``host``, over TLS and without. It is called from many threads."""
        with self._lock:
            self._handlers[host.lower()] = handler

    def fault(self, host: str, fault: Fault, times: int = 1) -> None:
        """The next ``times`` connections or requests to ``host`` meet ``fault``, in order."""
        with self._lock:
            self._faults.setdefault(host.lower(), deque()).extend([fault] * times)

    def heal(self, host: str) -> None:
        """Takes back the faults of ``host`` that nobody has met."""
        with self._lock:
            self._faults.pop(host.lower(), None)

    # Below: for the connections' threads.

    def knows(self, host: str) -> bool:
        """Whether there is such a host."""
        return host in self._handlers

    def take_fault(self, host: str, *, at_connect: bool) -> Fault | None:
        """The fault whose turn it is; at connect time only those that keep one from connecting."""
        with self._lock:
            waiting = self._faults.get(host)
            if not waiting or (at_connect and waiting[0] not in ("refused", "dns")):
                return None
            return waiting.popleft()

    def handle(self, request: Request) -> Answer:
        """The service's answer."""
        handler = self._handlers[request.host]
        try:
            return handler(request)
        except Exception as error:  # Kept: whoever leaves the internet is told.
            self.note_error(error)
            return Answer(500, f"the handler of {request.host} failed: {error!r}")

    def note(self, request: Request) -> None:
        """Keeps a request for the test to look at."""
        with self._lock:
            self._requests.append(request)

    def note_error(self, error: Exception) -> None:
        """Keeps an error that is the test's own."""
        with self._lock:
            self._errors.append(error)

    def context(self, host: str) -> ssl.SSLContext:
        """TLS with a certificate for ``host``."""
        with self._lock:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._ca.issue_cert(host).configure_cert(context)
                self._contexts[host] = context
            return self._contexts[host]

    def is_live(self, connection: socket.socket, *, live: bool) -> None:
        """Notes an open connection, or that it is being closed."""
        with self._lock:
            if not live:
                self._live.discard(connection)
            elif self._closing:
                _hang_up(connection)
            else:
                self._live.add(connection)


class _Server(ThreadingTCPServer):
    # Not daemons, so that server_close waits for them.
    request_queue_size = 64
    internet: Internet

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        # OSError: a client that hangs up or trusts nobody, in whatever we were doing.
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.internet.note_error(error)


class _Connection(BaseHTTPRequestHandler):
    """One client's connection to the proxy."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server
    connection: socket.socket
    #: The host a tunnel leads to.
    _tunnel = ""

    def setup(self) -> None:
        super().setup()
        self.server.internet.is_live(self.connection, live=True)

    def finish(self) -> None:
        self.server.internet.is_live(self.connection, live=False)
        try:
            super().finish()
        finally:
            self.rfile.close()
            self.connection.close()

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._proxy
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the test looks at the requests."""

    def do_CONNECT(self) -> None:
        internet = self.server.internet
        host = self.path.rpartition(":")[0].strip("[]").lower()
        fault = internet.take_fault(host, at_connect=True)
        if fault == "refused":
            self._reset()
        elif fault == "dns" or not internet.knows(host):
            self._no_such_host()
        else:
            self.send_response_only(HTTPStatus.OK, "Connection established")
            self.end_headers()
            self._encrypt(host)

    def _encrypt(self, host: str) -> None:
        internet = self.server.internet
        self.close_connection = True
        internet.is_live(self.connection, live=False)
        plain = self.connection
        self.connection = internet.context(host).wrap_socket(
            plain, server_side=True, do_handshake_on_connect=False
        )
        internet.is_live(self.connection, live=True)
        self.rfile.close()
        self.wfile.close()
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]
        self.connection.do_handshake()
        self._tunnel = host
        self.close_connection = False

    def _proxy(self) -> None:
        internet = self.server.internet
        target = urlsplit(self.path)
        host = self._tunnel or (target.hostname or "").lower()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self._send(Answer(411, "this server wants a Content-Length"))
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        request = Request(self.command, host, target.path or "/", query, self.headers, body)
        fault = internet.take_fault(host, at_connect=False)
        if fault == "refused":
            self._reset()
        elif fault == "dns" or not internet.knows(host):
            self._no_such_host()
        elif fault == "frozen":
            internet.note(request)
            self._freeze()
        else:
            internet.note(request)
            answer = fault if isinstance(fault, Answer) else internet.handle(request)
            self._send(answer, cut=fault == "cut")

    def _send(self, answer: Answer, *, cut: bool = False) -> None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if isinstance(answer.body, bytes | str):
            body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
            headers.setdefault("content-type", "text/plain;charset=UTF-8")
        else:
            body = json.dumps(answer.body, ensure_ascii=False).encode()
            headers.setdefault("content-type", "application/json;charset=UTF-8")
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def _no_such_host(self) -> None:
        self._send(Answer(502, "no such host on this loopback internet"))
        self.close_connection = True

    def _freeze(self) -> None:
        self.close_connection = True
        self.connection.settimeout(None)
        while self.connection.recv(4096):
            pass

    def _reset(self) -> None:
        # Closed without lingering, the peer gets RST: what a refused connection looks like later.
        self.close_connection = True
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _hang_up(connection: socket.socket) -> None:
    try:
        # The plain method: a TLS socket's own would take its state away under a reading thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return
