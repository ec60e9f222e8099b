"""The balance of promise P3 for each tenant and sink: what is counted, and what is in no term."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pipeline.buffer import Wal
from pipeline.flow.balance import missing

Key = tuple[str, str]
"""Tenant and sink."""

_TRIES = 3


async def balances(wal: Wal, sinks: Sequence[str]) -> dict[Key, tuple[int, int]]:
    """Return for each tenant and sink what is buffered, counted from the frames, and what is in no term.

    Cursors are read first, then the counts, then the frames, so that what moves meanwhile can only look as if it
    were missing: a segment that was reclaimed. Those tenants are looked at again.
    """
    found: dict[Key, tuple[int, int]] = {}
    keys = [(tenant, sink) for tenant in wal.tenants() for sink in sinks]
    for _ in range(_TRIES):
        cursors = await asyncio.to_thread(lambda wanted: [wal.cursor(*key).state for key in wanted], keys)
        states = dict(zip(keys, cursors, strict=True))
        end, counts = wal.end, {tenant: missing(wal.counters(tenant)) for tenant, _ in keys}
        positions = {key: state.position for key, state in states.items()}
        waiting = await asyncio.to_thread(wal.waiting, positions, end)
        for key, state in states.items():
            found[key] = (waiting[key], counts[key[0]] - state.gone - waiting[key])
        keys = [key for key in keys if found[key][1]]
        if not keys:
            break
    return found


def balance_of(wal: Wal, tenant: str, sink: str) -> tuple[int, int]:
    """Return the same of one tenant and sink of a log at rest. Blocks."""
    counts: Mapping[str, int] = wal.counters(tenant)
    buffered = wal.buffered(tenant, sink)
    return buffered, missing(counts) - wal.cursor(tenant, sink).state.gone - buffered
