"""How many streams a sender can make.

A sender must not make streams at will: only configured labels are labels, their values are capped in
length and in number, and so are their combinations, for Loki takes no more than so many active streams
of a tenant. What is over a cap moves to structured metadata, cut to what Loki takes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

_METADATA_BYTES = 1024
_CUT = "…"


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """Which labels there are.

    Attributes:
        sources: Label name to places, the first that has a value wins:
            ``resource.<name>``, ``body.<top-level field>``, ``label.<name the client sent>``.
        keep: Names of labels that are kept when the client sent them.
        static: Labels with a fixed value.
        max_value_bytes: Longest label value.
        max_values: Most distinct values of one label, per tenant and worker.
        max_streams: Most distinct label sets, per tenant and worker.
    """

    sources: Mapping[str, tuple[str, ...]]
    keep: tuple[str, ...] = ()
    static: Mapping[str, str] = field(default_factory=dict)
    max_value_bytes: int = 128
    max_values: int = 500
    max_streams: int = 2000

    def fields(self) -> Iterable[str]:
        """Name the top-level JSON fields that labels need."""
        return (
            place[5:] for places in self.sources.values() for place in places if place.startswith("body.")
        )


class Budget:
    """What is left for senders to make, for all tenants of a worker.

    Args:
        settings: The labels.
    """

    def __init__(self, settings: LabelSettings) -> None:
        self._settings = settings
        self._values: dict[tuple[str, str], set[str]] = {}
        self._streams: dict[str, set[int]] = {}
        self.demoted = 0

    def spend(
        self, tenant: str, found: Mapping[str, str], sent: set[str], extra: dict[str, str]
    ) -> tuple[dict[str, str], int]:
        """Return the labels of a stream and the 64 bits that stand for them.

        Args:
            tenant: Whose stream.
            found: What would be its labels.
            sent: Names of those whose values the sender chose.
            extra: Gets what cannot be a label.
        """
        labels = dict(found)
        self._demote(labels, [name for name in found if not self._allowed(tenant, name, found[name])], extra)
        mark = mark_of(labels)
        if not self._counts(tenant, mark):
            self._demote(labels, [name for name in labels if name in sent], extra)
            mark = mark_of(labels)
        return labels, mark

    def _demote(self, labels: dict[str, str], names: Iterable[str], extra: dict[str, str]) -> None:
        for name in names:
            self.demoted += 1
            extra.setdefault(name, shortened(labels.pop(name)))
            if name in self._settings.static:
                labels[name] = self._settings.static[name]
        labels.setdefault("service_name", "unknown_service")

    def _allowed(self, tenant: str, name: str, value: str) -> bool:
        if len(value.encode()) > self._settings.max_value_bytes:
            return False
        return _counted(self._values.setdefault((tenant, name), set()), value, self._settings.max_values)

    def _counts(self, tenant: str, mark: int) -> bool:
        return _counted(self._streams.setdefault(tenant, set()), mark, self._settings.max_streams)


def _counted(known: set[Any], one: object, most: int) -> bool:
    """Tell whether it is known, or may become so."""
    if one not in known:
        if len(known) >= most:
            return False
        known.add(one)
    return True


def mark_of(labels: Mapping[str, str]) -> int:
    """Return 64 bits that stand for a label set, whatever the order."""
    text = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def shortened(value: str) -> str:
    """Cut to 1 KiB what is longer, and mark it: a value too long would cost the record at Loki."""
    data = value.encode()
    if len(data) <= _METADATA_BYTES:
        return value
    return data[: _METADATA_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT
