"""Moves frames from a log to a sink: read, write, commit, for ever.

One pump serves one log and one sink, with one task per tenant, so that a tenant that Loki throttles
stops nobody else. A tenant's frames go oldest first and one write at a time; pumps of several logs in
one process take `Turns`. So of each stream at most one push of this process is under way
(docs/adr/0009). A crash between write and commit sends frames again, byte-identical, which the sinks
fold.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrig import ConfigError, IntegrityError, RetryableError

from pipeline.sinks.delivery import HeldError, UndeliveredError

if TYPE_CHECKING:
    from pipeline.sinks.delivery import Delivery, Feed, Sink, Source, StoredFrame

_log = logging.getLogger("headrig.pump")

Wait = Callable[[float], Awaitable[None]]
_RECLAIM_S = 1.0
_EXPONENT = 16


class PumpObserver(Protocol):
    """What a pump tells while it works; calls must return at once. Never content."""

    def delivered(self, tenant: str, sink: str, records: int) -> None:
        """Count records that the sink holds and whose cursor is past."""

    def refused(self, tenant: str, sink: str, reason: str, records: int) -> None:
        """Count records that went to quarantine."""

    def retry(self, sink: str, status: str) -> None:
        """Count a write that will be repeated."""

    def held(self, tenant: str, sink: str, status: str) -> None:
        """Tell that an operator must look; ``status`` is empty when it goes on again."""

    def lag_seconds(self, sink: str, tenant: str, seconds: float) -> None:
        """Tell how long ago the oldest frame was received that the sink lacks; 0 when it lacks none."""


class Unobserved:
    """An observer that looks away."""

    def delivered(self, tenant: str, sink: str, records: int) -> None:
        """Do nothing."""

    def refused(self, tenant: str, sink: str, reason: str, records: int) -> None:
        """Do nothing."""

    def retry(self, sink: str, status: str) -> None:
        """Do nothing."""

    def held(self, tenant: str, sink: str, status: str) -> None:
        """Do nothing."""

    def lag_seconds(self, sink: str, tenant: str, seconds: float) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpSettings:
    """Settings of a pump.

    Attributes:
        max_bytes: Compressed bytes read at a time; a write can be that large.
        linger_s: How long a small write waits for company; a write costs the same for 10 records as
            for 1,000.
        backoff_s, backoff_max_s: Full-jitter exponential back-off between tries.
        held_max_s: The same bound when an operator must look.
    """

    max_bytes: int = 1 << 20
    linger_s: float = 0.2
    backoff_s: float = 0.25
    backoff_max_s: float = 30.0
    held_max_s: float = 300.0


class Turns:
    """Lets one write at a time go to a sink for a tenant, over all pumps that share this."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def of(self, tenant: str, sink: str) -> asyncio.Lock:
        """Return what a write must hold; who waits longest is next."""
        return self._locks.setdefault((tenant, sink), asyncio.Lock())


class Pump:
    """The pump of one log and one sink.

    Args:
        feed: Where frames come from.
        sink: Where they go.
        observer: Told what happens.
        settings: Sizes and times.
        turns: Shared by the pumps of a process, whose logs hold the same streams.
        wait: Waits that many seconds.
        clock: Monotonic seconds.
        now: Unix time in ns.
        jitter: Returns a number in [0, 1).
    """

    def __init__(
        self,
        feed: Feed,
        sink: Sink,
        *,
        observer: PumpObserver | None = None,
        settings: PumpSettings | None = None,
        turns: Turns | None = None,
        wait: Wait = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._feed = feed
        self._sink = sink
        self._observer: PumpObserver = observer or Unobserved()
        self._settings = settings or PumpSettings()
        self._turns = turns or Turns()
        self._wait = wait
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._discovery: asyncio.Task[None] | None = None
        self._commits: set[asyncio.Future[None]] = set()
        self._draining = asyncio.Event()
        self._reclaimed = clock()
        # A dead process may have left delivered segments, and without room nothing new would come to remove them.
        self._unreclaimed = True

    def start(self) -> None:
        """Start; needs a running loop."""
        self._adopt()
        self._discovery = asyncio.create_task(self._discover(), name=f"headrig-pump-{self._sink.name}")

    async def stop(self) -> None:
        """End promptly. Nothing is lost: what was not committed is sent again by the next pump."""
        tasks = [*self._tasks.values(), *([self._discovery] if self._discovery else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._commits:  # the log must not be closed under a thread that writes its cursor
            await asyncio.wait(self._commits)
        self._tasks.clear()
        self._discovery = None

    async def drain(self, deadline_s: float) -> bool:
        """Deliver what is there now, for at most ``deadline_s`` seconds, then stop; tell whether all went."""
        self._draining.set()
        self._adopt()
        tasks = list(self._tasks.values())
        late = (await asyncio.wait(tasks, timeout=deadline_s))[1] if tasks else set()
        await self.stop()
        return not late

    def _adopt(self) -> None:
        for tenant in self._feed.tenants():
            if tenant not in self._tasks:
                self._tasks[tenant] = asyncio.create_task(self._serve(tenant))

    async def _discover(self) -> None:
        failures = 0
        while True:
            try:
                await self._feed.wait_tenants(len(self._tasks))
                self._adopt()
                failures = 0
            except Exception:
                failures += 1
                _log.exception("pump %s: looking for tenants failed", self._sink.name)
                await self._wait(self._delay(failures, None))

    async def _serve(self, tenant: str) -> None:
        """Serve one tenant; no fault of a frame, a sink or a disk ends this task."""
        failures = 0
        while True:
            try:
                source = await asyncio.to_thread(self._feed.source, tenant)
                await self._run(source)
            except Exception as error:
                failures += 1
                self._tell(tenant, error)
                await self._wait(self._delay(failures, error))
            else:
                return

    async def _run(self, source: Source) -> None:
        """Move frames until drained; returns only then."""
        position = source.position
        small = False
        while True:
            if small and not self._draining.is_set():
                await self._wait(self._settings.linger_s)
            frames = await source.next(position, self._settings.max_bytes)
            if frames:
                delivery = await self._deliver(source.tenant, frames)
                position = frames[-1].end
                await self._commit(source, position, delivery)
                small = sum(len(frame.payload) for frame in frames) < self._settings.max_bytes // 2
            else:
                self._observer.lag_seconds(self._sink.name, source.tenant, 0.0)
                await self._reclaim(source)
                if self._draining.is_set():
                    return
                await self._either(source.wait_beyond(position))
                small = True

    async def _deliver(self, tenant: str, frames: Sequence[StoredFrame]) -> Delivery:
        """Write until the sink confirms; there is no other way out but `stop`."""
        failures, held = 0, False
        turn = self._turns.of(tenant, self._sink.name)
        while True:
            self._observer.lag_seconds(self._sink.name, tenant, self._age(frames[0]))
            try:
                async with turn:
                    delivery = await self._sink.write(frames)
            except Exception as error:
                failures = 1 if getattr(error, "progress", False) else failures + 1
                held |= self._tell(tenant, error)
                await self._wait(self._delay(failures, error))
            else:
                if held:
                    self._observer.held(tenant, self._sink.name, "")
                return delivery

    def _age(self, frame: StoredFrame) -> float:
        """Return the seconds since a frame was received; a log that does not note that has the records' own time."""
        seconds: float = getattr(frame, "seconds", 0) or frame.min_ns / 1e9
        return max(self._now() / 1e9 - seconds, 0.0)

    def _tell(self, tenant: str, error: Exception) -> bool:
        """Count and log a failure; return whether an operator must look."""
        name = self._sink.name
        hold = isinstance(error, HeldError | IntegrityError | ConfigError)
        status = getattr(error, "status", "") or type(error).__name__
        self._observer.retry(name, status)
        if hold:
            self._observer.held(tenant, name, status)
        if isinstance(error, UndeliveredError | RetryableError):
            _log.warning("pump %s: tenant %s: %s", name, tenant, error)
        elif hold:
            _log.error("pump %s: tenant %s is held: %s", name, tenant, error)
        else:  # a traceback, but not the message: it could quote a record
            kind = RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
            _log.error("pump %s: tenant %s: unexpected %s", name, tenant, status, exc_info=kind)
        return hold

    def _delay(self, failures: int, error: Exception | None) -> float:
        """Return the seconds to wait: full jitter, but never less than the sink asked for."""
        hold = isinstance(error, HeldError | IntegrityError | ConfigError)
        most = self._settings.held_max_s if hold else self._settings.backoff_max_s
        ceiling = min(most, self._settings.backoff_s * 2.0 ** min(failures - 1, _EXPONENT))
        asked = error.retry_after if isinstance(error, RetryableError) else 0.0
        return max(asked, ceiling * self._jitter())

    async def _commit(self, source: Source, position: int, delivery: Delivery) -> None:
        """Move the cursor. A crash before the sync sends these frames again; after it, never."""
        now = self._clock()
        reclaim = now - self._reclaimed >= _RECLAIM_S
        if reclaim:
            self._reclaimed = now

        def work() -> None:
            source.commit(position, delivery.delivered, delivery.refused)
            self._unreclaimed = True
            if reclaim:
                self._let_go(source)

        await self._in_thread(work)
        name = self._sink.name
        self._observer.delivered(source.tenant, name, delivery.delivered)
        for reason, records in delivery.refused.items():
            self._observer.refused(source.tenant, name, reason, records)

    async def _reclaim(self, source: Source) -> None:
        """Reclaim what the last commits left: in a full log nothing more would come that does it."""
        if self._unreclaimed:
            await self._in_thread(lambda: self._let_go(source))

    def _let_go(self, source: Source) -> None:
        """Reclaim; what fails is tried again. A commit of another tenant meanwhile is not forgotten."""
        self._unreclaimed = False
        try:
            source.reclaim()
        except BaseException:
            self._unreclaimed = True
            raise

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Run it to its end, also when this task is cancelled; `stop` waits for it."""
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._commits.add(future)
        future.add_done_callback(self._commits.discard)
        await asyncio.shield(future)

    async def _either(self, waiting: Awaitable[None]) -> None:
        """Wait for that, or for `drain`."""
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._draining.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
