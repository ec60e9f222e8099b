"""What a log remembers outside its segments: how far it reached, and what is gone from its middle."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from buffer_frames import Gate, kill, make_frame, make_request, open_wal, segments, stored
from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer import SegmentGone, Wal, extent, read_frames
from pipeline.buffer.extent import Extent


async def pinned(directory: Path, segment_bytes: int = 100) -> Wal:
    """Make a log of six segments, all but the second and the fifth delivered; reclaim it."""
    wal = open_wal(directory, segment_bytes=segment_bytes)
    for number in range(6):
        tenant = "slow" if number in (1, 4) else "acme"
        end = await wal.append([make_frame(tenant, number, counters={"stored": number + 1})])
    wal.cursor("acme", "loki").commit(end, 4, {})
    wal.cursor("slow", "loki")
    wal.reclaim()
    return wal


@pytest.mark.parametrize("ending", ["in order", "killed"])
async def test_a_tenant_that_waits_keeps_its_own_segments_only(tmp_path: Path, ending: str) -> None:
    """What lies between goes; everything else is read, counted and found again after a restart."""
    wal = await pinned(tmp_path)
    names = [path.name for path in segments(tmp_path)]
    assert len(names) == 3
    frames = stored(wal)
    assert [frame.tenant for frame in frames] == ["slow", "slow", "acme"]
    assert list(read_frames(tmp_path)) == frames
    assert list(read_frames(tmp_path, frames[0].end)) == frames[1:]
    assert wal.buffered("slow", "loki") == 2
    if ending == "in order":
        await wal.close()
    else:
        kill(wal)
    wal = open_wal(tmp_path, segment_bytes=100)
    assert [path.name for path in segments(tmp_path)] == names
    assert stored(wal) == list(read_frames(tmp_path)) == frames
    assert wal.buffered("slow", "loki") == 2
    wal.cursor("slow", "loki").commit(frames[1].end, 2, {})
    wal.reclaim()
    assert [path.name for path in segments(tmp_path)] == names[-1:]
    await wal.close()
    again = open_wal(tmp_path)
    assert stored(again) == frames[2:]
    kill(again)


async def test_one_slow_tenant_does_not_fill_the_buffer(tmp_path: Path) -> None:
    """Many times its bound goes through for the others."""
    wal = open_wal(tmp_path, segment_bytes=1000, max_bytes=8000)
    await wal.append([make_frame("slow", 0)])
    wal.cursor("slow", "loki")
    for number in range(1, 60):
        end = await wal.append([make_frame("fast", number, size=700)])
        wal.cursor("fast", "loki").commit(end, 1, {})
        wal.reclaim()
    assert [frame.tenant for frame in stored(wal, "slow")] == ["slow"]
    await wal.close()


async def test_a_segment_taken_from_beside_a_gap_is_missed(tmp_path: Path) -> None:
    """A gap excuses what lies within it, and nothing more; for the owner and for other readers."""
    kill(await pinned(tmp_path))
    _, second, last = segments(tmp_path)
    second.unlink()
    with pytest.raises(CorruptionError, match=last.stem):
        open_wal(tmp_path)
    with pytest.raises(CorruptionError):
        list(read_frames(tmp_path))


async def test_a_segment_cut_short_before_a_gap_is_damage(tmp_path: Path) -> None:
    """Its end is known from the gap."""
    kill(await pinned(tmp_path))
    first = segments(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(CorruptionError):
        open_wal(tmp_path)
    with pytest.raises(CorruptionError):
        list(read_frames(tmp_path))


async def test_what_a_crash_leaves_within_a_gap_goes_again(tmp_path: Path) -> None:
    """The extent is there, the segments are not yet removed."""

    class Dying(durable.Files):
        def unlink(self, path: Path) -> None:
            if path.suffix == ".seg":
                raise KeyboardInterrupt
            super().unlink(path)

    with durable.using(Dying()), pytest.raises(KeyboardInterrupt):
        await pinned(tmp_path)
    assert len(segments(tmp_path)) == 6
    assert len(extent.load(tmp_path).gaps) == 1
    (tmp_path / "LOCK").unlink()  # the log that died here still holds it
    wal = open_wal(tmp_path, segment_bytes=100)
    assert len(stored(wal)) == 6
    wal.reclaim()
    assert len(segments(tmp_path)) == 3
    await wal.close()


class _Stopping(durable.Files):
    """A process that dies before it has removed so many segments, or a disk that will not say that one is gone."""

    def __init__(self, removals: int | None = None) -> None:
        self.removals = removals

    def unlink(self, path: Path) -> None:
        if path.suffix == ".seg" and self.removals is not None:
            if not self.removals:
                raise KeyboardInterrupt
            self.removals -= 1
        super().unlink(path)

    def sync_dir(self, path: Path, site: str) -> None:
        if site == "buffer.reclaim.remove-dir" and self.removals is None:
            raise OSError(errno.EIO, "no luck")
        super().sync_dir(path, site)


@pytest.mark.parametrize("removals", range(4))
async def test_a_death_while_front_and_middle_go_leaves_a_log_that_opens(
    tmp_path: Path, removals: int
) -> None:
    """Between any two removals the gaps of before and of after are both known, to the owner and to other readers."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number, tenant in enumerate("babcaz"):
        await wal.append([make_frame(tenant, number, counters={"stored": number + 1})])
    frames = stored(wal)
    wal.cursor("a", "loki").commit(frames[1].end, 1, {})
    for tenant in "bcz":
        wal.cursor(tenant, "loki")
    wal.reclaim()  # a gap between the two segments of b
    wal.cursor("a", "loki").commit(frames[4].end, 1, {})
    wal.cursor("b", "loki").commit(frames[2].end, 2, {})
    with durable.using(_Stopping(removals)):
        try:
            wal.reclaim()  # both of b, at the front, and the one behind c
        except KeyboardInterrupt:
            assert removals < 3
        else:
            assert removals == 3
    left = [frame.tenant for frame in read_frames(tmp_path)]
    assert "c" in left
    assert "z" in left
    kill(wal)
    again = open_wal(tmp_path, segment_bytes=100)
    assert [frame.tenant for frame in stored(again)] == left
    await again.close()


async def test_a_removal_of_unknown_outcome_is_no_damage_later(tmp_path: Path) -> None:
    """The name is gone and its directory would not sync: the log goes on, closes and opens without the segment."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number, tenant in enumerate("bab"):
        await wal.append([make_frame(tenant, number, counters={"stored": number + 1})])
    wal.cursor("b", "loki")
    wal.cursor("a", "loki").commit(stored(wal)[1].end, 1, {})
    with durable.using(_Stopping()), pytest.raises(OSError, match="no luck"):
        wal.reclaim()
    await wal.close()
    again = open_wal(tmp_path, segment_bytes=100)
    assert [frame.tenant for frame in stored(again)] == ["b", "b"]
    await again.close()


async def test_a_reader_that_is_overtaken_starts_again(tmp_path: Path) -> None:
    """A segment, and the gap behind it, go while another process reads."""
    wal = await pinned(tmp_path)
    walk = read_frames(tmp_path)
    first = next(walk)
    wal.cursor("slow", "loki").commit(stored(wal)[1].end, 2, {})
    wal.reclaim()
    await wal.close()  # forgets the gap
    with pytest.raises(SegmentGone):
        list(walk)
    assert first not in list(read_frames(tmp_path))


@pytest.mark.parametrize("change", ["frame", "segment", "all"])
async def test_what_is_taken_off_a_closed_log_is_missed(tmp_path: Path, change: str) -> None:
    """The end of the log is known outside of its last segment: it does not start without it."""
    wal = open_wal(tmp_path, segment_bytes=300)
    for number in range(6):
        await wal.append(make_request(number, 1))
    last = stored(wal)[-1]
    await wal.close()
    *_, path = segments(tmp_path)
    if change == "frame":
        path.write_bytes(path.read_bytes()[: last.position - int(path.stem)])
    elif change == "segment":
        path.unlink()
    else:
        for one in segments(tmp_path):
            one.unlink()
    with pytest.raises(CorruptionError, match="reached"):
        open_wal(tmp_path)


async def test_a_log_that_was_closed_goes_on(tmp_path: Path) -> None:
    """The end that is remembered is a least one: appends, crashes and torn writes come behind it."""
    wal = open_wal(tmp_path)
    await wal.append(make_request(1, 1))
    await wal.close()
    wal = open_wal(tmp_path)
    await wal.append(make_request(2, 1))
    kill(wal)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + b"torn")
    wal = open_wal(tmp_path)
    assert wal.recovered.truncated_bytes == 4
    assert len(stored(wal)) == 2
    kill(wal)


async def test_an_extent_that_cannot_be_written_at_the_end_costs_nothing(tmp_path: Path) -> None:
    """A full disk does not keep a log from closing."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        await wal.append(make_request(1, 1))
        gate.fail = "write"
        await wal.close()
    wal = open_wal(tmp_path)
    assert len(stored(wal)) == 1
    kill(wal)


def test_an_extent_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    """Without a file nothing is known; a damaged one stops everything, byte by byte."""
    assert extent.load(tmp_path) == Extent()
    known = Extent(700, ((100, 200), (300, 450)), ("loki", "archive"))
    extent.store(tmp_path, known)
    assert extent.load(tmp_path) == known
    assert known.covers(100, 200)
    assert known.covers(310, 440)
    assert not known.covers(99, 200)
    assert not known.covers(150, 301)
    path = tmp_path / extent.NAME
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CorruptionError):
            extent.load(tmp_path)
        path.write_bytes(data[:at])
        with pytest.raises(CorruptionError):
            extent.load(tmp_path)
