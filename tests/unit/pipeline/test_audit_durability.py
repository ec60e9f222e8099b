"""Power cuts: what was acknowledged is there afterwards, and each single sync is needed for that.

`Disk` is a twin of the file operations that remembers, beside the real files (the page cache), what would
survive a power cut: the content a file had at its last sync, the names a directory had at its last sync.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from headrig import HeadrigError

from pipeline import durable
from pipeline.audit.entry import Entry, LogReceipt
from pipeline.audit.keys import open_signer
from pipeline.audit.leaf import blob_name
from pipeline.audit.note import Signer
from pipeline.audit.segments import read_log
from pipeline.audit.server import open_log
from pipeline.audit.verify import verify_log

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.audit.sequencer import AuditLog

SIGNER = Signer("audit.example.com/cut", bytes(32))
BLOB = b"a line too large for its leaf"


class Killed(BaseException):
    """The process is gone."""


class Disk(durable.Files):
    """See above. ``broken`` is the site whose sync does nothing; the process dies at operation ``last``."""

    def __init__(self, broken: str = "", last: int = -1) -> None:
        self.broken = broken
        self.last = last
        self.done = 0
        self.dead = False
        self.sites: set[str] = set()
        self.content: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        self.seen: list[int] = []  # sizes of the checkpoints that anybody could read
        self.keep: list[int] = []  # descriptors that keep inode numbers from being used again

    def step(self) -> None:
        """Count an operation; die when its turn has come."""
        if self.dead or self.done == self.last:
            self.dead = True
            raise Killed
        self.done += 1

    def create(self, path: Path) -> int:
        self.step()
        fd = super().create(path)
        self.keep.append(os.dup(fd))
        self.content[os.fstat(fd).st_ino] = b""
        return fd

    def write(self, fd: int, data: bytes) -> None:
        if self.done == self.last and not self.dead:
            super().write(fd, data[: len(data) // 2])
        self.step()
        super().write(fd, data)

    def pwrite(self, path: Path, data: bytes, offset: int) -> int:
        self.step()
        return super().pwrite(path, data, offset)

    def sync(self, fd: int, site: str) -> None:
        self.step()
        self.sites.add(site)
        if site != self.broken:
            state = os.fstat(fd)
            self.content[state.st_ino] = os.pread(fd, state.st_size, 0)

    def sync_dir(self, path: Path, site: str) -> None:
        self.step()
        self.sites.add(site)
        if site != self.broken:
            self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}

    def rename(self, old: Path, new: Path) -> None:
        self.step()
        super().rename(old, new)
        if new.name == "checkpoint":
            self.seen.append(int(new.read_text("utf-8").split("\n")[1]))

    def unlink(self, path: Path) -> None:
        self.step()
        super().unlink(path)

    def truncate(self, fd: int, size: int) -> None:
        self.step()
        super().truncate(fd, size)

    def after_cut(self, root: Path, target: Path) -> None:
        """Write to ``target`` what would be left of ``root``."""
        target.mkdir(parents=True)
        for name, inode in self.names.get(root, {}).items():
            if inode in self.content:
                (target / name).write_bytes(self.content[inode])
            elif name != "LOCK":
                self.after_cut(root / name, target / name)

    def release(self) -> None:
        """Close the descriptors that were kept."""
        for fd in self.keep:
            os.close(fd)


def entry(number: int) -> Entry:
    """Make an entry; number 3 points at the blob."""
    leaf = b'{"n":%d}' % number
    if number == 3:
        leaf = b'{"blob":{"len":%d,"sha256":"%b"}}' % (len(BLOB), blob_name(BLOB)[0].encode())
    return Entry(b"b" * 16, number, number.to_bytes(16, "big"), b"m" * 16, leaf)


BATCHES = [[entry(0), entry(1)], [entry(2)], [entry(3)], [entry(4)]]


class World:
    """What was acknowledged, to compare with what is left."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.directory = base / "data" / "log"
        self.acked: dict[bytes, LogReceipt] = {}
        self.published = 0

    async def session(self) -> None:
        """Open, append every batch (repeating what was acknowledged before), publish now and then."""
        log, publisher = open_log(self.directory, SIGNER, segment_bytes=400, retain=100)
        try:
            for number, batch in enumerate(BATCHES):
                blobs = [BLOB] if number == 2 else []
                for item, receipt in zip(batch, await log.append(batch, blobs), strict=True):
                    known = self.acked.setdefault(item.id, receipt)
                    assert (known.index, known.leaf_hash) == (receipt.index, receipt.leaf_hash)
                if number in (0, 2):
                    self.published = max(self.published, publisher.publish(log.committed).size)
        finally:
            await let_go(log)

    def run(self, disk: Disk) -> None:
        """Run a session until its end or its death."""
        with durable.using(disk):
            try:
                asyncio.run(self.session())
            except (Killed, HeadrigError):
                if not disk.dead:
                    raise

    def holds(self, disk: Disk, target: Path) -> bool:
        """Cut the power and say whether every promise is kept by what is left."""
        disk.after_cut(self.base, target)
        left = target / "data" / "log"
        head, public = signed_size(left / "head"), signed_size(left / "checkpoint")
        try:
            asyncio.run(reopen(left))
        except HeadrigError:
            return False
        entries = {leaf.index: leaf.leaf_hash for leaf in read_log(left)}
        report = verify_log(left, vkeys=[SIGNER.vkey])
        return (
            all(entries.get(receipt.index) == receipt.leaf_hash for receipt in self.acked.values())
            and report.exit_code == 0
            and head >= max([0, *disk.seen])  # else another history could be signed at a size seen before
            and public >= self.published
        )


def signed_size(path: Path) -> int:
    """Return the size in a checkpoint that lies in a file, 0 when there is none."""
    text = path.read_text("utf-8") if path.exists() else ""
    return int(text.split("\n")[1]) if text else 0


async def reopen(directory: Path) -> None:
    """Open a log and let it go."""
    log, _ = open_log(directory, SIGNER)
    await log.close()


async def let_go(log: AuditLog) -> None:
    """End as a killed process ends: nothing more is written, the lock is free."""
    log._writer._jobs.put(None)
    await asyncio.to_thread(log._writer._thread.join)
    if log._writer._segment._fd >= 0:
        os.close(log._writer._segment._fd)
    log.store.close()


def attempt(base: Path, broken: str, last: int, *, again: bool) -> tuple[bool, Disk]:
    """Run, die at ``last``, perhaps run again on the same page cache, cut the power."""
    base.mkdir()
    disk = Disk(broken, last)
    world = World(base / "live")
    world.base.mkdir()
    world.run(disk)
    if again:
        disk.last, disk.dead = -1, False
        world.run(disk)
    kept = world.holds(disk, base / "left")
    disk.release()
    shutil.rmtree(base)
    return kept, disk


def operations(base: Path) -> tuple[int, set[str]]:
    """Return the number of operations of a whole session, and the sites it syncs at."""
    kept, disk = attempt(base, "", -1, again=False)
    assert kept
    return disk.done, disk.sites


def test_a_power_cut_at_any_operation_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Cut at each operation: the log opens, holds every acknowledged entry, and was never signed ahead."""
    count, _ = operations(tmp_path / "whole")
    assert count > 60
    lost = [last for last in range(count) if not attempt(tmp_path / "cut", "", last, again=False)[0]]
    assert lost == []


def test_a_kill_a_restart_and_then_a_power_cut_lose_nothing(tmp_path: Path) -> None:
    """What a dead process left in the page cache is made durable before a retry is acknowledged."""
    count, _ = operations(tmp_path / "whole")
    lost = [last for last in range(count) if not attempt(tmp_path / "cut", "", last, again=True)[0]]
    assert lost == []


REDUNDANT = {
    # The head, written after it into the same directory, makes this name durable as well.
    "audit.log-json.replace-dir",
    # The first append to the segment syncs the header as well; before it, nothing is lost with the header.
    "audit.segment.create",
    # A tile that is lost with its name is made again from the log; what the sync is for is in test_audit_tiles.
    "audit.tile.put",
}

SITES = [
    "audit.append",
    "audit.blob.blobs-dir",
    "audit.blob.folder-dir",
    "audit.blob.replace",
    "audit.blob.replace-dir",
    "audit.blob.sha256-dir",
    "audit.checkpoint.replace",
    "audit.checkpoint.replace-dir",
    "audit.head.replace",
    "audit.head.replace-dir",
    "audit.log-json.replace",
    "audit.open.above",
    "audit.open.directory",
    "audit.open.parent",
    "audit.open.segment",
    "audit.open.wal",
    "audit.segment.create-dir",
]


@pytest.mark.parametrize("site", SITES)
def test_each_sync_is_needed(tmp_path: Path, site: str) -> None:
    """With the sync of one site made a no-op, some power cut breaks a promise."""
    count, _ = operations(tmp_path / "whole")
    cases = ((last, again) for again in (False, True) for last in (-1, *range(count)))
    assert any(not attempt(tmp_path / "cut", site, last, again=again)[0] for last, again in cases)


def test_no_site_is_forgotten(tmp_path: Path) -> None:
    """Every site that a session syncs at, a restart included, is in the list above."""
    disk = Disk()
    world = World(tmp_path)
    world.run(disk)
    world.run(disk)
    disk.release()
    assert disk.sites == {*SITES, *REDUNDANT}


def test_a_torn_tail_is_kept_somewhere_at_every_cut(tmp_path: Path) -> None:
    """The tail is durable in quarantine before it is cut off, whenever the power goes."""
    first = Disk()
    world = World(tmp_path / "live")
    world.base.mkdir()
    world.run(first)
    segment = sorted((world.directory / "wal").iterdir())[-1]
    torn = b"half a frame"
    pristine = tmp_path / "pristine"
    shutil.copytree(world.base, pristine)
    last, lost = 0, []
    while True:
        shutil.rmtree(world.base)
        shutil.copytree(pristine, world.base)
        with segment.open("ab") as file:
            file.write(torn)
        disk = Disk("", last)
        snapshot(disk, world.base)
        with durable.using(disk):
            try:
                asyncio.run(reopen(world.directory))
            except Killed:
                pass
        disk.after_cut(world.base, tmp_path / "left")
        disk.release()
        left = tmp_path / "left" / "data" / "log"
        places = [left / "wal" / segment.name, *(left / "quarantine").glob("*.torn")]
        if not any(torn in path.read_bytes() for path in places):
            lost.append(last)
        shutil.rmtree(tmp_path / "left")
        if not disk.dead:
            break
        last += 1
    first.release()
    assert last > 10
    assert lost == []


def snapshot(disk: Disk, root: Path) -> None:
    """Take everything below ``root`` as durable."""
    disk.names[root] = {entry.name: entry.inode() for entry in os.scandir(root)}
    for path in root.iterdir():
        if path.is_dir():
            snapshot(disk, path)
        else:
            disk.content[path.stat().st_ino] = path.read_bytes()


def key_survives(base: Path, broken: str, last: int) -> tuple[bool, int]:
    """Make a key, die at operation ``last``, start again, cut the power; say whether the key is the one in use."""
    live = base / "live"
    live.mkdir(parents=True)
    disk = Disk(broken, last)
    disk.names[live] = {}
    path = live / "keys" / "audit.skey"
    with durable.using(disk):
        try:
            open_signer(path, "audit.example.com/k", live / "log")
        except Killed:
            disk.dead = False
        disk.last = -1
        signer = open_signer(path, "audit.example.com/k", live / "log")
    disk.after_cut(live, base / "left")
    disk.release()
    left = base / "left" / "keys" / "audit.skey"
    same = left.is_file() and left.read_text("ascii") == signer.skey + "\n"
    shutil.rmtree(base)
    return same, disk.done


@pytest.mark.parametrize("site", ["", "audit.key.replace", "audit.key.above"])
def test_a_key_in_use_survives_and_each_sync_is_needed(tmp_path: Path, site: str) -> None:
    """A key that is lost after it signed would end the log."""
    count = key_survives(tmp_path / "key", "", -1)[1]
    kept = [key_survives(tmp_path / "key", site, last)[0] for last in range(-1, count)]
    assert all(kept) is (site == "")
