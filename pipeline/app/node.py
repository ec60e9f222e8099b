"""What all processes of one node share, made once before they are forked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from pipeline.app.paths import Paths, using
from pipeline.app.wiring import Blueprint
from pipeline.audit.keys import open_signer
from pipeline.audit.note import Signer
from pipeline.buffer import BatchIds
from pipeline.buffer.lock import take_lock
from pipeline.plugins import Suspects
from pipeline.settings import Settings
from pipeline.shared import WorkerMap


@dataclass(slots=True)
class Node:
    """The shared parts.

    Attributes:
        settings: The checked configuration.
        paths: The data directory.
        blueprint: Stages and rules, compiled.
        shared: Heartbeats and connections of the workers.
        ids: The table of batch ids; None only where a test switches it off.
        suspects: Records that took a worker with them.
        signer: Key of the audit log.
        lock: Descriptor that keeps a second supervisor away.
    """

    settings: Settings
    paths: Paths
    blueprint: Blueprint
    shared: WorkerMap
    ids: BatchIds | None
    suspects: Suspects | None
    signer: Signer
    lock: int

    @classmethod
    def prepare(cls, settings: Settings) -> Node:
        """Make everything that must exist before the first fork.

        Raises:
            ConfigError: Another headrig uses the data directory, it cannot be written, or the configuration is
                not usable.
        """
        paths = Paths(settings.data.absolute())
        with using("data"):
            paths.make()
            lock = take_lock(paths.run)
            shutil.rmtree(paths.metrics, ignore_errors=True)
            paths.metrics.mkdir(mode=0o700)
            paths.audit_socket.unlink(missing_ok=True)
            paths.audit_unverified.unlink(missing_ok=True)
            paths.canary_found.unlink(missing_ok=True)
            paths.node_key()
            ids = BatchIds.create(paths.run / "batch-ids", settings.idempotency.slots)
            suspects = Suspects(paths.run / "suspects", settings.workers)
        with using("audit.key"):
            signer = open_signer(
                settings.audit.key or paths.keys / "audit.skey", settings.audit.origin, paths.audit_log
            )
        return cls(
            settings=settings,
            paths=paths,
            blueprint=Blueprint(settings, paths),
            shared=WorkerMap(settings.workers),
            ids=ids,
            suspects=suspects,
            signer=signer,
            lock=lock,
        )
