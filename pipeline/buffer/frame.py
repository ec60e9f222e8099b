"""The frame: what one group of records is on disk, little-endian. Pure.

========  =====  ==========================================================
offset    type   field
========  =====  ==========================================================
0         4s     magic ``HRF1``
4         u16    version
6         u16    length of the tenant's name
8         u32    length of the header, up to the payload
12        u32    length of the frame
16        u32    CRC-32C of everything from byte 20 on
20        u32    records
24        u32    bytes of the payload once inflated
28        u32    wall clock of the append, unix seconds
32        i64    earliest record time, unix ns
40        i64    latest record time, unix ns
48        u64    position of the frame in its log
56        u32    number of batch ids
60        u32    length of the counters
64        u64    XOR of the marks of its streams, 0 when unknown
72        u64    durable: end of what was durable when it was written
80        ...    tenant (UTF-8), counters (JSON object), batch ids
                 {16s id, u32 body digest, u8 last of its request}, payload
========  =====  ==========================================================

``durable`` tells damage from a crash: what is not whole at a position before the ``durable`` of any later frame was
synced once, hence is damaged; else it was part of the last write, whose pages reach the disk in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from google_crc32c import value as crc32c

MAGIC = b"HRF1"
VERSION = 1
FIXED = struct.Struct("<4sHHIIIIIIqqQIIQQ")
_BID = struct.Struct("<16sIB")
_CHECKED = 20
MAX_BYTES = 256 << 20
MAX_TENANT_BYTES = 1024
STORED = "stored"
"""The one count that the buffer itself looks at: a tenant's records that ever were in its frames."""
_U32 = (1 << 32) - 1


class _Fixed(NamedTuple):
    magic: bytes
    version: int
    tenant_length: int
    header_length: int
    length: int
    crc: int
    records: int
    inflated: int
    seconds: int
    min_ns: int
    max_ns: int
    position: int
    bids: int
    counters_length: int
    streams: int
    durable: int


@dataclass(frozen=True, slots=True)
class BidMark:
    """One request that has records in a frame.

    Attributes:
        bid: Batch id, 16 bytes.
        body: First 32 bits of the body's digest.
        last: The request has no further frames.
    """

    bid: bytes
    body: int
    last: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """Records of one tenant, ready to be sent.

    Attributes:
        tenant: Whose.
        records: How many; 0 for a frame that carries only counters.
        inflated: Bytes of the payload once inflated.
        min_ns, max_ns: Earliest and latest record time, unix ns.
        bids: The requests it holds.
        counters: The tenant's cumulative counts, this frame's records included.
        payload: One gzip member of Loki stream objects joined by commas.
        streams: XOR of 64-bit marks of the streams in it, so that a pump can tell without inflating
            whether it has seen them all; 0 when unknown.
    """

    tenant: str
    records: int
    inflated: int
    min_ns: int
    max_ns: int
    bids: tuple[BidMark, ...]
    counters: Mapping[str, int]
    payload: bytes
    streams: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredFrame(Frame):
    """A frame as read back.

    Attributes:
        position: Where it begins in its log.
        end: Where the next one begins.
        seconds: Wall clock of its append, unix seconds.
        durable: End of what was durable when it was written.
    """

    position: int
    end: int
    seconds: int
    durable: int


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a frame that can be read without its payload."""

    tenant: str
    records: int
    length: int
    header_length: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame encoded but for its place: from here on nothing can fail.

    Attributes:
        frame: The frame.
        middle: Tenant, counters, batch ids.
        tenant_length, counters_length: Of the first two, in bytes.
        length: Of the frame on disk, in bytes.
    """

    frame: Frame
    middle: bytes
    tenant_length: int
    counters_length: int
    length: int

    @property
    def carrier_length(self) -> int:
        """Bytes of a frame that carries only the counters."""
        return FIXED.size + self.tenant_length + self.counters_length


def prepare(frame: Frame) -> Prepared:
    """Encode what does not depend on the place.

    Raises:
        ValueError: A field does not fit the format.
    """
    try:
        tenant, counters = frame.tenant.encode(), orjson.dumps(frame.counters)
        if len(tenant) > MAX_TENANT_BYTES or any(len(mark.bid) != 16 for mark in frame.bids):
            raise ValueError("a tenant's name has at most 1,024 bytes, a batch id has 16")
        bids = b"".join([_BID.pack(mark.bid, mark.body, mark.last) for mark in frame.bids])
        middle = tenant + counters + bids
        length = FIXED.size + len(middle) + len(frame.payload)
        prepared = Prepared(frame, middle, len(tenant), len(counters), length)
        if length > MAX_BYTES:
            raise ValueError(f"a frame has at most {MAX_BYTES} bytes, not {length}")
        _pack(prepared, 0, 0, 0)
    except (struct.error, TypeError, UnicodeEncodeError) as error:
        raise ValueError(f"a field of the frame does not fit the format ({type(error).__name__})") from error
    return prepared


def frame_bytes(tenant: str, counters: Mapping[str, int], bids: int, payload: int) -> int:
    """Return the length of a frame with so many batch ids and bytes of payload."""
    return FIXED.size + len(tenant.encode()) + len(orjson.dumps(counters)) + bids * _BID.size + payload


def _pack(prepared: Prepared, position: int, durable: int, seconds: int) -> bytes:
    frame, middle = prepared.frame, prepared.middle
    return FIXED.pack(
        MAGIC, VERSION, prepared.tenant_length, FIXED.size + len(middle), prepared.length, 0, frame.records,
        frame.inflated, min(max(seconds, 0), _U32), frame.min_ns, frame.max_ns, position, len(frame.bids),
        prepared.counters_length, frame.streams, durable,
    )  # fmt: skip


def place(prepared: Prepared, position: int, durable: int, seconds: int) -> bytes:
    """Encode a frame for this position.

    Args:
        prepared: The frame.
        position: Where it will lie.
        durable: End of what is durable now.
        seconds: Wall clock, unix seconds; clamped to 32 bits.
    """
    head = _pack(prepared, position, durable, seconds)
    checked = b"".join((head[_CHECKED:], prepared.middle, prepared.frame.payload))
    crc: int = crc32c(checked)
    return head[:16] + crc.to_bytes(4, "little") + checked


def encode(frame: Frame, position: int, durable: int, seconds: int) -> bytes:
    """Do `prepare` and `place` in one."""
    return place(prepare(frame), position, durable, seconds)


def carrier(tenant: str, counters: Mapping[str, int]) -> Frame:
    """Make a frame that carries only counters."""
    return Frame(tenant, 0, 0, 0, 0, (), counters, b"")


def check_whole(frames: Iterable[Frame]) -> None:
    """Refuse frames behind which recovery would wait for the rest of a request.

    Raises:
        ValueError: A request lacks its last frame.
    """
    unfinished: set[bytes] = set()
    for frame in frames:
        follow(unfinished, frame.bids)
    if unfinished:
        raise ValueError(f"{len(unfinished)} requests lack their last frame")


def follow(unfinished: set[bytes], marks: Iterable[BidMark]) -> None:
    """Note the requests that go on behind a frame with these marks."""
    for mark in marks:
        if mark.last:
            unfinished.discard(mark.bid)
        else:
            unfinished.add(mark.bid)


def decode_header(data: bytes, at: int, position: int) -> Header | None:
    """Decode what `Header` has; None when this is no frame for the position. The checksum is not looked at.

    Args:
        data: Must hold the fixed part and the tenant.
        at: Offset in ``data``.
        position: Where the frame must lie.
    """
    if len(data) - at < FIXED.size:
        return None
    fixed = _Fixed._make(FIXED.unpack_from(data, at))
    if (
        fixed.magic != MAGIC
        or fixed.version != VERSION
        or fixed.position != position
        or fixed.length > MAX_BYTES
    ):
        return None
    expected = FIXED.size + fixed.tenant_length + fixed.counters_length + fixed.bids * _BID.size
    if fixed.header_length != expected or expected > fixed.length:
        return None
    start = at + FIXED.size
    if len(data) - start < fixed.tenant_length:
        return None
    try:
        tenant = data[start : start + fixed.tenant_length].decode()
    except UnicodeDecodeError:
        return None
    return Header(tenant, fixed.records, fixed.length, fixed.header_length)


def is_whole(data: bytes, at: int, header: Header) -> bool:
    """Tell whether all of a frame is there and its checksum holds."""
    end = at + header.length
    crc = int.from_bytes(data[at + 16 : at + _CHECKED], "little")
    return len(data) >= end and crc32c(data[at + _CHECKED : end]) == crc


def decode(data: bytes, at: int, position: int) -> StoredFrame | None:
    """Decode the frame at ``data[at:]``; None when it is not whole or not for this position."""
    header = decode_header(data, at, position)
    if header is None or not is_whole(data, at, header):
        return None
    fixed = _Fixed._make(FIXED.unpack_from(data, at))
    end = at + header.length
    start = at + FIXED.size + fixed.tenant_length
    counters = orjson.loads(data[start : start + fixed.counters_length])
    start += fixed.counters_length
    bids = tuple(
        BidMark(bid, body, bool(last))
        for bid, body, last in _BID.iter_unpack(data[start : start + fixed.bids * _BID.size])
    )
    return StoredFrame(
        header.tenant,
        header.records,
        fixed.inflated,
        fixed.min_ns,
        fixed.max_ns,
        bids,
        counters,
        bytes(data[at + header.header_length : end]),
        position,
        position + header.length,
        fixed.seconds,
        fixed.durable,
        streams=fixed.streams,
    )
