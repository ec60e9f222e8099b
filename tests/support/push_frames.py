"""Frames for tests of sinks and of the pump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from isal import igzip

NOW = 1_795_486_689_000_000_000
"""2026-11-24T02:18:09Z."""


@dataclass(frozen=True)
class TestFrame:
    """As `pipeline.sinks.delivery.StoredFrame`."""

    __test__ = False
    tenant: str
    records: int
    inflated: int
    min_ns: int
    max_ns: int
    payload: bytes
    position: int
    end: int


def frame(
    streams: Sequence[tuple[dict[str, str], list[list[Any]]]], position: int = 0, tenant: str = "acme"
) -> TestFrame:
    """Make a frame of these streams; it ends one position further."""
    text = orjson.dumps([{"stream": labels, "values": values} for labels, values in streams])[1:-1]
    times = [int(value[0]) for _, values in streams for value in values]
    payload = igzip.compress(text, 1, mtime=0)
    return TestFrame(tenant, len(times), len(text), min(times), max(times), payload, position, position + 1)


def entry(ns: int, line: str, **metadata: str) -> list[Any]:
    """One entry."""
    return [str(ns), line, metadata] if metadata else [str(ns), line]
