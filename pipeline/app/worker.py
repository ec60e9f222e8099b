"""One worker: a receiver, a flow, its own buffer and its own pumps."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from headrig import IntegrityError, RetryableError

from pipeline.app.books import Key, balances
from pipeline.app.canary import Canary
from pipeline.app.doors import AuditDoor, FlowMetrics, PumpMetrics, QuarantineDoor, ShadowMetrics
from pipeline.app.node import Node
from pipeline.app.protocol import Bounds
from pipeline.app.reading import Reader
from pipeline.app.routes import make_app
from pipeline.app.server import HttpServer
from pipeline.app.sinks import make_sinks, sink_names
from pipeline.audit.client import AuditClient
from pipeline.buffer import Wal
from pipeline.flow.balance import RECEIVED, Balance
from pipeline.flow.commit import Committer
from pipeline.flow.flow import Flow
from pipeline.flow.part import PartBuilder
from pipeline.flow.prepare import Preparer
from pipeline.sinks.delivery import Sink
from pipeline.sinks.pump import Pump, Turns
from pipeline.sinks.quarantine import Quarantine
from pipeline.sinks.sources import WalFeed
from pipeline.streams import Streams, UniqueTimes
from pipeline.telemetry import Telemetry, log_to_stderr

log = logging.getLogger("headrig.worker")

_BEAT_SECONDS = 1.0
_SAMPLE_SECONDS = 2.0
_FLOW_SECONDS = 1.0
"""What the flow gets to write counts when the server took all the time; the supervisor waits 5 s longer."""


def run_worker(node: Node, listener: socket.socket, worker: int) -> int:
    """Be worker number ``worker``; return the exit code."""
    log_to_stderr(f"w{worker}", node.settings.log_level)
    # A batch leaves no cycles; collecting young objects every 700 allocations only costs.
    gc.set_threshold(50_000, 20, 50)
    telemetry = Telemetry(node.paths.metrics, f"w{worker}")
    return uvloop.run(Worker(node, listener, worker, telemetry).run())


class Worker:
    """The parts of a worker and the order in which they start and stop.

    Args:
        node: What all processes share.
        listener: The inherited listening socket.
        worker: Its number.
        telemetry: Its metrics.
    """

    def __init__(self, node: Node, listener: socket.socket, worker: int, telemetry: Telemetry) -> None:
        self._node = node
        self._listener = listener
        self._worker = worker
        self.telemetry = telemetry
        self.wals: list[Wal] = []
        self.ready = False
        self.stopping = False
        self._stop = asyncio.Event()
        self._failed = False
        self._pumps: list[Pump] = []
        self._sinks: list[Sink] = []
        self._streams: Streams
        self._known: set[Key] = set()
        self._background: set[asyncio.Task[Any]] = set()

    async def run(self) -> int:
        """Run until SIGTERM; return 0, or 70 when the outcome of a durable write is unknown."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._spawn(self._beat())
        async with AsyncExitStack() as stack:
            wal = await asyncio.to_thread(self._recover)
            quarantine = Quarantine.open(
                self._node.paths.quarantine,
                writer=f"w{self._worker}",
                max_bytes=self._node.settings.quarantine.max_bytes,
                on_expired=self.telemetry.quarantine_expired.inc,
            )
            self._start_pumps(quarantine)
            client = AuditClient(self._node.paths.audit_socket)
            flow = await self._make_flow(stack, wal, quarantine, client)
            await self._await_recovery()
            flow.start()
            limits = self._node.settings.limits
            reader = Reader(self._node, flow.submit)
            server = HttpServer(
                make_app(self._node, self, flow.submit, reader),
                self._listener,
                self._node.shared,
                self._worker,
                Bounds(limits.head, limits.read, discard_bytes=4 * limits.body),
            )
            server.start()
            self.ready = True
            self.telemetry.workers.set(1)
            self._spawn(self._sample(flow))
            self._keep_canary(flow, reader)
            await self._stop.wait()
            if self._failed:
                os._exit(70)  # nothing more may be acknowledged; recovery reads the disk
            await self._drain(server, flow, client)
        return 0

    def _recover(self) -> Wal:
        """Open the own buffer and those of workers that are gone; make their batch ids known."""
        settings, ids = self._node.settings, self._node.ids
        own = self._node.paths.buffer(self._worker)
        for directory in (own, *self._node.paths.adopted(self._worker, settings.workers)):
            wal = Wal.open(
                directory,
                segment_bytes=settings.buffer.segment,
                max_bytes=settings.buffer.max_bytes,
                sinks=sink_names(settings),
            )
            self.wals.append(wal)
            if ids is not None:
                for mark, seconds in wal.recovered.bids:
                    ids.restore(mark, seconds)
        if ids is not None:
            # What this worker claimed and did not store is open to a retry from now on.
            ids.void_worker(self._worker)
        self._node.shared.recovered(self._worker)
        return self.wals[0]

    async def _await_recovery(self) -> None:
        """No worker accepts before the batch ids of all are known, or a retry would store twice."""
        while not self._node.shared.all_recovered() and not self._stop.is_set():
            await asyncio.sleep(0.01)  # other processes set this: there is no event to wait for

    def _start_pumps(self, quarantine: Quarantine) -> None:
        turns = Turns()
        for wal in self.wals:
            wal.attend()
            for sink, settings in make_sinks(
                self._node.settings, self._node.paths, wal.directory, quarantine, self.telemetry
            ):
                feed = WalFeed(wal, sink.name)
                pump = Pump(feed, sink, observer=PumpMetrics(self.telemetry), settings=settings, turns=turns)
                pump.start()
                self._pumps.append(pump)
                self._sinks.append(sink)

    async def _make_flow(
        self, stack: AsyncExitStack, wal: Wal, quarantine: Quarantine, client: AuditClient
    ) -> Flow:
        node = self._node
        blueprint = node.blueprint
        plugins = await stack.enter_async_context(
            blueprint.plugins.running(
                blueprint.host, slot=node.suspects.slot(self._worker) if node.suspects else None
            )
        )
        taken = sum(
            counts.get(RECEIVED, 0) for log in self.wals for counts in log.recovered.counters.values()
        )
        unique = UniqueTimes(self._worker, node.settings.workers, taken)
        streams = self._streams = blueprint.streams()
        balance = Balance(wal.recovered.counters)
        door = AuditDoor(client)
        return Flow(
            preparer=Preparer(blueprint.heads, node.settings.time.fields, unique, time.time_ns),
            stages=blueprint.stages(plugins, report=ShadowMetrics(self.telemetry)),
            builder=PartBuilder(streams.encode, blueprint.leaves, blueprint.host.key),
            committer=Committer(wal, door, QuarantineDoor(quarantine), balance, time.time_ns),
            audit=door,
            ids=node.ids,
            balance=balance,
            worker=self._worker,
            observer=FlowMetrics(self.telemetry),
            failed=self._fail,
        )

    def _keep_canary(self, flow: Flow, reader: Reader) -> None:
        """One worker has the canary of the node."""
        settings = self._node.settings.canary
        if settings.every is not None and self._worker == 0:
            canary = Canary(settings, flow.submit, reader.find, self._node.paths.canary_found, self.telemetry)
            self._spawn(canary.run(settings.every))

    def problems(self) -> list[str]:
        """Say why no records can be accepted now; empty when they can."""
        found = []
        if self.stopping:
            found.append("headrig is stopping")
        elif not self.ready:
            found.append("the logs are being recovered")
        if self._node.paths.audit_unverified.exists():
            found.append("the audit log does not verify: headrig verify log names the place")
        elif not self._node.paths.audit_socket.exists():
            found.append("the audit process is away")
        if self._node.paths.canary_found.exists():
            found.append("a canary secret was found downstream: masking has a hole")
        room = min(1 << 20, self._node.settings.buffer.max_bytes // 8)
        if self.wals and not self.wals[0].has_room(room):
            found.append("the buffer is full")
        return found

    def unexpected(self, error: BaseException) -> None:
        """Log an error that nobody expected: its class and place, never its text."""
        log.error("a request failed", exc_info=(type(error), error, error.__traceback__))

    def _fail(
        self, why: str = "the outcome of a durable write is unknown: the worker ends and recovers from disk"
    ) -> None:
        log.error(why)
        self._failed = True
        self._stop.set()

    async def _drain(self, server: HttpServer, flow: Flow, client: AuditClient) -> None:
        """SIGTERM: answer what is in flight, write counts, give the sinks a little time. All is durable anyway.

        All steps share one deadline: the supervisor kills a worker that is still there a little later.
        """
        self.stopping = True
        self.ready = False
        self.telemetry.workers.set(0)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._node.settings.drain
        await server.stop(max(deadline - loop.time(), 0.0))
        try:
            await asyncio.wait_for(flow.stop(), max(deadline - loop.time(), _FLOW_SECONDS))
        except TimeoutError:
            log.warning("requests are still in flight: their senders get no answer and will send them again")
        left = max(deadline - loop.time(), 0.0)
        await asyncio.gather(*(pump.drain(left) for pump in self._pumps))
        for sink in self._sinks:
            await sink.close()
        await client.close()
        for wal in self.wals:
            await wal.close()
        for task in self._background:
            task.cancel()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)

    async def _beat(self) -> None:
        while True:
            self._node.shared.beat(self._worker, int(time.monotonic() * 1000))
            await asyncio.sleep(_BEAT_SECONDS)

    async def _sample(self, flow: Flow) -> None:
        """Refresh the gauges; write counts that no frame carries yet. Nothing but damage ends this."""
        while True:
            try:
                await self._sample_once()
                await flow.write_counts()
            except RetryableError:
                log.info("the buffer is full: counts are written later")
            except IntegrityError as error:
                self.unexpected(error)
                self._fail("what is stored does not verify: the worker ends and recovers from disk")
                return
            except Exception as error:
                self.unexpected(error)
                for (
                    key
                ) in self._known:  # not a number: no alert takes the last good value for the present one
                    self.telemetry.imbalance.labels(*key).set(math.nan)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _sample_once(self) -> None:
        telemetry = self.telemetry
        telemetry.buffer_bytes.set(sum(wal.statistics().bytes for wal in self.wals))
        demoted, self._streams.demoted = self._streams.demoted, 0
        telemetry.demoted.inc(demoted)
        if self._node.ids is not None:
            evicted, self._node.ids.evicted = self._node.ids.evicted, 0
            telemetry.ids_evicted.inc(evicted)
        buffered: Counter[Key] = Counter()
        imbalance: Counter[Key] = Counter()
        for wal in self.wals:
            for key, (count, open_) in (await balances(wal, sink_names(self._node.settings))).items():
                buffered[key] += count
                imbalance[key] += open_
        self._known = set(buffered)
        for key, count in buffered.items():
            telemetry.buffered.labels(*key).set(count)
            telemetry.imbalance.labels(*key).set(imbalance[key])
