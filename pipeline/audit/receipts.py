"""Which events the log holds: the newest ids and batch ids, in about 110 bytes each.

Rebuilt from the write-ahead log at every start, never stored and never trusted over it. Entries lie in
*generations* as packed columns; the oldest generation goes as a whole, so forgetting costs nothing. Each
generation has two open-addressing tables of 32-bit row numbers, by id and by batch id. A Python dict
of the same would take three times the memory.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.audit.entry import LogReceipt
from pipeline.audit.frame import LINE_CONFLICT, ROW_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

_GENERATIONS = 5
_HASH = 32
_ID = slice(20, 36)


class _Generation:
    """Consecutive entries: ``rows`` and ``hashes`` are columns, row r is entry ``base + r``.

    Table slots hold a row number plus one, 0 is free. ``by_bid`` points at the newest *run* (neighbouring
    rows of one batch); ``older[r]`` is the run before the one that starts at row r, plus one.
    """

    __slots__ = ("base", "by_bid", "by_id", "count", "hashes", "mask", "older", "rows")

    def __init__(self, base: int, capacity: int) -> None:
        slots = 1 << (2 * capacity - 1).bit_length()  # at most half full
        self.base = base
        self.count = 0
        self.mask = slots - 1
        self.by_id = array("I", bytes(4 * slots))
        self.by_bid = array("I", bytes(4 * slots))
        self.older = array("I")
        self.rows = bytearray()
        self.hashes = bytearray()

    def find(self, identity: bytes) -> int:
        """Return the row of an id, or -1."""
        slots, rows, mask = self.by_id, self.rows, self.mask
        slot = hash(identity) & mask
        while row := slots[slot]:
            at = row * ROW_BYTES
            if rows[at - 32 : at - 16] == identity:
                return row - 1
            slot = (slot + 1) & mask
        return -1

    def add(self, row: bytes, leaf_hash: bytes) -> None:
        """Add the next entry, whose id is not here."""
        slots, mask = self.by_id, self.mask
        slot = hash(row[_ID]) & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        number = self.count
        slots[slot] = number + 1
        bid = row[:16]
        if number and self.rows[-ROW_BYTES : 16 - ROW_BYTES] == bid:
            self.older.append(0)  # the run goes on
        else:
            self.older.append(self._start_run(bid, number))
        self.rows += row
        self.hashes += leaf_hash
        self.count = number + 1

    def extend(self, rows: bytes, hashes: Sequence[bytes], ids: Sequence[bytes]) -> None:
        """Add the next entries, whose ids are not here."""
        slots, mask, number = self.by_id, self.mask, self.count
        before = bytes(self.rows[-ROW_BYTES : 16 - ROW_BYTES]) if number else b""
        for place, identity in enumerate(ids):
            slot = hash(identity) & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = number + place + 1
        self.rows += rows
        self.hashes += b"".join(hashes)
        self.count = number + len(ids)
        for place in range(len(ids)):
            bid = rows[place * ROW_BYTES : place * ROW_BYTES + 16]
            # The run goes on, or a new one starts.
            self.older.append(0 if bid == before else self._start_run(bid, number + place))
            before = bid

    def _start_run(self, bid: bytes, number: int) -> int:
        slot = self._bid_slot(bid)
        before = self.by_bid[slot]
        self.by_bid[slot] = number + 1
        return before

    def _bid_slot(self, bid: bytes) -> int:
        slots, rows, mask = self.by_bid, self.rows, self.mask
        slot = hash(bid) & mask
        while row := slots[slot]:
            at = (row - 1) * ROW_BYTES
            if rows[at : at + 16] == bid:
                break
            slot = (slot + 1) & mask
        return slot

    def batch(self, bid: bytes) -> list[int]:
        """Return the rows of a batch, newest run first."""
        found: list[int] = []
        run = self.by_bid[self._bid_slot(bid)]
        while run:
            row = run - 1
            run = self.older[row]
            while row < self.count and self.rows[row * ROW_BYTES : row * ROW_BYTES + 16] == bid:
                found.append(row)
                row += 1
        return found


class ReceiptIndex:
    """Ids and batch ids of at least the newest ``retain`` entries, and of at most a quarter more.

    Args:
        retain: Number of entries.
        size: Index of the first entry that will be admitted.
    """

    def __init__(self, retain: int, size: int = 0) -> None:
        self._capacity = max(1, -(-retain // (_GENERATIONS - 1)))
        self._generations = [_Generation(size, self._capacity)]  # newest first
        self.size = size

    def extend(self, rows: bytes, hashes: Sequence[bytes]) -> bool:
        """Take the next entries if every id is new; False: nothing was taken, `admit` them one by one."""
        newest = self._generations[0]
        ids = [rows[at : at + 16] for at in range(_ID.start, len(rows), ROW_BYTES)]
        if newest.count + len(ids) > self._capacity or len(set(ids)) < len(ids):
            return False
        for generation in self._generations:
            find = generation.find
            for identity in ids:
                if find(identity) >= 0:
                    return False
        newest.extend(rows, hashes, ids)
        self.size += len(ids)
        return True

    def hashes(self, start: int, count: int) -> list[bytes] | None:
        """Return the leaf hashes of consecutive entries, or None when they are not all remembered together.

        May be called in any thread.
        """
        for generation in self._generations:
            first = start - generation.base
            if first >= 0 and first + count <= generation.count:
                joined = bytes(generation.hashes[first * _HASH : (first + count) * _HASH])
                return [joined[at : at + _HASH] for at in range(0, len(joined), _HASH)]
        return None

    def admit(self, row: bytes, leaf_hash: bytes) -> LogReceipt | None:
        """Take the next entry, or return the receipt of the one that has its id already."""
        identity = row[_ID]
        for generation in self._generations:
            number = generation.find(identity)
            if number >= 0:
                return self._stored(generation, number, row[36:])
        self.restore(row, leaf_hash)
        return None

    def restore(self, row: bytes, leaf_hash: bytes) -> None:
        """Take the next entry as it is; an id that was forgotten once may come a second time."""
        newest = self._generations[0]
        if newest.count == self._capacity:
            newest = _Generation(self.size, self._capacity)
            self._generations = [newest, *islice(self._generations, _GENERATIONS - 1)]
        newest.add(row, leaf_hash)
        self.size += 1

    def _stored(self, generation: _Generation, number: int, mac: bytes) -> LogReceipt:
        same = generation.rows[number * ROW_BYTES + 36 : (number + 1) * ROW_BYTES] == mac
        digest = bytes(generation.hashes[number * _HASH : (number + 1) * _HASH])
        return LogReceipt(generation.base + number, digest, duplicate=same, conflict=not same)

    def batch(self, bid: bytes) -> list[tuple[int, LogReceipt]]:
        """Return line number and receipt of each retained entry of a batch, by index."""
        found = []
        for generation in self._generations:
            for number in generation.batch(bid):
                at = number * ROW_BYTES + 16
                line = int.from_bytes(generation.rows[at : at + 4], "little")
                digest = bytes(generation.hashes[number * _HASH : (number + 1) * _HASH])
                receipt = LogReceipt(
                    generation.base + number, digest, duplicate=True, conflict=bool(line & LINE_CONFLICT)
                )
                found.append((line & ~LINE_CONFLICT, receipt))
        return sorted(found, key=lambda pair: pair[1].index)
