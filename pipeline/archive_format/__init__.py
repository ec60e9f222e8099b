"""The archive's format, known to the sink that writes it and to queries that read it: nothing else is shared."""

from pipeline.archive_format.manifest import (
    COLUMNS,
    VERSION,
    ArchiveFile,
    Manifest,
    data_path,
    manifest_path,
    read_manifest,
    read_manifests,
    writer_of,
    writer_path,
)

__all__ = [
    "COLUMNS",
    "VERSION",
    "ArchiveFile",
    "Manifest",
    "data_path",
    "manifest_path",
    "read_manifest",
    "read_manifests",
    "writer_of",
    "writer_path",
]
