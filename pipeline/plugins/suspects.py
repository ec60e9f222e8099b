"""Which record was in a plugin when a worker died: shared memory of all workers, in a file.

Layout, little-endian: a header of 64 bytes {magic 8s, workers u32, strikes u32, generation u64,
next u32}; for each worker a slot of 32 bytes {digest 16, plugin u8, 0 = none}; then strikes of 24
bytes {digest 16, count u32}. A worker writes only its slot, the supervisor everything else. The
file is memory with a name, not storage: after a power cut it may be gone, and nothing but a second
chance for a record is lost.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_MAGIC = b"HRSUSPC1"
_HEADER = struct.Struct("<8sIIQI")
_STRIKE = struct.Struct("<16sI")
_HEAD, _SLOT, _ROW = 64, 32, 24
STRIKES = 1024
"""Records remembered; the oldest makes room."""
LIMIT = 2
"""A record that took this many workers with it is not shown to a plugin again."""


class Suspects:
    """The table, as the supervisor sees it.

    Args:
        path: The file; strikes in it are kept if it has the same shape, slots are cleared.
        workers: Number of slots.
    """

    def __init__(self, path: Path, workers: int) -> None:
        size = _HEAD + workers * _SLOT + STRIKES * _ROW
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            known = os.pread(fd, 16, 0) == struct.pack("<8sII", _MAGIC, workers, STRIKES)
            if not known or os.fstat(fd).st_size != size:
                os.ftruncate(fd, 0)
                known = False
            os.ftruncate(fd, size)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        self._workers = workers
        self._table = _HEAD + workers * _SLOT
        if not known:
            _HEADER.pack_into(self._map, 0, _MAGIC, workers, STRIKES, 0, 0)
        self._map[_HEAD : self._table] = bytes(workers * _SLOT)

    def slot(self, worker: int) -> SuspectSlot:
        """Return the worker's view; made before or after the fork, the memory is the same."""
        if not 0 <= worker < self._workers:
            raise IndexError(f"worker {worker} of {self._workers}")
        return SuspectSlot(self._map, _HEAD + worker * _SLOT, self._table)

    def strike(self, worker: int) -> bool:
        """Count a strike against the record that was in a plugin when the worker died.

        Called by the supervisor once the worker is gone. Returns whether there was one.
        """
        at = _HEAD + worker * _SLOT
        digest, plugin = self._map[at : at + 16], self._map[at + 16]
        self._map[at : at + _SLOT] = bytes(_SLOT)
        if not plugin:
            return False
        *_, generation, following = _HEADER.unpack_from(self._map)
        for row in range(STRIKES):
            known, count = _STRIKE.unpack_from(self._map, self._table + row * _ROW)
            if count and known == digest:
                _STRIKE.pack_into(self._map, self._table + row * _ROW, digest, count + 1)
                break
        else:
            _STRIKE.pack_into(self._map, self._table + following * _ROW, digest, 1)
            following = (following + 1) % STRIKES
        _HEADER.pack_into(self._map, 0, _MAGIC, self._workers, STRIKES, generation + 1, following)
        return True

    def struck(self, digest: bytes) -> int:
        """Workers this record took with it."""
        return self.slot(0).struck(digest)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()


class SuspectSlot:
    """One worker's slot, and the strikes of all."""

    __slots__ = ("_at", "_generation", "_map", "_strikes", "_table")

    def __init__(self, memory: mmap.mmap, at: int, table: int) -> None:
        self._map = memory
        self._at = at
        self._table = table
        self._generation = 0
        self._strikes: dict[bytes, int] = {}

    def enter(self, digest: bytes, plugin: int) -> None:
        """Say that the record of this 16-byte digest is given to plugin number 1 to 255."""
        at = self._at
        self._map[at : at + 17] = digest + bytes((plugin,))

    def leave(self) -> None:
        """Say that the plugin returned."""
        self._map[self._at + 16] = 0

    def refresh(self) -> None:
        """Read the strikes anew if the supervisor wrote any; called once a batch."""
        generation = _HEADER.unpack_from(self._map)[3]
        if generation != self._generation:
            self._generation = generation
            rows = (_STRIKE.unpack_from(self._map, self._table + row * _ROW) for row in range(STRIKES))
            self._strikes = {digest: count for digest, count in rows if count}

    def convicted(self, digest: bytes) -> bool:
        """Tell, from what `refresh` read, whether the record is not to be shown to a plugin."""
        return bool(self._strikes) and self._strikes.get(digest, 0) >= LIMIT

    def struck(self, digest: bytes) -> int:
        """Workers this record took with it."""
        self.refresh()
        return self._strikes.get(digest, 0)
