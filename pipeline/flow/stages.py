"""The stages in their fixed order: mask, enrich, processors, classify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pipeline.flow.label_names import clean_envelopes

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrig import Batch, MaskStage, Stage
    from headrig._raw import RawBatch

    from pipeline.flow.head import HeadDecoder

MARK = "headrig_time"
"""Attribute of a record whose own time was unusable."""


class BatchRunner(Protocol):
    """Runs third-party plugins over a batch."""

    def run(self, batch: Batch, /) -> None:
        """Change the batch in place."""
        ...


class Stages:
    """What happens to a batch between receiving and storing; synchronous and without I/O.

    Args:
        mask: The masking stage, the only one that sees a `RawBatch`.
        after: Enrichment, third-party processors, classification, third-party classifiers, in order.
        heads: Decodes the heads of rows whose line changed.
        observe: Called with the name of a stage and the batch after it, by ``explain``.
    """

    def __init__(
        self,
        mask: MaskStage,
        after: list[tuple[str, BatchRunner | Stage]],
        heads: HeadDecoder,
        observe: Callable[[str, Batch], None] | None = None,
    ) -> None:
        self._mask = mask
        self._after = after
        self._heads = heads
        self._observe = observe

    def run(self, raw: RawBatch, unusable: frozenset[int] = frozenset()) -> Batch:
        """Run all stages.

        Args:
            raw: Unmasked rows.
            unusable: Rows whose time is the time of receipt, to be marked.
        """
        batch = self._mask.mask(raw)
        if raw.envelope_of is not None:
            clean_envelopes(batch)
        self._decode_changed(batch)
        if self._observe:
            self._observe("mask", batch)
        for name, stage in self._after:
            stage.run(batch)
            self._decode_changed(batch)
            if self._observe:
                self._observe(name, batch)
        if unusable:
            for row, origin in enumerate(batch.origin):
                if origin in unusable:
                    batch.attributes[row] = {**batch.attributes[row], MARK: "received"}
        return batch

    def _decode_changed(self, batch: Batch) -> None:
        """Heads must never show what masking replaced, so they come from the masked line."""
        for row in batch.changed:
            batch.heads[row] = self._heads.decode(batch.lines[row])
        batch.changed.clear()
