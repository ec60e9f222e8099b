"""Writes a log's tiles beside its write-ahead log, from which they can be made anew.

A tile is whole as long as it has its name; a power cut may take the name, and then the next start makes it again.
Full tiles never change. Partial ones are kept for the newest checkpoints only.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from headrig import CorruptionError, ForkError

from pipeline import durable
from pipeline.audit.tiles import ENTRIES, WIDTH, Tile, TileBuilder, right_edge, split_hashes
from pipeline.audit.tlog import HASH_BYTES, leaf_hashes, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.audit.segments import LogReader

KEPT = 8
"""Partial tiles of so many published checkpoints are kept."""
_LEVELS = range(7)


class TileWriter:
    """The tiles of one log directory, held by one process.

    Args:
        directory: The log's.
        size: Entries that the log has; tiles of more would be those of another log.

    Raises:
        CorruptionError: A tile is not one that this program wrote.
        ForkError: There are tiles of more entries.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._known: set[Path] = set()
        self._edges: deque[list[Tile]] = deque()
        full = self._count(size)
        if self._exists(Tile(0, size // WIDTH)):
            raise ForkError(
                f"{Tile(0, size // WIDTH).path}: a full tile, but the log has {size} entries: it was put back to an older"
                " state"
            )
        self._builder = TileBuilder(full * WIDTH, self._above(full))

    @property
    def size(self) -> int:
        """Entries that tiles hold, or that wait for theirs to be full."""
        return self._builder.size

    def _count(self, size: int) -> int:
        """Return how many full tiles of level 0 there are with their bundles, without a gap."""
        for number in range(size // WIDTH):
            if not (self._exists(Tile(0, number)) and self._exists(Tile(ENTRIES, number))):
                return number
        return size // WIDTH

    def _exists(self, tile: Tile) -> bool:
        try:
            length = (self._directory / tile.path).stat().st_size
        except FileNotFoundError:
            return False
        if tile.level != ENTRIES and length != WIDTH * HASH_BYTES:
            raise CorruptionError(tile.path, 0, f"{length} bytes are not those of a full tile")
        return True

    def _above(self, full: int) -> list[list[bytes]]:
        """Return the hashes of the partial tiles above ``full`` tiles; write a full one that a crash left out."""
        levels: list[list[bytes]] = [[]]
        tiles = full
        for level in _LEVELS[:-1]:
            if not tiles:
                break
            for number in range(tiles // WIDTH):
                if not self._exists(Tile(level + 1, number)):
                    below = range(number * WIDTH, (number + 1) * WIDTH)
                    self._write(Tile(level + 1, number), b"".join(self._root(level, n) for n in below))
            levels.append([self._root(level, n) for n in range(tiles - tiles % WIDTH, tiles)])
            tiles //= WIDTH
        return levels

    def _root(self, level: int, number: int) -> bytes:
        return root_of(split_hashes((self._directory / Tile(level, number).path).read_bytes()))

    def remove_partial(self) -> None:
        """Remove the partial tiles of an earlier life, but for those of the log as it is now."""
        kept = {self._directory / tile.path for tile in right_edge(self.size)}
        for path in [*(self._directory / "tile").rglob("*.p/*")]:
            if path not in kept:
                self._unlink(path)

    def catch_up(self, reader: LogReader, size: int) -> None:
        """Read the log from where the tiles end up to ``size``; blocking, once after a start."""
        while self.size < size:
            before = self.size
            for frame in reader.frames(self.size):
                leaves = frame.leaves()[self.size - frame.first : size - frame.first]
                self.add(leaves, leaf_hashes(leaves))
                if self.size >= size:
                    return
            if self.size == before:
                raise CorruptionError("wal", 0, f"there are no entries from index {self.size} on")

    def add(self, entries: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        """Add entries with their leaf hashes; what is full gets its file."""
        for tile, data in self._builder.add(entries, hashes):
            self._write(tile, data)

    def publish(self) -> None:
        """Write the partial tiles of the log as it is now, before its checkpoint; remove the oldest."""
        for tile, data in self._builder.edge():
            durable.put(self._place(tile), data, site="audit.tile")
        self._edges.append(right_edge(self.size))
        if len(self._edges) > KEPT:
            old = set(self._edges.popleft())
            for tile in old.difference(*self._edges):
                self._unlink(self._directory / tile.path)

    def _unlink(self, path: Path) -> None:
        durable.files.unlink(path)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
            self._known.discard(path.parent)

    def _write(self, tile: Tile, data: bytes) -> None:
        """Write a full tile; one that is there must be the same."""
        path = self._place(tile)
        if path.exists():
            if path.read_bytes() != data:
                raise CorruptionError(tile.path, 0, "the tile on disk is not that of the log")
            return
        durable.put(path, data, site="audit.tile")
        path.chmod(0o444)

    def _place(self, tile: Tile) -> Path:
        path = self._directory / tile.path
        if path.parent not in self._known:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._known.add(path.parent)
        return path
