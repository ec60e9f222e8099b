"""What the receiver hands to the flow, and what the flow answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from headrig import Resource, Verdict


class Receipt(msgspec.Struct, omit_defaults=True, gc=False):
    """Proof of hand-over of one audit event; as JSON it is what ``/v1/logs`` answers.

    Attributes:
        index: Its place in the audit log, for ever.
        leaf: SHA-256 leaf hash (RFC 6962 section 2.1), lower-case hex.
        position: Position of the record in the request.
        tree_size: Size of the log once the event was in it.
        duplicate: The log held the event already.
        conflict: The id was taken by an event with another payload; this one has a leaf that says so.
    """

    index: int
    leaf: str
    position: int = msgspec.field(name="record")
    tree_size: int
    duplicate: bool = False
    conflict: bool = False


@dataclass(slots=True)
class Held:
    """A record that no stage may see and whose sender is not told: its size and digest go to quarantine.

    Attributes:
        verdict: Also in `Inbound.rejected`; the flow adds the digest.
        line: As received.
        time_ns: From the envelope, unix ns, 0 where unusable.
    """

    verdict: Verdict
    line: bytes
    time_ns: int = 0


@dataclass(slots=True)
class Inbound:
    """One request, decoded by its dialect.

    Attributes:
        resource: From the credential.
        lines: Valid UTF-8; a JSON line holds no newline.
        body: The lines joined by a newline, when they came so and need no joining; else None.
        text_ok: Plain-text lines are welcome (Loki push); else a line must be a JSON object.
        times: Times from the envelope, unix ns, 0 where unusable; None: take them from the heads.
        coarse: Unused decimal digits of ``times``: 0 for ns, 3 for us, 6 for ms, 9 for s.
        envelopes: Distinct JSON objects ``{"labels": {...}, "metadata": {...}}``.
        envelope_of: Index into ``envelopes`` for each line.
        envelope_bytes: Bytes of the envelopes, each as often as lines have it: what they become on their way.
        rejected: Verdicts of records that could not be decoded, or are held; ``origin`` is the position.
        held: Those that are quarantined.
        positions: Position in the request of each line; None means 0, 1, 2…
        key: The ``Idempotency-Key``, or None.
        digest: Of the inflated body: SHA-256, or CRC-32C beside a key.
        own_time: Every record brought its own time in the envelope.
    """

    resource: Resource
    lines: list[bytes]
    digest: bytes
    body: bytes | None = None
    text_ok: bool = False
    times: list[int] | None = None
    coarse: int = 0
    envelopes: list[bytes] = field(default_factory=list)
    envelope_of: list[int] | None = None
    rejected: list[Verdict] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    positions: list[int] | None = None
    key: str | None = None
    own_time: bool = False
    envelope_bytes: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        accepted: Records that are durable now. Of a duplicate: all but those in ``verdicts``; what
            masking or a processor held back or dropped when it came first is among them.
        verdicts: Records that were rejected, quarantined or dropped; ``origin`` is the position. Of a
            duplicate: those that can be told without scanning.
        receipts: One for each audit event.
        duplicate: The whole request had come before.
    """

    accepted: int
    verdicts: list[Verdict] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    duplicate: bool = False


Submit = Callable[[Inbound], Awaitable[Outcome]]
