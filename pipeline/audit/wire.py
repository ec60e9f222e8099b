"""Messages between workers and the audit process: length-prefixed binary over a Unix socket; pure.

A message is ``u32 length, u8 kind, u32 number, body``, little-endian; ``length`` counts what follows it.
A reply carries the number of its request, so many requests may be under way on one connection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrig import DecodeError, HeadrigError, IntegrityError, OverloadedError, SinkUnavailableError

from pipeline.audit.entry import MAX_LEAF_BYTES, Entry, LogReceipt
from pipeline.audit.frame import LINE_CONFLICT, ROW_BYTES, join_entries, pack_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

APPEND, BATCH = 1, 2
APPENDED, FOUND, REFUSED = 65, 66, 127
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 65_536

_PREFIX = struct.Struct("<IBI")
_COUNTS = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_RECEIPT = struct.Struct("<QB32s")
_LINE = struct.Struct("<IQ32s")
PREFIX_BYTES = _PREFIX.size
DUPLICATE, CONFLICT = 1, 2
pack_receipt = _RECEIPT.pack

_ERRORS: tuple[type[HeadrigError], ...] = (
    DecodeError,
    OverloadedError,
    IntegrityError,
    SinkUnavailableError,
)


@dataclass(frozen=True, slots=True)
class Append:
    """An append request as it travels; ``rows`` and ``entries`` go into the frame as they are.

    Attributes:
        count: Number of entries.
        rows: Bid, line, id and mac of each.
        entries: The leaves, each after its length.
        blobs: Lines that were too large for their leaves.
    """

    count: int
    rows: bytes
    entries: bytes
    blobs: tuple[bytes, ...]


def encode_message(kind: int, number: int, body: bytes) -> bytes:
    """Return one message."""
    return _PREFIX.pack(_PREFIX.size - 4 + len(body), kind, number) + body


def encode_append(entries: Sequence[Entry], blobs: Sequence[bytes]) -> bytes:
    """Return the body of an `APPEND`; raise `DecodeError` when a leaf is larger than its bound."""
    for entry in entries:
        if len(entry.leaf) > MAX_LEAF_BYTES:
            raise DecodeError(f"a leaf has {len(entry.leaf)} bytes; {MAX_LEAF_BYTES} are allowed")
    rows = b"".join([pack_row(bid, line, identity, mac) for bid, line, identity, mac, _ in entries])
    joined = join_entries([entry.leaf for entry in entries])
    tail = [part for blob in blobs for part in (_LENGTH.pack(len(blob)), blob)]
    return b"".join((_COUNTS.pack(len(entries), len(joined), len(blobs)), rows, joined, *tail))


def decode_append(body: bytes) -> Append:
    """Read the body of an `APPEND`; raise `DecodeError` unless its lengths fit exactly."""
    try:
        count, length, blob_count = _COUNTS.unpack_from(body)
        split = _COUNTS.size + count * ROW_BYTES
        at = split + length
        blobs = []
        for _ in range(blob_count):
            (size,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + size
            blobs.append(body[at - size : at])
    except struct.error:
        raise DecodeError("an append is shorter than it says") from None
    if at != len(body) or not 0 < count <= MAX_ENTRIES:
        raise DecodeError(f"an append of {count} entries does not fit its {len(body)} bytes")
    return Append(count, body[_COUNTS.size : split], body[split : split + length], tuple(blobs))


def decode_receipts(body: bytes) -> list[LogReceipt]:
    """Read the body of an `APPENDED`: one receipt for each entry, in order."""
    return [
        LogReceipt(index, digest, bool(flags & DUPLICATE), bool(flags & CONFLICT))
        for index, flags, digest in _RECEIPT.iter_unpack(body)
    ]


def encode_found(found: Iterable[tuple[int, LogReceipt]]) -> bytes:
    """Return the body of a `FOUND`: line number, index and leaf hash of each entry of a batch."""
    return b"".join(
        [
            _LINE.pack(line | LINE_CONFLICT * receipt.conflict, receipt.index, receipt.leaf_hash)
            for line, receipt in found
        ]
    )


def decode_found(body: bytes) -> list[tuple[int, LogReceipt]]:
    """Read the body of a `FOUND`."""
    return [
        (
            line & ~LINE_CONFLICT,
            LogReceipt(index, digest, duplicate=True, conflict=bool(line & LINE_CONFLICT)),
        )
        for line, index, digest in _LINE.iter_unpack(body)
    ]


def encode_error(error: HeadrigError) -> bytes:
    """Return the body of a `REFUSED`."""
    code = next(
        (n for n, kind in enumerate(_ERRORS) if isinstance(error, kind)), _ERRORS.index(IntegrityError)
    )
    return bytes((code,)) + str(error).encode()


def decode_error(body: bytes) -> HeadrigError:
    """Read the body of a `REFUSED`; the error says what the caller must do, as it did over there."""
    return _ERRORS[body[0]](body[1:].decode("utf-8", "replace"))


class MessageBuffer:
    """Cuts a byte stream into messages; holds at most one message and what came with it."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Return the messages that ``data`` completes: kind, number, body.

        Raises:
            DecodeError: A message is larger than `MAX_MESSAGE_BYTES`; the stream cannot be read on.
        """
        held = self._held
        held += data
        messages = []
        at = 0
        while len(held) - at >= PREFIX_BYTES:
            length, kind, number = _PREFIX.unpack_from(held, at)
            if not PREFIX_BYTES - 4 <= length <= MAX_MESSAGE_BYTES:
                raise DecodeError(f"a message of {length} bytes; {MAX_MESSAGE_BYTES} are allowed")
            end = at + 4 + length
            if end > len(held):
                break
            with memoryview(held) as view:  # one copy instead of two
                messages.append((kind, number, bytes(view[at + PREFIX_BYTES : end])))
            at = end
        if at:
            del held[:at]
        return messages
