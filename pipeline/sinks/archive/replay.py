"""Sending what is archived to a sink again, byte for byte: `headrig replay --from … --to …`.

Labels, structured metadata, times and lines are those that the frames had, so a Loki that holds some
of the records already folds the second copies.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from isal import igzip

from pipeline.archive_format import ArchiveFile, data_path
from pipeline.sinks.archive.plan import Piece, Plan
from pipeline.sinks.delivery import Sink, StoredFrame

_FRAME_BYTES = 1 << 20
_PUSH_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ReplayFrame:
    """A frame made from archived records; ``position`` counts the frames of this replay."""

    tenant: str
    records: int
    inflated: int
    min_ns: int
    max_ns: int
    payload: bytes
    position: int
    end: int


@dataclass(slots=True)
class Replayed:
    """What a replay did: records the sink took, and refused by reason."""

    delivered: int = 0
    refused: Counter[str] = field(default_factory=Counter)


async def replay(
    archive: Path,
    sink: Sink,
    *,
    from_ns: int,
    to_ns: int,
    tenant: str | None = None,
    audit: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Send archived records to ``sink``, oldest files first, one tenant after the other.

    The archive may be in use: what is merged meanwhile is sent from the merged file, without the part that went
    before.

    Args:
        archive: The archive's directory.
        sink: Takes frames; an error it raises ends the replay, which can be run again.
        from_ns: Earliest record time, unix ns, inclusive.
        to_ns: End of the record times, unix ns, exclusive.
        tenant: Only this tenant's; None for all.
        audit: Only audit leaves, or only records; None for both.
        progress: Called with lines done and lines of all files in the range.

    Raises:
        CorruptionError: A manifest lists a file that is not there.
    """

    def chosen(file: ArchiveFile) -> bool:
        return file.max_ns >= from_ns and file.min_ns < to_ns and tenant in (None, file.tenant)

    plan = Plan(archive, chosen, audit)
    result = Replayed()
    while piece := plan.next():
        try:
            frames = await asyncio.to_thread(_open, archive, piece, from_ns, to_ns)
        except FileNotFoundError:
            await asyncio.to_thread(plan.again, piece)
            continue
        while push := await asyncio.to_thread(_push, frames):
            delivery = await sink.write(push)
            result.delivered += delivery.delivered
            result.refused.update(delivery.refused)
        plan.sent(piece)
        if progress is not None:
            progress(plan.done, plan.done + plan.left)
    return result


def _push(frames: Iterator[ReplayFrame]) -> list[StoredFrame]:
    push: list[StoredFrame] = []
    size = 0
    for frame in frames:
        push.append(frame)
        size += frame.inflated
        if size >= _PUSH_BYTES - _FRAME_BYTES:
            break
    return push


def _open(archive: Path, piece: Piece, from_ns: int, to_ns: int) -> Iterator[ReplayFrame]:
    """Open a file; what is open can be read to its end, also when its name goes."""
    import pyarrow.parquet as pq

    return _frames(pq.ParquetFile(data_path(archive, piece.file.name)), piece, from_ns, to_ns)


def _frames(parquet: Any, piece: Piece, from_ns: int, to_ns: int) -> Iterator[ReplayFrame]:
    position, tenant = 0, piece.file.tenant
    rows: list[tuple[str, str, int, str]] = []
    size = place = 0
    with parquet:
        for batch in parquet.iter_batches(8192, columns=["labels", "metadata", "ts", "line"]):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                place += 1
                if not from_ns <= row[2] < to_ns or piece.skips(place - 1):
                    continue
                rows.append(row)
                # Characters, and something for the time and brackets; escapes add to it, so stay well below.
                size += len(row[1]) + len(row[3]) + 32
                if size >= _FRAME_BYTES // 2:
                    yield _frame(tenant, rows, position)
                    rows, size, position = [], 0, position + 1
    if rows:
        yield _frame(tenant, rows, position)


def _frame(tenant: str, rows: list[tuple[str, str, int, str]], position: int) -> ReplayFrame:
    streams: dict[str, list[list[object]]] = {}
    for labels, metadata, ts, line in rows:
        entry: list[object] = [str(ts), line]
        if metadata != "{}":
            entry.append(orjson.Fragment(metadata))
        streams.setdefault(labels, []).append(entry)
    body = b",".join(
        orjson.dumps({"stream": orjson.Fragment(labels), "values": entries})
        for labels, entries in streams.items()
    )
    times = [row[2] for row in rows]
    payload = igzip.compress(body, 1)
    return ReplayFrame(tenant, len(rows), len(body), min(times), max(times), payload, position, position + 1)
