"""Sends requests over a number of connections and says how long each answer took; a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import uvloop


class Sender(asyncio.Protocol):
    """One connection: the next request goes when the answer to the last one is there."""

    def __init__(self, source, latencies, statuses, done) -> None:
        self.source = source
        self.latencies = latencies
        self.statuses = statuses
        self.done = done
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        request = next(self.source, None)
        if request is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        if len(body) < length:
            return
        self.buffer = b""
        self.latencies.append(time.perf_counter() - self.sent)
        status = head[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.next()

    def connection_lost(self, exc) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the connection was closed before the answer"))


def request(body: bytes, key: str) -> bytes:
    head = (
        "POST /v1/logs HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run(port: int, bodies: list[bytes], connections: int, seconds: float | None) -> dict:
    start = time.perf_counter()
    tag = f"{os.getpid()}-{time.time_ns()}"

    def source():
        number = 0
        while True:
            for body in bodies:
                if seconds is not None and time.perf_counter() - start > seconds:
                    return
                yield request(body, f"{tag}-{number}")
                number += 1
            if seconds is None:
                return

    shared = source()
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    waiting = []
    for _ in range(connections):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(
            lambda done=done: Sender(shared, latencies, statuses, done), "127.0.0.1", port
        )
    await asyncio.gather(*waiting)
    latencies.sort()
    return {
        "requests": len(latencies),
        "seconds": time.perf_counter() - start,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "statuses": statuses,
    }


def main() -> None:
    """Arguments: port, file of bodies (u32 length + bytes each), connections, seconds or 0 for one pass."""
    port, path, connections, seconds = (
        int(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        float(sys.argv[4]),
    )
    data = path.read_bytes()
    bodies = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        bodies.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    print(json.dumps(uvloop.run(run(port, bodies, connections, seconds or None))))


if __name__ == "__main__":
    main()
