"""What arrived and was not masked yet. Not exported: only receiver, flow and masking may name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrig._batch import Resource


@dataclass(slots=True, eq=False)
class RawBatch:
    r"""Unmasked records of one tenant, as columns of equal length.

    It has no method that stores or sends, and a buffer, a sink or a plugin takes only `Batch`:
    the type checker refuses a way around masking.

    Attributes:
        resource: Who sent it; from the credential.
        lines: One record each: valid UTF-8, JSON or plain text, without a trailing newline.
            A plain-text line may hold newlines; a JSON line never does.
        buffer: ``b"\n".join(lines)``, kept because it usually is the body as received.
        heads: The decoded head of each line; None where the line is not a JSON object.
        time_ns: Final time of each record, unix nanoseconds.
        envelopes: Distinct JSON objects ``{"labels": {...}, "metadata": {...}}`` that came around
            the lines (Loki push); to be masked like lines.
        envelope_of: Index into ``envelopes`` for each line, or None when there are no envelopes.
    """

    resource: Resource
    lines: list[bytes]
    buffer: bytes
    heads: list[Any]
    time_ns: list[int]
    envelopes: list[bytes] = field(default_factory=list)
    envelope_of: list[int] | None = None

    def __len__(self) -> int:
        return len(self.lines)
