"""The unit of work after masking: a batch of one tenant, as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Attributes = Mapping[str, str]
"""String to string. One object is shared by many rows: replace it, never change it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Who sent a record: from the credential, never from the payload.

    ``service`` and ``environment`` are None when the credential is not bound to one.
    """

    tenant: str
    service: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Masked labels and structured metadata that came around a line (Loki push)."""

    labels: Attributes
    metadata: Attributes


@dataclass(slots=True)
class Verdict:
    """A row that left the batch.

    Attributes:
        origin: Position of the record in the `RawBatch` it came with.
        kind: ``rejected`` (told to the sender), ``quarantined`` or ``dropped`` (by a processor).
        reason: A short word, used as a metric label; never content.
        detail: The limit or rule, for the answer; never content.
        size: Bytes of the line.
        digest: HMAC-SHA-256 of the line as received, where it is quarantined; else empty. For a row a plugin
            failed on the flow adds it, with the size.
    """

    origin: int
    kind: Literal["rejected", "quarantined", "dropped"]
    reason: str
    detail: str = ""
    size: int = 0
    digest: bytes = b""


@dataclass(slots=True)
class AuditEvent:
    """One row judged to be an audit event; the flow makes it a leaf.

    Attributes:
        row: Row of the batch.
        rule: Id of the rule that judged.
        class_uid: OCSF class.
        activity_id: OCSF activity in the class.
        actor, target, action: Who did what to what; empty when the record does not say.
        outcome: ``success``, ``failure`` or ``unknown``.
        id: The client's event id, or empty.
        seq: The client's sequence number, or None.
        ocsf: The rest of the mapping, OCSF attribute path to value.
    """

    row: int
    rule: str
    class_uid: int
    activity_id: int
    actor: str = ""
    target: str = ""
    action: str = ""
    outcome: str = "unknown"
    id: str = ""
    seq: int | None = None
    ocsf: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Batch:
    """Masked records of one tenant, as columns of equal length.

    Attributes:
        resource: Who sent it.
        lines: The masked lines.
        heads: The decoded head of each masked line; None where the line is not a JSON object.
        time_ns: Time of each record, unix nanoseconds.
        attributes: What the stages found out; structured metadata in Loki. Shared objects.
        envelopes: Masked labels and metadata the client sent beside the line, or None.
        origin: Position of each row in the `RawBatch`.
        changed: Rows whose line differs from what was received; their head must be decoded anew.
        events: Audit events found by classification.
        verdicts: Rows that left.
        masked: How often each detector replaced something.
        kept: How often a detector found something that the masking policy keeps.
        leaving: Verdicts on rows that leave when all stages have seen them, by their origin: an audit event among
            them leaves its leaf.
    """

    resource: Resource
    lines: list[bytes]
    heads: list[Any]
    time_ns: list[int]
    attributes: list[Attributes]
    envelopes: list[Envelope | None]
    origin: list[int]
    changed: list[int] = field(default_factory=list)
    events: list[AuditEvent] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    masked: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    leaving: dict[int, Verdict] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order; events of other rows go with them."""
        place = {old: new for new, old in enumerate(rows)}
        for name in ("lines", "heads", "time_ns", "attributes", "envelopes", "origin"):
            column = getattr(self, name)
            setattr(self, name, [column[row] for row in rows])
        self.changed = [place[row] for row in self.changed if row in place]
        kept = []
        for event in self.events:
            if event.row in place:
                event.row = place[event.row]
                kept.append(event)
        self.events = kept

    def let_leave(self) -> None:
        """Take out the rows that were to leave, with their verdicts; call it when their events were taken."""
        rows = [row for row, origin in enumerate(self.origin) if origin in self.leaving]
        self.verdicts += [self.leaving[self.origin[row]] for row in rows]
        gone = set(rows)
        self.keep([row for row in range(len(self.lines)) if row not in gone])
        self.leaving = {}
