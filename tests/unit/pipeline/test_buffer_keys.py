"""Batch ids outlive their segments for 24 hours, and take a bounded place."""

from __future__ import annotations

from pathlib import Path

import pytest
from buffer_frames import NOW, kill, make_request, mark, open_wal, segments

from pipeline.buffer import keys
from pipeline.buffer.keys import FIXED, KEEP_SECONDS, ROW, KeyFiles, KnownIds


def known(*ids: tuple[int, int]) -> KnownIds:
    """Make ids of (number, seconds)."""
    made = KnownIds()
    for number, seconds in ids:
        made.add([mark(number)], seconds)
    return made


def files(directory: Path) -> list[Path]:
    """Return the key files."""
    return sorted((directory / "keys").iterdir())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A directory for key files."""
    (tmp_path / "keys").mkdir()
    return tmp_path


def opened(log: Path, now: int = NOW) -> KeyFiles:
    """Load the files."""
    made = KeyFiles(log)
    made.load(now)
    return made


def test_ids_come_back_oldest_first(log: Path) -> None:
    """With body and time, and marked as complete; a request without its last frame has no id here."""
    ids = known((1, NOW), (2, NOW + 1))
    ids.add([mark(3, last=False)], NOW)
    opened(log).add(24, ids, NOW)
    opened(log).add(7, known((4, NOW)), NOW)
    assert list(KeyFiles(log).load(NOW)) == [(mark(4), NOW), (mark(1), NOW), (mark(2), NOW + 1)]
    assert len(ids) == 2


def test_ids_go_after_24_hours_and_files_with_them(log: Path) -> None:
    """One by one when they are loaded; as whole files, also while the log is at work."""
    made = opened(log)
    made.add(1, known((1, NOW), (2, NOW + 10)), NOW)
    made.add(2, known((3, NOW + 20)), NOW)
    assert [m for m, _ in KeyFiles(log).load(NOW + KEEP_SECONDS - 1)] == [mark(1), mark(2), mark(3)]
    assert [m for m, _ in KeyFiles(log).load(NOW + KEEP_SECONDS)] == [mark(2), mark(3)]
    assert len(files(log)) == 2
    made.add(3, KnownIds(), NOW + KEEP_SECONDS + 10)
    assert [path.stem for path in files(log)] == [f"{2:020d}"]
    assert list(KeyFiles(log).load(NOW + KEEP_SECONDS + 20)) == []
    assert files(log) == []


def test_only_so_many_ids_are_kept(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones, in memory and on disk."""
    monkeypatch.setattr(keys, "MOST_IDS", 10)
    made = opened(log)
    for first in range(20):
        made.add(first, known(*((first * 4 + n, NOW) for n in range(4))), NOW)
        assert len(files(log)) <= 3
    ids = KeyFiles(log).load(NOW)
    ids.trim()
    assert [m for m, _ in ids] == [mark(number) for number in range(70, 80)]
    many = KnownIds()
    for number in range(1000):
        many.add([mark(number)], NOW)
        assert len(many) <= 2 * 10


def test_a_flipped_bit_costs_the_file_and_nothing_else(log: Path) -> None:
    """A wrong id would make a duplicate of what never came."""
    made = opened(log)
    made.add(1, known((1, NOW)), NOW)
    made.add(2, known((2, NOW), (3, NOW)), NOW)
    path = files(log)[1]
    data = path.read_bytes()
    assert len(data) == FIXED.size + 2 * ROW.size
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        assert [m for m, _ in KeyFiles(log).load(NOW)] == [mark(1)]
        assert files(log) == [path.with_name(f"{1:020d}.keys")]  # it is of no use to anybody
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert len(KeyFiles(log).load(NOW)) == 1


@pytest.mark.parametrize("clock", [-1, 1 << 33])
def test_a_wild_clock_does_not_stop_a_reclaim(log: Path, clock: int) -> None:
    """Times are kept in 32 bits."""
    made = opened(log, clock)
    made.add(1, known((1, clock)), clock)
    assert len(known((1, clock))) == 1


async def test_ids_of_reclaimed_segments_are_recovered(tmp_path: Path) -> None:
    """Every request once, whether its segment is there or not; the youngest 24 hours."""
    now = [NOW]
    wal = open_wal(tmp_path, segment_bytes=100, clock=lambda: now[0])
    for number in range(5):
        now[0] = NOW + number
        end = await wal.append(make_request(number, 2))
        if number == 2:
            wal.cursor("acme", "loki").commit(end, 6, {})
    wal.reclaim()
    assert len(segments(tmp_path)) == 2
    assert len(files(tmp_path)) == 3
    kill(wal)
    again = open_wal(tmp_path, segment_bytes=100, clock=lambda: NOW + 4)
    assert [(m.bid, at) for m, at in again.recovered.bids] == [(mark(n).bid, NOW + n) for n in range(5)]
    kill(again)
    again = open_wal(tmp_path, segment_bytes=100, clock=lambda: NOW + KEEP_SECONDS + 1)
    assert [at for _, at in again.recovered.bids] == [NOW + 2, NOW + 3, NOW + 4]
    assert len(files(tmp_path)) == 1
    kill(again)


async def test_ids_that_are_old_when_their_segment_goes_are_not_written(tmp_path: Path) -> None:
    """A sink that was away for days has nothing to keep."""
    now = [NOW]
    wal = open_wal(tmp_path, segment_bytes=100, clock=lambda: now[0])
    for number in range(3):
        end = await wal.append(make_request(number, 1))
    wal.cursor("acme", "loki").commit(end, 3, {})
    now[0] += KEEP_SECONDS
    wal.reclaim()
    assert len(segments(tmp_path)) == 1
    assert files(tmp_path) == []
    kill(wal)
