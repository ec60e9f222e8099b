"""A small Loki over real sockets: takes pushes, folds what is the same, answers from a script.

It has the traits of Loki 3.7.8 that a sink must live with: a bad label set refuses the whole push,
a bad entry only itself, and of several streams with errors of the ingester only the last is heard.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

HOUR_NS = 3_600_000_000_000
TAKE = "take"
"""Script: behave."""
HANG = "hang"
"""Script: read, never answer."""
DROP = "drop"
"""Script: close in the middle of the body."""
FORGET = "forget"
"""Script: store, then close without an answer."""


@dataclass
class Seen:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    streams: list[dict]


@dataclass
class PushStub:
    """The server; use it as an async context manager."""

    script: list[str | int | tuple[int, str, dict[str, str]]] = field(default_factory=list)
    blame: Callable[[dict, list], str | None] = lambda labels, value: None  # noqa: E731
    window_ns: int | None = None
    max_streams: int | None = None
    stream_burst: int | None = None
    most_entries: int | None = None
    seen: list[Seen] = field(default_factory=list)
    stored: dict[tuple, list] = field(default_factory=dict)
    doubles: int = 0
    connections: int = 0

    async def __aenter__(self) -> Self:
        self._newest: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    def refill(self) -> None:
        """Let time pass for the limits of rate."""
        self._spent.clear()

    def entries(self) -> list[tuple[str, str]]:
        """(ns, line) of all that is stored, over all streams, in order of time."""
        return sorted((ns, line) for _, ns, line, _ in self.stored)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        step = self.script.pop(0) if self.script else TAKE
        size = int(headers.get("content-length", 0))
        if step == DROP:
            await reader.readexactly(size // 2)
            return False
        body = await reader.readexactly(size)
        streams = json.loads(gzip.decompress(body))["streams"] if body else []
        self.seen.append(Seen(head[0].split(" ")[1], headers, body, streams))
        if step == HANG:
            await reader.read()
            return False
        status, text, extra = self._answer(step, streams)
        if step == FORGET:
            return False
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in extra.items())]
        lines += [] if status == 204 else [f"Content-Length: {len(text.encode())}"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + text.encode())
        await writer.drain()
        return True

    def _answer(self, step, streams) -> tuple[int, str, dict[str, str]]:
        if isinstance(step, tuple):
            return step
        if isinstance(step, int):
            return step, "" if step == 204 else f"status {step}", {}
        if self.most_entries is not None and sum(len(s["values"]) for s in streams) > self.most_entries:
            return 413, "request body too large", {}
        for stream in streams:
            if any(not name.isidentifier() for name in stream["stream"]):
                return 400, "couldn't parse labels: 1:3: parse error: unexpected character", {}
        blamed = [text for stream in streams if (text := self._validated(stream))]
        last = ""
        status = 400
        for stream in streams:
            status, last = self._ingest(stream) if stream["values"] else (status, last)
        if last:
            return status, last, {}
        return (400, "\n".join(blamed), {}) if blamed else (204, "", {})

    def _validated(self, stream) -> str:
        blamed = [(value, self.blame(stream["stream"], value)) for value in stream["values"]]
        stream["values"] = [value for value, text in blamed if not text]
        return "\n".join(text for _, text in blamed if text)

    def _ingest(self, stream) -> tuple[int, str]:
        name = json.dumps(stream["stream"], sort_keys=True)
        if (
            self.max_streams is not None
            and name not in self._newest
            and len(self._newest) >= self.max_streams
        ):
            return 429, f"maximum active stream limit exceeded when trying to create stream {name}"
        if self.stream_burst is not None:  # refused whole, as with shard_streams; `refill` makes room again
            spent = self._spent.get(name, 0) + sum(len(value[1]) for value in stream["values"])
            if spent > self.stream_burst:
                return 429, f"Per stream rate limit exceeded while attempting to ingest for stream {name}"
            self._spent[name] = spent
        late, cutoff = 0, 0
        for value in stream["values"]:
            newest = self._newest.setdefault(name, 0)
            if self.window_ns is not None and newest and int(value[0]) < newest - self.window_ns:
                late, cutoff = late + 1, newest - self.window_ns
                continue
            self._newest[name] = max(newest, int(value[0]))
            key = (name, value[0], value[1], json.dumps(value[2:], sort_keys=True))
            self.doubles += key in self.stored
            self.stored[key] = value
        if not late:
            return 204, ""
        text = (
            f"entry with timestamp x ignored, reason: 'entry too far behind, entry timestamp is: "
            f"{_time(cutoff)}, oldest acceptable timestamp is: {_time(cutoff)}',\nuser 'fake', "
            f"total ignored: {late} out of {len(stream['values'])} for stream: {{{name}}}"
        )
        return 400, text


def _time(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
