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

import orjson
from isal import igzip

from pipeline.archive_format import ArchiveFile, data_path, read_manifests
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

    Args:
        archive: The archive's directory.
        sink: Takes frames; an error it raises ends the replay, which can be run again.
        from_ns: Earliest record time, unix ns, inclusive.
        to_ns: End of the record times, unix ns, exclusive.
        tenant: Only this tenant's; None for all.
        audit: Only audit leaves, or only records; None for both.
        progress: Called with lines done and lines of all files in the range.
    """
    files = _chosen(archive, from_ns, to_ns, tenant, audit)
    done, total = 0, sum(file.lines for file in files)
    result = Replayed()
    for file in files:
        frames = _frames(archive, file, from_ns, to_ns)
        while push := await asyncio.to_thread(_push, frames):
            delivery = await sink.write(push)
            result.delivered += delivery.delivered
            result.refused.update(delivery.refused)
        done += file.lines
        if progress is not None:
            progress(done, total)
    return result


def _chosen(
    archive: Path, from_ns: int, to_ns: int, tenant: str | None, audit: bool | None
) -> list[ArchiveFile]:
    files = [
        file
        for manifest in read_manifests(archive)
        if audit is None or manifest.audit is audit
        for file in manifest.files
        if file.max_ns >= from_ns and file.min_ns < to_ns and tenant in (None, file.tenant)
    ]
    return sorted(files, key=lambda file: (file.tenant, file.min_ns, file.start))


def _push(frames: Iterator[ReplayFrame]) -> list[StoredFrame]:
    push: list[StoredFrame] = []
    size = 0
    for frame in frames:
        push.append(frame)
        size += frame.inflated
        if size >= _PUSH_BYTES - _FRAME_BYTES:
            break
    return push


def _frames(archive: Path, file: ArchiveFile, from_ns: int, to_ns: int) -> Iterator[ReplayFrame]:
    import pyarrow.parquet as pq

    position = 0
    rows: list[tuple[str, str, int, str]] = []
    size = 0
    with pq.ParquetFile(data_path(archive, file.name)) as parquet:
        for batch in parquet.iter_batches(8192, columns=["labels", "metadata", "ts", "line"]):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if not from_ns <= row[2] < to_ns:
                    continue
                rows.append(row)
                # Characters, and something for the time and brackets; escapes add to it, so stay well below.
                size += len(row[1]) + len(row[3]) + 32
                if size >= _FRAME_BYTES // 2:
                    yield _frame(file.tenant, rows, position)
                    rows, size, position = [], 0, position + 1
    if rows:
        yield _frame(file.tenant, rows, position)


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
