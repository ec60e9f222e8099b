"""Merging adjacent small files of a writer, so that a quiet tenant does not make a file every two seconds.

Files are merged by tiers: eight neighbours below a tier's size become one. So a record is rewritten
about once per tier, seven times at most, however slowly its file grows.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import durable
from pipeline.archive_format import ArchiveFile, Manifest, data_path, read_manifest
from pipeline.sinks.archive.columns import ROW_GROUP_LINES, parquet_writer
from pipeline.sinks.archive.manifest import locked, swap

_RUN = 8
_TIERS = (8, 64, 512, 4_096, 32_768, 90_000)


def plan(files: Sequence[ArchiveFile]) -> list[ArchiveFile]:
    """Choose neighbours to merge among the files of one tenant, ordered by position; empty for none."""
    for tier in _TIERS:
        run: list[ArchiveFile] = []
        for file in files:
            if file.lines >= tier:
                run = []
                continue
            run.append(file)
            if len(run) == _RUN:
                return run
    return []


def merge(archive: Path, writer: str) -> int:
    """Merge what is due; blocks, and holds one row group and the merged file's bytes in memory.

    Returns:
        How many files were merged away.
    """
    manifest = read_manifest(archive, writer)
    merged = 0
    for tenant in {file.tenant for file in manifest.files} if manifest else ():
        while True:
            manifest = read_manifest(archive, writer)
            if manifest is None:
                return merged
            files = sorted(
                (file for file in manifest.files if file.tenant == tenant), key=lambda file: file.start
            )
            run = plan(files)
            if not run or not _replace_run(archive, manifest, run):
                break
            merged += len(run)
    return merged


def sweep(archive: Path, writer: str) -> int:
    """Remove files of this writer that no manifest lists: a crash left them. Only the writer itself may.

    Returns:
        How many were removed.
    """
    manifest = read_manifest(archive, writer)
    known = {file.name for file in manifest.files} if manifest else set()
    strays = [path for path in (archive / "files").glob(f"{writer}-*") if path.name not in known]
    for path in strays:
        durable.files.unlink(path)
    return len(strays)


def _replace_run(archive: Path, manifest: Manifest, run: list[ArchiveFile]) -> bool:
    merged = _merged(archive, manifest.writer, run)
    names = {file.name for file in run}
    with locked(archive):
        after = swap(archive, manifest, lambda before: _with_merged(before, names, merged))
    if merged not in after.files:  # retention was faster
        durable.files.unlink(data_path(archive, merged.name))
        return False
    # A query that has read the manifest before may miss one of these; it reads the manifest again.
    for name in names:
        durable.files.unlink(data_path(archive, name))
    return True


def _merged(archive: Path, writer: str, run: list[ArchiveFile]) -> ArchiveFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    waiting: list[pa.Table] = []
    with parquet_writer(out) as target:
        for file in run:
            waiting.append(pq.read_table(data_path(archive, file.name), schema=target.schema))
            if sum(table.num_rows for table in waiting) >= ROW_GROUP_LINES:
                target.write_table(pa.concat_tables(waiting).unify_dictionaries())
                waiting = []
        if waiting:
            target.write_table(pa.concat_tables(waiting).unify_dictionaries())
    data = out.getvalue()
    name = f"{writer}-{run[0].start}-{run[-1].end}.parquet"
    durable.replace(data_path(archive, name), data, site="archive.merge")
    return replace(
        run[0],
        name=name,
        end=run[-1].end,
        lines=sum(file.lines for file in run),
        size=len(data),
        min_ns=min(file.min_ns for file in run),
        max_ns=max(file.max_ns for file in run),
        written_ns=max(file.written_ns for file in run),
    )


def _with_merged(manifest: Manifest, names: set[str], merged: ArchiveFile) -> Manifest:
    if len(names & {file.name for file in manifest.files}) != len(names):
        return manifest
    place = next(place for place, file in enumerate(manifest.files) if file.name in names)
    files = [file for file in manifest.files if file.name not in names]
    return replace(manifest, files=(*files[:place], merged, *files[place:]))
