"""What the pump, a sink and the place where frames come from promise each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrig import SinkUnavailableError


class StoredFrame(Protocol):
    """One frame as read back: records of one tenant, ready to be sent.

    Attributes:
        tenant: Whose records.
        records: How many.
        inflated: Bytes of the payload once inflated.
        min_ns, max_ns: Earliest and latest record time, unix ns.
        payload: One gzip member of Loki stream objects joined by commas.
        position, end: Where it lies in its log, half open.
    """

    @property
    def tenant(self) -> str: ...
    @property
    def records(self) -> int: ...
    @property
    def inflated(self) -> int: ...
    @property
    def min_ns(self) -> int: ...
    @property
    def max_ns(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def position(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the records handed to `Sink.write`; every one is counted once.

    Attributes:
        delivered: Records the sink holds now.
        refused: Records in quarantine, by reason.
    """

    delivered: int
    refused: Mapping[str, int] = field(default_factory=dict)


class UndeliveredError(SinkUnavailableError):
    """The sink did not confirm; a part may be stored. Send the same frames again.

    Args:
        message: What happened.
        status: A short word for metrics: the HTTP status, or ``network``, ``timeout``…
        retry_after: Seconds the sink asked to wait; 0 when it did not say.
        sent: A part may have reached the sink; False when there was no connection.

    Attributes:
        progress: The sink confirmed a part since the last error: waiting starts short again.
    """

    def __init__(self, message: str, *, status: str, retry_after: float = 0.0, sent: bool = True) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.sent = sent
        self.progress = False


class HeldError(UndeliveredError):
    """As its parent, but it will not pass by itself: an operator must look (address, credentials, a block)."""


class Sink(Protocol):
    """Takes frames of one tenant. Calls for one tenant never overlap; for different tenants they do."""

    name: str

    async def write(self, frames: Sequence[StoredFrame]) -> Delivery:
        """Deliver frames of one tenant, oldest first.

        Returns only when each record is delivered or refused and durable in quarantine.

        Raises:
            RetryableError: Call again with the same frames.
            IntegrityError, ConfigError: Held until an operator looks.
        """
        ...

    async def check(self) -> None:
        """Raise `RetryableError` or `ConfigError` when the sink cannot take data now."""
        ...

    async def close(self) -> None:
        """Let go of connections; a write in progress fails."""
        ...


class Source(Protocol):
    """Frames of one tenant, in order, with a durable cursor.

    Attributes:
        tenant: Whose frames.
        position: Where to read on; everything before it is delivered or refused.
    """

    @property
    def tenant(self) -> str: ...
    @property
    def position(self) -> int: ...

    async def next(self, after: int, max_bytes: int) -> Sequence[StoredFrame]:
        """Return the next frames, oldest first; at least one if there is one, else none."""
        ...

    async def wait_beyond(self, position: int) -> None:
        """Return when `next` after ``position`` may find something."""
        ...

    def commit(self, position: int, delivered: int, refused: Mapping[str, int]) -> None:
        """Move the cursor, durably, with the records counted since the last commit. Blocks."""
        ...

    def reclaim(self) -> None:
        """Free what every sink is past. Blocks."""
        ...


class Feed(Protocol):
    """All the sources that one pump serves; tenants come at any time."""

    def tenants(self) -> Sequence[str]:
        """Name the tenants known now."""
        ...

    def source(self, tenant: str) -> Source:
        """Return the source of one of them."""
        ...

    async def wait_tenants(self, known: int) -> None:
        """Return when there may be more than ``known`` tenants."""
        ...
