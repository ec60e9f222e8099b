"""Makes the configured sinks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.app.paths import Paths
from pipeline.settings import LokiSink as LokiSection
from pipeline.settings import Settings
from pipeline.sinks.delivery import Sink
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.pump import PumpSettings
from pipeline.sinks.quarantine import Quarantine
from pipeline.telemetry import Telemetry


def sink_names(settings: Settings) -> list[str]:
    """Name the configured sinks, as in cursors and metrics."""
    return [*(["loki"] if settings.sinks.loki else []), *(["archive"] if settings.sinks.archiving else [])]


_ARCHIVE_PUMP = PumpSettings(max_bytes=12 << 20, linger_s=2.0)
"""A file of the archive wants 90,000 lines, about 50 MB inflated; until then a query reads the frames."""


def make_sinks(
    settings: Settings,
    paths: Paths,
    log: Path,
    quarantine: Quarantine,
    telemetry: Telemetry,
    *,
    audit: bool = False,
) -> list[tuple[Sink, PumpSettings]]:
    """Make the sinks of one log, each with how its pump should gather.

    Args:
        settings: The configuration.
        paths: The data directory.
        log: Directory that stands for the log.
        quarantine: Where a sink puts what it will never take.
        telemetry: Counts what the archive's bounds remove.
        audit: The log is the audit log.
    """
    sinks: list[tuple[Sink, PumpSettings]] = []
    if settings.sinks.loki is not None:
        # Leaves come in small portions, and a push costs the same for ten as for a thousand.
        gathering = PumpSettings(linger_s=0.5) if audit else PumpSettings()
        sinks.append((LokiSink(loki_settings(settings.sinks.loki), quarantine), gathering))
    if settings.sinks.archiving:
        # Loaded only where it is used: it brings pyarrow, which costs a worker tens of megabytes.
        from pipeline.sinks.archive import ArchiveSink, Bounds

        section = settings.sinks.archive
        archive = ArchiveSink.open(
            paths.archive,
            log,
            audit=audit,
            bounds=Bounds(max_bytes=section.max_bytes, max_age_seconds=section.max_age),
            on_expired=lambda _tenant, records: telemetry.expired.inc(records),
            linger_seconds=section.linger,
            quarantine=quarantine,
        )
        sinks.append((archive, replace(_ARCHIVE_PUMP, linger_s=section.linger)))
    return sinks


def loki_settings(section: LokiSection) -> LokiSettings:
    """Translate the operator's section for the sink."""
    return LokiSettings(
        url=section.url,
        org=section.tenant or "",
        username=section.username or "",
        password=section.password.get_secret_value() if section.password else "",
        bearer=section.token.get_secret_value() if section.token else "",
        push_bytes=section.push,
        timeout_s=section.timeout,
        alone=section.alone,
    )
