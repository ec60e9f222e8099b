"""Audit leaves as frames: byte for byte, in order, with a durable cursor."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import orjson
import pytest
from headrig import CorruptionError
from isal import igzip
from push_frames import NOW
from push_stub import PushStub

from pipeline.buffer import Cursor
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.pump import Pump, PumpSettings
from pipeline.sinks.quarantine import Quarantine
from pipeline.sinks.sources import LeafFeed, LeafSource, leaf_frame


@dataclass(frozen=True)
class Leaf:
    """A leaf of the log."""

    index: int
    ts_ns: int
    leaf: bytes

    @property
    def leaf_hash(self) -> bytes:
        return hashlib.sha256(b"\x00" + self.leaf).digest()


class Leaves:
    """A log in memory."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.changed = asyncio.Condition()

    async def add(self, *bodies: dict) -> None:
        for body in bodies:
            self.leaves.append(Leaf(len(self.leaves), NOW + len(self.leaves), orjson.dumps(body)))
        async with self.changed:
            self.changed.notify_all()

    def entries(self, start, max_bytes):
        found, size = [], 0
        for leaf in self.leaves[start:]:
            if found and size + len(leaf.leaf) > max_bytes:
                break
            found.append(leaf)
            size += len(leaf.leaf)
        return found

    async def wait_beyond(self, position):
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.leaves) > position)


def test_leaves_that_are_no_objects_do_not_cost_their_neighbours_the_search_fields():
    """They go out byte for byte all the same, with index and hash alone."""
    texts = [
        b'{"actor":"a","class_uid":18446744073709551617}',
        b"[1]",
        b"no json",
        b'{"actor":\n"b"}',
        b'{"actor":1.5}',
    ]
    leaves = [Leaf(n, NOW + n, text) for n, text in enumerate(texts)]
    frame = leaf_frame("acme", {}, leaves)
    values = orjson.loads(igzip.decompress(frame.payload))["values"]
    assert [line.encode() for _, line, _ in values] == texts
    found = [{k: v for k, v in metadata.items() if not k.startswith("audit_")} for _, _, metadata in values]
    assert found == [
        {"actor": "a", "class_uid": "18446744073709551617"},
        {},
        {},
        {"actor": "b"},
        {"actor": "1.5"},
    ]


async def test_a_leaf_is_a_line_byte_for_byte(tmp_path):
    """Labels are exactly two; the line is the leaf; metadata says what is worth searching, short strings only."""
    log = Leaves()
    body = {
        "id": "1",
        "class_uid": 3002,
        "activity_id": 1,
        "actor": "é" * 1000,
        "action": "",
        "outcome": "success",
        "raw": '{"a":"\\u0000"}',
    }
    await log.add(body, {"other": 1})
    source = LeafSource(log, tmp_path / "cursor", "logs.example.com/audit", "acme")
    (made,) = await source.next(0, 1 << 20)
    stream = orjson.loads(igzip.decompress(made.payload))
    assert stream["stream"] == {"audit": "true", "audit_log": "logs.example.com/audit"}
    ns, line, metadata = stream["values"][0]
    assert (ns, line.encode()) == (str(NOW), log.leaves[0].leaf)
    actor = metadata.pop("actor")
    assert actor == "é" * 512
    assert metadata == {
        "audit_index": "0",
        "audit_leaf": log.leaves[0].leaf_hash.hex(),
        "class_uid": "3002",
        "activity_id": "1",
        "outcome": "success",
    }
    assert set(stream["values"][1][2]) == {"audit_index", "audit_leaf"}
    assert (made.position, made.end, made.records, made.min_ns, made.max_ns) == (0, 2, 2, NOW, NOW + 1)


async def test_leaves_go_in_order_and_a_restart_resumes(tmp_path):
    """A pump moves all leaves to the sink; a second one goes on where the first stopped."""
    log = Leaves()
    quarantine = Quarantine.open(tmp_path / "quarantine", writer="audit", max_bytes=1 << 20)
    async with PushStub() as stub, asyncio.timeout(10):
        sink = LokiSink(LokiSettings(url=stub.url), quarantine, clock=lambda: NOW)
        for start in (0, 50):
            await log.add(*({"id": str(start + i), "actor": "alice"} for i in range(50)))
            feed = LeafFeed(log, tmp_path / "cursor", "log", "acme")
            pump = Pump(feed, sink, settings=PumpSettings(max_bytes=500, linger_s=0.0))
            pump.start()
            assert await pump.drain(5.0)
        await sink.close()
        lines = [value[1] for seen in stub.seen for s in seen.streams for value in s["values"]]
        assert lines == [leaf.leaf.decode() for leaf in log.leaves]
    cursor = Cursor(tmp_path / "cursor")
    assert (cursor.position, cursor.delivered, cursor.refused) == (100, 100, {})
    quarantine.close()


def test_the_cursor_sums_up(tmp_path):
    """Counts are cumulative over commits and restarts."""
    for position in (3, 6):
        source = LeafSource(Leaves(), tmp_path / "cursor", "log", "acme")
        assert source.position == position - 3
        source.commit(position, 2, {"labels": 1})
    cursor = Cursor(tmp_path / "cursor")

    assert (cursor.position, cursor.delivered, cursor.refused) == (6, 4, {"labels": 2})


def test_a_damaged_cursor_is_not_guessed_at(tmp_path):
    """Leaves are not sent from a position that nobody wrote."""
    (tmp_path / "cursor").write_bytes(b"{}")
    with pytest.raises(CorruptionError):
        LeafSource(Leaves(), tmp_path / "cursor", "log", "acme")
