"""One request on its way: its batch id, its rows, its answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from headrig import Verdict

from pipeline.flow.head import NOT_JSON, NOT_OBJECT, TOO_DEEP
from pipeline.flow.inbound import Outcome, Receipt

if TYPE_CHECKING:
    import asyncio

    from pipeline.flow.inbound import Inbound

DEPTH = "depth"
"""Why a line that is too deep is in quarantine."""

_WHY = {
    NOT_JSON: "the line is not valid JSON",
    NOT_OBJECT: "the line is valid JSON but not an object",
    TOO_DEEP: "the line nests deeper than limits.depth",
}


@dataclass(slots=True)
class Request:
    """An inbound request and what became of its rows.

    Attributes:
        inbound: As decoded.
        answer: Resolved once everything is durable, or with the error to tell.
        bid: Batch id of 16 bytes, or None when a retry cannot be told from a new request.
        claimed: The batch id is claimed for this very request: it must be settled.
        verdicts: ``origin`` is the position in the request.
        receipts: One for each audit event.
        stored: Records that went to the buffer.
    """

    inbound: Inbound
    answer: asyncio.Future[Outcome]
    bid: bytes | None = None
    claimed: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    stored: int = 0

    @property
    def body(self) -> int:
        """The 32 bits of the body digest that tell "same key, other body"."""
        return int.from_bytes(self.inbound.digest[:4], "little")

    def position(self, row: int) -> int:
        """Position in the request of one of its lines."""
        positions = self.inbound.positions
        return row if positions is None else positions[row]

    def identify(self, *, own_time: bool) -> None:
        """Set the batch id (DESIGN section 4): over the key, else over sender and body if time is in it.

        Two services of a tenant may well write the same line in the same second; a key is the tenant's.
        """
        inbound = self.inbound
        resource = inbound.resource
        tenant = resource.tenant.encode()
        if inbound.key is not None:
            self.bid = hashlib.sha256(b"key\0" + tenant + b"\0" + inbound.key.encode()).digest()[:16]
        elif own_time:
            sender = repr((resource.tenant, resource.service, resource.environment)).encode()
            self.bid = hashlib.sha256(b"body\0" + sender + b"\0" + inbound.digest).digest()[:16]

    def refuse(self, row: int, why: str) -> Verdict:
        """Refuse a line that has no usable form; one that is too deep to scan must not vanish (P5)."""
        line = self.inbound.lines[row]
        deep = why == TOO_DEEP
        verdict = Verdict(
            self.position(row),
            "quarantined" if deep else "rejected",
            DEPTH if deep else why,
            _WHY[why],
            len(line),
        )
        self.verdicts.append(verdict)
        return verdict

    def outcome(self) -> Outcome:
        """Put the answer together."""
        self.receipts.sort(key=_by_position)
        return Outcome(self.stored, sorted(self.verdicts, key=_by_origin), self.receipts)


_by_position = attrgetter("position")
_by_origin = attrgetter("origin")
