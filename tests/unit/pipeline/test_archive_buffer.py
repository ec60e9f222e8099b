"""The archive behind the real buffer: frames go from the log to Parquet, and are found all the way."""

from __future__ import annotations

from archive_frames import ME, Reading, S, lines
from push_frames import NOW

from pipeline.buffer import Frame, SegmentGone, Wal, read_frames
from pipeline.query.recent import Log
from pipeline.query.store import Store
from pipeline.sinks.archive import ArchiveSink


def to_append(number, tenant="acme"):
    """A frame of the buffer with some lines."""
    made = lines(number, *(f"{number}-{k}" for k in range(50)), tenant=tenant)
    return Frame(made.tenant, made.records, made.inflated, made.min_ns, made.max_ns, (), {}, made.payload)


def found(reading):
    """All lines of the tenant."""
    return reading.found('{service_name="shop"}', end=str(NOW + 10**6 * S))


def opened(directory):
    """The buffer, with segments that one frame fills."""
    return Wal.open(directory, segment_bytes=512, max_bytes=1 << 30, sinks=["archive"])


async def test_archive_takes_over_from_the_buffer(tmp_path):
    """Appended, archived, committed, reclaimed, reopened: at each moment each acknowledged line is found once."""
    reading = Reading(tmp_path)
    reading.api._store = Store(
        reading.archive,
        lambda: [Log(reading.buffer, lambda after: read_frames(reading.buffer, after))],
        gone=(SegmentGone,),
    )
    wal = opened(reading.buffer)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    expected = []
    for number in range(6):
        await wal.append([to_append(number), to_append(number, "other")])
        expected += [f"{number}-{k}" for k in range(50)]
        assert found(reading) == expected
        if number % 2:
            cursor = wal.cursor("acme", "archive")
            frames = wal.scan("acme", cursor.position, max_bytes=1 << 20)
            delivery = await sink.write(frames)
            assert found(reading) == expected
            cursor.commit(frames[-1].end, delivery.delivered, {})
            other = wal.cursor("other", "archive")
            rest = wal.scan("other", other.position, max_bytes=1 << 20)
            other.commit(rest[-1].end, (await sink.write(rest)).delivered, {})
            wal.reclaim()
            assert found(reading) == expected
    await wal.close()
    await sink.close()
    wal = opened(reading.buffer)
    again = ArchiveSink.open(reading.archive, reading.buffer)
    assert again.writer == sink.writer
    assert wal.scan("acme", wal.cursor("acme", "archive").position, max_bytes=1 << 20) == []
    assert found(reading) == expected
    assert len(reading.found('{service_name="shop"}', type(ME)("other"))) == 300
    await wal.close()
    await again.close()
    reading.api._store.close()
