"""A Loki that keeps every byte it receives, quotes what it refuses, and can be away."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

REFUSED = "refuse-this-entry"
"""An entry with this text in its line is refused with a 400 that quotes it."""


class KeepingLoki:
    """The server; a context manager.

    Attributes:
        received: Request line, headers and body of each push.
        lines: Lines that were taken.
        away: Answer 503 to everything.
    """

    def __init__(self, *, away: bool = False) -> None:
        self.received: list[bytes] = []
        self.lines: list[str] = []
        self.streams: list[dict[str, str]] = []
        self.away = away

    def __enter__(self) -> Self:
        loki = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                loki.received.append(f"{self.requestline}\n{self.headers}\n".encode() + body)
                status, text = loki.push(body)
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A killed worker cuts its connection: that is the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def push(self, body: bytes) -> tuple[int, bytes]:
        """Take a push, or quote what is wrong with it."""
        if self.away:
            return 503, b""
        streams: list[dict[str, Any]] = json.loads(gzip.decompress(body))["streams"]
        for stream in streams:
            for value in stream["values"]:
                if REFUSED in value[1]:
                    text = f"max entry size exceeded for stream {json.dumps(stream['stream'])}: {value[1]}"
                    return 400, text.encode()
        for stream in streams:
            self.streams.append(stream["stream"])
            self.lines += [value[1] for value in stream["values"]]
        return 204, b""
