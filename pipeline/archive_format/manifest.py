"""What the archive looks like on disk; the archive sink writes it, queries and replay read it.

::

    <archive>/LOCK                                   flock of whoever changes a manifest
    <archive>/manifest-<writer>.json                 what one writer has archived, swapped by rename
    <archive>/files/<writer>-<start>-<end>.parquet   records of one tenant, never changed
    <buffer>/archive-writer                          the writer that this buffer's frames belong to

A writer is one life of one buffer directory: positions mean something only together with it, so a
buffer that was removed and begins at 0 again gets a new writer. ``covered`` says, per tenant, up to
which position that writer's frames are archived. It only grows, also when files are merged or
expire, so "is this frame archived?" is one comparison. See ``docs/formats/archive.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson
from headrig import CorruptionError

VERSION = 1
COLUMNS = ("tenant", "labels", "metadata", "ts", "line")
_WRITER = "archive-writer"


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One Parquet file: records of one tenant, in the order of their frames.

    Attributes:
        name: File name under ``files/``.
        tenant: Whose records.
        start, end: Positions of the first frame and behind the last one, half open.
        lines: Records.
        size: Bytes of the file.
        min_ns, max_ns: Earliest and latest record time, unix ns, both inclusive.
        written_ns: When the newest of its records was archived, unix ns; retention counts from it.
    """

    name: str
    tenant: str
    start: int
    end: int
    lines: int
    size: int
    min_ns: int
    max_ns: int
    written_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that one writer has archived.

    Attributes:
        writer: Its id.
        audit: Its frames are audit leaves and its positions leaf indices.
        covered: Tenant to the position up to which its frames are archived (or expired since).
        files: What is there, oldest first.
        expired: Tenant to records that retention removed, since ever.
    """

    writer: str
    audit: bool = False
    covered: Mapping[str, int] = field(default_factory=dict)
    files: tuple[ArchiveFile, ...] = ()
    expired: Mapping[str, int] = field(default_factory=dict)

    def skipped(self, tenant: str, position: int, end: int) -> int:
        """Return how much of a frame is archived: 0 for nothing, ``end - position`` for all of it.

        Anything between only comes with audit leaves, whose positions are indices and whose frames are made
        anew each time: then it is the number of leaves to leave out.
        """
        return min(max(self.covered.get(tenant, 0) - position, 0), end - position)

    def extended(self, file: ArchiveFile) -> Manifest:
        """Return this manifest with one more file."""
        return replace(self.covering(file.tenant, file.end), files=(*self.files, file))

    def covering(self, tenant: str, end: int) -> Manifest:
        """Return this manifest with a tenant's frames archived up to ``end``, also where no file came of it."""
        return replace(self, covered={**self.covered, tenant: max(end, self.covered.get(tenant, 0))})

    def encode(self) -> bytes:
        """Render the manifest file."""
        body = {
            "version": VERSION,
            "writer": self.writer,
            "audit": self.audit,
            "covered": self.covered,
            "expired": self.expired,
            "files": [asdict(file) for file in self.files],
        }
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)


def manifest_path(archive: Path, writer: str) -> Path:
    """Where a writer's manifest lies."""
    return archive / f"manifest-{writer}.json"


def data_path(archive: Path, name: str) -> Path:
    """Where a Parquet file lies."""
    return archive / "files" / name


def writer_path(buffer: Path) -> Path:
    """Where a buffer directory keeps the id of its writer."""
    return buffer / _WRITER


def writer_of(buffer: Path) -> str | None:
    """Return the writer of a buffer directory; None when nothing of it was ever archived."""
    try:
        return writer_path(buffer).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def read_manifest(archive: Path, writer: str) -> Manifest | None:
    """Read one writer's manifest; None when there is none.

    Raises:
        CorruptionError: It is not a manifest of this version.
    """
    path = manifest_path(archive, writer)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return _decode(path.name, data)


def read_manifests(archive: Path) -> list[Manifest]:
    """Read the manifests of all writers, ordered by writer.

    Raises:
        CorruptionError: One is not a manifest of this version.
    """
    return [_decode(path.name, path.read_bytes()) for path in sorted(archive.glob("manifest-*.json"))]


def _decode(name: str, data: bytes) -> Manifest:
    try:
        body = orjson.loads(data)
        if body["version"] != VERSION:
            raise CorruptionError(name, 0, f"version {body['version']} is not {VERSION}")
        files = tuple(ArchiveFile(**file) for file in body["files"])
        return Manifest(body["writer"], body["audit"], body["covered"], files, body["expired"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(name, 0, f"is no manifest ({type(error).__name__})") from None
