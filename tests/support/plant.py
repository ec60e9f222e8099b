"""A headrig in one process, on a disk that can lose its power: the real flow, logs, pumps and publisher.

`World` is everything outside: what clients were told, and what the sink holds, each with the time (number of
disk operations) at which it came to be. A `Plant` is one life of the program, from its start to its death.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from headrig import DetectorSpec, IntegrityError, Resource
from retrying import Body

from pipeline.app.audit import Leaves
from pipeline.app.books import balance_of
from pipeline.app.node import Node
from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.app.worker import Worker
from pipeline.audit.keys import open_signer
from pipeline.audit.segments import read_log
from pipeline.audit.sequencer import AuditLog
from pipeline.audit.server import open_log
from pipeline.audit.verify import verify_log
from pipeline.buffer import BatchIds
from pipeline.flow.inbound import Outcome
from pipeline.receiver.dialect_json import decode
from pipeline.receiver.limits import Limits
from pipeline.settings import Settings
from pipeline.shared import WorkerMap
from pipeline.sinks.delivery import Delivery
from pipeline.sinks.pump import Pump, PumpSettings
from pipeline.sinks.quarantine import Quarantine
from pipeline.sinks.sources import LeafFeed, WalFeed
from pipeline.telemetry import Telemetry

TENANT = "default"
UNSCANNABLE = "unscannable"
"""A line with this word makes a detector fail, so it cannot be scanned completely."""


class _Failing:
    def find(self, text: str) -> Any:
        raise RuntimeError


def make_blueprint(root: Path, tmp: Path) -> Blueprint:
    """Compile stages and rules once, for all lives."""
    blueprint = Blueprint(make_settings(tmp, root), _paths(tmp))
    spec = DetectorSpec(
        kind="failing", config=object, factory=lambda _c, _h: _Failing(), literals=(UNSCANNABLE,)
    )
    blueprint.made["mask"].add_detectors([(spec, _Failing())])
    return blueprint


def make_settings(data: Path, root: Path) -> Settings:
    """Small segments, so that they are rolled and reclaimed all the time."""
    return Settings.model_validate(
        {
            "data": str(data / "data"),
            "workers": 1,
            "config_dir": str(root / "config"),
            "enrichment": {"catalog": "examples/services.yaml"},
            "buffer": {"segment": 2500},
            "audit": {"segment": 6000},
            "sinks": {"loki": {"url": "http://127.0.0.1:9"}},
        }
    )


def _paths(root: Path) -> Paths:
    paths = Paths(root / "data")
    paths.make()
    return paths


@dataclass
class World:
    """What is known outside.

    Attributes:
        clock: Tells the time.
        answers: Key of a body to the time of its answer, and the answer.
        entries: What the sink holds, equal entries once, since when.
        checkpoints: Sizes that were published, since when.
        quarantined: Records held back whose sender was told so, since when.
    """

    clock: Callable[[], int] = lambda: 0
    answers: dict[str, tuple[int, Outcome]] = field(default_factory=dict)
    entries: dict[tuple[str, ...], int] = field(default_factory=dict)
    checkpoints: dict[int, int] = field(default_factory=dict)
    quarantined: dict[int, int] = field(default_factory=dict)

    def at(self, time: int) -> World:
        """Return what was known at a time, as the past of another life."""
        return World(
            answers={key: (0, answer) for key, (since, answer) in self.answers.items() if since <= time},
            entries={entry: 0 for entry, since in self.entries.items() if since <= time},
            checkpoints={size: 0 for size, since in self.checkpoints.items() if since <= time},
            quarantined={number: 0 for number, since in self.quarantined.items() if since <= time},
        )

    def counts(self) -> Counter[str]:
        """Count the sink's lines by the record's name."""
        return Counter(
            orjson.loads(line)["uid"] for labels, _, line, _ in self.entries if '"audit"' not in labels
        )


class _Sink:
    """The sink at the other end of the pumps."""

    name = "loki"

    def __init__(self, world: World) -> None:
        self._world = world

    async def write(self, frames: Sequence[Any]) -> Delivery:
        records = 0
        for frame in frames:
            for stream in orjson.loads(b"[" + gzip.decompress(frame.payload) + b"]"):
                labels = orjson.dumps(stream["stream"], option=orjson.OPT_SORT_KEYS).decode()
                for value in stream["values"]:
                    metadata = orjson.dumps(value[2:], option=orjson.OPT_SORT_KEYS).decode()
                    self._world.entries.setdefault((labels, *value[:2], metadata), self._world.clock())
                    records += 1
        return Delivery(records)

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


class _Without(WalFeed):
    """The tenants of a buffer, but for one."""

    def __init__(self, log: Any, sink: str, without: str) -> None:
        super().__init__(log, sink)
        self._without = without

    def tenants(self) -> Sequence[str]:
        return [tenant for tenant in super().tenants() if tenant != self._without]


class _Direct:
    """The worker's connection to the audit process, without a process."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def append(self, entries: Any, blobs: Any = ()) -> Any:
        return await self._log.append(entries, blobs)

    async def receipts(self, bid: bytes) -> Any:
        return self._log.receipts(bid)


class Plant:
    """One life; an async context manager that ends like a killed process: nothing is written any more."""

    def __init__(self, root: Path, world: World, blueprint: Blueprint, telemetry: Telemetry) -> None:
        self._root = root
        self._world = world
        self._blueprint = blueprint
        self._telemetry = telemetry
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Plant:
        try:
            await self._boot()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _boot(self) -> None:
        paths = self.paths = _paths(self._root)
        blueprint = copy.copy(self._blueprint)
        blueprint.settings = make_settings(self._root, self._blueprint.settings.config_dir.parent)
        blueprint.host = replace(blueprint.host, key=paths.node_key())
        settings = blueprint.settings
        self.signer = open_signer(paths.keys / "audit.skey", settings.audit.origin, paths.audit_log)
        ids = BatchIds.create(paths.run / "batch-ids", 4096)
        node = Node(settings, paths, blueprint, WorkerMap(1), ids, None, self.signer, -1)
        self.log, self.publisher = open_log(
            paths.audit_log, self.signer, segment_bytes=settings.audit.segment, retain=1000
        )
        self._stack.push_async_callback(_let_go_of_log, self.log)
        self.worker = Worker(node, None, 0, self._telemetry)  # type: ignore[arg-type]
        self._stack.push_async_callback(_let_go_of_wals, self.worker)
        wal = await asyncio.to_thread(self.worker._recover)
        self.quarantine = Quarantine.open(paths.quarantine, writer="w0", max_bytes=1 << 20)
        self._stack.callback(self.quarantine.close)
        self.flow = await self.worker._make_flow(self._stack, wal, self.quarantine, _Direct(self.log))  # type: ignore[arg-type]
        self.flow.start()
        self._stack.push_async_callback(_cancel, self.flow._task)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def send(self, body: Body, tenant: str = TENANT) -> Outcome:
        """Send a body as its client does; remember the answer."""
        digest = hashlib.sha256(body.data).digest()
        inbound = decode(body.data, b"application/x-ndjson", Resource(tenant, None, None), digest, Limits())
        inbound.key = body.key
        outcome = await self.flow.submit(inbound)
        now = self._world.clock()
        self._world.answers.setdefault(body.names[0], (now, outcome))
        held = sum(verdict.kind == "quarantined" for verdict in outcome.verdicts)
        if held:
            self._world.quarantined.setdefault(held, now)
        return outcome

    async def deliver(self, without: str = "") -> None:
        """Pump everything there is, leaves too, but for one tenant; reclaim what every sink is past."""
        settings = self._blueprint.settings
        sink = _Sink(self._world)
        leaves = LeafFeed(
            Leaves(self.log),
            self.paths.audit_cursors / sink.name,
            settings.audit.origin,
            settings.audit.tenant,
        )
        for feed in (*(_Without(wal, sink.name, without) for wal in self.worker.wals), leaves):
            seconds = itertools.count(0.0, 10.0)
            pump = Pump(feed, sink, settings=PumpSettings(linger_s=0.0), clock=lambda s=seconds: next(s))
            pump.start()
            if not await pump.drain(5.0):
                raise IntegrityError("a pump is stuck")

    def publish(self) -> None:
        """Sign and publish what is durable."""
        size = self.publisher.publish(self.log.committed).size
        self._world.checkpoints.setdefault(size, self._world.clock())

    def books(self) -> list[tuple[int, int]]:
        """Return (buffered, imbalance) of each log."""
        return [
            balance_of(wal, tenant, "loki") for wal in self.worker.wals for tenant in sorted(wal.tenants())
        ]

    def leaves(self) -> dict[int, tuple[str, bytes]]:
        """Return index to leaf hash and leaf of the audit log on disk."""
        return {entry.index: (entry.leaf_hash.hex(), entry.leaf) for entry in read_log(self.paths.audit_log)}

    def verified(self) -> int:
        """Return the exit code of the offline verifier, who has the public key's file."""
        key = (self.paths.keys / "audit.vkey").read_text("ascii").strip()
        return verify_log(self.paths.audit_log, vkeys=[key]).exit_code


async def _cancel(task: asyncio.Task[None] | None) -> None:
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _let_go_of_log(log: AuditLog) -> None:
    log._writer._jobs.put(None)
    await asyncio.to_thread(log._writer._thread.join)
    if log._writer._segment._fd >= 0:
        os.close(log._writer._segment._fd)
    log.store.close()


async def _let_go_of_wals(worker: Worker) -> None:
    for wal in worker.wals:
        await asyncio.to_thread(wal._thread.shutdown)
        if wal._fd >= 0:
            os.close(wal._fd)
        os.close(wal._lock_fd)
