"""Group commit: what waits, and what one write holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrig import IntegrityError

from pipeline.buffer.frame import Prepared

GROUP_BYTES = 32 << 20


@dataclass(slots=True)
class Waiting:
    """One append: its frames, their bytes, and what its caller waits for."""

    frames: Sequence[Prepared]
    size: int
    done: asyncio.Future[int]


@dataclass(slots=True)
class Job:
    """One write: perhaps a new segment, then the frames of all who waited; the log ends at ``end`` then."""

    roll: tuple[Path, bytes] | None
    data: bytes
    end: int


class Queue:
    """Appends that wait for the write in flight, oldest first; ``size`` is their bytes."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Add one at the end."""
        self._waiting.append(waiting)
        self.size += waiting.size

    def take(self) -> list[Waiting]:
        """Remove and return those that share the next write."""
        group: list[Waiting] = []
        size = 0
        while self._waiting and size < GROUP_BYTES:
            group.append(self._waiting.popleft())
            size += group[-1].size
        self.size -= size
        return group

    def clear(self) -> list[Waiting]:
        """Remove and return all."""
        rest = list(self._waiting)
        self._waiting.clear()
        self.size = 0
        return rest


def succeed(group: Sequence[Waiting], end: int) -> None:
    """Answer the callers that are still there."""
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_result(end)


def fail(group: Sequence[Waiting], error: IntegrityError) -> None:
    """Answer with an error."""
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
            waiting.done.exception()  # the sender may be gone: nobody else would look


class Watchers:
    """Who waits for the log to grow."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self) -> None:
        """Return at the next `wake`."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(watcher)
        try:
            await watcher
        finally:
            self._waiting.discard(watcher)

    def wake(self) -> None:
        """Let all go on."""
        for watcher in self._waiting:
            if not watcher.done():
                watcher.set_result(None)
