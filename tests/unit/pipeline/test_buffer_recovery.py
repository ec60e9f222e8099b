"""Opening after a crash keeps exactly the whole requests; opening after damage changes nothing."""

from __future__ import annotations

import logging
import shutil
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from buffer_frames import bid, kill, make_frame, make_request, mark, open_wal, segments, stored, unplaced
from headrig import CorruptionError
from power_cut import Unsynced

from pipeline import durable
from pipeline.buffer import Frame, Wal
from pipeline.buffer.frame import FIXED, decode_header, encode
from pipeline.buffer.segment import HEADER, encode_header, segment_path


async def write(directory: Path, appends: Sequence[Sequence[Frame]], **options: int) -> Wal:
    """Append one after the other, each in a write of its own, and die."""
    wal = open_wal(directory, **options)
    for frames in appends:
        await wal.append(frames)
    kill(wal)
    return wal


def tree(directory: Path) -> dict[str, bytes]:
    """Return all files but the lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


def positions(path: Path, first: int = 0) -> list[int]:
    """Return the offsets of the frames of a segment, and its end."""
    data, found = path.read_bytes(), [HEADER.size]
    while header := decode_header(data, found[-1], first + found[-1]):
        found.append(found[-1] + header.length)
    return found


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """Do not wait for the disk: these tests open a log a thousand times. Syncs are tested with power cuts."""
    with durable.using(Unsynced()):
        yield


@pytest.fixture
def copies(tmp_path: Path) -> Iterator:
    """Make copies of a log, each to be broken in its own way."""

    def make(origin: Path, name: object) -> Path:
        return Path(shutil.copytree(origin, tmp_path / f"copy{name}"))

    return make


async def test_a_log_cut_anywhere_keeps_exactly_the_whole_requests(tmp_path: Path, copies) -> None:
    """One write of a request in one frame, one in three, and two more; cut at each byte."""
    requests = [make_request(1, 1), make_request(2, 3), make_request(3, 2), make_request(4, 1)]
    frames = [frame for request in requests for frame in request]
    await write(tmp_path / "log", [frames])
    (path,) = segments(tmp_path / "log")
    offsets = positions(path)
    ends = [offsets[1], offsets[4], offsets[6], offsets[7]]
    assert path.stat().st_size == ends[-1]
    for size in range(HEADER.size, ends[-1] + 1):
        copy = copies(tmp_path / "log", size)
        with (copy / path.name).open("r+b") as file:
            file.truncate(size)
        wal = open_wal(copy)
        whole = sum(end <= size for end in ends)
        kept = ends[whole - 1] if whole else HEADER.size
        assert [unplaced(frame) for frame in stored(wal)] == [
            unplaced(frame) for request in requests[:whole] for frame in request
        ]
        assert [known.bid for known, _ in wal.recovered.bids] == [bid(n + 1) for n in range(whole)]
        assert wal.recovered.truncated_bytes == size - kept
        assert wal.recovered.truncated_frames == sum(kept < offset <= size for offset in offsets)
        assert wal.recovered.counters == ({"acme": requests[whole - 1][-1].counters} if whole else {})
        assert (copy / path.name).stat().st_size == wal.end == kept
        end = await wal.append([make_frame(number=9)])
        assert unplaced(stored(wal, after=kept)[0]) == unplaced(make_frame(number=9))
        kill(wal)
        assert open_again(copy).end == end
        shutil.rmtree(copy)


def open_again(directory: Path) -> Wal:
    """Open, and let go."""
    wal = open_wal(directory)
    kill(wal)
    return wal


async def test_what_is_cut_off_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An operator can see how much it was, and where."""
    await write(tmp_path / "w0", [make_request(1, 1)])
    (path,) = segments(tmp_path / "w0")
    with path.open("ab") as file:
        file.write(b"torn")
    with caplog.at_level(logging.WARNING, "headrig.buffer"):
        wal = open_again(tmp_path / "w0")
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"w0/{path.name}: 4 bytes" in message
    assert f"byte {wal.end}" in message


async def test_a_flipped_bit_never_passes(tmp_path: Path, copies) -> None:
    """In what a later frame knows to be durable it stops the start; in the last write it cuts that off; nothing else."""
    appends = [make_request(1, 1), make_request(2, 2), make_request(3, 1)]
    await write(tmp_path / "log", appends)
    (path,) = segments(tmp_path / "log")
    offsets = positions(path)
    last = offsets[-2]
    data = path.read_bytes()
    for at in range(len(data)):
        copy = copies(tmp_path / "log", at)
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        (copy / path.name).write_bytes(broken)
        if at < last:
            before = tree(copy)
            with pytest.raises(CorruptionError) as caught:
                open_wal(copy)
            assert caught.value.file == path.name
            assert caught.value.offset == max([0, *(start for start in offsets if start <= at)])
            assert tree(copy) == before
        else:
            wal = open_again(copy)
            assert wal.recovered.truncated_bytes == len(data) - last
            assert [unplaced(frame) for frame in stored(wal)] == [unplaced(f) for a in appends[:2] for f in a]
        shutil.rmtree(copy)


async def test_after_an_orderly_end_damage_of_the_last_request_is_seen_too(tmp_path: Path, copies) -> None:
    """`close` leaves a frame behind that knows all others; one that is damaged itself costs nothing."""
    wal = open_wal(tmp_path / "log")
    await wal.append(make_request(1, 2))
    end = wal.end
    await wal.close()
    (path,) = segments(tmp_path / "log")
    data = path.read_bytes()
    for at in range(len(data)):
        copy = copies(tmp_path / "log", at)
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        (copy / path.name).write_bytes(broken)
        if at < end:
            with pytest.raises(CorruptionError):
                open_wal(copy)
        else:
            again = open_again(copy)
            assert again.recovered.counters == {"acme": {"stored": 101}}
            assert len(stored(again)) == 2
        shutil.rmtree(copy)


async def test_orderly_restarts_without_traffic_do_not_grow_the_log(tmp_path: Path) -> None:
    """The frame that `close` leaves is written once."""
    await write(tmp_path, [make_request(1, 1)])
    sizes = []
    for _ in range(3):
        wal = open_wal(tmp_path)
        await wal.close()
        sizes.append(segments(tmp_path)[0].stat().st_size)
    assert len(set(sizes)) == 1


async def test_a_damaged_last_write_that_a_sink_has_taken_is_damage(tmp_path: Path) -> None:
    """A cursor beyond what is whole tells that it was durable once."""
    wal = open_wal(tmp_path)
    end = await wal.append(make_request(1, 1))
    wal.cursor("acme", "loki").commit(end, 1, {})
    kill(wal)
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        CorruptionError, match=f"ends at {HEADER.size}, a sink has taken it up to {end}"
    ) as caught:
        open_wal(tmp_path)
    assert (caught.value.file, caught.value.offset) == (path.name, HEADER.size)
    assert path.read_bytes() == data


async def test_a_log_without_its_last_segments_does_not_begin_anew(tmp_path: Path) -> None:
    """New frames would get positions that the cursors are past, and never be sent."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(3):
        end = await wal.append(make_request(number, 1))
    wal.cursor("acme", "loki").commit(end, 3, {})
    kill(wal)
    for path in reversed(segments(tmp_path)):
        path.unlink()
        with pytest.raises(CorruptionError, match="a sink has taken it"):
            open_wal(tmp_path)


async def test_pages_of_one_write_may_reach_the_disk_in_any_order(tmp_path: Path, copies) -> None:
    """A hole in a group that was never acknowledged is a crash, not damage: what is before it stays."""
    first = make_request(1, 1)
    group = [make_frame(number=n, size=300, marks=[mark(n)]) for n in range(10, 20)]
    await write(tmp_path / "log", [first, group])
    (path,) = segments(tmp_path / "log")
    offsets = positions(path)
    data = path.read_bytes()
    for number, start in enumerate(offsets[1:-1]):
        copy = copies(tmp_path / "log", start)
        (copy / path.name).write_bytes(data[:start] + bytes(64) + data[start + 64 :])
        wal = open_again(copy)
        assert [unplaced(frame) for frame in stored(wal)] == [
            unplaced(frame) for frame in [*first, *group[:number]]
        ]
        assert wal.recovered.truncated_bytes == len(data) - start


async def test_a_hole_before_an_acknowledged_write_is_damage(tmp_path: Path) -> None:
    """The same hole, but one more write came after it."""
    group = [make_frame(number=n, size=300, marks=[mark(n)]) for n in range(10, 20)]
    await write(tmp_path, [group, make_request(1, 1)])
    (path,) = segments(tmp_path)
    start = positions(path)[4]
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(64) + data[start + 64 :])
    with pytest.raises(CorruptionError, match=f"{path.name} at byte {start}: a frame is damaged"):
        open_wal(tmp_path)


async def test_requests_of_one_group_that_overlap_stay_or_go_as_a_whole(tmp_path: Path, copies) -> None:
    """One ends in a frame in which another goes on: as long as any is open, nothing is complete."""
    frames = [
        make_frame(number=1, marks=[mark(1, last=False), mark(2, last=False)]),
        make_frame(number=2, marks=[mark(2)]),
        make_frame(number=3, marks=[mark(1)]),
    ]
    await write(tmp_path / "log", [frames])
    (path,) = segments(tmp_path / "log")
    offsets = positions(path)
    for whole, size in enumerate(offsets[1:], 1):
        copy = copies(tmp_path / "log", size)
        with (copy / path.name).open("r+b") as file:
            file.truncate(size)
        assert len(stored(open_again(copy))) == (3 if whole == 3 else 0)


async def test_a_stale_frame_behind_the_end_is_not_read(tmp_path: Path) -> None:
    """What a former life wrote for the same place, cut off and come back, has another position or write."""
    await write(tmp_path, [make_request(1, 1)])
    (path,) = segments(tmp_path)
    end = path.stat().st_size
    stale = encode(make_frame(number=5), end - 8, end - 8, 0)
    with path.open("ab") as file:
        file.write(stale)
    wal = open_again(tmp_path)
    assert (wal.end, wal.recovered.truncated_bytes) == (end, len(stale))


@pytest.mark.parametrize("length", [0, 79, (1 << 31) - 1, (1 << 32) - 1])
async def test_a_huge_or_tiny_length_at_the_end_is_a_torn_tail(tmp_path: Path, length: int) -> None:
    """Nothing is allocated for it, and nobody reads in a circle."""
    await write(tmp_path, [make_request(1, 1), make_request(2, 1)])
    (path,) = segments(tmp_path)
    start = positions(path)[-2]
    with path.open("r+b") as file:
        file.seek(start + 12)
        file.write(length.to_bytes(4, "little"))
    wal = open_again(tmp_path)
    assert wal.end == start
    assert len(stored(wal)) == 1


@pytest.mark.parametrize("size", range(0, HEADER.size, 5))
async def test_an_unborn_segment_goes(tmp_path: Path, size: int) -> None:
    """A crash came while its header was written; its name is free for the next one."""
    wal = await write(tmp_path, [make_request(1, 1)], segment_bytes=100)
    segment_path(tmp_path, wal.end).write_bytes(encode_header(wal.end)[:size])
    again = open_wal(tmp_path, segment_bytes=100)
    assert again.recovered.truncated_bytes == size
    assert len(segments(tmp_path)) == 1
    await again.append(make_request(2, 1))
    assert len(segments(tmp_path)) == 2
    await again.close()
    assert len(stored(open_again(tmp_path))) == 2


async def test_a_header_lost_while_pages_behind_it_survived_is_a_crash(tmp_path: Path) -> None:
    """The head of a new segment may take several pages; none of it was acknowledged."""
    wal = open_wal(tmp_path, segment_bytes=100)
    await wal.append([make_frame(f"tenant{n}", counters={"stored": n}) for n in range(30)])
    await wal.append(make_request(1, 1))
    kill(wal)
    path = segments(tmp_path)[1]
    data = path.read_bytes()
    cut = data[: positions(path, int(path.stem))[-2]]
    path.write_bytes(bytes(64) + cut[64:])
    again = open_again(tmp_path)
    assert len(segments(tmp_path)) == 1
    assert len(again.recovered.counters) == 30


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_damaged_header_stops_the_start(tmp_path: Path, place: int) -> None:
    """In the last segment, too, once a write came after it."""
    await write(tmp_path, [make_request(n, 1) for n in range(3)], segment_bytes=100)
    path = segments(tmp_path)[place]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    before = tree(tmp_path)
    with pytest.raises(CorruptionError, match=f"{path.name} at byte 0"):
        open_wal(tmp_path)
    assert tree(tmp_path) == before


async def test_the_only_segment_is_never_unborn_once_others_went_before_it(tmp_path: Path) -> None:
    """Those before it went because it was there; else the log would begin at 0 again."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(2):
        end = await wal.append(make_request(number, 1))
    wal.cursor("acme", "loki").commit(end, 2, {})
    wal.reclaim()
    kill(wal)
    (path,) = segments(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(CorruptionError, match="header"):
        open_wal(tmp_path)


async def test_a_gap_or_a_cut_between_segments_is_damage(tmp_path: Path, copies) -> None:
    """Only the last segment may end early."""
    await write(tmp_path / "log", [make_request(n, 2) for n in range(3)], segment_bytes=100)
    first, second, third = segments(tmp_path / "log")
    copy = copies(tmp_path / "log", "gap")
    (copy / second.name).unlink()
    with pytest.raises(CorruptionError, match=f"{third.name} at byte 0: begins at"):
        open_wal(copy)
    for place, path in enumerate((first, second)):
        offsets = positions(path, int(path.stem))
        for cut in (offsets[-1] - 1, offsets[-2]):
            copy = copies(tmp_path / "log", f"cut{place}.{cut}")
            with (copy / path.name).open("r+b") as file:
                file.truncate(cut)
            with pytest.raises(CorruptionError, match=path.name if cut != offsets[-2] else "last frame"):
                open_wal(copy)


async def test_counts_survive_a_torn_head(tmp_path: Path, copies) -> None:
    """A crash tears the head of a new segment, the ones before are delivered and go: no tenant's counts go with them."""
    tenants = [f"tenant{n}" for n in range(5)]
    wal = open_wal(tmp_path / "log", segment_bytes=100)
    await wal.append([make_frame(tenant, counters={"stored": 1}) for tenant in tenants])
    await wal.append(make_request(1, 1, tenant="other"))
    kill(wal)
    path = segments(tmp_path / "log")[1]
    for size in positions(path, int(path.stem)):
        copy = copies(tmp_path / "log", size)
        with (copy / path.name).open("r+b") as file:
            file.truncate(size)
        again = open_wal(copy, segment_bytes=100)
        await again.append(make_request(2, 1, tenant="other"))
        for tenant in again.tenants():
            again.cursor(tenant, "loki").commit(again.end, 1, {})
        again.reclaim()
        await again.close()
        last = open_again(copy)
        assert set(tenants) <= last.recovered.counters.keys()
        assert all(last.counters(tenant) == {"stored": 1} for tenant in tenants)


async def test_recovery_holds_one_segment_in_memory(tmp_path: Path) -> None:
    """A log is larger than memory may be."""
    size = 1 << 20
    wal = open_wal(tmp_path, segment_bytes=size)
    for number in range(8):
        await wal.append([make_frame(number=number, size=size)])
    kill(wal)
    tracemalloc.start()
    try:
        open_again(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * size


async def test_ids_of_old_frames_are_not_restored(tmp_path: Path) -> None:
    """24 hours, by the clock of their append."""
    now = [1_800_000_000]
    wal = open_wal(tmp_path, clock=lambda: now[0])
    await wal.append(make_request(1, 2))
    now[0] += 1
    await wal.append(make_request(2, 1))
    kill(wal)
    for seconds, left in ((86_398, [1, 2]), (86_399, [2]), (86_400, [])):
        again = open_wal(tmp_path, clock=lambda then=1_800_000_001 + seconds: then)
        assert [mark.bid for mark, _ in again.recovered.bids] == [bid(number) for number in left]
        kill(again)


def test_fixed_parts_are_as_long_as_documented() -> None:
    """What the byte tables say."""
    assert (FIXED.size, HEADER.size) == (80, 24)
