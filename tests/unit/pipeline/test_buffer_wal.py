"""Appends: durable in order and together, or refused without a trace."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
from buffer_frames import (
    Gate,
    kill,
    make_frame,
    make_request,
    mark,
    on_disk,
    open_wal,
    segments,
    stored,
    turn,
    unplaced,
)
from headrig import ConfigError, CorruptionError, IntegrityError, OverloadedError

from pipeline import durable
from pipeline.buffer import lock


async def test_appends_that_come_meanwhile_share_one_write_and_one_sync(tmp_path: Path) -> None:
    """In the order of the calls, and each request's frames behind one another."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        gate.syncs.clear()
        gate.opened.clear()
        first = asyncio.create_task(wal.append(make_request(1, 1)))
        await turn()
        rest = [asyncio.create_task(wal.append(make_request(n, 2))) for n in range(2, 40)]
        await turn()
        assert not any(task.done() for task in [first, *rest])
        gate.opened.set()
        ends = await asyncio.gather(first, *rest)
        assert gate.syncs == ["buffer.append", "buffer.append"]
        assert len(set(ends)) == 2
        expected = [*make_request(1, 1), *(frame for n in range(2, 40) for frame in make_request(n, 2))]
        assert [unplaced(frame) for frame in stored(wal)] == [unplaced(frame) for frame in expected]
        await wal.close()


async def test_nothing_is_seen_before_it_is_durable(tmp_path: Path) -> None:
    """Neither by a scan, nor in the counts, nor by who waits."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        waiter = asyncio.create_task(wal.wait_beyond(wal.end))
        assert wal.cursor("acme", "loki").position == 0
        gate.opened.clear()
        append = asyncio.create_task(wal.append(make_request(1, 1)))
        await turn()
        assert (stored(wal), wal.tenants(), wal.counters("acme")) == ([], [], {})
        assert wal.buffered("acme", "loki") == 0
        assert not waiter.done()
        gate.opened.set()
        await append
        await waiter
        assert len(stored(wal)) == wal.buffered("acme", "loki") == 1
        assert (wal.tenants(), wal.counters("acme")) == (["acme"], {"stored": 100})
        await wal.close()


async def test_a_caller_that_goes_away_takes_nobody_along(tmp_path: Path) -> None:
    """What it shares a write with is written, and so is its own."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        gate.opened.clear()
        tasks = [asyncio.create_task(wal.append(make_request(n, 1))) for n in range(4)]
        await turn()
        tasks[0].cancel()
        tasks[2].cancel()
        await turn()
        gate.opened.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            asyncio.CancelledError, int, asyncio.CancelledError, int,
        ]  # fmt: skip
        assert [frame.bids for frame in stored(wal)] == [(mark(n),) for n in range(4)]
        await wal.close()


@pytest.mark.parametrize("fault", ["write", "buffer.append", "buffer.create"])
async def test_after_a_failed_write_the_log_takes_nothing(tmp_path: Path, fault: str) -> None:
    """All who waited are told, also who came meanwhile; what was durable stays readable, and a reopening goes on."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path, segment_bytes=100)
        end = await wal.append(make_request(1, 1))
        gate.opened.clear()
        gate.fail = fault
        tasks = [asyncio.create_task(wal.append(make_request(n, 2))) for n in range(2, 5)]
        await turn()
        tasks[1].cancel()
        gate.opened.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            IntegrityError,
            asyncio.CancelledError,
            IntegrityError,
        ]
        gate.fail = None
        errors = []
        for number in range(3):
            with pytest.raises(IntegrityError, match="OSError.*outcome is unknown") as caught:
                await wal.append(make_request(9, 1))
            errors.append(len(caught.traceback))
            assert number == 0 or errors[-1] == errors[0]
        assert wal.end == end
        assert [frame.bids for frame in stored(wal)] == [(mark(1),)]
        before = on_disk(tmp_path)
        await wal.close()
        assert on_disk(tmp_path) == before
        again = open_wal(tmp_path)
        kept = [frame.bids for frame in stored(again)]
        assert kept[0] == (mark(1),)
        assert len(kept) in (1, 3)
        await again.append(make_request(5, 1))
        await again.close()
        gc.collect()  # a future whose error nobody looked at would complain now


async def test_what_does_not_fit_the_format_disturbs_nobody(tmp_path: Path) -> None:
    """It is refused before it has a place: others of the same group are stored at theirs."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        gate.opened.clear()
        good = [asyncio.create_task(wal.append(make_request(1, 1)))]
        await turn()
        bad = asyncio.create_task(wal.append([make_frame(number=2), make_frame(records=1 << 33)]))
        good.append(asyncio.create_task(wal.append(make_request(3, 1))))
        await turn()
        gate.opened.set()
        with pytest.raises(ValueError, match="fit"):
            await bad
        await asyncio.gather(*good)
        assert [frame.bids for frame in stored(wal)] == [(mark(1),), (mark(3),)]
        await wal.close()
    assert open_wal(tmp_path).recovered.truncated_bytes == 0


async def test_a_request_without_its_last_frame_is_refused(tmp_path: Path) -> None:
    """Behind it recovery would wait for the rest, and drop what is acknowledged."""
    wal = open_wal(tmp_path)
    for frames in (make_request(1, 2)[:1], [make_frame(marks=[mark(1, last=False), mark(2)]), make_frame()]):
        with pytest.raises(ValueError, match="1 requests lack"):
            await wal.append(frames)
    assert stored(wal) == []
    assert await wal.append([]) == wal.end
    await wal.close()


async def test_close_answers_who_waits_and_refuses_who_comes_later(tmp_path: Path) -> None:
    """All that was accepted is durable then; a second close does nothing."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path)
        gate.opened.clear()
        tasks = [asyncio.create_task(wal.append(make_request(n, 1))) for n in range(3)]
        await turn()
        closing = asyncio.create_task(wal.close())
        await turn()
        with pytest.raises(OverloadedError, match="closed"):
            await wal.append(make_request(9, 1))
        assert not closing.done()
        gate.opened.set()
        await asyncio.gather(*tasks)
        await closing
        spare = os.open(tmp_path, os.O_RDONLY)  # takes the number of a descriptor that was closed
        await wal.close()
        os.fstat(spare)
        os.close(spare)
    again = open_wal(tmp_path)
    assert len(stored(again)) == 3
    kill(again)


async def test_who_waits_and_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    """A pump that is told to stop waits for ever again and again; memory does not grow."""
    wal = open_wal(tmp_path)
    for _ in range(20):
        task = asyncio.create_task(wal.wait_beyond(wal.end))
        await turn()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(wal._watchers) == 0
    await wal.close()


def test_a_second_opener_is_told_who_holds_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And may have it when the first one is gone."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
    wal = open_wal(tmp_path / "w0")
    with pytest.raises(ConfigError, match=f"process {os.getpid()} holds .*w0"):
        open_wal(tmp_path / "w0")
    kill(wal)
    kill(open_wal(tmp_path / "w0"))


def test_a_log_that_cannot_be_opened_is_let_go(tmp_path: Path) -> None:
    """Its lock is free for who repairs it."""
    kill(open_wal(tmp_path))
    (path,) = segments(tmp_path)
    path.rename(path.with_name(f"{5:020d}.seg"))
    for _ in range(2):
        with pytest.raises(CorruptionError):
            open_wal(tmp_path)
