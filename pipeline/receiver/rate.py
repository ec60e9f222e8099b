"""How much a tenant may send a second: a bucket for records and one for bytes, which may go into debt.

A request is taken while its tenant has no debt, however large it is, and refused while it has: so the rate
holds in the long run, and no request is too large to be ever taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from headrig import RetryableError


class ThrottledError(RetryableError):
    """The tenant sent more than its rate; nothing was received."""

    throttled = True


@dataclass(slots=True)
class _Bucket:
    """Holds at most what flows in a second; negative is debt."""

    name: str
    rate: float
    level: float
    filled: float

    def fill(self, now: float) -> None:
        self.level = min(self.rate, self.level + (now - self.filled) * self.rate)
        self.filled = now


class RateLimit:
    """The buckets of all tenants; they come from credentials, so their number is bounded.

    Args:
        records: Records a second for each tenant; None for any number.
        size: Bytes a second, inflated.
        clock: Seconds; never goes back.
    """

    def __init__(
        self, records: int | None, size: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = [("records", records), ("bytes", size)]
        self._clock = clock
        self._tenants: dict[str, list[_Bucket]] = {}

    def check(self, tenant: str) -> None:
        """Refuse a tenant in debt; worth asking before a body is read.

        Raises:
            ThrottledError: Says when the debt will be paid.
        """
        now = self._clock()
        for bucket in self._of(tenant, now):
            bucket.fill(now)
            if bucket.level <= 0:
                raise ThrottledError(
                    f"the tenant is over limits.rate.{bucket.name}, {bucket.rate:g} a second",
                    retry_after=-bucket.level / bucket.rate,
                )

    def take(self, tenant: str, records: int, size: int) -> None:
        """Charge a tenant, unless requests that were read at the same time brought it into debt.

        Raises:
            ThrottledError: See `check`.
        """
        self.check(tenant)
        for bucket in self._tenants[tenant]:
            bucket.level -= records if bucket.name == "records" else size

    def _of(self, tenant: str, now: float) -> list[_Bucket]:
        buckets = self._tenants.get(tenant)
        if buckets is None:
            buckets = [_Bucket(name, rate, rate, now) for name, rate in self._rates if rate is not None]
            self._tenants[tenant] = buckets
        return buckets
