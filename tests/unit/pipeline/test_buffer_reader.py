"""Reading a log from another process, while its owner appends, rolls and reclaims."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from buffer_frames import kill, make_frame, make_request, open_wal, segments, stored, unplaced
from headrig import CorruptionError

from pipeline.buffer import Frame, SegmentGone, StoredFrame, read_frames
from pipeline.buffer import reader as reading
from pipeline.buffer.frame import FIXED


def read(directory: Path, after: int = 0) -> list[StoredFrame]:
    """Read all, and again when a segment goes meanwhile."""
    while True:
        try:
            return list(read_frames(directory, after))
        except SegmentGone:
            continue


async def test_a_reader_finds_what_the_owner_has(tmp_path: Path) -> None:
    """All tenants, from any frame on; frames that carry only counts are passed over."""
    assert read(tmp_path / "nowhere") == []
    wal = open_wal(tmp_path, segment_bytes=400)
    for number in range(20):
        await wal.append(make_request(number, 2, tenant=f"tenant{number % 3}"))
        await wal.append([Frame("counts", 0, 0, 0, 0, (), {"received": number}, b"")])
    every = stored(wal)
    assert read(tmp_path) == every
    for frame in every:
        assert read(tmp_path, frame.end) == stored(wal, after=frame.end)
    assert read(tmp_path, wal.end) == []
    await wal.close()
    assert read(tmp_path) == every


async def test_a_reader_stops_at_a_torn_tail(tmp_path: Path) -> None:
    """A write that goes on, or that a crash tore, is not there yet."""
    wal = open_wal(tmp_path)
    await wal.append(make_request(1, 1))
    await wal.append(make_request(2, 2))
    kill(wal)
    (path,) = segments(tmp_path)
    data = path.read_bytes()
    frames = read(tmp_path)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert read(tmp_path) == [frame for frame in frames if frame.end <= size]
        path.write_bytes(data[:size] + bytes(len(data) - size))
        assert read(tmp_path) == [frame for frame in frames if frame.end <= size]


async def test_a_reader_does_not_pass_over_damage(tmp_path: Path) -> None:
    """A frame that was durable once, in any segment, is named; frames of the last write are as good as torn."""
    wal = open_wal(tmp_path, segment_bytes=500)
    for number in range(9):
        await wal.append(make_request(number, 1))
    kill(wal)
    paths = segments(tmp_path)
    frames = read(tmp_path)
    assert len(paths) > 2
    for path in paths:
        first, data = int(path.stem), path.read_bytes()
        for frame in frames:
            if not first < frame.position < first + len(data):
                continue
            at = frame.position - first
            path.write_bytes(data[: at + 30] + b"?" + data[at + 31 :])
            before = [other for other in frames if other.position < frame.position]
            found: list[StoredFrame] = []
            if frame is frames[-1]:
                assert read(tmp_path) == before
            else:
                with pytest.raises(CorruptionError, match=f"{path.name} at byte {at}: "):
                    found += read_frames(tmp_path)
        path.write_bytes(data)


async def test_a_write_during_the_look_at_the_tail_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader saw half of a write, and the next write was there when it looked closer: it looks once more."""
    wal = open_wal(tmp_path)
    for number in range(3):
        await wal.append(make_request(number, 1))
    kill(wal)
    (path,) = segments(tmp_path)
    data = path.read_bytes()
    second = read(tmp_path)[1].position
    path.write_bytes(data[: second + 90] + bytes(20))
    plain = os.pread
    looks = []

    def pread(fd: int, size: int, offset: int) -> bytes:
        found = plain(fd, size, offset)
        if offset < second:  # both writes are done while the closer look copies the file
            path.write_bytes(data[: second + 90] + bytes(20) + data[second + 110 :])
        else:
            looks.append(offset)
            path.write_bytes(data)
        return found

    monkeypatch.setattr(reading.os, "pread", pread)
    assert len(list(read_frames(tmp_path))) == 1
    assert looks == [second, second]
    monkeypatch.setattr(reading.os, "pread", plain)
    assert len(list(read_frames(tmp_path))) == 3


async def test_a_segment_that_goes_while_it_is_read_is_told(tmp_path: Path) -> None:
    """One that is open is read to its end; the next one is gone."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(4):
        await wal.append(make_request(number, 1))
    expected = stored(wal)
    walk = read_frames(tmp_path)
    assert next(walk) == expected[0]
    wal.cursor("acme", "loki").commit(expected[1].end, 2, {})
    wal.reclaim()
    with pytest.raises(SegmentGone):
        next(walk)
    assert read(tmp_path) == expected[2:]
    kill(wal)


async def test_headers_count_whatever_the_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header may lie anywhere in what is read at a time."""
    wal = open_wal(tmp_path)
    for number in range(12):
        await wal.append([make_frame("acme", number, records=number, size=number * 37)])
        await wal.append([make_frame("t" * 1000, number, records=1)])
    for chunk in (FIXED.size + 1024, 1300, 2000, 5000):
        monkeypatch.setattr(reading, "_HEAD_CHUNK", chunk)
        assert wal.buffered("acme", "loki") == sum(range(12))
        assert wal.buffered("t" * 1000, "archive") == 12
    kill(wal)


async def test_a_count_stops_where_a_segment_was_cut(tmp_path: Path) -> None:
    """What is not on disk does not count, and the next segment does."""
    wal = open_wal(tmp_path, segment_bytes=300)
    for number in range(6):
        await wal.append(make_request(number, 1))
    assert wal.buffered("acme", "loki") == 6
    path = segments(tmp_path)[1]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert wal.buffered("acme", "loki") == 5
    kill(wal)


TOTAL = 400


def _own(directory: Path, done: Event) -> None:
    """Append, deliver and reclaim, in a process of its own."""
    import asyncio

    async def run() -> None:
        wal = open_wal(directory, segment_bytes=1500)
        cursor = wal.cursor("acme", "loki")
        for number in range(TOTAL):
            await wal.append([make_frame(number=number, size=60)])
            if number % 10 == 9 and (frames := wal.scan("acme", cursor.position, max_bytes=300)):
                cursor.commit(frames[-1].end, len(frames), {})
                wal.reclaim()
        await wal.close()

    asyncio.run(run())
    done.set()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Event]:
    """The owner at work."""
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    process = context.Process(target=_own, args=(tmp_path / "log", done))
    process.start()
    yield done
    process.join(20)
    assert process.exitcode == 0


def test_another_process_reads_without_gaps_while_the_owner_works(tmp_path: Path, owner: Event) -> None:
    """Whatever a reading finds is contiguous, reaches at least as far as the one before, and is never damaged."""
    last, readings = -1, 0
    deadline = time.monotonic() + 20
    while last < TOTAL - 1 and time.monotonic() < deadline:
        finished = owner.is_set()
        numbers = [frame.min_ns for frame in read(tmp_path / "log")]
        if numbers:
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert numbers[-1] >= last
            last = numbers[-1]
            readings += 1
        assert not finished or last == TOTAL - 1
    assert readings > 3
    assert unplaced(read(tmp_path / "log")[-1]) == unplaced(make_frame(number=TOTAL - 1, size=60))
