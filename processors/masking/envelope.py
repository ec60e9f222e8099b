"""Masks what came around the lines: labels and structured metadata."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from headrig import Attributes, Envelope

from processors.masking.actions import Decision
from processors.masking.splice import Masked

Mask = Callable[[bytes, Decision], Masked]
"""Masks one JSON line, which is row 0; raises when it cannot."""

_BOUND = 4096


@dataclass(frozen=True, slots=True)
class Covered:
    """An envelope after masking.

    Attributes:
        envelope: None where it could not be scanned.
        found: The detector behind each replacement.
        kept: Findings that the policy keeps.
        dropped: The detector for which the policy drops its records, or empty.
    """

    envelope: Envelope | None
    found: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    dropped: str = ""


class Envelopes:
    """Masks envelopes, with a bounded memory of those that were seen last.

    Args:
        mask: Masks a JSON line.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._memo: OrderedDict[tuple[bytes, Decision], Covered] = OrderedDict()

    def mask(self, raw: Sequence[bytes], decision: Decision) -> list[Covered]:
        """Mask distinct envelopes.

        Args:
            raw: JSON objects ``{"labels": {...}, "metadata": {...}}``.
            decision: What is done to findings.
        """
        covered = []
        for text in raw:
            try:
                covered.append(self._one(text, decision))
            except Exception:
                covered.append(Covered(None))
        return covered

    def _one(self, text: bytes, decision: Decision) -> Covered:
        key = text, decision
        known = self._memo.get(key)
        if known is not None:
            self._memo.move_to_end(key)
            return known
        masked = self._mask(text, decision)
        value = orjson.loads(masked.lines.get(0, text))
        known = Covered(
            Envelope(_strings(value.get("labels")), _strings(value.get("metadata"))),
            tuple(masked.found.get(0, ())),
            tuple(masked.kept.elements()),
            masked.dropped.get(0, ""),
        )
        self._memo[key] = known
        if len(self._memo) > _BOUND:
            self._memo.popitem(last=False)
        return known


def mask_attributes(attributes: Attributes, mask: Mask, decision: Decision) -> tuple[Attributes, Masked]:
    """Mask names and values of attributes; the same object comes back when nothing was masked."""
    if not attributes:
        return attributes, Masked()
    masked = mask(orjson.dumps(dict(attributes)), decision)
    return (_strings(orjson.loads(masked.lines[0])) if masked.lines else attributes), masked


def _strings(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError("labels and metadata are objects")
    return {
        name: item if isinstance(item, str) else orjson.dumps(item).decode() for name, item in value.items()
    }
