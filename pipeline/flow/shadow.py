"""A candidate policy on live traffic: it masks the same records, and only how it differs is counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from headrig import Attributes, Batch, MaskStage
    from headrig._raw import RawBatch

log = logging.getLogger("headrig.shadow")


class Report(Protocol):
    """Takes what was counted; numbers and names of detectors, nothing else."""

    def compared(self, same: int, differ: int, failed: int) -> None:
        """So many records became alike, differently, or only one of the policies could mask them."""
        ...

    def differs(self, detector: str, more: int, fewer: int) -> None:
        """The candidate made so many replacements more, or fewer, than the policy in force."""
        ...


class Shadow:
    """Stands in place of the masking stage and lets a candidate see a share of the batches.

    What the candidate makes of a batch is compared and forgotten: it is neither stored nor shown to a later
    stage, and its errors change nothing but a count.

    Args:
        mask: The policy in force.
        candidate: The other.
        report: Takes the counts.
        share: Of the batches, 0 to 1.
    """

    def __init__(self, mask: Any, candidate: MaskStage, report: Report, share: float = 1.0) -> None:
        self._mask = mask
        self._candidate = candidate
        self._report = report
        self._share = share
        self._due = 0.0

    def mask(self, raw: RawBatch, /) -> Batch:
        """Mask by the policy in force."""
        batch: Batch = self._mask.mask(raw)
        self._due += self._share
        if self._due >= 1.0:
            self._due -= 1.0
            try:
                self._compare(batch, self._candidate.mask(raw))
            except Exception as error:
                log.error(
                    "the candidate policy failed on a batch",
                    exc_info=(type(error), error, error.__traceback__),
                )
                self._report.compared(0, 0, len(raw))
        return batch

    def mask_batch(self, batch: Batch, rows: list[int], known: list[Attributes], /) -> None:
        """Scan rows again by the policy in force; the candidate sees what arrived alone."""
        self._mask.mask_batch(batch, rows, known)

    def _compare(self, batch: Batch, other: Batch) -> None:
        here = dict(zip(batch.origin, zip(batch.lines, batch.envelopes, strict=True), strict=True))
        there = dict(zip(other.origin, zip(other.lines, other.envelopes, strict=True), strict=True))
        both = here.keys() & there.keys()
        leaves, would_leave = batch.leaving.keys(), other.leaving.keys()
        same = sum(here[row] == there[row] and (row in leaves) == (row in would_leave) for row in both)
        self._report.compared(same, len(both) - same, len(here.keys() ^ there.keys()))
        for detector, change in difference(batch.masked, other.masked).items():
            self._report.differs(detector, max(change, 0), max(-change, 0))


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return by detector how many replacements ``after`` has more (or, negative, fewer); equal ones are left out."""
    change = Counter(after)
    change.subtract(before)
    return {detector: number for detector, number in sorted(change.items()) if number}
