"""Tiles of a log: its tree and its entries as files that never change (C2SP tlog-tiles v0.1.0); pure.

A *hash tile* at level L holds up to 256 hashes: at level 0 of leaves, above of full tiles of the level below.
An *entry bundle* holds the same 256 entries as a tile of level 0, each behind its length as a 16-bit big-endian
integer. A tile that is not full yet is *partial*; its name says how wide it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pipeline.audit.tlog import EMPTY_ROOT, HASH_BYTES, node_hash, root_of

WIDTH = 256
"""Hashes of a full tile."""
ENTRIES = -1
"""In place of a level: the tile is an entry bundle."""
_BITS = 8
_MAX_LEVEL = 63
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class Tile(NamedTuple):
    """Name of a tile.

    Attributes:
        level: 0 to 63, or `ENTRIES`.
        number: Its place among the tiles of its level.
        width: How many hashes or entries it holds, 1 to 256.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its place under the log's prefix, ``tile/0/x001/234.p/5``."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{name}" + ("" if self.width == WIDTH else f".p/{self.width}")


def parse_path(path: str) -> Tile | None:
    """Read a tile's path; None when it is not exactly as `Tile.path` writes it."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = ENTRIES if found[1] == "entries" else int(found[1])
    tile = Tile(level, int(found[2].replace("x", "").replace("/", "")), int(found[3] or WIDTH))
    return tile if tile.path == path and level <= _MAX_LEVEL and tile.width <= WIDTH else None


def tile_at(level: int, number: int, size: int) -> Tile | None:
    """Return a tile as wide as it is in a tree of ``size``; None when it is empty there."""
    hashes = size >> (_BITS * max(level, 0))
    width = min(WIDTH, hashes - number * WIDTH)
    return Tile(level, number, width) if width > 0 else None


def right_edge(size: int) -> list[Tile]:
    """Return the partial tiles of a tree of ``size``, the bundle first."""
    edge = []
    for level in (ENTRIES, *range(_MAX_LEVEL + 1)):
        hashes = size >> (_BITS * max(level, 0))
        if hashes % WIDTH:
            edge.append(Tile(level, hashes // WIDTH, hashes % WIDTH))
    return edge


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle."""
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2), entry))


def decode_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise `ValueError` when it is cut."""
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2])
        if end > len(data) or at + 2 > len(data):
            raise ValueError(f"the entry at byte {at} is cut")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def split_hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a hash tile."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


class TileBuilder:
    """Cuts a growing log into tiles.

    Args:
        size: Entries that are in full tiles or in what follows.
        hashes: By level, the hashes of the partial tile of a tree of ``size``.
        entries: Those of the partial bundle.
    """

    def __init__(
        self, size: int = 0, hashes: Sequence[Sequence[bytes]] = (), entries: Sequence[bytes] = ()
    ) -> None:
        self.size = size
        self._hashes = [list(level) for level in hashes] or [[]]
        self._entries = list(entries)

    def add(self, entries: Sequence[bytes], hashes: Sequence[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """Add entries with their leaf hashes; yield each tile that is full now. Consume all of it."""
        at = 0
        while at < len(entries):
            room = WIDTH - len(self._entries)
            self._entries += entries[at : at + room]
            self._hashes[0] += hashes[at : at + room]
            self.size += len(entries[at : at + room])
            at += room
            if len(self._entries) == WIDTH:
                yield Tile(ENTRIES, self.size // WIDTH - 1), encode_bundle(self._entries)
                self._entries = []
                yield from self._close(0)

    def _close(self, level: int) -> Iterator[tuple[Tile, bytes]]:
        full = self._hashes[level]
        yield Tile(level, (self.size >> (_BITS * (level + 1))) - 1), b"".join(full)
        self._hashes[level] = []
        if level + 1 == len(self._hashes):
            self._hashes.append([])
        self._hashes[level + 1].append(root_of(full))
        if len(self._hashes[level + 1]) == WIDTH:
            yield from self._close(level + 1)

    def edge(self) -> Iterator[tuple[Tile, bytes]]:
        """Yield the partial tiles of the tree as it is now."""
        for tile in right_edge(self.size):
            if tile.level == ENTRIES:
                yield tile, encode_bundle(self._entries)
            else:
                yield tile, b"".join(self._hashes[tile.level])


Read = Callable[[Tile], bytes]
"""Returns a tile's bytes; exactly ``32 * width`` of a hash tile."""


class TileTree:
    """A tree of which only tiles are known: proofs from a few reads, whatever its size.

    Args:
        size: Entries of the tree.
        read: Fetches hash tiles.
    """

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._memo: dict[Tile, list[bytes]] = {}

    def root(self) -> bytes:
        """Return the root hash."""
        return self._range(0, self.size) if self.size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """Return the hash of one leaf."""
        return self._node(0, index)

    def prove_inclusion(self, index: int) -> list[bytes]:
        """Return the audit path of a leaf, its sibling first (RFC 6962 section 2.1.1)."""
        if not 0 <= index < self.size:
            raise ValueError(f"index {index} is not in a tree of {self.size}")
        proof: list[bytes] = []
        low, high = 0, self.size
        while high - low > 1:
            cut = low + _split(high - low)
            if index < cut:
                proof.append(self._range(cut, high))
                high = cut
            else:
                proof.append(self._range(low, cut))
                low = cut
        return proof[::-1]

    def prove_consistency(self, old: int) -> list[bytes]:
        """Return the proof that the tree of ``old`` leaves is a prefix (RFC 6962 section 2.1.2)."""
        if not 0 < old <= self.size:
            raise ValueError(f"size {old} is not a non-empty prefix of {self.size}")
        proof: list[bytes] = []
        low, high = 0, self.size
        while high != old:
            cut = low + _split(high - low)
            if old <= cut:
                proof.append(self._range(cut, high))
                high = cut
            else:
                proof.append(self._range(low, cut))
                low = cut
        if low:
            proof.append(self._range(low, high))
        return proof[::-1]

    def _range(self, low: int, high: int) -> bytes:
        """Hash a subtree of the tree, or a rest of it: aligned and full as far as it can be."""
        size = high - low
        if size & (size - 1) == 0 and low % size == 0:
            bits = size.bit_length() - 1
            return self._node(bits, low >> bits)
        cut = low + _split(size)
        return node_hash(self._range(low, cut), self._range(cut, high))

    def _node(self, bits: int, place: int) -> bytes:
        """Return the hash over ``2**bits`` leaves, the ``place``-th of its kind."""
        level, rest = divmod(bits, _BITS)
        first = place << rest
        hashes = self._tile(level, first // WIDTH)
        at = first % WIDTH
        return root_of(hashes[at : at + (1 << rest)])

    def _tile(self, level: int, number: int) -> list[bytes]:
        tile = tile_at(level, number, self.size)
        if tile is None:
            raise ValueError(f"level {level} of a tree of {self.size} has no tile {number}")
        if tile not in self._memo:
            self._memo[tile] = split_hashes(self._read(tile))
        return self._memo[tile]


def _split(size: int) -> int:
    """Return the largest power of two strictly below ``size`` (> 1)."""
    return 1 << ((size - 1).bit_length() - 1)
