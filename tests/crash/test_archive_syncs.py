"""A power cut loses what was not synced; the archive loses nothing, and each of its syncs is needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from archive_frames import Reading, lines
from headrig import HeadrigError

from pipeline import durable
from pipeline.query.errors import QueryError
from pipeline.sinks.archive import ArchiveSink, compact

_SITES = [
    "archive.mkdir",
    "archive.writer.replace",
    "archive.writer.replace-dir",
    "archive.file.replace",
    "archive.file.replace-dir",
    "archive.manifest.replace",
    "archive.manifest.replace-dir",
    "archive.merge.replace",
    "archive.merge.replace-dir",
]


class Disk(durable.Files):
    """Remembers what is synced: contents by inode, names by directory; one site's syncs can be left out."""

    def __init__(self, root: Path, without: str = "") -> None:
        self.root, self.without = root, without
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {os.stat(root).st_ino: {}}
        self.sites: set[str] = set()

    def create(self, path):
        fd = super().create(path)
        self.contents.pop(os.fstat(fd).st_ino, None)  # a removed file may have had this inode
        return fd

    def sync(self, fd, site):
        self.sites.add(site)
        if site != self.without:
            self.contents[os.fstat(fd).st_ino] = os.pread(fd, os.fstat(fd).st_size, 0)

    def sync_dir(self, path, site):
        self.sites.add(site)
        if site != self.without:
            self.names[os.stat(path).st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}

    def cut(self, target: Path) -> None:
        """Write what would be there after a power cut into an empty directory."""
        self._restore(os.stat(self.root).st_ino, target)

    def _restore(self, directory: int, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name, inode in self.names.get(directory, {}).items():
            path = target / name
            if inode in self.names or inode in self._directories():
                self._restore(inode, path)
            else:
                path.write_bytes(self.contents.get(inode, b""))

    def _directories(self) -> set[int]:
        return {os.stat(path).st_ino for path, _, _ in os.walk(self.root)}


def _write(root: Path, frames: list) -> ArchiveSink:
    """Archive frames, without upkeep."""
    sink = ArchiveSink.open(root / "archive", root / "w0")
    for frame in frames:
        sink._store([frame])
    sink._thread.shutdown()
    return sink


def _scenario(root: Path, without: str, committed: int, *, merge: bool) -> tuple[list[str] | None, set[str]]:
    """Archive nine frames, cut the power, send again what the cursor is not past.

    Returns what a query finds then, None if it cannot be read, and the sites that were synced.
    """
    live, after = root / "live", root / "after"
    shutil.rmtree(root, ignore_errors=True)
    (live / "w0").mkdir(parents=True)
    frames = [lines(position, f"line {position}") for position in range(9)]
    disk = Disk(live, without)
    disk.names[os.stat(live).st_ino] = {"w0": os.stat(live / "w0").st_ino}
    with durable.using(disk):
        sink = _write(live, frames)
        merged = compact.merge(sink.directory, sink.writer) if merge else 0
        disk.cut(after)
    assert merged == (8 if merge else 0)
    reading = Reading(after)
    reading.frames = frames[committed:]
    try:
        _write(after, reading.frames)
        return reading.found('{service_name="shop"}'), disk.sites
    except (HeadrigError, QueryError, OSError):
        return None, disk.sites
    finally:
        reading.store.close()


def _holds(root: Path, without: str = "") -> bool:
    expected = [f"line {position}" for position in range(9)]
    for committed in (0, 8, 9):
        for merge in (False, True):
            found, _ = _scenario(root, without, committed, merge=merge)
            if found != expected:
                return False
    return True


def test_archive_survives_a_power_cut(tmp_path):
    """After a cut, with cursor committed or not, merged or not, every record is found once."""
    assert _holds(tmp_path / "run")


@pytest.mark.parametrize("site", _SITES)
def test_archive_needs_each_sync(tmp_path, site):
    """Leaving out the syncs of one place loses or doubles records, and this test sees it."""
    assert not _holds(tmp_path / "run", site)


def test_archive_list_of_syncs_is_complete(tmp_path):
    """Every sync that the archive makes is one of those tried above."""
    _, sites = _scenario(tmp_path / "run", "", 9, merge=True)
    assert sites == set(_SITES)
