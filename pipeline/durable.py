"""The only module that makes writes durable; every step has a name, so that a test can break it.

The sequence for a new file is: create, write, sync it, sync its directory. For a replaced file:
write a temporary one, sync it, rename, sync the directory. After a failed sync the outcome is
unknown: the kernel may have dropped the dirty pages, and a second sync then "succeeds". The caller
must stop, reopen and recover from disk; nothing here retries (Rebello et al., "Can Applications
Recover from fsync Failures?", ATC 2020).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Files:
    """The file operations whose order matters; tests put a recording or failing twin in its place."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist; return a descriptor for appending."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open an existing file for appending and reading."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of ``data`` at the end of the file."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def pwrite(self, path: Path, data: bytes, offset: int) -> int:
        """Overwrite part of a file; return its descriptor, to be synced and closed by the caller."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.pwrite(fd, data, offset) != len(data):
            os.close(fd)
            raise OSError("short write")
        return fd

    def sync(self, fd: int, site: str) -> None:  # noqa: ARG002 - the name is for tests
        """Return once the file's data would survive a power cut."""
        os.fdatasync(fd)

    def sync_dir(self, path: Path, site: str) -> None:  # noqa: ARG002
        """Return once the directory's entries would survive a power cut."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Put ``old`` in the place of ``new``."""
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Return how much the file system of ``path`` would take from us."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


files = Files()


@contextmanager
def using(other: Files) -> Iterator[None]:
    """Put another `Files` in place, for tests of crashes and faults."""
    global files  # noqa: PLW0603 - the one seam for fault injection
    before, files = files, other
    try:
        yield
    finally:
        files = before


def create(path: Path, header: bytes, *, site: str) -> int:
    """Create a file that starts with ``header``; durable, with its name, on return."""
    fd = files.create(path)
    files.write(fd, header)
    files.sync(fd, f"{site}.create")
    files.sync_dir(path.parent, f"{site}.create-dir")
    return fd


def replace(path: Path, data: bytes, *, site: str) -> None:
    """Put ``data`` in the place of the file's content, all or nothing; durable on return."""
    _rename_whole(path, data, f"{site}.replace")
    files.sync_dir(path.parent, f"{site}.replace-dir")


def put(path: Path, data: bytes, *, site: str) -> None:
    """Put a file in place that is whole whenever its name is there; a crash may lose the name again."""
    _rename_whole(path, data, f"{site}.put")


def _rename_whole(path: Path, data: bytes, site: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    files.unlink(temporary)
    fd = files.create(temporary)
    try:
        files.write(fd, data)
        files.sync(fd, site)
    finally:
        files.close(fd)
    # A crash here leaves the old content and a stray .tmp, which the next one removes.
    files.rename(temporary, path)


def append(fd: int, data: bytes, *, site: str) -> None:
    """Append ``data``; durable on return. An error means that the outcome is unknown."""
    files.write(fd, data)
    files.sync(fd, site)


def overwrite(path: Path, data: bytes, offset: int, *, site: str) -> None:
    """Overwrite a slot of a fixed-size file; durable on return, but not atomic: use two slots and a checksum."""
    fd = files.pwrite(path, data, offset)
    try:
        files.sync(fd, site)
    finally:
        files.close(fd)


def remove(path: Path, *, site: str) -> None:
    """Remove a file; gone for good on return."""
    files.unlink(path)
    files.sync_dir(path.parent, f"{site}.remove-dir")


def make_dir(path: Path, *, site: str) -> None:
    """Make a directory and its parents, durable in theirs; one that exists is made durable all the same.

    A process may have died between making it and the sync: then its name is in the page cache only.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        files.sync_dir(directory.parent, f"{site}.mkdir")
    if not missing:
        files.sync_dir(path.parent, f"{site}.mkdir")
