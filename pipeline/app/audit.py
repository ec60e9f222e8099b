"""The audit process: the only writer of the audit log, its publisher, and the pump of its leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Sequence
from pathlib import Path

import uvloop
from headrig import CorruptionError, ForkError, IntegrityError

from pipeline.app.doors import PumpMetrics
from pipeline.app.node import Node
from pipeline.app.sinks import make_sinks
from pipeline.audit.entry import LoggedLeaf
from pipeline.audit.publisher import Publisher
from pipeline.audit.sequencer import AuditLog
from pipeline.audit.server import AuditServer, open_log
from pipeline.buffer import Cursor
from pipeline.sinks.delivery import Sink
from pipeline.sinks.pump import Pump
from pipeline.sinks.quarantine import Quarantine
from pipeline.sinks.sources import LeafFeed
from pipeline.telemetry import Telemetry, log_to_stderr

log = logging.getLogger("headrig.audit")

ROLLED_BACK = 3
"""Exit code: the log is an older state of itself, or another; a restart would find the same."""
UNVERIFIED = 1
"""Exit code: the log does not verify; a start after its repair goes on."""
_SAMPLE_SECONDS = 1.0


def run_audit(node: Node) -> int:
    """Be the audit process; return the exit code."""
    log_to_stderr("audit", node.settings.log_level)
    return uvloop.run(_serve(node, Telemetry(node.paths.metrics, "audit")))


class Leaves:
    """The audit log as the pump reads it.

    Args:
        audit: The log.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def entries(self, start: int, max_bytes: int) -> Sequence[LoggedLeaf]:
        """Return durable leaves from index ``start`` on."""
        return self._audit.entries(start, max_bytes)

    def wait_beyond(self, position: int) -> Awaitable[None]:
        """Return when a durable leaf with index >= ``position`` exists."""
        return self._audit.wait_beyond(position)


def delivered(cursors: Path) -> dict[str, int]:
    """Return how many leaves each sink has: the log cannot have had fewer.

    A cursor that is damaged says nothing here; the pump that needs it does.
    """
    found = {}
    for path in sorted(cursors.iterdir()):
        if path.is_file() and path.suffix != ".tmp":
            with contextlib.suppress(CorruptionError):
                found[f"{cursors.name}/{path.name}"] = Cursor(path).position
    return found


async def _serve(node: Node, telemetry: Telemetry) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        audit, publisher = open_log(
            node.paths.audit_log,
            node.signer,
            segment_bytes=node.settings.audit.segment,
            retain=node.settings.audit.remember,
            outside=delivered(node.paths.audit_cursors),
        )
    except ForkError as error:
        log.error(
            "the audit log was rolled back or forked; the program stops and nothing was changed",
            extra={"data": {"why": str(error)}},
        )
        return ROLLED_BACK
    except IntegrityError as error:
        # The text names files, offsets and indexes of the log, never an entry.
        log.error("the audit log does not verify; nothing was changed", extra={"data": {"why": str(error)}})
        node.paths.audit_unverified.touch(mode=0o600)
        return UNVERIFIED
    node.paths.audit_unverified.unlink(missing_ok=True)
    node.paths.audit_socket.unlink(
        missing_ok=True
    )  # left by a process that was killed; the log's lock is ours
    server = AuditServer(audit, publisher, node.paths.audit_socket)
    await server.start()
    pumps = _start_pumps(node, audit, telemetry)
    sample = asyncio.create_task(_sample(audit, publisher, telemetry))
    failing = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    sample.cancel()
    if failing.done():
        log.error(
            "the outcome of a write to the audit log is unknown: the process ends and recovers from disk"
        )
        return 70
    await asyncio.gather(*(pump.drain(node.settings.drain) for pump, _ in pumps))
    for _, sink in pumps:
        await sink.close()
    failing.cancel()
    await server.close()
    return 0


def _start_pumps(node: Node, audit: AuditLog, telemetry: Telemetry) -> list[tuple[Pump, Sink]]:
    settings = node.settings
    quarantine = Quarantine.open(
        node.paths.quarantine,
        writer="audit",
        max_bytes=settings.quarantine.max_bytes,
        on_expired=telemetry.quarantine_expired.inc,
    )
    started = []
    log_place = node.paths.audit_cursors  # the log's own directory holds the log's own files only
    for sink, gathering in make_sinks(settings, node.paths, log_place, quarantine, telemetry, audit=True):
        cursor = node.paths.audit_cursors / sink.name
        feed = LeafFeed(Leaves(audit), cursor, settings.audit.origin, settings.audit.tenant)
        pump = Pump(feed, sink, observer=PumpMetrics(telemetry), settings=gathering)
        pump.start()
        started.append((pump, sink))
    return started


async def _sample(audit: AuditLog, publisher: Publisher, telemetry: Telemetry) -> None:
    while True:
        telemetry.audit_size.set(audit.committed.size)
        telemetry.audit_signed.set(publisher.published.size if publisher.published else 0)
        await asyncio.sleep(_SAMPLE_SECONDS)
