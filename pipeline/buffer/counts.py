"""The newest cumulative counts of each tenant, as the next segment's head will carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.buffer.frame import Prepared, carrier, encode, prepare
from pipeline.buffer.segment import HEADER


class Counts:
    """Counts of frames that have their place, written or not.

    Args:
        recovered: What the newest frames on disk say.

    Attributes:
        head_bytes: What a new segment would begin with.
    """

    def __init__(self, recovered: Mapping[str, Mapping[str, int]]) -> None:
        self._counters: dict[str, Mapping[str, int]] = {}
        self._lengths: dict[str, int] = {}
        self.head_bytes = HEADER.size
        for tenant, counters in recovered.items():
            self.take(prepare(carrier(tenant, counters)))

    def take(self, prepared: Prepared) -> None:
        """Remember the counts of a frame."""
        tenant = prepared.frame.tenant
        self.head_bytes += prepared.carrier_length - self._lengths.get(tenant, 0)
        self._lengths[tenant] = prepared.carrier_length
        self._counters[tenant] = prepared.frame.counters

    def tenants(self) -> list[str]:
        """Name the tenants."""
        return list(self._counters)

    def encode(self, tenants: Iterable[str], position: int, durable: int, seconds: int) -> bytes:
        """Encode a frame without records for each of these tenants, from a position on."""
        data = b""
        for tenant in tenants:
            data += encode(carrier(tenant, self._counters[tenant]), position + len(data), durable, seconds)
        return data
