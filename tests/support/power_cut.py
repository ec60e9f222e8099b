"""A twin of the durable file operations that remembers each of them, and the disk after a loss of power.

`Disk` does everything to real files, which stand for the page cache, and notes it down. `Image` replays the
notes up to any operation and knows, for each file, what was written since its last sync, and for each directory,
which names changed since its last sync. From an image three directory trees can be made: `cache`, what another
process sees; `strict`, what was synced and nothing else; `torn`, where any part of the rest survived, too. And
`named` makes each tree in which some of one directory's new names survived.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import compress, product
from pathlib import Path
from typing import Any

from pipeline import durable

SECTOR = 512
FOLDER = -1
"""In place of a file's number."""

Step = tuple[Any, ...]

Names = tuple[str, dict[str, int]]
"""A directory, and the names in it with their files."""


@dataclass
class _File:
    """Content at the last sync, and what was done since: (offset, data), or (size, None) for a cut."""

    synced: bytes = b""
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    data: bytes = b""

    def change(self, offset: int, data: bytes | None) -> None:
        self.changes.append((offset, data))
        self.data = _changed(self.data, offset, data)

    def sync(self) -> None:
        self.synced, self.changes = self.data, []

    def torn(self, chance: random.Random) -> bytes:
        """Some first changes survive, and a part of the next one."""
        content, kept = self.synced, chance.randint(0, len(self.changes))
        for offset, data in self.changes[:kept]:
            content = _changed(content, offset, data)
        if kept < len(self.changes):
            offset, data = self.changes[kept]
            if data:
                content = _changed(content, offset, _part(data, chance))
        return content


def _part(data: bytes, chance: random.Random) -> bytes:
    """Return a first part of a write, or some of its sectors: pages reach a disk in any order, zeros elsewhere."""
    if chance.random() < 0.5:
        return data[: chance.randint(0, len(data))]
    sectors = [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
    return b"".join([sector if chance.random() < 0.5 else bytes(len(sector)) for sector in sectors])


def _changed(content: bytes, offset: int, data: bytes | None) -> bytes:
    if data is None:
        return content[:offset].ljust(offset, b"\0")
    content = content.ljust(offset, b"\0")
    return content[:offset] + data + content[offset + len(data) :]


@dataclass
class _Directory:
    """Names at the last sync, and what was changed since: (name that goes, name that comes, its file)."""

    synced: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[str, str, int]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)

    def change(self, old: str, new: str, file: int) -> None:
        self.changes.append((old, new, file))
        self.names = _renamed(self.names, self.changes[-1:])

    def sync(self) -> None:
        self.synced, self.changes = self.names, []

    def torn(self, chance: random.Random) -> dict[str, int]:
        """Any of the changes survive: the order of names is not promised."""
        return _renamed(self.synced, [change for change in self.changes if chance.random() < 0.5])


def _renamed(names: dict[str, int], changes: list[tuple[str, str, int]]) -> dict[str, int]:
    result = dict(names)
    for old, new, file in changes:
        result.pop(old, None)
        if new:
            result[new] = file
    return result


def _synced(file: _File) -> bytes:
    return file.synced


class Image:
    """The state of a disk after some operations."""

    def __init__(self) -> None:
        self.files: dict[int, _File] = {}
        self.directories: dict[str, _Directory] = {"": _Directory()}

    def apply(self, step: Step) -> None:
        """Do one operation."""
        kind, *rest = step
        getattr(self, f"_{kind}")(*rest)

    def _mkdir(self, parent: str, name: str) -> None:
        self.directories[parent].change("", name, FOLDER)
        self.directories[os.path.join(parent, name)] = _Directory()

    def _create(self, parent: str, name: str, file: int) -> None:
        self.files[file] = _File()
        self.directories[parent].change("", name, file)

    def _change(self, file: int, offset: int, data: bytes | None) -> None:
        self.files[file].change(offset, data)

    def _rename(self, parent: str, old: str, new: str) -> None:
        self.directories[parent].change(old, new, self.directories[parent].names[old])

    def _unlink(self, parent: str, name: str) -> None:
        self.directories[parent].change(name, "", 0)

    def _sync(self, file: int, _site: str) -> None:
        self.files[file].sync()

    def _sync_dir(self, path: str, _site: str) -> None:
        self.directories[path].sync()

    def cache(self, target: Path) -> None:
        """Make the tree that another process sees."""
        self._make(target, "", lambda path: self.directories[path].names, lambda file: file.data)

    def strict(self, target: Path) -> None:
        """Make the tree of what was synced, and of nothing else."""
        self._make(target, "", lambda path: self.directories[path].synced, _synced)

    def torn(self, target: Path, chance: random.Random) -> None:
        """Make a tree where some of what was not synced survived; in order within a file."""
        self._make(
            target, "", lambda path: self.directories[path].torn(chance), lambda file: file.torn(chance)
        )

    def outcomes(self) -> Iterator[Names]:
        """Yield what a cut can make of names: any of the changes of one directory survive, and of no other."""
        for path, directory in self.directories.items():
            for kept in product((True, False), repeat=len(directory.changes)):
                if directory.changes:
                    yield path, _renamed(directory.synced, list(compress(directory.changes, kept)))

    def named(self, target: Path, outcome: Names) -> None:
        """Make the tree of what was synced, with one of the `outcomes`."""
        changed = {outcome[0]: outcome[1]}
        self._make(target, "", lambda path: changed.get(path, self.directories[path].synced), _synced)

    def _make(self, target: Path, path: str, names: Any, content: Any) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name, file in names(path).items():
            if file == FOLDER:
                self._make(target / name, os.path.join(path, name), names, content)
            else:
                (target / name).write_bytes(content(self.files[file]))
                (target / name).chmod(0o600)


class Disk(durable.Files):
    """See the module. Directories made without it are noticed when something in or about them is synced.

    Args:
        root: Everything happens below it.
        base: State it starts from, of which ``root`` is the `Image.cache`; without, an empty directory.
        broken: Names of the sites whose syncs do nothing.

    Attributes:
        steps: All operations so far; their number tells the time.
        sites: Names of all syncs so far.
    """

    def __init__(self, root: Path, base: Image | None = None, broken: Collection[str] = ()) -> None:
        self.root = root
        self.steps: list[Step] = []
        self.sites: set[str] = set()
        self._base = base or Image()
        self._live = deepcopy(self._base)
        self._broken = broken
        self._fds: dict[int, int] = {}
        self._numbers = max(self._base.files, default=0)
        self._lock = threading.RLock()

    @property
    def now(self) -> int:
        """Number of operations so far."""
        return len(self.steps)

    def images(self, wanted: Iterable[int]) -> Iterator[tuple[int, Image]]:
        """Yield, in order, the state after each wanted number of operations; it is changed by going on."""
        image, done = deepcopy(self._base), 0
        for number in sorted(set(wanted)):
            for step in self.steps[done:number]:
                image.apply(step)
            done = number
            yield number, image

    def _note(self, *step: Any) -> None:
        self.steps.append(step)
        self._live.apply(step)

    def _place(self, path: Path) -> tuple[str, str]:
        """Return directory and name of a path, relative to the root; notice new directories above it."""
        relative = path.relative_to(self.root)
        parent = "" if relative.parent == Path() else str(relative.parent)
        self._notice(parent)
        return parent, relative.name

    def _notice(self, directory: str) -> None:
        if directory not in self._live.directories:
            parent, name = os.path.split(directory)
            self._notice(parent)
            self._note("mkdir", parent, name)

    def _known(self, path: Path) -> int:
        parent, name = self._place(path)
        return self._live.directories[parent].names[name]

    def create(self, path: Path) -> int:
        with self._lock:
            parent, name = self._place(path)
            fd = super().create(path)
            self._numbers += 1
            self._fds[fd] = self._numbers
            self._note("create", parent, name, self._numbers)
            return fd

    def open(self, path: Path) -> int:
        with self._lock:
            fd = super().open(path)
            self._fds[fd] = self._known(path)
            return fd

    def write(self, fd: int, data: bytes) -> None:
        with self._lock:
            size = os.fstat(fd).st_size
            super().write(fd, data)
            self._note("change", self._fds[fd], size, bytes(data))

    def pwrite(self, path: Path, data: bytes, offset: int) -> int:
        with self._lock:
            number = self._known(path)
            fd = super().pwrite(path, data, offset)
            self._fds[fd] = number
            self._note("change", number, offset, data)
            return fd

    def sync(self, fd: int, site: str) -> None:
        with self._lock:
            self.sites.add(site)
            if site not in self._broken:
                self._note("sync", self._fds[fd], site)

    def sync_dir(self, path: Path, site: str) -> None:
        with self._lock:
            if not path.is_relative_to(self.root):
                return
            relative = "" if path == self.root else str(path.relative_to(self.root))
            self._notice(relative)
            for entry in os.scandir(path):
                if entry.is_dir():
                    self._notice(os.path.join(relative, entry.name))
            self.sites.add(site)
            if site not in self._broken:
                self._note("sync_dir", relative, site)

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            assert old.parent == new.parent
            parent, name = self._place(new)
            super().rename(old, new)
            self._note("rename", parent, old.name, name)

    def unlink(self, path: Path) -> None:
        with self._lock:
            parent, name = self._place(path)
            super().unlink(path)
            if name in self._live.directories[parent].names:
                self._note("unlink", parent, name)

    def truncate(self, fd: int, size: int) -> None:
        with self._lock:
            super().truncate(fd, size)
            self._note("change", self._fds[fd], size, None)


class Unsynced(durable.Files):
    """Real files without syncs, for trees that no power cut will meet."""

    def sync(self, fd: int, site: str) -> None:
        pass

    def sync_dir(self, path: Path, site: str) -> None:
        pass
