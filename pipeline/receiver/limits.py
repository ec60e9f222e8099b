"""What one request, and all requests together, may cost."""

from __future__ import annotations

from dataclasses import dataclass

from headrig import OverloadedError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the ingest edge.

    Attributes:
        body_bytes: Largest body as received, still encoded.
        inflated_bytes: Largest body once inflated.
        line_bytes: Longest record; a longer one is rejected alone.
        depth: Deepest nesting of a record; masking enforces it, so that a deeper one leaves a trace.
        records: Most records in one request.
        label_name_bytes: Longest name of a label or of structured metadata around a record.
        label_value_bytes: Longest value of a label; Loki's own.
        metadata_bytes: Names and values around one record, labels and structured metadata together; Loki's own.
        metadata_entries: Their number; Loki's own.
        inflight_bytes: Most body bytes in memory, over all requests of this process.
        read_seconds: Longest wait for a whole body.
        records_per_second: Of one tenant, in this process; None for any number.
        bytes_per_second: Of one tenant, inflated.
    """

    body_bytes: int = 16 * MIB
    inflated_bytes: int = 64 * MIB
    line_bytes: int = 256 << 10
    depth: int = 64
    records: int = 100_000
    label_name_bytes: int = 1 << 10
    label_value_bytes: int = 2 << 10
    metadata_bytes: int = 64 << 10
    metadata_entries: int = 128
    inflight_bytes: int = 256 * MIB
    read_seconds: float = 30.0
    records_per_second: int | None = None
    bytes_per_second: int | None = None


class MemoryBudget:
    """Counts the body bytes of all open requests; refuses at once instead of waiting."""

    __slots__ = ("_limit", "used")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Account for ``size`` bytes; OverloadedError when they would pass the limit."""
        if self.used + size > self._limit:
            raise OverloadedError(f"request bodies in memory would pass the limit of {self._limit} bytes")
        self.used += size

    def give(self, size: int) -> None:
        """Give ``size`` bytes back."""
        self.used -= size
