"""The terms of conservation that the flow counts (DESIGN promise P3).

``received = rejected{reason} + duplicate + quarantined{reason} + dropped{rule} + stored``, where what is
stored is counted from the frames and cursors. The cumulative counts of a tenant are in the header
of each of its frames, so they are as durable as the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline.buffer.frame import STORED

if TYPE_CHECKING:
    from headrig import Verdict

__all__ = ["DUPLICATE", "RECEIVED", "STORED", "Balance", "missing", "verdict_counts"]

RECEIVED = "received"
DUPLICATE = "duplicate"


class Balance:
    """Cumulative counts per tenant of one writer.

    Args:
        recovered: What the newest frames on disk say.
    """

    def __init__(self, recovered: Mapping[str, Mapping[str, int]]) -> None:
        self._counts: dict[str, Counter[str]] = {
            tenant: Counter(counts) for tenant, counts in recovered.items()
        }
        self._written: dict[str, dict[str, int]] = {
            tenant: dict(counts) for tenant, counts in recovered.items()
        }

    def add(self, tenant: str, delta: Mapping[str, int]) -> None:
        """Count what became of a group; its records must go to the log in the same breath."""
        self._counts.setdefault(tenant, Counter()).update(delta)

    def take_back(self, tenant: str, delta: Mapping[str, int]) -> None:
        """Undo `add`, in the same breath: the log did not take the records."""
        counts = self._counts[tenant]
        counts.subtract(delta)
        for name in [name for name in delta if not counts[name]]:
            del counts[name]

    def counts(self, tenant: str) -> dict[str, int]:
        """Return the counts for a frame header."""
        return dict(self._counts.get(tenant, ()))

    def taken(self, tenant: str, counts: dict[str, int]) -> None:
        """Remember that the log took a frame with these counts."""
        self._written[tenant] = counts

    def unwritten(self) -> list[str]:
        """Name the tenants whose counts changed without a frame."""
        return [tenant for tenant, counts in self._counts.items() if self._written.get(tenant, {}) != counts]


def missing(counts: Mapping[str, int]) -> int:
    """Return what must be found in frames and cursors, given a tenant's cumulative counts."""
    left = sum(number for name, number in counts.items() if name not in (RECEIVED, STORED))
    return counts.get(RECEIVED, 0) - left


def verdict_counts(verdicts: Iterable[Verdict]) -> Counter[str]:
    """Count verdicts under the names used in frame headers: ``rejected.<reason>`` and so on."""
    return Counter(f"{verdict.kind}.{verdict.reason}" for verdict in verdicts)
