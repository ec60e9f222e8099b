"""A log with tiles, and what somebody could do to its files."""

from __future__ import annotations

from pathlib import Path

from pipeline.audit.entry import Entry
from pipeline.audit.note import Signer
from pipeline.audit.server import open_log

SIGNER = Signer("audit.example.com/tiles", bytes(32))


def entry(number: int) -> Entry:
    """Make an entry."""
    return Entry(b"b" * 16, number, number.to_bytes(16), b"m" * 16, b'{"n":%d}' % number)


async def grow(directory: Path, *stops: int) -> None:
    """Append entries up to each of ``stops`` in one frame, and publish there."""
    log, publisher = open_log(directory, SIGNER)
    for stop in stops:
        await log.append([entry(n) for n in range(log.committed.size, stop)])
        publisher.publish(log.committed)
    await log.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    rewrite(path, bytes(data))


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)
