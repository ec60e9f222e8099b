"""The clients that services use, as they are: python-logging-loki, curl, and a protobuf push."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import cramjam
import logging_loki


def through_handler(
    url: str, token: str, version: str, tags: dict[str, str], lines: Sequence[str], threads: int = 4
) -> list[str]:
    """Log each line with a real ``LokiHandler`` and Basic auth; return what went wrong.

    The handler is synchronous, so several threads share the lines, each with a handler of its own.
    """
    failures: list[str] = []

    def work(part: Sequence[str], number: int) -> None:
        handler = logging_loki.LokiHandler(url=url, tags=tags, auth=("any", token), version=version)
        handler.handleError = lambda record: failures.append(repr(sys.exc_info()[1]))  # type: ignore[method-assign]
        logger = logging.Logger(f"shop.{number}")  # noqa: LOG001 - belongs to this call alone
        logger.addHandler(handler)
        for line in part:
            logger.info("%s", line)
        handler.emitter.close()

    started = [
        threading.Thread(target=work, args=(lines[number::threads], number)) for number in range(threads)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return failures


def through_curl(url: str, token: str, body: bytes, directory: Path, *options: str) -> tuple[int, bytes]:
    """Send an NDJSON body with curl, gzip; return status and body of the answer."""
    path = directory / "body.gz"
    path.write_bytes(gzip.compress(body, 1))
    done = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", "--data-binary", f"@{path}",
            "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/x-ndjson",
            "-H", "Content-Encoding: gzip", *options, url,
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )  # fmt: skip
    answer, _, status = done.stdout.rpartition(b"\n")
    return int(status), answer


PushEntry = tuple[int, str, dict[str, str]]
"""Unix ns, line, structured metadata."""


def snappy_push(streams: Iterable[tuple[dict[str, str], Sequence[PushEntry]]]) -> bytes:
    """Encode a push as Loki's own clients do: protobuf (`pkg/push/push.proto`) in a snappy block."""
    return bytes(cramjam.snappy.compress_raw(b"".join(_field(1, _stream(*stream)) for stream in streams)))


def _stream(labels: dict[str, str], rows: Sequence[PushEntry]) -> bytes:
    text = "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"
    return _field(1, text.encode()) + b"".join(_field(2, _entry(*row)) for row in rows)


def _entry(ns: int, line: str, metadata: dict[str, str]) -> bytes:
    seconds, nanos = divmod(ns, 1_000_000_000)
    stamp = b"\x08" + _varint(seconds) + (b"\x10" + _varint(nanos) if nanos else b"")
    pairs = [_field(1, name.encode()) + _field(2, value.encode()) for name, value in metadata.items()]
    return _field(1, stamp) + _field(2, line.encode()) + b"".join(_field(3, pair) for pair in pairs)


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
