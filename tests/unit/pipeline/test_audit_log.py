"""The log: indexes, repeats, rolling, recovery, poison."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest
from headrig import (
    ConfigError,
    CorruptionError,
    DecodeError,
    ForkError,
    IntegrityError,
    OverloadedError,
    SinkUnavailableError,
)

from pipeline import durable
from pipeline.audit.entry import Entry, LogReceipt
from pipeline.audit.frame import encode_frame, join_entries, link
from pipeline.audit.leaf import blob_name
from pipeline.audit.note import Signer
from pipeline.audit.publisher import Publisher
from pipeline.audit.segments import list_segments, read_frames, read_header, read_log
from pipeline.audit.sequencer import AuditLog
from pipeline.audit.server import open_log
from pipeline.audit.tlog import leaf_hash, root_of
from pipeline.audit.verify import verify_log

if TYPE_CHECKING:
    from pathlib import Path

SIGNER = Signer("audit.example.com/log", bytes(32))


def entry(number: int, *, bid: int = 1, mac: bytes = b"m" * 16, text: str = "") -> Entry:
    """Make an entry with an id of its own."""
    leaf = b'{"n":%d,"text":"%b"}' % (number, text.encode())
    return Entry(bid.to_bytes(16, "big"), number, number.to_bytes(16, "big"), mac, leaf)


Opened = Callable[..., tuple[AuditLog, Publisher]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Open the log in ``tmp_path/log``; whatever is still open is closed in the end."""
    logs: list[AuditLog] = []

    def open_again(**options: object) -> tuple[AuditLog, Publisher]:
        log, publisher = open_log(tmp_path / "log", SIGNER, **options)  # type: ignore[arg-type]
        logs.append(log)
        return log, publisher

    yield open_again
    for log in logs:
        await let_go(log)


async def let_go(log: AuditLog) -> None:
    """Close a log unless it is closed."""
    if log._writer._thread.is_alive():
        await log.close()


async def test_entries_get_indexes_in_order_and_come_back(opened: Opened, tmp_path: Path) -> None:
    """Receipts name index and leaf hash; reading gives the same bytes, each with a time of its own."""
    log, _ = opened(clock=lambda: 1_000)
    receipts = await log.append([entry(n) for n in range(5)])
    receipts += await log.append([entry(n) for n in range(5, 7)])
    assert receipts == [LogReceipt(n, leaf_hash(entry(n).leaf)) for n in range(7)]
    assert [receipt.tree_size for receipt in receipts] == [1, 2, 3, 4, 5, 6, 7]
    leaves = log.entries(0, 1_000_000)
    assert leaves == list(read_log(tmp_path / "log"))
    assert [(leaf.index, leaf.leaf) for leaf in leaves] == [(n, entry(n).leaf) for n in range(7)]
    times = [leaf.ts_ns for leaf in leaves]
    assert times == sorted(set(times))
    assert log.committed.root == root_of([receipt.leaf_hash for receipt in receipts])
    assert await log.append([]) == []


async def test_a_repeat_gets_the_old_index_and_a_reuse_one_of_its_own(opened: Opened) -> None:
    """Same id and mac: duplicate. Same id, other mac: a leaf of its own, and the neighbours are stored."""
    log, _ = opened()
    first = await log.append([entry(1), entry(2)])
    again = await log.append([entry(2, text="rendered anew"), entry(3), entry(1, mac=b"x" * 16), entry(3)])
    assert again[0] == LogReceipt(1, first[1].leaf_hash, duplicate=True)
    assert again[1] == LogReceipt(2, leaf_hash(entry(3).leaf))
    own = log.entries(3, 1)[0]
    assert again[2] == LogReceipt(3, own.leaf_hash, conflict=True)
    assert again[3] == LogReceipt(2, leaf_hash(entry(3).leaf), duplicate=True)
    assert log.committed.size == 4
    assert await log.append([entry(1)]) == [LogReceipt(0, first[0].leaf_hash, duplicate=True)]


def event(identity: str, mac: bytes, raw: str = "a line", **more: object) -> Entry:
    """Make an entry as a worker does, of a record with a client's id."""
    leaf = orjson.dumps({"id": identity, "raw": raw, "v": 1, **more}, option=orjson.OPT_SORT_KEYS)
    return Entry(b"b" * 16, 7, identity.encode().ljust(16, b"."), mac * 16, leaf)


async def test_an_event_whose_id_is_taken_names_it_in_its_leaf(opened: Opened, tmp_path: Path) -> None:
    """Every acknowledged event has one index: also after a restart, and as one of its batch."""
    log, _ = opened()
    await log.append([event("evt-1", b"m")])
    (own,) = await log.append([event("evt-1", b"x", "another line")])
    (third,) = await log.append([event("evt-1", b"y", "a third line")])
    assert [(r.index, r.conflict, r.duplicate) for r in (own, third)] == [(1, True, False), (2, True, False)]
    fields = orjson.loads(log.entries(1, 1)[0].leaf)
    assert (fields["conflict"], fields["raw"]) == ("evt-1", "another line")
    assert len(bytes.fromhex(fields["id"])) == 16
    for _ in range(2):
        for mac, receipt in ((b"x", own), (b"y", third)):
            (again,) = await log.append([event("evt-1", mac, "rendered anew")])
            assert again == LogReceipt(receipt.index, receipt.leaf_hash, duplicate=True, conflict=True)
        found = log.receipts(b"b" * 16)
        assert [(line, r.index, r.conflict) for line, r in found] == [
            (7, 0, False),
            (7, 1, True),
            (7, 2, True),
        ]
        await log.close()
        log, _ = opened()
    assert log.committed.size == 3
    await log.close()
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).exit_code == 0


async def test_a_conflict_in_one_request_and_in_one_group_is_settled_at_once(opened: Opened) -> None:
    """Two payloads under one id, together: two indexes, one write."""
    log, _ = opened()
    results = await asyncio.gather(
        log.append([event("e", b"a"), event("e", b"b"), event("e", b"a")]),
        log.append([event("e", b"b"), event("e", b"c")]),
    )
    assert [[(r.index, r.conflict, r.duplicate) for r in rs] for rs in results] == [
        [(0, False, False), (1, True, False), (0, False, True)],
        [(1, True, True), (2, True, False)],
    ]


async def test_a_conflict_that_does_not_fit_its_leaf_puts_the_line_into_a_blob(
    opened: Opened, tmp_path: Path
) -> None:
    """The leaf grows by the id; its line is kept whole, and what is no object is kept as it is."""
    log, _ = opened()
    line = "x" * (65_535 - len(event("e", b"a", "").leaf))
    await log.append([event("e", b"a"), entry(1)._replace(leaf=b"[1]")])
    own, other = await log.append([event("e", b"b", line), entry(1, mac=b"z" * 16)._replace(leaf=b"[1]")])
    fields = orjson.loads(log.entries(own.index, 1)[0].leaf)
    digest, size = blob_name(line.encode())
    assert fields["blob"] == {"len": size, "sha256": digest}
    assert (tmp_path / "log" / "blobs" / "sha256" / digest[:2] / digest).read_bytes() == line.encode()
    assert log.entries(other.index, 1)[0].leaf == b"[1]"


async def test_a_conflict_of_a_cut_leaf_names_what_was_cut(opened: Opened) -> None:
    """A shortened id is a shortened conflict; an id that only now is too long is shortened."""
    log, _ = opened()
    await log.append([event("e", b"a", cut=["id"]), event("f", b"a", ocsf={"a": "b"})])
    leaf = {
        "id": "i" * 65_000,
        "actor": "",
        "target": "",
        "action": "",
        "outcome": "",
        "rule": "r",
        "tenant": "t",
    }
    long = event("f", b"b")._replace(leaf=orjson.dumps({**leaf, "ocsf": {"n": "x" * 400}}))
    await log.append([event("e", b"b", cut=["id"]), long])
    one, two = (orjson.loads(found.leaf) for found in log.entries(2, 10**6))
    assert (one["conflict"], one["cut"]) == ("e", ["conflict"])
    assert (len(two["conflict"]), two["cut"]) == (1_024, ["ocsf", "conflict"])


async def test_requests_that_come_together_share_a_frame_and_a_sync(opened: Opened, tmp_path: Path) -> None:
    """The first is written alone, the others while it is under way as one."""
    counted = Counting()
    with durable.using(counted):
        log, _ = opened()
        before = counted.appends
        results = await asyncio.gather(*(log.append([entry(n), entry(n + 100)]) for n in range(50)))
        assert counted.appends - before == 2
    assert sorted(r.index for rs in results for r in rs) == list(range(100))
    (segment,) = list_segments(tmp_path / "log")
    assert [f.count for f in read_frames(segment, read_header(segment).length)] == [2, 98]


class Counting(durable.Files):
    """Counts syncs of appended frames."""

    appends = 0

    def sync(self, fd: int, site: str) -> None:
        self.appends += site == "audit.append"
        super().sync(fd, site)


async def test_the_same_id_twice_in_flight_is_one_entry(opened: Opened) -> None:
    """Retries that overtake each other end with one index."""
    log, _ = opened()
    results = await asyncio.gather(*(log.append([entry(7)]) for _ in range(20)))
    assert {receipt.index for (receipt,) in results} == {0}
    assert sum(not receipt.duplicate for (receipt,) in results) == 1
    assert log.committed.size == 1


async def test_receipts_of_a_batch_are_found_by_its_id(opened: Opened) -> None:
    """Also after a restart, and also when its parts came apart."""
    log, _ = opened()
    await log.append([entry(0, bid=1), entry(1, bid=1), entry(2, bid=2), entry(3, bid=1)])
    await log.append([entry(4, bid=1)])
    expected = [(0, 0), (1, 1), (3, 3), (4, 4)]
    assert [(line, r.index) for line, r in log.receipts((1).to_bytes(16, "big"))] == expected
    await log.close()
    log, _ = opened()
    assert [(line, r.index) for line, r in log.receipts((1).to_bytes(16, "big"))] == expected
    assert log.receipts(bytes(16)) == []


async def test_segments_roll_and_a_restart_goes_on(opened: Opened, tmp_path: Path) -> None:
    """Many small segments over restarts: one unbroken log, verified."""
    size = 0
    for _ in range(4):
        log, publisher = opened(segment_bytes=800)
        for _ in range(5):
            (receipt,) = await log.append([entry(size)])
            assert receipt.index == size
            size += 1
        publisher.publish(log.committed)
        await log.close()
    assert len(list_segments(tmp_path / "log")) == 7
    assert [leaf.index for leaf in read_log(tmp_path / "log", 3)] == list(range(3, 20))
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).exit_code == 0


async def test_a_frame_larger_than_a_segment_has_one_to_itself(opened: Opened, tmp_path: Path) -> None:
    """The bound is kept by rolling, never by refusing."""
    log, _ = opened(segment_bytes=300)
    for number in range(3):
        await log.append([entry(number, text="x" * 1_000)])
    await log.close()
    assert [path.name for path in list_segments(tmp_path / "log")] == [f"{n:020d}.wal" for n in range(3)]


async def test_reading_is_bounded_by_bytes_and_by_what_is_durable(opened: Opened) -> None:
    """At least one entry, then as many as fit; any place to start from; nothing at the end."""
    log, _ = opened(segment_bytes=600)
    for number in range(6):
        await log.append([entry(number, text="y" * 50), entry(number + 100)])
    assert [leaf.index for leaf in log.entries(0, 1)] == [0]
    assert [leaf.index for leaf in log.entries(3, 10_000)] == list(range(3, 12))
    got: list[int] = []
    while leaves := log.entries(len(got), 100):
        got += [leaf.index for leaf in leaves]
    assert got == list(range(12))
    assert log.entries(99, 100) == []


async def test_whoever_waits_beyond_a_size_wakes_when_it_is_passed(opened: Opened) -> None:
    """Not before, and at once when it is passed already."""
    log, _ = opened()
    waiter = asyncio.create_task(log.wait_beyond(1))
    await log.append([entry(0)])
    assert not waiter.done()
    await log.append([entry(1)])
    await waiter
    await log.wait_beyond(0)


async def test_a_blob_lies_beside_the_log_and_must_come_with_its_leaf(opened: Opened, tmp_path: Path) -> None:
    """A leaf whose blob is missing is refused before anything is stored."""
    log, _ = opened()
    blob = b"z" * 70_000
    digest, size = blob_name(blob)
    leaf = b'{"blob":{"len":%d,"sha256":"%b"}}' % (size, digest.encode())
    pointing = entry(1)._replace(leaf=leaf)
    with pytest.raises(DecodeError, match="did not come with it"):
        await log.append([pointing])
    assert log.committed.size == 0
    await log.append([pointing], [blob])
    assert (tmp_path / "log" / "blobs" / "sha256" / digest[:2] / digest).read_bytes() == blob


async def test_limits_refuse_before_anything_is_stored(opened: Opened) -> None:
    """A leaf above 65,535 bytes, and more waiting than may."""
    log, _ = opened(max_pending_bytes=1_000)
    with pytest.raises(DecodeError, match="65535"):
        await log.append([entry(1)._replace(leaf=b"x" * 65_536)])
    with pytest.raises(OverloadedError, match="1000 may"):
        await log.append([entry(1, text="x" * 2_000)])
    await log.append([entry(1)._replace(leaf=b"x" * 900)])
    assert log.committed.size == 1


async def test_only_one_process_may_write(opened: Opened) -> None:
    """A second opener is refused while the first is there."""
    log, _ = opened()
    with pytest.raises(IntegrityError, match="another process"):
        opened()
    await log.close()
    opened()


async def test_the_directory_belongs_to_its_origin(opened: Opened, tmp_path: Path) -> None:
    """Another origin is the operator's mistake; another key is a refusal."""
    log, _ = opened()
    await log.close()
    with pytest.raises(ConfigError, match="not audit.example.com/other"):
        open_log(tmp_path / "log", Signer("audit.example.com/other", bytes(32)))
    with pytest.raises(CorruptionError, match="no signature by a known key"):
        open_log(tmp_path / "log", Signer(SIGNER.name, bytes(31) + b"\x01"))


async def test_the_files_are_exactly_those_of_the_layout(opened: Opened, tmp_path: Path) -> None:
    """Nothing else is left behind."""
    log, publisher = opened()
    await log.append([entry(1)])
    publisher.publish(log.committed)
    await log.close()
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["LOCK", "checkpoint", "head", "log.json", "tile", "wal"]


async def prepared(opened: Opened, *, publish: bool = True) -> None:
    """Make a closed log of six entries in several segments, signed or with the last three not signed."""
    log, publisher = opened(segment_bytes=500)
    for number in range(6):
        await log.append([entry(number)])
        if publish or number == 2:
            publisher.publish(log.committed)
    await log.close()


async def test_a_torn_tail_is_set_aside_and_the_log_goes_on(opened: Opened, tmp_path: Path) -> None:
    """What a crash left half written was never acknowledged."""
    await prepared(opened)
    last = list_segments(tmp_path / "log")[-1]
    size = last.stat().st_size
    with last.open("ab") as file:
        file.write(last.read_bytes()[-90:-3])
    log, _ = opened()
    assert last.stat().st_size == size
    (torn,) = (tmp_path / "log" / "quarantine").iterdir()
    assert (torn.name, torn.stat().st_size) == (f"{last.name}.{size}.torn", 87)
    (receipt,) = await log.append([entry(6)])
    assert receipt.index == 6
    await log.close()
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).exit_code == 0


async def test_an_unsigned_frame_that_is_torn_is_cut_off_too(opened: Opened, tmp_path: Path) -> None:
    """The entry was written but its sync did not return: the retry appends it again."""
    await prepared(opened, publish=False)
    last = list_segments(tmp_path / "log")[-1]
    last.write_bytes(last.read_bytes()[:-1])
    log, _ = opened()
    assert log.committed.size == 5
    (receipt,) = await log.append([entry(5)])
    assert (receipt.index, receipt.duplicate) == (5, False)


async def test_a_segment_that_was_never_finished_is_set_aside(opened: Opened, tmp_path: Path) -> None:
    """A crash while it was made left less than a header."""
    await prepared(opened)
    stray = tmp_path / "log" / "wal" / f"{6:020d}.wal"
    stray.write_bytes(b"hraudit")
    log, _ = opened()
    assert not stray.exists()
    assert log.committed.size == 6
    (receipt,) = await log.append([entry(6)])
    assert receipt.index == 6


async def test_a_wiped_segment_that_was_signed_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """Nothing valid is left in it, as in one that was never finished; the evidence stays where it is."""
    await prepared(opened)
    last = list_segments(tmp_path / "log")[-1]
    wiped = bytes(last.stat().st_size)
    last.write_bytes(wiped)
    with pytest.raises(ForkError, match="missing"):
        opened()
    assert last.read_bytes() == wiped


async def test_a_closing_log_tells_to_come_later(opened: Opened) -> None:
    """What came before is written; what comes after may be sent again to the next process."""
    log, _ = opened()
    before = [asyncio.create_task(log.append([entry(n)])) for n in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(log.close())
    await asyncio.sleep(0)
    with pytest.raises(SinkUnavailableError, match="closing"):
        await log.append([entry(9)])
    await closing
    assert sorted(receipt.index for (receipt,) in [await task for task in before]) == [0, 1, 2]


def flip(path: Path, at: int) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


async def test_damage_before_valid_frames_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """File, offset and index are named; nothing is changed."""
    log, _ = opened()
    for number in range(3):
        await log.append([entry(number)])
    await log.close()
    (path,) = list_segments(tmp_path / "log")
    frames = list(read_frames(path, read_header(path).length))
    flip(path, frames[1].start + 70)
    damaged = path.read_bytes()
    with pytest.raises(CorruptionError, match="frame of index 1 is damaged") as caught:
        opened()
    assert (caught.value.file, caught.value.offset) == (f"wal/{path.name}", frames[1].start)
    assert path.read_bytes() == damaged


async def test_damage_at_the_end_of_what_is_signed_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """It looks like a torn tail, but it was signed; the evidence stays where it is."""
    await prepared(opened)
    last = list_segments(tmp_path / "log")[-1]
    flip(last, -1)
    damaged = last.read_bytes()
    with pytest.raises(ForkError, match="indexes 5 to 5 are missing"):
        opened()
    assert last.read_bytes() == damaged


async def test_a_missing_segment_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """First, middle or last: each is missed."""
    await prepared(opened)
    for path in list_segments(tmp_path / "log"):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(IntegrityError):
            opened()
        path.write_bytes(data)
    opened()


@pytest.mark.parametrize("name", ["head", "log.json"])
async def test_a_missing_file_refuses_to_start(opened: Opened, tmp_path: Path, name: str) -> None:
    """A log that has segments has a head and a description."""
    await prepared(opened)
    (tmp_path / "log" / name).unlink()
    with pytest.raises(CorruptionError, match="missing"):
        opened()


async def test_a_missing_or_older_checkpoint_is_published_again(opened: Opened, tmp_path: Path) -> None:
    """The crash came between head and checkpoint; head is what counts."""
    await prepared(opened)
    public = tmp_path / "log" / "checkpoint"
    published = public.read_bytes()
    public.unlink()
    log, _ = opened()
    assert public.read_bytes() == published
    await log.close()


async def test_a_log_put_back_to_an_older_state_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """By itself it verifies; whoever remembers a larger one shows the rollback, and nothing is signed again."""
    await prepared(opened)
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    log, _ = opened()
    await log.append([entry(n) for n in range(6, 9)])
    await log.close()
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "copy", tmp_path / "log")
    before = files(tmp_path / "log")
    with pytest.raises(ForkError, match="has 6 entries, but cursors/loki remembers 9") as caught:
        opened(outside={"cursors/archive": 6, "cursors/loki": 9})
    assert "indexes 6 to 8" in str(caught.value)
    assert files(tmp_path / "log") == before
    opened(outside={"cursors/archive": 6})


def files(directory: Path) -> dict[str, bytes]:
    """Return what lies in a log, but for its lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


async def test_a_changed_row_or_time_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """An id that somebody planted would make a later event look like a repeat; the place is named."""
    log, publisher = opened()
    await log.append([entry(0), entry(1)])
    publisher.publish(log.committed)
    await log.close()
    (path,) = list_segments(tmp_path / "log")
    whole = path.read_bytes()
    (frame,) = read_frames(path, read_header(path).length)
    for planted in (
        replace(frame, rows=frame.rows[:20] + b"e" * 16 + frame.rows[36:]),
        replace(frame, ts_ns=frame.ts_ns + 31 * 365 * 86_400 * 10**9),
    ):
        chain = planted.link(log.store.log_hash)
        for said, error in ((frame.chain, CorruptionError), (chain, ForkError)):
            body = planted.rows + planted.entries
            forged = encode_frame(0, 2, planted.ts_ns, frame.root, said, body)
            path.write_bytes(whole[: frame.start] + forged)
            with pytest.raises(error, match=f"wal/{path.name}.*ids"):
                opened()


async def test_an_older_head_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """The checkpoint that others saw is newer: a rollback."""
    await prepared(opened, publish=False)
    head = (tmp_path / "log" / "head").read_bytes()
    log, _ = opened()  # signs what was not signed yet
    await log.close()
    (tmp_path / "log" / "head").write_bytes(head)
    with pytest.raises(ForkError, match="newer than head"):
        opened()


async def test_an_edited_entry_with_fixed_checksums_refuses_to_start(opened: Opened, tmp_path: Path) -> None:
    """The root at the signed size is not the signed one."""
    log, publisher = opened()
    await log.append([entry(0)])
    publisher.publish(log.committed)
    await log.close()
    (path,) = list_segments(tmp_path / "log")
    (frame,) = read_frames(path, read_header(path).length)
    leaf = frame.leaves()[0].replace(b"text", b"TEXT")
    root = leaf_hash(leaf)
    chain = link(log.store.log_hash, 0, 1, frame.ts_ns, root, frame.rows)
    forged = encode_frame(0, 1, frame.ts_ns, root, chain, frame.rows + join_entries([leaf]))
    path.write_bytes(path.read_bytes()[: frame.start] + forged)
    with pytest.raises(ForkError, match="not those that head was signed for"):
        opened()


class Failing(durable.Files):
    """Fails at one site, once it is armed."""

    def __init__(self, site: str, code: int) -> None:
        self.site, self.code, self.armed = site, code, False

    def sync(self, fd: int, site: str) -> None:
        if self.armed and site == self.site:
            raise OSError(self.code, os.strerror(self.code))
        super().sync(fd, site)

    def write(self, fd: int, data: bytes) -> None:
        if self.armed and self.site == "write":
            super().write(fd, data[:10])
            raise OSError(self.code, os.strerror(self.code))
        super().write(fd, data)


@pytest.mark.parametrize(
    ("site", "code"),
    [("audit.append", errno.EIO), ("write", errno.ENOSPC), ("audit.segment.create", errno.EIO)],
)
async def test_a_failed_write_stops_the_log_for_good(opened: Opened, site: str, code: int) -> None:
    """All who wait and all who come later get the error; nothing is tried again; a restart recovers."""
    failing = Failing(site, code)
    with durable.using(failing):
        log, publisher = opened(segment_bytes=300)
        await log.append([entry(0)])
        failing.armed = True
        waiting = asyncio.create_task(log.wait_beyond(5))
        results = await asyncio.gather(*(log.append([entry(n)]) for n in (1, 2, 3)), return_exceptions=True)
        assert all(isinstance(result, IntegrityError) for result in results)
        failing.armed = False
        with pytest.raises(IntegrityError, match=os.strerror(code)):
            await log.append([entry(4)])
        with pytest.raises(IntegrityError):
            await waiting
        assert os.strerror(code) in str(await log.wait_failed())
        await publisher.publish_now(log)
        assert publisher.published is not None
        assert publisher.published.size == 0
        await log.close()
    log, _ = opened(segment_bytes=300)
    (receipt,) = await log.append([entry(1)])
    assert receipt.index == 1
    assert log.entries(0, 1)[0].leaf == entry(0).leaf


async def test_a_failed_publication_stops_the_log(opened: Opened) -> None:
    """It is unknown whether head is on disk, so nothing else may be signed."""
    failing = Failing("audit.head.replace", errno.EIO)
    with durable.using(failing):
        log, publisher = opened()
        await log.append([entry(0)])
        failing.armed = True
        await publisher.publish_now(log)
        assert "publishing" in str(await log.wait_failed())


async def test_a_segment_removed_under_the_writer_stops_it(opened: Opened, tmp_path: Path) -> None:
    """Bytes in an unlinked file are acknowledged by nobody."""
    log, _ = opened()
    await log.append([entry(0)])
    list_segments(tmp_path / "log")[0].unlink()
    with pytest.raises(IntegrityError):
        await log.append([entry(1)])


async def test_a_segment_replaced_or_written_by_another_stops_it(opened: Opened, tmp_path: Path) -> None:
    """Another file under the name, or another length than ours."""
    log, _ = opened()
    await log.append([entry(0)])
    (path,) = list_segments(tmp_path / "log")
    data = path.read_bytes()
    path.rename(tmp_path / "moved")
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="removed or replaced"):
        await log.append([entry(1)])
    await log.close()
    log, _ = opened()
    with list_segments(tmp_path / "log")[0].open("ab") as file:
        file.write(b"x")
    with pytest.raises(CorruptionError, match="someone else wrote"):
        await log.append([entry(1)])


async def test_a_changed_byte_on_disk_is_never_signed(opened: Opened, tmp_path: Path) -> None:
    """The publisher reads back what it signs."""
    log, publisher = opened()
    await log.append([entry(0)])
    (path,) = list_segments(tmp_path / "log")
    before = (tmp_path / "log" / "head").read_bytes()
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"X")
    await publisher.publish_now(log)
    assert log.failure is not None
    assert (tmp_path / "log" / "head").read_bytes() == before


async def test_the_publisher_signs_while_the_log_grows_and_ends_with_stop(opened: Opened) -> None:
    """Each round signs what is durable."""
    log, publisher = opened()
    stop = asyncio.Event()
    running = asyncio.create_task(publisher.run(log, stop, 0.001))
    for number in range(20):
        await log.append([entry(number)])
    stop.set()
    await running
    assert publisher.published is not None
    assert 0 < publisher.published.size <= 20
    await publisher.publish_now(log)
    assert publisher.published.size == 20


async def test_ids_are_forgotten_from_the_oldest_on(opened: Opened) -> None:
    """At least ``retain`` ids are known, before and after a restart; a forgotten one gets a new index."""
    log, _ = opened(retain=8)
    for number in range(40):
        await log.append([entry(number)])
    for _ in range(2):
        (known,) = await log.append([entry(32)])
        assert (known.index, known.duplicate) == (32, True)
        await log.close()
        log, _ = opened(retain=8)
    (forgotten,) = await log.append([entry(0)])
    assert (forgotten.index, forgotten.duplicate) == (40, False)
    (now,) = await log.append([entry(0)])
    assert (now.index, now.duplicate) == (40, True)
    (unseen,) = await log.append([entry(1, mac=b"x" * 16)])
    assert (unseen.index, unseen.conflict) == (41, False)
