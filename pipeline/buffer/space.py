"""How much a log may still take: of its own bound, and of the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrig import OverloadedError

from pipeline import durable

_LOOK_SECONDS = 1.0
_SPARE = 16 << 20
"""Bytes of the disk that are left to cursors, key files, audit log and quarantine."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a log holds now.

    Attributes:
        bytes: On disk, segments only.
        segments: How many.
    """

    bytes: int
    segments: int


@dataclass(slots=True)
class Room:
    """Bytes set aside for one append; what it does not use is given back."""

    left: int


class Space:
    """The room of one log.

    Args:
        directory: Its disk counts.
        max_bytes: Bound of all segments together.
        used: Returns the bytes that are written, wait to be, or must stay free for the next segment's head.
    """

    def __init__(self, directory: Path, max_bytes: int, used: Callable[[], int]) -> None:
        self.max_bytes = max_bytes
        self._directory = directory
        self._used = used
        self._reserved = 0
        self._free = 0
        self._looked = float("-inf")

    def has_room(self, size: int) -> bool:
        """Tell whether ``size`` more bytes stay within the bound, and the disk has them."""
        size += self._reserved
        return self._used() + size <= self.max_bytes and size <= self._disk()

    def _disk(self) -> int:
        """Return the bytes free on disk, as of a second ago, less what was taken since."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._free = durable.files.free_bytes(self._directory) - min(_SPARE, self.max_bytes // 8)
        return self._free

    @contextmanager
    def reserve(self, size: int) -> Iterator[Room]:
        """Set room aside until `take`, or until the block ends.

        Raises:
            OverloadedError: There is none.
        """
        if not self.has_room(size):
            raise OverloadedError("the buffer is full", retry_after=5.0)
        room = Room(size)
        self._reserved += size
        try:
            yield room
        finally:
            self._give_back(room)

    def take(self, size: int, room: Room | None) -> None:
        """Take so many bytes, first those set aside.

        Raises:
            OverloadedError: There is no room for the rest; nothing was taken.
        """
        beyond = size - (room.left if room is not None else 0)
        if beyond > 0 and not self.has_room(beyond):
            raise OverloadedError("the buffer is full", retry_after=5.0)
        if room is not None:
            self._give_back(room)
        self._free -= size

    def _give_back(self, room: Room) -> None:
        self._reserved -= room.left
        room.left = 0
