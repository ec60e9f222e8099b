"""Changing a manifest: one process at a time, all or nothing, durable on return."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import durable
from pipeline.archive_format import Manifest, manifest_path, read_manifest, writer_of, writer_path


def claim_writer(buffer: Path, name: str) -> str:
    """Return the writer id of a buffer directory, and give it one at the first time.

    The id must be durable before a manifest names it: a buffer that forgot its writer would archive
    the frames it still has once more.
    """
    known = writer_of(buffer)
    if known:
        return known
    writer = f"{re.sub('[^A-Za-z0-9]', '', name)}-{secrets.token_hex(4)}"
    durable.replace(writer_path(buffer), writer.encode("ascii") + b"\n", site="archive.writer")
    return writer


@contextmanager
def locked(archive: Path) -> Iterator[None]:
    """Hold the archive's lock; a holder that dies lets go of it."""
    fd = os.open(archive / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def swap(archive: Path, empty: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
    """Change the manifest of one writer; the caller holds the lock.

    Args:
        archive: The archive's directory.
        empty: What stands for a manifest that is not there yet.
        change: Returns the new manifest, or the same object for no change.
    """
    before = read_manifest(archive, empty.writer) or empty
    after = change(before)
    if after is not before:
        durable.replace(manifest_path(archive, empty.writer), after.encode(), site="archive.manifest")
    return after
