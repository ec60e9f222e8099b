"""Every metric and the own log of headrig; one directory of mapped files answers for all processes.

Counters live in files named by slot (``w0``, ``audit``, ``supervisor``), so that a restarted worker
goes on counting where the dead one stopped and any worker can answer ``/metrics`` for the program.
Labels are bounded: tenants come from credentials, reasons and detectors from the configuration.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

_LIBRARY = "a library reports something"
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Telemetry:
    """The metrics of one process.

    Args:
        directory: Shared by all processes of the program; wiped by the supervisor at its start.
        slot: Name of this process' place in the program.
    """

    def __init__(self, directory: Path, slot: str) -> None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
        self.directory = directory
        registry = self._registry = CollectorRegistry()
        self._declare_counters(Counter)
        self._declare_gauges(Gauge)
        self.ack = Histogram(
            "headrig_ack_seconds",
            "Time from the whole body to the answer",
            ("route",),
            registry=registry,
            buckets=_BUCKETS,
        )

    def _declare_counters(self, kind: Any) -> None:
        def counter(name: str, text: str, *labels: str) -> Any:
            return kind(name, text, labels, registry=self._registry)

        self.received = counter(
            "headrig_records_received", "Records in requests that got an answer", "tenant"
        )
        self.rejected = counter(
            "headrig_records_rejected", "Records refused to the sender", "tenant", "reason"
        )
        self.duplicate = counter(
            "headrig_records_duplicate", "Records of requests that had come before", "tenant"
        )
        self.quarantined = counter("headrig_records_quarantined", "Records held back", "tenant", "reason")
        self.dropped = counter(
            "headrig_records_dropped",
            "Records dropped by a processor or the masking policy",
            "tenant",
            "rule",
        )
        self.delivered = counter("headrig_records_delivered", "Records a sink has taken", "tenant", "sink")
        self.audit_events = counter("headrig_audit_events", "Leaves in the audit log", "tenant")
        self.audit_conflicts = counter(
            "headrig_audit_conflicts", "Audit events whose id was taken by another payload", "tenant"
        )
        self.masked = counter("headrig_masked", "Replacements made by masking", "detector")
        self.canaries = counter("headrig_canaries", "Canary secrets by what became of them", "outcome")
        self.shadow_records = counter(
            "headrig_shadow_records", "Records by what the candidate policy made of them", "outcome"
        )
        self.shadow_changes = counter(
            "headrig_shadow_changes",
            "Replacements the candidate policy would make more or fewer",
            "detector",
            "change",
        )
        self.kept = counter("headrig_kept", "Findings that the masking policy keeps", "detector")
        self.demoted = counter("headrig_labels_demoted", "Label values that went to structured metadata")
        self.requests = counter("headrig_requests", "Ingest requests", "route", "status")
        self.retries = counter("headrig_sink_retries", "Pushes that will be sent again", "sink", "status")
        self.expired = counter("headrig_archive_expired_records", "Records the archive's bounds removed")
        self.quarantine_expired = counter(
            "headrig_quarantine_expired_records", "Items the quarantine's bound removed"
        )
        self.restarts = counter("headrig_process_restarts", "Children the supervisor started again", "kind")
        self.ids_evicted = counter("headrig_batch_ids_evicted", "Batch ids forgotten before their 24 hours")

    def _declare_gauges(self, kind: Any) -> None:
        def gauge(name: str, text: str, *labels: str, mode: str = "livesum") -> Any:
            return kind(name, text, labels, registry=self._registry, multiprocess_mode=mode)

        self.buffered = gauge("headrig_buffered_records", "Records on disk before a sink", "tenant", "sink")
        self.buffer_bytes = gauge("headrig_buffer_bytes", "Bytes of the buffers on disk")
        self.lag = gauge(
            "headrig_pump_lag_seconds",
            "Age of the oldest record a sink lacks",
            "tenant",
            "sink",
            mode="livemax",
        )
        self.held = gauge(
            "headrig_sink_held", "1 while an operator must look", "tenant", "sink", mode="livemax"
        )
        self.imbalance = gauge(
            "headrig_conservation_imbalance_records",
            "Records that are in no term of the balance; must be 0",
            "tenant",
            "sink",
        )
        self.audit_size = gauge("headrig_audit_log_entries", "Entries of the audit log", mode="livemax")
        self.audit_signed = gauge(
            "headrig_audit_checkpoint_entries", "Entries under the signed checkpoint", mode="livemax"
        )
        self.workers = gauge("headrig_workers", "Workers that run")

    def exposition(self) -> tuple[bytes, str]:
        """Return the metrics of the whole program and their content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self.directory))  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what ``extra={"data": {...}}`` adds.

    P8: of an error the class and the place, never the message; of a library only that it said something,
    and where, because its words may quote what was being worked on.
    """

    def __init__(self, slot: str) -> None:
        super().__init__()
        self._slot = slot

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        ours = record.name.partition(".")[0] == "headrig"
        entry: dict[str, Any] = {
            "timestamp": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": "headrig",
            "process": self._slot,
            "logger": record.name,
            "message": record.getMessage() if ours else _LIBRARY,
        }
        if ours:
            entry.update(getattr(record, "data", None) or {})
        else:
            entry["at"] = [f"{record.filename}:{record.lineno} {record.funcName}"]
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = class_name(record.exc_info[0])
            entry["at"] = places(record.exc_info[2]) or entry.get("at", [])
        return json.dumps(entry, default=str)


def class_name(kind: type[BaseException]) -> str:
    """Return the name of an error's class; a class made at run time may be named after content."""
    name = kind.__qualname__
    return name if getattr(sys.modules.get(kind.__module__), name, None) is kind else "Exception"


def places(traceback: Any) -> list[str]:
    """Return file, line and function of the innermost frames of a traceback."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append(f"{Path(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return found[-8:]


def log_to_stderr(slot: str, level: str = "INFO") -> None:
    """Send the own log, and that of the libraries from warnings on, to standard error as JSON lines.

    Nothing else may write there: what Python prints by itself (uncaught errors, warnings, log calls with
    wrong arguments) quotes messages.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(slot))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("headrig").setLevel(level)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(
    kind: type[BaseException], _error: BaseException | None, traceback: TracebackType | None
) -> None:
    # A new object in place of the error: nothing that handles the record may meet its message.
    logging.getLogger("headrig").error(
        "an error that nobody caught", exc_info=(kind, RuntimeError(), traceback)
    )
