"""Masks what came around the lines: labels and structured metadata."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from headrig import Attributes, Envelope

Mask = Callable[[bytes], tuple[bytes, Counter[str]]]
"""Masks one JSON line; raises when it cannot."""

_BOUND = 4096


class Envelopes:
    """Masks envelopes, with a bounded memory of those that were seen last.

    Args:
        mask: Masks a JSON line.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._memo: OrderedDict[bytes, tuple[Envelope, Counter[str]]] = OrderedDict()

    def mask(self, raw: Sequence[bytes]) -> tuple[list[Envelope | None], set[int], Counter[str]]:
        """Mask distinct envelopes.

        Args:
            raw: JSON objects ``{"labels": {...}, "metadata": {...}}``.

        Returns:
            The envelopes (None where it failed), the places that failed, and what was masked.
        """
        envelopes: list[Envelope | None] = []
        bad: set[int] = set()
        found: Counter[str] = Counter()
        for place, text in enumerate(raw):
            try:
                envelope, counts = self._one(text)
            except Exception:
                bad.add(place)
                envelopes.append(None)
                continue
            envelopes.append(envelope)
            found.update(counts)
        return envelopes, bad, found

    def _one(self, text: bytes) -> tuple[Envelope, Counter[str]]:
        known = self._memo.get(text)
        if known is not None:
            self._memo.move_to_end(text)
            return known
        masked, counts = self._mask(text)
        value = orjson.loads(masked)
        known = Envelope(_strings(value.get("labels")), _strings(value.get("metadata"))), counts
        self._memo[text] = known
        if len(self._memo) > _BOUND:
            self._memo.popitem(last=False)
        return known


def mask_attributes(attributes: Attributes, mask: Mask) -> tuple[Attributes, Counter[str]]:
    """Mask names and values of attributes; the same object comes back when nothing was masked."""
    if not attributes:
        return attributes, Counter()
    masked, counts = mask(orjson.dumps(dict(attributes)))
    return (_strings(orjson.loads(masked)), counts) if counts else (attributes, counts)


def _strings(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError("labels and metadata are objects")
    return {
        name: item if isinstance(item, str) else orjson.dumps(item).decode() for name, item in value.items()
    }
