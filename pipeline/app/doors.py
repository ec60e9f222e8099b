"""Adapters between parts that must not know each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrig import IntegrityError, SinkUnavailableError, Verdict

from pipeline.audit.client import AuditClient
from pipeline.audit.entry import Entry
from pipeline.flow.balance import verdict_counts
from pipeline.flow.commit import LoggedEntry
from pipeline.flow.part import Leaf
from pipeline.flow.request import Request
from pipeline.sinks.quarantine import Quarantine, Unscanned

if TYPE_CHECKING:
    from pipeline.telemetry import Telemetry


class AuditDoor:
    """The flow's door to the audit process.

    Args:
        client: Speaks to its socket.
    """

    def __init__(self, client: AuditClient) -> None:
        self._client = client

    async def append(self, leaves: Sequence[Leaf]) -> Sequence[LoggedEntry]:
        """Return once every leaf is durable."""
        entries = [Entry._make(leaf[:5]) for leaf in leaves]
        blobs = [leaf.blob for leaf in leaves if leaf.blob is not None]
        try:
            return await self._client.append(entries, blobs)
        except IntegrityError:
            # The audit log stopped, its process recovers from disk; a retry finds what it stored by its ids.
            raise SinkUnavailableError("the audit log recovers", retry_after=1.0) from None

    async def receipts(self, bid: bytes) -> Sequence[tuple[int, LoggedEntry]]:
        """Return position and entry of all leaves of a batch id."""
        return await self._client.receipts(bid)


class QuarantineDoor:
    """The flow's door to the quarantine.

    Args:
        quarantine: Keeps the metadata.
    """

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    def append_unscanned(self, tenant: str, verdicts: Sequence[Verdict], time_ns: int) -> None:
        """Store metadata and digests; durable on return."""
        self._quarantine.append(
            [
                Unscanned(
                    tenant=tenant,
                    time_ns=time_ns,
                    size=verdict.size,
                    reason=verdict.reason,
                    digest=verdict.digest.hex(),
                )
                for verdict in verdicts
            ]
        )


class FlowMetrics:
    """Counts for metrics what the flow settled.

    Args:
        telemetry: The process' metrics.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def settled(
        self, tenant: str, requests: Sequence[Request], masked: Counter[str], kept: Counter[str]
    ) -> None:
        """A group is durable."""
        telemetry = self._telemetry
        received = 0
        audits = 0
        conflicts = 0
        for request in requests:
            received += request.stored + len(request.verdicts)
            audits += len(request.receipts)
            conflicts += sum(receipt.conflict for receipt in request.receipts)
            if request.verdicts:
                self._verdicts(tenant, request.verdicts)
        telemetry.received.labels(tenant).inc(received)
        if audits:
            telemetry.audit_events.labels(tenant).inc(audits)
        if conflicts:
            telemetry.audit_conflicts.labels(tenant).inc(conflicts)
        for detector, number in masked.items():
            telemetry.masked.labels(detector).inc(number)
        for detector, number in kept.items():
            telemetry.kept.labels(detector).inc(number)

    def _verdicts(self, tenant: str, verdicts: Sequence[Verdict]) -> None:
        for name, number in verdict_counts(verdicts).items():
            kind, _, reason = name.partition(".")
            {
                "rejected": self._telemetry.rejected,
                "quarantined": self._telemetry.quarantined,
                "dropped": self._telemetry.dropped,
            }[kind].labels(tenant, reason).inc(number)

    def duplicates(self, tenant: str, records: int) -> None:
        """A whole request had come before."""
        self._telemetry.received.labels(tenant).inc(records)
        self._telemetry.duplicate.labels(tenant).inc(records)


class ShadowMetrics:
    """Counts for metrics how a candidate policy differs.

    Args:
        telemetry: The process' metrics.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def compared(self, same: int, differ: int, failed: int) -> None:
        """A batch was compared."""
        for outcome, number in (("same", same), ("differ", differ), ("failed", failed)):
            if number:
                self._telemetry.shadow_records.labels(outcome).inc(number)

    def differs(self, detector: str, more: int, fewer: int) -> None:
        """A detector's count differs."""
        for change, number in (("more", more), ("fewer", fewer)):
            if number:
                self._telemetry.shadow_changes.labels(detector, change).inc(number)


class PumpMetrics:
    """Counts for metrics what a pump did.

    Args:
        telemetry: The process' metrics.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def delivered(self, tenant: str, sink: str, records: int) -> None:
        """A sink has taken records."""
        self._telemetry.delivered.labels(tenant, sink).inc(records)

    def refused(self, tenant: str, sink: str, reason: str, records: int) -> None:  # noqa: ARG002
        """A sink will never take these; they are in quarantine."""
        self._telemetry.quarantined.labels(tenant, f"refused-{reason}").inc(records)

    def retry(self, sink: str, status: str) -> None:
        """A push will be sent again."""
        self._telemetry.retries.labels(sink, status).inc()

    def held(self, tenant: str, sink: str, status: str) -> None:
        """An operator must look; an empty status says that it goes on again."""
        self._telemetry.held.labels(tenant, sink).set(1 if status else 0)

    def lag_seconds(self, sink: str, tenant: str, seconds: float) -> None:
        """How old the oldest record is that the sink lacks."""
        self._telemetry.lag.labels(tenant, sink).set(seconds)
