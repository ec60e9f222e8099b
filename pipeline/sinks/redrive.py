"""Sends refused entries again, when what was wrong at the sink has been put right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from isal import igzip

from pipeline.sinks.quarantine import Quarantine, Refused, id_of

if TYPE_CHECKING:
    from pipeline.sinks.delivery import Sink


@dataclass(frozen=True, slots=True)
class Redriven:
    """Outcome of `redrive`.

    Attributes:
        delivered: Items the sink took; they left the quarantine.
        refused: Items it refused again; they stay.
        unknown: Ids that are not there, or are of a kind that has nothing to send.
    """

    delivered: int = 0
    refused: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class _Frame:
    """One item as a frame of its own."""

    tenant: str
    payload: bytes
    inflated: int
    min_ns: int
    max_ns: int
    position: int
    end: int
    records: int = 1


async def redrive(quarantine: Quarantine, sink: Sink, ids: Iterable[str]) -> Redriven:
    """Send refused entries again and remove those that are delivered; one push each.

    A crash between the two sends an entry twice, identical, which Loki folds.

    Raises:
        RetryableError: The sink does not take data now; what is delivered already has been removed.
    """
    items = await asyncio.to_thread(quarantine.items)
    delivered = refused = unknown = 0
    for item_id in dict.fromkeys(ids):
        item = items.get(item_id)
        if not isinstance(item, Refused):
            unknown += 1
            continue
        outcome = await sink.write(_frames(item))
        if outcome.delivered:
            await asyncio.to_thread(quarantine.remove, [item])
            delivered += 1
        else:
            refused += 1
    return Redriven(delivered, refused, unknown)


def _frames(item: Refused) -> Sequence[_Frame]:
    # A sink tells unfinished writes apart by position: each item has its own, below those of any log.
    position = -1 - int(id_of(item), 16)
    labels = {name: value for name, value in item.labels.items() if name != "late"}
    entry = [item.ts, item.line, dict(item.metadata)] if item.metadata else [item.ts, item.line]
    text = orjson.dumps({"stream": labels, "values": [entry]})
    ns = int(item.ts)
    return [_Frame(item.tenant, igzip.compress(text, 1, mtime=0), len(text), ns, ns, position, position + 1)]
