"""Scans: every frame once, in order, and damage is never an end."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest
from buffer_frames import (
    NOW,
    Gate,
    kill,
    make_frame,
    make_request,
    mark,
    open_wal,
    segments,
    stored,
    turn,
)
from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer import reader


async def test_a_scan_sees_what_a_reader_of_all_would(tmp_path: Path) -> None:
    """Any tenant, from any frame or edge of a segment, within any bound; before and behind the ends, too."""
    chance = random.Random(1)
    tenants = ["a", "acme", "äöü", "t" * 100]
    wal = open_wal(tmp_path, segment_bytes=1500, clock=lambda: NOW)
    for number in range(60):
        tenant = chance.choice(tenants)
        await wal.append(
            [make_frame(tenant, number, records=chance.randrange(3), size=chance.randrange(300))]
        )
    every = stored(wal)
    assert len(segments(tmp_path)) > 5
    firsts = [int(path.stem) for path in segments(tmp_path)]
    places = {
        0,
        wal.end,
        wal.end + 999,
        *(frame.position for frame in every),
        *(frame.end for frame in every),
    }
    places |= {first + extra for first in firsts for extra in (0, 1, 23, 24)}
    for tenant in [None, *tenants, "nobody"]:
        for after in sorted(places):
            expected = [f for f in every if f.position >= after and tenant in (None, f.tenant)]
            assert wal.scan(tenant, after, max_bytes=1 << 40) == expected
            for bound in (0, 300, 700):
                found = wal.scan(tenant, after, max_bytes=bound)
                assert found == expected[: len(found)]
                assert bool(found) == bool(expected)
                assert len(found) == 1 or sum(len(f.payload) for f in found) <= bound
                following = expected[len(found) : len(found) + 1]
                assert not following or sum(len(f.payload) for f in found + following) > bound
    await wal.close()


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_a_chunk_may_end_anywhere_in_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tenant: str | None
) -> None:
    """In a tenant's name, too: a name that is cut off is not another tenant's. Frames larger than a chunk are read whole."""
    wal = open_wal(tmp_path)
    for number in range(8):
        await wal.append(
            [make_frame("acme", number, size=30 + 100 * (number % 3)), make_frame("acm", number, size=50)]
        )
    expected = [f for f in stored(wal) if tenant in (None, f.tenant)]
    assert len(expected) == (8 if tenant else 16)
    for chunk in range(110, 420):
        monkeypatch.setattr(reader, "_CHUNK", chunk)
        assert stored(wal, tenant) == expected, chunk
    await wal.close()


async def test_a_damaged_frame_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    """Also when it is another tenant's: its header says where the next frame is."""
    wal = open_wal(tmp_path)
    for number in range(3):
        await wal.append([make_frame("acme", number), make_frame("other", number)])
    frames = stored(wal)
    (path,) = segments(tmp_path)
    data = path.read_bytes()
    for victim in frames[2:4]:
        for at in range(victim.position, victim.end, 7):
            path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
            for tenant in ("acme", "other", None):
                before = [f for f in frames if f.end <= victim.position and tenant in (None, f.tenant)]
                assert stored(wal, tenant) == before  # can still be delivered
                with pytest.raises(CorruptionError, match=f"{path.name} at byte {victim.position}: "):
                    stored(wal, tenant, before[-1].end)
                assert stored(wal, tenant, victim.end) == [
                    f for f in frames if f.position >= victim.end and tenant in (None, f.tenant)
                ]
    kill(wal)


async def test_a_segment_that_somebody_removed_is_an_error(tmp_path: Path) -> None:
    """Its frames are lost, which must not look like delivered."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(3):
        await wal.append(make_request(number, 1))
    segments(tmp_path)[1].unlink()
    before = stored(wal)
    assert [f.bids for f in before] == [(mark(0),)]
    with pytest.raises(CorruptionError, match="missing"):
        stored(wal, after=before[-1].end)
    kill(wal)


async def test_a_scan_while_a_segment_begins_sees_the_old_ones(tmp_path: Path) -> None:
    """The new file is not there yet, and nothing in it would be durable."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path, segment_bytes=100)
        await wal.append(make_request(1, 1))
        before, cursor = stored(wal), wal.cursor("acme", "loki")
        held = threading.Event()

        class Late(Gate):
            def create(self, path: Path) -> int:
                held.wait(10)
                return super().create(path)

        with durable.using(Late()):
            task = asyncio.create_task(wal.append(make_request(2, 1)))
            await turn()
            for tenant in ("acme", None):
                assert stored(wal, tenant) == before
                assert stored(wal, tenant, wal.end) == []
            assert wal.buffered("acme", "loki") == 1
            cursor.commit(wal.end, 1, {})
            wal.reclaim()
            assert stored(wal) == before
            held.set()
            await task
        assert len(stored(wal)) == 2
        await wal.close()


async def test_readers_and_reclaimers_beside_the_writer(tmp_path: Path) -> None:
    """Threads scan, commit and reclaim while others append and roll: every frame is seen once, in order."""
    wal = open_wal(tmp_path, segment_bytes=2000, sinks=["loki", "archive"])
    total, tenants = 300, ["a", "b"]

    def consume(tenant: str, sink: str) -> list[bytes]:
        seen: list[bytes] = []
        cursor = wal.cursor(tenant, sink)
        while len(seen) < total:
            frames = wal.scan(tenant, cursor.position, max_bytes=500)
            seen += [frame.payload for frame in frames]
            if frames:
                cursor.commit(frames[-1].end, len(frames), {})
                wal.reclaim()
            wal.buffered(tenant, sink)
        return seen

    work = [
        asyncio.create_task(asyncio.to_thread(consume, t, s)) for t in tenants for s in ("loki", "archive")
    ]
    for number in range(total):
        await wal.append([make_frame(tenant, number, size=60) for tenant in tenants])
    for task, tenant in zip(work, "aabb", strict=True):
        assert await task == [make_frame(tenant, number, size=60).payload for number in range(total)]
    assert [wal.buffered(t, s) for t in tenants for s in ("loki", "archive")] == [0] * 4
    await wal.close()
    assert len(segments(tmp_path)) <= 2
