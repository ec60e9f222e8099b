"""What a plugin meets in the application, without the application."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrig import Batch, Record, Resource

TIME_NS = 1_795_422_174_853_719_500
"""2026-11-23, a fixed present for tests."""


@dataclass
class FakeHost:
    """A `Host` whose clock stands still.

    Attributes:
        log: Logger ``headrig.fake``.
        config_dir: Where relative paths in the configuration start.
        cache_dir: Scratch directory; give a temporary one if the plugin writes there.
        key: 32 bytes.
        fields: JSON field name to attribute name on a head.
        time_ns: What `now_ns` returns.
    """

    log: logging.Logger = field(default_factory=lambda: logging.getLogger("headrig.fake"))
    config_dir: Path = field(default_factory=Path)
    cache_dir: Path = field(default_factory=Path)
    key: bytes = bytes(range(32))
    fields: Mapping[str, str] = field(default_factory=dict)
    time_ns: int = TIME_NS

    def now_ns(self) -> int:
        """Return the time that was set, unix nanoseconds."""
        return self.time_ns


def make_record(
    body: str | Mapping[str, Any] = "something happened",
    *,
    attributes: Mapping[str, str] | None = None,
    tenant: str = "acme",
    service: str | None = "checkout",
    environment: str | None = "prod",
    time_ns: int = TIME_NS,
) -> Record:
    """Make a record.

    Args:
        body: The decoded object, or the text of a plain line.
        attributes: What earlier stages set.
        tenant: Who pays.
        service: Who sent it.
        environment: Where that runs.
        time_ns: Unix nanoseconds.
    """
    decoded = {"message": body} if isinstance(body, str) else dict(body)
    return Record(decoded, dict(attributes or {}), Resource(tenant, service, environment), time_ns)


def make_batch(
    lines: Sequence[bytes | str | Mapping[str, Any]],
    *,
    heads: Sequence[Any] | None = None,
    tenant: str = "acme",
    service: str | None = "checkout",
    environment: str | None = "prod",
) -> Batch:
    """Make a batch, one nanosecond between its rows.

    Args:
        lines: Lines, or bodies that are encoded as JSON.
        heads: Decoded heads; None for every row by default.
        tenant: Who pays.
        service: Who sent it.
        environment: Where that runs.
    """
    encoded = [_line(line) for line in lines]
    count = len(encoded)
    return Batch(
        resource=Resource(tenant, service, environment),
        lines=encoded,
        heads=list(heads) if heads is not None else [None] * count,
        time_ns=list(range(TIME_NS, TIME_NS + count)),
        attributes=[{}] * count,
        envelopes=[None] * count,
        origin=list(range(count)),
    )


def _line(line: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(line, bytes):
        return line
    if isinstance(line, str):
        return line.encode()
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
