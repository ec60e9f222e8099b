"""What goes into the log and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

MAX_LEAF_BYTES = 65_535
"""Bound of an entry: its length is two bytes in a C2SP entry bundle."""


class Entry(NamedTuple):
    """One leaf to append.

    Attributes:
        bid: Batch id of the request, 16 bytes.
        line: Number of the record in the request.
        id: Event id, 16 bytes, unique over all tenants. The log holds one entry for each, as long as it
            remembers the id: the newest 1,000,000 unless configured, and up to a quarter more. A retry that
            comes later than that is a new entry; the old one keeps its index for ever.
        mac: Keyed digest of the record as received, 16 bytes; tells a retry from a reuse of the id.
        leaf: The bytes that are hashed, at most `MAX_LEAF_BYTES`.
    """

    bid: bytes
    line: int
    id: bytes
    mac: bytes
    leaf: bytes


class LogReceipt(msgspec.Struct, frozen=True, gc=False):
    """Where an entry lies.

    Attributes:
        index: Its index, for ever.
        leaf_hash: The hash of the leaf that lies there, 32 bytes.
        duplicate: It was there before, with the same mac.
        conflict: Its id was there before with another mac, so it lies under an id of its own.
    """

    index: int
    leaf_hash: bytes
    duplicate: bool = False
    conflict: bool = False

    @property
    def tree_size(self) -> int:
        """Size of the smallest tree that holds it; the same for every retry."""
        return self.index + 1


@dataclass(slots=True)
class LoggedLeaf:
    """One entry as read back.

    Attributes:
        index: Its index.
        ts_ns: Its time in the log, unix ns; no two entries share one.
        leaf: Its bytes.
        leaf_hash: Their hash, 32 bytes.
    """

    index: int
    ts_ns: int
    leaf: bytes
    leaf_hash: bytes
