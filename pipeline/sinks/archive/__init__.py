"""The archive: frames as Parquet files, kept within bounds, and sent again by replay."""

from pipeline.sinks.archive.replay import Replayed, replay
from pipeline.sinks.archive.retention import Bounds
from pipeline.sinks.archive.sink import ArchiveSink

__all__ = ["ArchiveSink", "Bounds", "Replayed", "replay"]
