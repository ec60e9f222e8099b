"""What is acknowledged but not archived yet: frames of the buffers and leaves of the audit log.

Exactly once: the frames are read FIRST, and their bytes held; THEN the manifests are read, and frames
that a manifest covers are dropped. A frame that went before it could be read was archived before, so
the manifests, read later, have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.archive_format import Manifest, read_manifests, writer_of
from pipeline.query.errors import QueryError

_MAX_BYTES = 256 << 20


class Frame(Protocol):
    """A frame as the buffer or the audit log's pump makes it; see ``docs/formats/archive.md``."""

    @property
    def tenant(self) -> str: ...
    @property
    def min_ns(self) -> int: ...
    @property
    def max_ns(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def position(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Log:
    """One place where frames wait to be archived.

    Attributes:
        directory: Remembers the writer of its frames, see `pipeline.archive_format.writer_of`.
        read: Reads the frames that start at or after a position; also from another process.
        audit: The frames are audit leaves.
    """

    directory: Path
    read: Callable[[int], Iterable[Frame]]
    audit: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        tenant: Whose records the caller sees.
        audit: May see audit leaves: those of its tenant,
        every_tenant: or those of all tenants.
    """

    tenant: str
    audit: bool = False
    every_tenant: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A frame that no manifest covers, or not from its beginning.

    Attributes:
        frame: The frame.
        writer: Of its log.
        audit: It holds audit leaves.
        skip: So many of its first records are archived.
    """

    frame: Frame
    writer: str
    audit: bool
    skip: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a caller may see, each record in one place only."""

    waiting: Sequence[Waiting]
    manifests: Sequence[Manifest]


def snapshot(archive: Path, logs: Iterable[Log], caller: Caller, low_ns: int, high_ns: int) -> Snapshot:
    """Take what lies between two times, unix ns, both inclusive.

    Raises:
        QueryError: So much waits to be archived that it cannot be held.
        FileNotFoundError: Something moved; take another snapshot.
    """
    before = {manifest.writer: manifest for manifest in read_manifests(archive)}
    held: list[tuple[Log, str | None, Frame]] = []
    size = 0
    for log in logs:
        if log.audit and not caller.audit:
            continue
        writer = writer_of(log.directory)
        for frame in log.read(_start(before.get(writer or ""), None if log.audit else caller.tenant)):
            if not log.audit and frame.tenant != caller.tenant:
                continue
            if frame.max_ns < low_ns or frame.min_ns > high_ns:
                continue
            held.append((log, writer, frame))
            size += len(frame.payload)
            if size > _MAX_BYTES:
                raise QueryError(
                    503, f"more than {_MAX_BYTES >> 20} MiB of this range wait to be archived; try later"
                )
    after = {manifest.writer: manifest for manifest in read_manifests(archive)}
    return Snapshot(_uncovered(held, after), list(after.values()))


def _start(manifest: Manifest | None, tenant: str | None) -> int:
    if manifest is None:
        return 0
    if tenant is not None:
        return manifest.covered.get(tenant, 0)
    return min(manifest.covered.values(), default=0)


def _uncovered(
    held: Iterable[tuple[Log, str | None, Frame]], manifests: Mapping[str, Manifest]
) -> list[Waiting]:
    waiting = []
    for log, writer, frame in held:
        # The writer's id may have come while the frames were read; without one nothing is archived.
        known = writer or writer_of(log.directory) or ""
        manifest = manifests.get(known)
        skip = manifest.skipped(frame.tenant, frame.position, frame.end) if manifest else 0
        if skip < frame.end - frame.position:
            waiting.append(Waiting(frame, known, log.audit, skip))
    return waiting
