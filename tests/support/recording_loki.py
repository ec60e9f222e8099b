"""A small Loki that remembers what it was told, and sometimes takes a push without saying so."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

Entry = tuple[str, str, str, str]
"""Labels (JSON), unix ns, line, structured metadata (JSON)."""


class RecordingLoki:
    """The server; a context manager.

    Equal entries of a stream are kept once, as Loki does. With a seed, of every twenty pushes one is taken and
    answered with 500, one is taken and the connection is cut, and one is not taken (500).
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._moody = seed is not None
        self._moods: list[str] = []
        self._lock = threading.Lock()
        self.entries: set[Entry] = set()
        self.pushes: Counter[str] = Counter()

    def __enter__(self) -> RecordingLoki:
        loki = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = loki.push(body)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

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

    def push(self, body: bytes) -> int:
        """Take a push; return the status, 0 for none."""
        entries = list(_entries(body))
        with self._lock:
            kind = self._mood()
            self.pushes[kind] += 1
            if kind != "refused":
                self.entries.update(entries)
        return {"taken": 204, "cut": 0}.get(kind, 500)

    def _mood(self) -> str:
        """Draw without putting back, so that a run of twenty pushes meets all."""
        if not self._moody:
            return "taken"
        if not self._moods:
            self._moods = ["500", "cut", "refused", *["taken"] * 17]
            self._random.shuffle(self._moods)
        return self._moods.pop()

    def lines(self, *, audit: bool = False) -> list[str]:
        """Return the lines of all streams, or those of the audit stream."""
        with self._lock:
            return [line for labels, _, line, _ in self.entries if ('"audit":"true"' in labels) is audit]


def _entries(body: bytes) -> Iterator[Entry]:
    for stream in orjson.loads(gzip.decompress(body))["streams"]:
        labels = json.dumps(stream["stream"], sort_keys=True, separators=(",", ":"))
        for value in stream["values"]:
            metadata = json.dumps(value[2], sort_keys=True) if len(value) > 2 else ""
            yield labels, value[0], value[1], metadata
