"""Frames to Parquet: the payload is decoded once into columns; labels, metadata and lines keep their bytes.

pyarrow is imported by the functions that need it: a worker that does not archive must not pay for it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from headrig import IntegrityError

from pipeline.archive_format.fragments import Row, decode, inflate
from pipeline.sinks.delivery import StoredFrame

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP_BYTES = 16 << 20
ROW_GROUP_LINES = 65_536
Refuse = Callable[[str, Sequence[tuple[bytes, Row]]], None]
"""Takes a tenant and records, each with its stream's labels as JSON, that cannot be archived; durable on return."""


def schema() -> pa.Schema:
    """Return the Parquet schema, version 1."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("tenant", text),
            ("labels", text),
            ("metadata", pa.string()),
            ("ts", pa.int64()),
            ("line", pa.string()),
        ],
        metadata={"headrig.archive": "1"},
    )


def parquet_writer(target: Any) -> Any:
    """Open a Parquet writer: zstd level 1, dictionaries for what repeats, statistics for times."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        target,
        schema(),
        compression="zstd",
        compression_level=1,
        use_dictionary=["tenant", "labels", "metadata"],
        column_encoding={"ts": "DELTA_BINARY_PACKED", "line": "PLAIN"},
        write_statistics=["ts"],
    )


def encode(frames: Iterable[tuple[StoredFrame, int]], refuse: Refuse) -> tuple[bytes, int, int, int] | None:
    """Turn frames of one tenant into one Parquet file.

    Args:
        frames: Each with the number of its first records to leave out.
        refuse: Called with the records of a frame that no column can hold; they are left out.

    Returns:
        The file's bytes, its lines, and its earliest and latest time in unix ns; None when no record is left.

    Raises:
        IntegrityError: A frame holds another number of records than its header says.
    """
    import pyarrow.compute as pc

    out = io.BytesIO()
    lines, low, high = 0, 1 << 63, -(1 << 63)
    waiting: list[pa.RecordBatch] = []
    size = 0
    with parquet_writer(out) as writer:
        for frame, skip in frames:
            batch = _columns(frame, skip, refuse)
            if not batch.num_rows:
                continue
            extremes = pc.min_max(batch.column("ts"))
            low, high = min(low, extremes["min"].as_py()), max(high, extremes["max"].as_py())
            lines += batch.num_rows
            waiting.append(batch)
            size += frame.inflated
            if size >= _ROW_GROUP_BYTES:
                writer.write_table(_joined(waiting))
                waiting, size = [], 0
        if waiting:
            writer.write_table(_joined(waiting))
    return (out.getvalue(), lines, low, high) if lines else None


def _joined(batches: list[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(batches).unify_dictionaries()


def _columns(frame: StoredFrame, skip: int, refuse: Refuse) -> pa.RecordBatch:
    try:
        fragments = decode(inflate(frame.payload))
    except ValueError as error:
        raise IntegrityError(f"the frame at {frame.position} does not decode ({error})") from None
    rows = list(chain.from_iterable(fragment.values for fragment in fragments))
    if len(rows) != frame.records:
        raise IntegrityError(
            f"the frame at {frame.position} holds {len(rows)} records, its header says {frame.records}"
        )
    of = list(chain.from_iterable(repeat(place, len(f.values)) for place, f in enumerate(fragments)))
    if skip:
        rows, of = rows[skip:], of[skip:]
    streams = [bytes(fragment.stream) for fragment in fragments]
    try:
        return _batch(frame.tenant, streams, of, rows)
    except (OverflowError, ValueError):
        good, bad = _sorted_out(rows)
        if not bad:
            raise IntegrityError(f"the frame at {frame.position} has no columns") from None
    refuse(frame.tenant, [(streams[of[place]], rows[place]) for place in bad])
    return _batch(frame.tenant, streams, [of[place] for place in good], [rows[place] for place in good])


def _sorted_out(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Return the places of the rows that the columns hold, and of the others."""
    good: list[int] = []
    bad: list[int] = []
    for place, row in enumerate(rows):
        fits = -(1 << 63) <= row.ts < 1 << 63
        try:
            bytes(row.metadata).decode()
        except UnicodeDecodeError:
            fits = False
        (good if fits else bad).append(place)
    return good, bad


def _batch(tenant: str, streams: Sequence[bytes], of: Sequence[int], rows: Sequence[Row]) -> pa.RecordBatch:
    import pyarrow as pa

    labels = pa.array(streams, pa.binary()).cast(pa.string())
    tenants = pa.DictionaryArray.from_arrays(
        pa.repeat(pa.scalar(0, pa.int32()), len(rows)), pa.array([tenant])
    )
    return pa.record_batch(
        [
            tenants,
            pa.DictionaryArray.from_arrays(pa.array(of, pa.int32()), labels),
            pa.array([bytes(row.metadata) for row in rows], pa.binary()).cast(pa.string()),
            pa.array([row.ts for row in rows], pa.int64()),
            pa.array([row.line for row in rows], pa.string()),
        ],
        schema=schema(),
    )
