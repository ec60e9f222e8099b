"""Keeping the archive within its bounds: files leave the manifest first, then the disk.

Age counts from when a record was archived, not from its own time: a sender's clock that is wrong
must neither keep data for ever nor have it removed at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import durable
from pipeline.archive_format import ArchiveFile, Manifest, data_path, read_manifests
from pipeline.sinks.archive.manifest import locked, swap


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the archive keeps.

    Attributes:
        max_bytes: Bytes of all its files together; None for no bound.
        max_age_seconds: Since a record was archived; None for no bound.
    """

    max_bytes: int | None = None
    max_age_seconds: float | None = None


def expire(archive: Path, bounds: Bounds, now_ns: int) -> Mapping[str, int]:
    """Remove the oldest files, of any writer, until the bounds hold; blocks.

    Returns:
        Tenant to records removed.
    """
    if not _overdue(read_manifests(archive), bounds, now_ns):
        return {}
    counts: Counter[str] = Counter()
    with locked(archive):
        manifests = read_manifests(archive)  # again: under the lock it is the truth
        gone = _overdue(manifests, bounds, now_ns)
        for manifest in manifests:
            mine = [file for file in manifest.files if file.name in gone]
            if mine:
                swap(archive, manifest, lambda before, mine=mine: _without(before, mine))  # type: ignore[misc]
                for file in mine:
                    counts[file.tenant] += file.lines
    # A crash here leaves files that no manifest lists; their writer sweeps them when it opens.
    for name in gone:
        durable.files.unlink(data_path(archive, name))
    return counts


def _overdue(manifests: list[Manifest], bounds: Bounds, now_ns: int) -> set[str]:
    files = sorted(
        (file for manifest in manifests for file in manifest.files), key=lambda file: file.written_ns
    )
    size = sum(file.size for file in files)
    gone: set[str] = set()
    for file in files:
        too_old = (
            bounds.max_age_seconds is not None and now_ns - file.written_ns > bounds.max_age_seconds * 1e9
        )
        too_much = bounds.max_bytes is not None and size > bounds.max_bytes
        if not (too_old or too_much):
            break
        gone.add(file.name)
        size -= file.size
    return gone


def _without(manifest: Manifest, files: list[ArchiveFile]) -> Manifest:
    names = {file.name for file in files}
    expired = Counter(manifest.expired)
    for file in files:
        expired[file.tenant] += file.lines
    return replace(
        manifest, files=tuple(f for f in manifest.files if f.name not in names), expired=dict(expired)
    )
