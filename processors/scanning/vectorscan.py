"""The scanner that Vectorscan runs: compiled databases, cached on disk.

Block mode without start of match, so an event is (end, tag), and every end of every match is one.

A cache file is a SHA-256 digest and the serialised database. It is trusted only when the file is
ours alone (owner, mode 0600) and the digest holds; anything else is compiled anew. It needs no
fsync: a torn file fails its digest. It is written beside its place and moved there, so that starts
at the same time may write the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
import tempfile
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hyperscan

from processors.scanning.patterns import Pattern, PatternError

NAME = "vectorscan"
_DIGEST = 32


class Vectorscan:
    """Scans buffers against several databases; see `processors.scanning.Scanner`.

    Scratch space is made for each process and thread on first use, so a scanner may be made
    before a fork.

    Args:
        groups: The patterns of each database.
        cache_dir: Where compiled databases are kept; made when it is missing.

    Raises:
        PatternError: Vectorscan does not take a pattern.
    """

    def __init__(self, groups: Sequence[Sequence[Pattern]], cache_dir: Path) -> None:
        self._databases = [_load(group, cache_dir) for group in groups]
        self._local = threading.local()

    def scan(self, buffer: bytes) -> list[tuple[int, int]]:
        """Return (end, tag) of every match, in order of end."""
        local = self._local
        if getattr(local, "pid", 0) != os.getpid():
            local.scratches = [hyperscan.Scratch(database) for database in self._databases]
            local.pid = os.getpid()
        events: list[tuple[int, int]] = []
        add = events.append

        def event(tag: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add((end, tag))

        for database, scratch in zip(self._databases, local.scratches, strict=True):
            database.scan(buffer, match_event_handler=event, scratch=scratch)
        events.sort()
        return events

    def sizes(self) -> list[int]:
        """Return the bytes that each database takes."""
        return [len(hyperscan.dumpb(database)) for database in self._databases]


def _load(patterns: Sequence[Pattern], cache_dir: Path) -> Any:
    name = hashlib.sha256()
    name.update(f"{version('hyperscan')} {platform.machine()} {platform.processor()}".encode())
    for pattern in patterns:
        about = b"%d %d %d %d " % (
            pattern.tag,
            pattern.caseless,
            len(pattern.expression),
            len(pattern.instead),
        )
        name.update(about + pattern.expression + pattern.instead)
    path = cache_dir / f"patterns-{name.hexdigest()[:32]}.hsdb"
    with contextlib.suppress(OSError, ValueError, hyperscan.error):
        return hyperscan.loadb(_read_trusted(path), hyperscan.HS_MODE_BLOCK)
    database = _compile_each(patterns)
    with contextlib.suppress(OSError):
        _write(path, hyperscan.dumpb(database))
    return database


def _compile_each(patterns: Sequence[Pattern]) -> Any:
    """Compile patterns together; only when that fails, find out which are at fault."""
    try:
        return _compile(patterns, [pattern.expression for pattern in patterns])
    except hyperscan.error:
        return _compile(patterns, [_taken(pattern) for pattern in patterns])


def _taken(pattern: Pattern) -> bytes:
    """Return what is compiled for a pattern: its expression, or what stands in for it."""
    try:
        _compile([pattern], [pattern.expression])
    except hyperscan.error as error:
        if not pattern.instead:
            raise PatternError(pattern.tag, NAME, str(error)) from error
        return pattern.instead
    return pattern.expression


def _compile(patterns: Sequence[Pattern], expressions: list[bytes]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=expressions,
        ids=[pattern.tag for pattern in patterns],
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_CASELESS if pattern.caseless else 0 for pattern in patterns],
    )
    return database


def _read_trusted(path: Path) -> bytes:
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise ValueError("the cache file is not ours alone")
        data = file.read()
    if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
        raise ValueError("the cache file is damaged")
    return data[_DIGEST:]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".patterns-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
