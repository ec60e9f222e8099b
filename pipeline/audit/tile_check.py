"""Comparing a log's tiles with its entries, while a verification walks through them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.audit.report import Finding, Kind
from pipeline.audit.tiles import ENTRIES, WIDTH, Tile, TileBuilder, decode_bundle, encode_bundle, parse_path
from pipeline.audit.tlog import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMEDY = "start headrig once, which makes it again from wal/, then verify again"


class TileCheck:
    """The tiles that there were when the walk began; a writer may add more meanwhile.

    Args:
        directory: The log's.
        signed: Entries under the newest checkpoint: their tiles must be there.

    Attributes:
        findings: What does not hold.
    """

    def __init__(self, directory: Path, signed: int) -> None:
        self._directory = directory
        self._signed = signed
        self.findings: list[Finding] = []
        self._builder = TileBuilder()
        self._edge: dict[Tile, bytes] = {}
        self._there = self._list()

    def _list(self) -> dict[Tile, Path]:
        there = {}
        for path in sorted((self._directory / "tile").rglob("*")):
            if path.is_dir() and not path.is_symlink():
                continue
            name = path.relative_to(self._directory).as_posix()
            tile = parse_path(name)
            if tile is not None:
                there[tile] = path
            elif not name.endswith(".tmp"):  # a crash may leave one; nobody reads it
                self.findings.append(Finding(Kind.TAMPERED, name, "is no tile: put there by somebody else"))
        return there

    def add(self, entries: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        """Take the next entries, and compare each tile that is full now."""
        room = self._signed - self._builder.size
        if 0 < room <= len(entries):
            self._add(entries[:room], hashes[:room])
            self._edge = dict(self._builder.edge())
            entries, hashes = entries[room:], hashes[room:]
        self._add(entries, hashes)

    def _add(self, entries: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        for tile, data in self._builder.add(entries, hashes):
            self._compare(tile, data, needed=_end(tile) <= self._signed)

    def finish(self) -> None:
        """Compare the partial tiles, and say what belongs to no entry that was read."""
        for tile, data in self._edge.items():
            self._compare(tile, data, needed=Tile(tile.level, tile.number) not in self._there)
        for tile in [*self._there]:
            if tile.width < WIDTH and _end(tile) <= self._builder.size:
                self._compare(tile, self._part(tile), needed=False)
        for tile in self._there:
            if _end(tile) > self._signed:  # else they are missed already, by what is signed
                message = f"holds entries up to index {_end(tile) - 1}; the log has {self._builder.size}: rolled back"
                self.findings.append(Finding(Kind.FORKED, tile.path, message))

    def _part(self, tile: Tile) -> bytes:
        """Return what a partial tile holds, from the wider one that was compared or is at the edge."""
        data = next((held for wider, held in self._builder.edge() if wider[:2] == tile[:2]), None)
        if data is None:
            data = (self._directory / Tile(tile.level, tile.number).path).read_bytes()
        if tile.level == ENTRIES:
            return encode_bundle(decode_bundle(data)[: tile.width])
        return data[: tile.width * HASH_BYTES]

    def _compare(self, tile: Tile, data: bytes, *, needed: bool) -> None:
        path = self._there.pop(tile, None)
        span = f"indexes {_end(tile) - _entries(tile)} to {_end(tile) - 1}"
        first = _end(tile) - _entries(tile)
        if path is None:
            if needed:
                self.findings.append(
                    Finding(Kind.UNKNOWN, tile.path, f"is missing, of {span}: {_REMEDY}", None, first)
                )
        elif path.is_symlink() or path.read_bytes() != data:
            self.findings.append(Finding(Kind.TAMPERED, tile.path, f"is not what {span} are", None, first))


def _entries(tile: Tile) -> int:
    """Return how many entries a tile is about."""
    return tile.width << (8 * max(tile.level, 0))


def _end(tile: Tile) -> int:
    """Return the index behind the last entry that a tile is about."""
    return ((tile.number * WIDTH) << (8 * max(tile.level, 0))) + _entries(tile)
