"""What one pass through the stages gave: encoded rows, leaves, and what is held back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from headrig import AuditEvent, Batch, Verdict
    from headrig._raw import RawBatch

    from pipeline.flow.prepare import Columns
    from pipeline.flow.request import Request
    from pipeline.streams import Fragments

_NO_BID = bytes(16)
_BLOCK = 64
"""Bytes of a block of SHA-256."""


class Leaf(NamedTuple):
    """One audit event on its way to the log.

    Attributes:
        bid: Batch id of its request.
        line: Position of its record in the request.
        id: 16 bytes that make the event one and the same on a retry.
        mac: Keyed digest of the record as received: tells "same id, other payload".
        data: The leaf's bytes.
        blob: What was too large for the leaf, stored by its SHA-256; usually None.
    """

    bid: bytes
    line: int
    id: bytes
    mac: bytes
    data: bytes
    blob: bytes | None = None


class LeafEncoder(Protocol):
    """Makes leaf v1 of DESIGN section 8."""

    def event(
        self, *, name: str, ts_ns: int, tenant: str, event: AuditEvent, raw: bytes
    ) -> tuple[bytes, bytes | None]:
        """Encode an audit event under its id; also return the blob when ``raw`` was too large."""
        ...

    def unscanned(self, *, name: str, ts_ns: int, tenant: str, verdict: Verdict) -> bytes:
        """Encode the leaf that a record leaves which could not be scanned."""
        ...


@dataclass(slots=True)
class Part:
    """What one pass through the stages gave.

    Attributes:
        fragments: Encoded rows for the buffer.
        leaves: For the audit log.
        owners: Place of the request each leaf belongs to.
        unscanned: Verdicts whose metadata goes to quarantine.
        masked: Replacements by detector.
        kept: Findings that the masking policy keeps, by detector.
    """

    fragments: Fragments | None
    leaves: list[Leaf] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    unscanned: list[Verdict] = field(default_factory=list)
    masked: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)


class PartBuilder:
    """Turns a batch that went through the stages into a `Part`.

    Args:
        encode: Encodes the rows of a batch.
        leaves: Encodes leaves.
        key: Key of the node for digests, 32 bytes.
    """

    def __init__(self, encode: Callable[[Batch], Fragments | None], leaves: LeafEncoder, key: bytes) -> None:
        self._encode = encode
        self._leaves = leaves
        self._mac = hmac_sha256(key)

    def build(self, batch: Batch, raw: RawBatch, rows: Sequence[int], columns: Columns) -> Part:
        """Hand out verdicts to their requests and encode the rest.

        Args:
            batch: After the stages.
            raw: What the stages got.
            rows: Row of ``columns`` for each row of ``raw``.
            columns: The rows of all requests.
        """
        part = Part(None, masked=batch.masked, kept=batch.kept)
        if batch.events:
            self._add_events(part, batch, raw, rows, columns)
        if batch.leaving:
            batch.let_leave()
        part.fragments = self._encode(batch)
        for verdict in batch.verdicts:
            self._add_verdict(part, verdict, raw, rows, columns)
        if len(columns.requests) == 1:
            columns.requests[0].stored += len(batch)
        else:
            requests, owner = columns.requests, columns.owner
            for origin in batch.origin:
                requests[owner[rows[origin]]].stored += 1
        return part

    def _add_events(
        self, part: Part, batch: Batch, raw: RawBatch, rows: Sequence[int], columns: Columns
    ) -> None:
        tenant, origins, times, lines = batch.resource.tenant, batch.origin, batch.time_ns, batch.lines
        encode, mac, received = self._leaves.event, self._mac, raw.lines
        for event in batch.events:
            place = event.row
            origin = origins[place]
            row = rows[origin]
            owner = columns.owner[row]
            request = columns.requests[owner]
            position = request.position(columns.row_of[row])
            bid = request.bid
            name, digest = self._event_id(tenant, event.id, bid, position)
            data, blob = encode(name=name, ts_ns=times[place], tenant=tenant, event=event, raw=lines[place])
            part.leaves.append(Leaf(bid or _NO_BID, position, digest, mac(received[origin])[:16], data, blob))
            part.owners.append(owner)

    def _add_verdict(
        self, part: Part, verdict: Verdict, raw: RawBatch, rows: Sequence[int], columns: Columns
    ) -> None:
        origin = verdict.origin
        owner = columns.owner[rows[origin]]
        request = columns.requests[owner]
        verdict.origin = request.position(columns.row_of[rows[origin]])
        request.verdicts.append(verdict)
        if verdict.kind != "quarantined":
            return
        self.hold(part, verdict, raw.lines[origin], request, owner, raw.time_ns[origin])

    def hold(
        self, part: Part, verdict: Verdict, line: bytes, request: Request, owner: int, time_ns: int
    ) -> None:
        """Let a line that could not be scanned leave its size and digest, and a leaf.

        Here, because only the line as received tells what masking made alike, or a plugin changed.

        Args:
            part: Gets them.
            verdict: ``origin`` is the position in the request.
            line: As received.
            request: Its request.
            owner: Place of the request.
            time_ns: Time of the record, unix ns.
        """
        verdict.size, verdict.digest = len(line), self._mac(line)
        tenant = request.inbound.resource.tenant
        part.unscanned.append(verdict)
        name, digest = self._event_id(tenant, "", request.bid, verdict.origin)
        data = self._leaves.unscanned(name=name, ts_ns=time_ns, tenant=tenant, verdict=verdict)
        part.leaves.append(Leaf(request.bid or _NO_BID, verdict.origin, digest, verdict.digest[:16], data))
        part.owners.append(owner)

    def _event_id(self, tenant: str, client: str, bid: bytes | None, position: int) -> tuple[str, bytes]:
        """Name an event: the client's id, else from the batch id and position, else new."""
        if client:
            return client, sha256(b"id\0" + tenant.encode() + b"\0" + client.encode()).digest()[:16]
        if bid is not None:
            digest = sha256(bid + position.to_bytes(8, "little")).digest()[:16]
            return digest.hex(), digest
        fresh = uuid7()
        return fresh.hex(), fresh


def hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA-256 (RFC 2104) under a key of at most 64 bytes, at half the cost of ``hmac.digest``."""
    if len(key) > _BLOCK:
        raise ValueError(f"a key has at most {_BLOCK} bytes, not {len(key)}")
    padded = key.ljust(_BLOCK, b"\0")
    inner, outer = bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)
    return lambda data: sha256(outer + sha256(inner + data).digest()).digest()


def uuid7() -> bytes:
    """Return a UUIDv7 (RFC 9562 section 5.7)."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return value.to_bytes(16, "big")
