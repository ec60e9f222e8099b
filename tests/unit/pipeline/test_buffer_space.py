"""Room that is set aside, and a disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from buffer_frames import make_request, open_wal, stored
from headrig import OverloadedError

from pipeline import durable
from pipeline.buffer.frame import prepare


async def test_room_that_is_set_aside_is_nobody_elses(tmp_path: Path) -> None:
    """Until the block ends or `put` takes it; what was too much is given back at once."""
    wal = open_wal(tmp_path, max_bytes=3000)
    frames = make_request(1, 1, size=1000)
    size = sum(prepare(frame).length for frame in frames)
    with wal.reserve(2000) as room:
        assert not wal.has_room(1000)
        with pytest.raises(OverloadedError), wal.reserve(1000):
            pass
        with pytest.raises(OverloadedError):
            await wal.append(make_request(2, 1, size=1000))
        await wal.put(frames, room)
        assert wal.has_room(1000)
    assert wal.has_room(3000 - 2 * size)
    with pytest.raises(KeyError), wal.reserve(1000):
        raise KeyError
    assert wal.has_room(1000)
    await wal.close()


async def test_more_than_was_set_aside_needs_room_of_its_own(tmp_path: Path) -> None:
    """Nothing is taken when there is none, and the rest stays set aside."""
    wal = open_wal(tmp_path, max_bytes=3000)
    with wal.reserve(100) as room:
        with pytest.raises(OverloadedError):
            wal.put(make_request(1, 1, size=2900), room)
        assert room.left == 100
        await wal.put(make_request(2, 1, size=1000), room)
    assert len(stored(wal)) == 1
    await wal.close()


class Disk(durable.Files):
    """A disk with little left."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.looks = 0

    def free_bytes(self, path: Path) -> int:
        self.looks += 1
        return self.free


async def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """As a full buffer: no write fails, so no worker ends; the disk is asked once a second at most."""
    disk = Disk(1 << 30)
    with durable.using(disk):
        wal = open_wal(tmp_path, max_bytes=8000)
        await wal.append(make_request(1, 1))
        wal._space._looked = float("-inf")
        disk.free = 1500  # an eighth of the bound is left to others
        looks = disk.looks
        for _ in range(3):
            assert not wal.has_room(600)
            with pytest.raises(OverloadedError):
                await wal.append(make_request(2, 1, size=600))
        assert disk.looks == looks + 1
        await wal.append(make_request(3, 1, size=100))
        assert not wal.has_room(400)  # what was taken since is not free any more
        wal._space._looked = float("-inf")
        disk.free = 1 << 30
        await wal.append(make_request(2, 1, size=600))
        await wal.close()
