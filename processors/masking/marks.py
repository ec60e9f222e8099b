"""What a masked record carries about its masking: the policy's version, and detectors with counts; never values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from headrig import Attributes, Envelope

MASKED = "masked"
POLICY = "masking_policy"
_MOST = 32
"""Detectors named in one mark; what the others found is summed up."""
OTHERS = "others"
_MARK = re.compile(r"[a-z0-9_\-]{1,64}+:[0-9]{1,6}(?:,[a-z0-9_\-]{1,64}+:[0-9]{1,6})*+")
_MEMO = 4096
_MOST_NAMES, _MOST_BYTES = 100, 48 << 10
"""A record with more around it gets no marks: Loki takes 128 names and 64 KB, and enrichment adds its own."""


class Marks:
    """Makes the attributes of masked records; records alike share one object.

    Args:
        version: Of the policy.
        detectors: Names of all.
    """

    def __init__(self, version: str, detectors: Collection[str]) -> None:
        self._version = version
        self._detectors = frozenset((*detectors, OTHERS))
        self._memo: dict[tuple[str, ...], Attributes] = {}

    def of(self, found: Iterable[str]) -> Attributes:
        """Return the marks of a record in which these detectors replaced something, each as often as it did."""
        key = tuple(found)
        marks = self._memo.get(key)
        if marks is None:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            marks = self._memo[key] = {MASKED: _text(Counter(key)), POLICY: self._version}
        return marks

    def added(self, attributes: Attributes, found: Iterable[str]) -> Attributes:
        """Return attributes with more findings counted in their marks."""
        counts = Counter(found)
        for name, number in self._counts(attributes.get(MASKED, "")).items():
            counts[name] += number
        return {**attributes, MASKED: _text(counts), POLICY: self._version}

    def ours(self, name: str, value: str) -> bool:
        """Tell whether an attribute is a mark: what looks otherwise is scanned like any other."""
        return (name == POLICY and value == self._version) or (name == MASKED and bool(self._counts(value)))

    def _counts(self, value: str) -> dict[str, int]:
        if not _MARK.fullmatch(value):
            return {}
        counts = {name: int(number) for name, _, number in (part.partition(":") for part in value.split(","))}
        return counts if counts.keys() <= self._detectors else {}


def _text(counts: Counter[str]) -> str:
    named = sorted(counts.items())
    shown, others = named[:_MOST], sum(number for _, number in named[_MOST:])
    if others:
        shown.append((OTHERS, others))
    return ",".join(f"{name}:{min(number, 999_999)}" for name, number in shown)


def crowded(envelope: Envelope | None) -> bool:
    """Tell whether a record has so much around it already that marks could be too much for Loki."""
    if envelope is None:
        return False
    parts = (envelope.labels, envelope.metadata)
    if sum(map(len, parts)) > _MOST_NAMES:
        return True
    return sum(len(name) + len(value) for part in parts for name, value in part.items()) > _MOST_BYTES
