"""Where a pump's frames come from: the buffer, or the audit log's leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import msgspec
import orjson
from isal import igzip

from pipeline import buffer
from pipeline.labels import mark_of
from pipeline.sinks.delivery import Source, StoredFrame

_METADATA_BYTES = 1024
_PORTION = 1000


class Cursor(Protocol):
    """How far one sink is with one tenant; durable."""

    @property
    def position(self) -> int: ...
    def commit(self, position: int, delivered: int, refused: Mapping[str, int], /) -> None: ...


class Log(Protocol):
    """What a pump needs of the buffer's write-ahead log."""

    @property
    def end(self) -> int: ...
    def scan(self, tenant: str | None, after: int, *, max_bytes: int) -> Sequence[StoredFrame]: ...
    async def wait_beyond(self, position: int) -> None: ...
    def tenants(self) -> Sequence[str]: ...
    def cursor(self, tenant: str, sink: str) -> Cursor: ...
    def reclaim(self) -> None: ...


class WalFeed:
    """The tenants of one buffer, for one sink."""

    def __init__(self, log: Log, sink: str) -> None:
        self._log = log
        self._sink = sink
        self._lock = Lock()
        self._looked = 0

    def tenants(self) -> Sequence[str]:
        """Name the tenants that have frames."""
        self._looked = self._log.end
        return self._log.tenants()

    def source(self, tenant: str) -> Source:
        """Return the frames of one tenant; may read and write the disk."""
        with self._lock:
            return WalSource(self._log, tenant, self._log.cursor(tenant, self._sink))

    async def wait_tenants(self, known: int) -> None:
        """Return when frames have come since `tenants` was asked."""
        if len(self.tenants()) <= known:
            await self._log.wait_beyond(self._looked)


class WalSource:
    """One tenant's frames in one buffer."""

    def __init__(self, log: Log, tenant: str, cursor: Cursor) -> None:
        self._log = log
        self._cursor = cursor
        self._seen = 0
        self.tenant = tenant

    @property
    def position(self) -> int:
        """Where to read on."""
        return self._cursor.position

    async def next(self, after: int, max_bytes: int) -> Sequence[StoredFrame]:
        """Return the next frames of this tenant."""
        self._seen = self._log.end  # before the scan: what comes during it must wake us
        return await asyncio.to_thread(self._log.scan, self.tenant, after, max_bytes=max_bytes)

    async def wait_beyond(self, position: int) -> None:
        """Return when there are frames, of any tenant, that the last scan did not see."""
        await self._log.wait_beyond(max(position, self._seen))

    def commit(self, position: int, delivered: int, refused: Mapping[str, int]) -> None:
        """Move the cursor."""
        self._cursor.commit(position, delivered, refused)

    def reclaim(self) -> None:
        """Remove segments that every sink is past."""
        self._log.reclaim()


class Leaf(Protocol):
    """One leaf of the audit log."""

    @property
    def index(self) -> int: ...
    @property
    def ts_ns(self) -> int: ...
    @property
    def leaf(self) -> bytes: ...
    @property
    def leaf_hash(self) -> bytes: ...


class LeafLog(Protocol):
    """What a pump needs of the audit log; an index is also a position."""

    def entries(self, start: int, max_bytes: int, /) -> Sequence[Leaf]:
        """Return durable leaves from index ``start`` on, at least one if there is one. Blocks."""
        ...

    def wait_beyond(self, position: int, /) -> Awaitable[None]:
        """Return when a durable leaf with index >= ``position`` exists."""
        ...


@dataclass(frozen=True, slots=True)
class LeafFrame:
    """Leaves as a frame; attributes as in `pipeline.sinks.delivery.StoredFrame` and `pipeline.buffer.Frame`."""

    tenant: str
    records: int
    inflated: int
    min_ns: int
    max_ns: int
    payload: bytes
    position: int
    end: int
    streams: int


class LeafFeed:
    """The audit log as a feed with one source.

    Args:
        log: The audit log.
        cursor: File that remembers how far this sink is.
        origin: Name of the log, the label ``audit_log``.
        tenant: Whose the audit stream is at the sink.
    """

    def __init__(self, log: LeafLog, cursor: Path, origin: str, tenant: str) -> None:
        self._tenant = tenant
        self._open: Callable[[], LeafSource] = lambda: LeafSource(log, cursor, origin, tenant)

    def tenants(self) -> Sequence[str]:
        """Name the one tenant."""
        return [self._tenant]

    def source(self, tenant: str) -> Source:  # noqa: ARG002 - there is one
        """Open the cursor."""
        return self._open()

    async def wait_tenants(self, known: int) -> None:  # noqa: ARG002
        """Wait for ever: no other tenant comes."""
        await asyncio.Event().wait()


class LeafSource:
    """The leaves of one audit log, byte for byte, in order of index, as entries of one stream.

    The stream's labels are exactly ``audit="true"`` and ``audit_log``; what is worth searching for is in
    structured metadata.
    """

    def __init__(self, log: LeafLog, cursor: Path, origin: str, tenant: str) -> None:
        self._log = log
        self._cursor = buffer.Cursor(cursor)
        self._labels = stream_labels(origin)
        self.tenant = tenant

    @property
    def position(self) -> int:
        """Index of the first leaf that is not delivered."""
        return self._cursor.position

    async def next(self, after: int, max_bytes: int) -> Sequence[LeafFrame]:
        """Return the next leaves as one frame."""
        return await asyncio.to_thread(self._next, after, max_bytes)

    def _next(self, after: int, max_bytes: int) -> Sequence[LeafFrame]:
        leaves = self._log.entries(after, max_bytes)
        return [leaf_frame(self.tenant, self._labels, leaves)] if leaves else []

    async def wait_beyond(self, position: int) -> None:
        """Return when there is a leaf at ``position``."""
        await self._log.wait_beyond(position)

    def commit(self, position: int, delivered: int, refused: Mapping[str, int]) -> None:
        """Move the cursor."""
        self._cursor.commit(position, delivered, refused)

    def reclaim(self) -> None:
        """Keep everything: leaves stay in the audit log."""


def stream_labels(origin: str) -> dict[str, str]:
    """Return the labels of a log's audit stream: these, and no others."""
    return {"audit": "true", "audit_log": origin}


def leaf_frame(tenant: str, labels: Mapping[str, str], leaves: Sequence[Leaf]) -> LeafFrame:
    """Make one frame of leaves that follow one another, byte for byte."""
    metadata = map(_metadata, leaves, _searched([leaf.leaf for leaf in leaves]))
    values = [
        (str(leaf.ts_ns), leaf.leaf.decode(), found) for leaf, found in zip(leaves, metadata, strict=True)
    ]
    text = orjson.dumps({"stream": labels, "values": values})
    times = [leaf.ts_ns for leaf in leaves]
    payload = igzip.compress(text, 1, mtime=0)
    start, end = leaves[0].index, leaves[-1].index + 1
    return LeafFrame(
        tenant, len(values), len(text), min(times), max(times), payload, start, end, mark_of(labels)
    )


def leaf_frames(tenant: str, origin: str, leaves: Iterable[Leaf]) -> Iterator[LeafFrame]:
    """Make frames of many leaves, for reading what no sink has yet."""
    labels = stream_labels(origin)
    rest = iter(leaves)
    while portion := list(islice(rest, _PORTION)):
        yield leaf_frame(tenant, labels, portion)


class _Searched(msgspec.Struct):
    """What of a leaf is worth searching for."""

    class_uid: Any = None
    activity_id: Any = None
    actor: Any = None
    action: Any = None
    outcome: Any = None


_decoder = msgspec.json.Decoder(_Searched)
_NOTHING = _Searched()
_NAMES = _Searched.__struct_fields__


def _searched(leaves: Sequence[bytes]) -> Sequence[_Searched]:
    """Read these fields of many leaves in one pass, or of each alone when one of them is no JSON object."""
    try:
        found = _decoder.decode_lines(b"\n".join(leaves))
        if len(found) == len(leaves):
            return found
    except msgspec.MsgspecError:
        pass
    return [_searched_one(leaf) for leaf in leaves]


def _searched_one(leaf: bytes) -> _Searched:
    try:
        return _decoder.decode(leaf)
    except msgspec.MsgspecError:  # sent all the same: the bytes are what counts
        return _NOTHING


def _metadata(leaf: Leaf, searched: _Searched) -> dict[str, str]:
    """Structured metadata of one leaf: strings of at most 1 KiB, empty ones left out."""
    found = {"audit_index": str(leaf.index), "audit_leaf": leaf.leaf_hash.hex()}
    for name in _NAMES:
        value = getattr(searched, name)
        if value is None or value == "":
            continue
        text = value if type(value) is str else str(value)
        if len(text) * 4 > _METADATA_BYTES:
            text = text.encode()[:_METADATA_BYTES].decode(errors="ignore")
        found[name] = text
    return found
