"""Frames and logs for tests of the buffer."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.buffer import BidMark, Frame, StoredFrame, Wal

NOW = 1_800_000_000
"""Unix seconds of most tests, in 2027."""


def bid(number: int) -> bytes:
    """Return a batch id; its first 8 bytes, which choose the bucket, are the number."""
    return number.to_bytes(8, "little") + b"\xee" * 8


def mark(number: int, *, last: bool = True) -> BidMark:
    """Mark a request; its body is its number."""
    return BidMark(bid(number), number & 0xFFFFFFFF, last)


def make_frame(
    tenant: str = "acme",
    number: int = 0,
    *,
    records: int = 1,
    size: int = 40,
    marks: Sequence[BidMark] = (),
    counters: Mapping[str, int] | None = None,
) -> Frame:
    """Make a frame; the payload is noise that the number determines."""
    payload = random.Random(f"{tenant}/{number}").randbytes(size)
    return Frame(
        tenant, records, 3 * size, number, number + 1, tuple(marks), counters or {}, payload, streams=number
    )


def make_request(number: int, frames: int, tenant: str = "acme", size: int = 40) -> list[Frame]:
    """Make the frames of one request; the counts tell how many frames there were before and are now."""
    return [
        make_frame(
            tenant,
            number * 100 + part,
            size=size,
            marks=[mark(number, last=part == frames - 1)],
            counters={"stored": number * 100 + part},
        )
        for part in range(frames)
    ]


def open_wal(
    directory: Path,
    *,
    segment_bytes: int = 1 << 20,
    max_bytes: int = 1 << 30,
    sinks: Sequence[str] = ("loki",),
    clock: Callable[[], int] = lambda: NOW,
) -> Wal:
    """Open a log with room for everything."""
    return Wal.open(directory, segment_bytes=segment_bytes, max_bytes=max_bytes, sinks=sinks, clock=clock)


def unplaced(frame: Frame) -> tuple[Any, ...]:
    """Return what a frame has whether stored or not."""
    return (
        frame.tenant, frame.records, frame.inflated, frame.min_ns, frame.max_ns, frame.bids, dict(frame.counters),
        frame.payload, frame.streams,
    )  # fmt: skip


def stored(wal: Wal, tenant: str | None = None, after: int = 0) -> list[StoredFrame]:
    """Return everything a log has behind a position."""
    return wal.scan(tenant, after, max_bytes=1 << 40)


def segments(directory: Path) -> list[Path]:
    """Return the segment files, oldest first."""
    return sorted(directory.glob("*.seg"))


def kill(wal: Wal) -> None:
    """Let a log go as a killed process does: nothing is written any more."""
    wal._thread.shutdown(wait=True)
    os.close(wal._fd)
    os.close(wal._lock_fd)
    wal._closed = True


class Gate(durable.Files):
    """Lets writes begin only when it is open, and fails where it is told to."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.fail: str | None = None
        self.syncs: list[str] = []

    def write(self, fd: int, data: bytes) -> None:
        self.opened.wait(10)
        if self.fail == "write":
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "no space")
        super().write(fd, data)

    def sync(self, fd: int, site: str) -> None:
        self.syncs.append(site)
        if self.fail == site:
            raise OSError(errno.EIO, "no luck")
        super().sync(fd, site)


def on_disk(directory: Path) -> int:
    """Bytes of all segments."""
    return sum(path.stat().st_size for path in segments(directory))


async def turn() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)
