"""A local HTTP service that answers as a test tells it to, with every fault a real one has.

Here: the server and its answers. Not here: what is asserted.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Reply:
    """One answer. `cut` sends so many bytes of the body and closes; `silent` never answers until the server ends."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    """What the server was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class FaultyServer:
    """Answers `replies` in turn, then asks `answer`; keeps every request."""

    def __init__(self, answer: Callable[[Request], Reply], replies: list[Reply]) -> None:
        self.replies = replies
        self.requests: list[Request] = []
        self.url = ""
        self._answer = answer
        self._over = threading.Event()

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0) if self.replies else self._answer(request)


@contextmanager
def serving(
    answer: Callable[[Request], Reply] = lambda _: Reply([]),
    replies: list[Reply] | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[FaultyServer]:
    """A running server on a free port of 127.0.0.1; with a certificate it speaks TLS."""
    state = FaultyServer(answer, list(replies or []))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            request = Request(parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in self.headers.items()})
            reply = state.reply(request)
            if reply.silent:
                state._over.wait(60)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.raw)))
            self.end_headers()
            self.wfile.write(reply.raw[: reply.cut])
            if reply.cut is not None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state._over.set()
        server.shutdown()
        server.server_close()
