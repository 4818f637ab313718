"""A mail server and a web server on this machine, as small as their protocols allow. Here: servers. Not here: tests."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mailbox:
    """Where a mail server put what it took: (recipients, message)."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Message]] = []
        self.port = 0


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """SMTP (RFC 5321): HELO/EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT; everything else is refused with 502."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipients: list[str] = []
            self._say("220 test ESMTP")
            while line := self.rfile.readline():
                words = line.decode().strip()
                verb = words[:4].upper()
                if verb == "DATA":
                    self._say("354 go on")
                    lines = []
                    while (part := self.rfile.readline().decode()) != ".\r\n":
                        lines.append(part.removeprefix(".") if part.startswith("..") else part)
                    box.mails.append((recipients, message_from_string("".join(lines))))
                    recipients = []
                    self._say("250 taken")
                elif verb == "RCPT":
                    recipients.append(words.partition("<")[2].partition(">")[0])
                    self._say("250 ok")
                elif verb in ("HELO", "EHLO", "MAIL", "RSET", "NOOP"):
                    self._say("250 ok")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("502 not here")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        yield from _served(server, box)


class Posts:
    """What a web server was sent: (path, JSON document). `status` is what it answers."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        self.status = 200
        self.url = ""

    def documents(self, path: str) -> list[Any]:
        return [document for at, document in self.received if at == path]


@contextmanager
def web_server() -> Iterator[Posts]:
    """Takes JSON documents by POST."""
    posts = Posts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            posts.received.append((self.path, json.loads(body)))
            self.send_response(posts.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        posts.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield from _served(server, posts)


def _served(server: socketserver.BaseServer, result: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield result
    finally:
        server.shutdown()
        thread.join()
