"""The buffer as a source of frames: waking for what is new, and only for that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from push_frames import NOW, entry, frame

from pipeline.sinks.sources import WalFeed


class Cursor:
    """A cursor in memory."""

    position = 0

    def commit(self, position: int, delivered: int, refused: Mapping[str, int]) -> None:
        self.position = position


class Log:
    """The part of a write-ahead log that a pump needs, in memory."""

    def __init__(self) -> None:
        self.frames: list = []
        self.cursors: dict[tuple[str, str], Cursor] = {}
        self.scans = 0
        self.changed = asyncio.Condition()

    @property
    def end(self) -> int:
        return len(self.frames)

    async def put(self, tenant: str) -> None:
        self.frames.append(frame([({"app": "a"}, [entry(NOW, "x")])], len(self.frames), tenant))
        async with self.changed:
            self.changed.notify_all()

    def scan(self, tenant, after, *, max_bytes):
        self.scans += 1
        return [each for each in self.frames[after:] if each.tenant == tenant]

    async def wait_beyond(self, position):
        async with self.changed:
            await self.changed.wait_for(lambda: self.end > position)

    def tenants(self):
        return list(dict.fromkeys(each.tenant for each in self.frames))

    def cursor(self, tenant, sink):
        return self.cursors.setdefault((tenant, sink), Cursor())

    def reclaim(self):
        pass


async def test_other_tenants_frames_do_not_wake_twice():
    """A source that looked past another tenant's frames waits for what lies beyond them."""
    log = Log()
    await log.put("a")
    await log.put("b")
    source = WalFeed(log, "loki").source("a")
    (first,) = await source.next(source.position, 1 << 20)
    source.commit(first.end, 1, {})
    assert source.position == 1
    assert await source.next(1, 1 << 20) == []
    waiting = asyncio.create_task(source.wait_beyond(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    await log.put("a")
    async with asyncio.timeout(5):
        await waiting
    assert [each.position for each in await source.next(1, 1 << 20)] == [2]


async def test_a_feed_wakes_for_a_new_tenant():
    """Waiting for tenants ends with the first frame that comes after the last look."""
    log = Log()
    feed = WalFeed(log, "loki")
    waiting = asyncio.create_task(feed.wait_tenants(0))
    await asyncio.sleep(0)
    assert not waiting.done()
    await log.put("a")
    async with asyncio.timeout(5):
        await waiting
    assert feed.tenants() == ["a"]
    async with asyncio.timeout(5):
        await feed.wait_tenants(0)
