"""A request through the stages and into the logs: to return is to acknowledge, to raise is to refuse.

Requests of a credential that wait are joined, scanned, encoded and appended as one group; one group
is in flight, and whoever comes meanwhile is in the next. A large request needs no company: it is cut into
slices, with a turn of the loop between them, so that small ones do not wait behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headrig import ConflictError, IntegrityError, OverloadedError, RetryableError

from pipeline.buffer import Claim
from pipeline.flow.balance import DUPLICATE, RECEIVED, Balance
from pipeline.flow.commit import Committer, receipt
from pipeline.flow.inbound import Inbound, Outcome
from pipeline.flow.part import Part, PartBuilder
from pipeline.flow.prepare import Columns, Preparer, identify, raw_batch
from pipeline.flow.request import Request
from pipeline.flow.timestamps import Apart

if TYPE_CHECKING:
    from collections import Counter

    from headrig import Verdict
    from headrig._raw import RawBatch

    from pipeline.buffer import BatchIds
    from pipeline.flow.commit import AuditAppender, LoggedEntry
    from pipeline.flow.stages import Stages

SLICE = 250
"""Rows between two turns of the loop: 2 ms of work, and they stay in the caches on their way."""
WIDE = 1000
"""Rows when nobody waits for a turn: a twelfth less work."""
WIDE_BYTES = 500_000
"""A wide slice of lines of mean length is no longer, so that frames stay small."""
QUIET_SECONDS = 1.0
"""After a small request slices stay small for so long: another one is to be expected."""
GROUP_REQUESTS = 512


class FlowObserver(Protocol):
    """Counts what became of records."""

    def settled(
        self, tenant: str, requests: Sequence[Request], masked: Counter[str], kept: Counter[str], /
    ) -> None:
        """A group is durable."""
        ...

    def duplicates(self, tenant: str, records: int, /) -> None:
        """A whole request had come before."""
        ...


class Flow:
    """The way of the data in one worker.

    Args:
        preparer: Decodes heads, settles times.
        stages: Mask to classify.
        builder: Encodes.
        committer: Stores.
        audit: Answers for the receipts of duplicates.
        ids: The node's table of batch ids; None switches it off (tests only).
        balance: Counts.
        worker: Number of this worker.
        observer: Metrics.
        failed: Called once when a durable write's outcome is unknown; the process must end.
    """

    def __init__(
        self,
        *,
        preparer: Preparer,
        stages: Stages,
        builder: PartBuilder,
        committer: Committer,
        audit: AuditAppender,
        ids: BatchIds | None,
        balance: Balance,
        worker: int,
        observer: FlowObserver,
        failed: Callable[[], None],
    ) -> None:
        self._preparer = preparer
        self._stages = stages
        self._builder = builder
        self._committer = committer
        self._audit = audit
        self._ids = ids
        self._balance = balance
        self._worker = worker
        self._observer = observer
        self._failed = failed
        self._waiting: dict[Any, deque[Request]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._busy = 0
        self._large_ones = 0
        self._small_at = float("-inf")

    def start(self) -> None:
        """Begin to serve; call in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="flow")

    async def stop(self) -> None:
        """Finish what was submitted, then end."""
        while self._waiting or self._busy:
            self._wake.set()
            await asyncio.sleep(0.001)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(RetryableError):  # a full buffer: the counts are of what was not stored
            await self._committer.write_counts()

    async def write_counts(self) -> None:
        """Store counts that no frame carries yet."""
        await self._committer.write_counts()

    async def submit(self, inbound: Inbound) -> Outcome:
        """Take a request; return once it is durable.

        Raises:
            ConflictError: The same idempotency key came with another body.
            RetryableError: Overloaded, or the same request is in flight; nothing of it was acknowledged.
            IntegrityError: The outcome of a write is unknown; a retry will tell.
        """
        request = Request(
            inbound, asyncio.get_running_loop().create_future(), verdicts=list(inbound.rejected)
        )
        if len(inbound.lines) > SLICE or inbound.held:
            self._busy += 1
            self._large_ones += 1
            try:
                await self._guarded([request], self._large(request))
            finally:
                self._busy -= 1
                self._large_ones -= 1
        else:
            self._small_at = asyncio.get_running_loop().time()
            key = (inbound.resource, inbound.text_ok, inbound.envelope_of is None, inbound.times is None)
            self._waiting.setdefault(key, deque()).append(request)
            self._wake.set()
        return await request.answer

    async def _serve(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            key = next(iter(self._waiting))
            queue = self._waiting.pop(key)
            group = [queue.popleft() for _ in range(min(GROUP_REQUESTS, len(queue)))]
            if queue:
                self._waiting[key] = queue  # at the end: other credentials get their turn
            self._busy += 1
            try:
                await self._guarded(group, self._group(group))
            finally:
                self._busy -= 1

    async def _guarded(self, requests: Sequence[Request], work: Any) -> None:
        """Run the work; an error answers every request that has no answer yet."""
        try:
            await work
        except IntegrityError as error:
            # The claims stay: after the restart recovery marks durable what is on disk and voids the rest.
            _fail(requests, error)
            self._failed()
        except asyncio.CancelledError:
            _fail(requests, RetryableError("headrig is stopping"))
            raise
        except Exception as error:
            for request in requests:
                self._settle(request, durable=False)
            _fail(requests, error)

    async def _group(self, requests: Sequence[Request]) -> None:
        self._committer.check_room(0)
        columns = self._preparer.columns(requests)
        identify(columns)
        columns.refuse_bad()
        without = await self._claim(requests)
        going = [request for number, request in enumerate(requests) if number not in without]
        if going:
            await self._finish(going, requests, [self._process(columns, without)])

    async def _large(self, request: Request) -> None:
        """Take a large request slice by slice, with a turn of the loop between them.

        With a key its batch id is known before anything else, and a slice is decoded and processed while it
        is warm in the caches. Without one the id depends on whether all records bring their time.
        """
        inbound = request.inbound
        size = sum(map(len, inbound.lines)) if inbound.body is None else len(inbound.body)
        self._committer.check_room(size)
        most = max(SLICE, WIDE_BYTES * len(inbound.lines) // max(size, 1))
        keyed = inbound.key is not None
        if keyed:
            request.identify(own_time=False)
            if await self._claim([request], decoded=False):
                return
        parts: list[Part] = []
        slices: list[Columns] = []
        apart = Apart()
        start = 0
        while start < len(inbound.lines):
            # Slices that wait for the batch id cannot be made smaller for a small request that comes meanwhile.
            rows = min(self._width(), most) if keyed else SLICE
            columns = self._preparer.columns([request], start, start + rows)
            start += rows
            columns.times = apart.move(columns.times)
            columns.refuse_bad()
            if keyed:
                parts.append(self._process(columns, set()))
            else:
                slices.append(columns)
            await asyncio.sleep(0)
        if not keyed:
            own_time = not any(columns.unusable for columns in slices)
            request.identify(own_time=own_time and all(held.time_ns for held in inbound.held))
            if await self._claim([request]):
                return
            for columns in slices:
                parts.append(self._process(columns, set()))
                await asyncio.sleep(0)
        parts.append(await self._hold(request))
        await self._finish([request], [request], parts)

    def _width(self) -> int:
        """Return how many rows of a large request may go without a turn of the loop; all of them take turns."""
        quiet = asyncio.get_running_loop().time() - self._small_at >= QUIET_SECONDS
        return max(SLICE, min(WIDE, 2 * WIDE // max(self._large_ones, 1))) if quiet else SLICE

    async def _hold(self, request: Request) -> Part:
        """Take the records that the receiver held back; they are long, so each has its turn of the loop."""
        part = Part(None)
        for held in request.inbound.held:
            time_ns = held.time_ns or self._preparer.now()
            self._builder.hold(part, held.verdict, held.line, request, 0, time_ns)
            await asyncio.sleep(0)
        return part

    def _process(self, columns: Columns, without: set[int]) -> Part:
        raw, rows = raw_batch(columns, columns.requests[0].inbound.resource, without)
        part = self._run(columns, raw, rows) if raw.lines else Part(None)
        for row, verdict in columns.held.items():
            owner = columns.owner[row]
            if owner not in without:
                request, time_ns = columns.requests[owner], columns.times[row]
                self._builder.hold(part, verdict, columns.lines[row], request, owner, time_ns)
        return part

    def _run(self, columns: Columns, raw: RawBatch, rows: Sequence[int]) -> Part:
        unusable = (
            frozenset(n for n, row in enumerate(rows) if row in columns.unusable)
            if columns.unusable
            else frozenset()
        )
        batch = self._stages.run(raw, unusable)
        return self._builder.build(batch, raw, rows, columns)

    async def _finish(
        self, going: Sequence[Request], owners: Sequence[Request], parts: Sequence[Part]
    ) -> None:
        tenant = going[0].inbound.resource.tenant
        await self._committer.commit(tenant, owners, going, parts)
        for request in going:
            self._settle(request, durable=request.stored > 0)
            if not request.answer.done():
                request.answer.set_result(request.outcome())
        masked = sum((part.masked for part in parts[1:]), parts[0].masked)
        kept = sum((part.kept for part in parts[1:]), parts[0].kept)
        self._observer.settled(tenant, going, masked, kept)

    async def _claim(self, requests: Sequence[Request], *, decoded: bool = True) -> set[int]:
        """Claim the batch ids; answer those that do not go on and return their places.

        Args:
            requests: Each with its id, or None.
            decoded: Their bad lines have a verdict already.
        """
        done: set[int] = set()
        if self._ids is None:
            return done
        for number, request in enumerate(requests):
            bid = request.bid
            if bid is None:
                continue
            try:
                claim = self._ids.claim(bid, request.body, self._worker)
            except OverloadedError as error:  # the others may be in other buckets
                done.add(number)
                _fail([request], error)
                continue
            if claim is Claim.CLAIMED:
                request.claimed = True
                continue
            done.add(number)
            if claim is Claim.CONFLICT:
                _fail(
                    [request],
                    ConflictError("this Idempotency-Key came before with another body", reason="conflict"),
                )
            elif claim is Claim.IN_FLIGHT:
                _fail([request], RetryableError("the same request is in flight", retry_after=1.0))
            else:
                if not decoded:
                    await self._refuse_bad(request)
                await self._answer_duplicate(request, bid)
        return done

    async def _refuse_bad(self, request: Request) -> None:
        """Find the lines of a large request that have no usable form, to answer for them again."""
        for start in range(0, len(request.inbound.lines), SLICE):
            self._preparer.refuse_bad(request, start, start + SLICE)
            await asyncio.sleep(0)

    async def _answer_duplicate(self, request: Request, bid: bytes) -> None:
        tenant = request.inbound.resource.tenant
        records = len(request.inbound.lines) + len(request.inbound.rejected)
        try:
            logged = await self._audit.receipts(bid)
        except RetryableError as error:
            _fail([request], error)
            return
        except IntegrityError:  # the audit process ends and recovers; nothing of this worker's is in doubt
            _fail([request], RetryableError("the audit log recovers", retry_after=1.0))
            return
        receipts = [receipt(entry, position) for position, entry in sorted(logged, key=_by_position)]
        self._balance.add(tenant, {RECEIVED: records, DUPLICATE: records})
        self._observer.duplicates(tenant, records)
        verdicts: list[Verdict] = sorted(request.verdicts, key=lambda verdict: verdict.origin)
        if not request.answer.done():  # the sender may have left meanwhile
            request.answer.set_result(Outcome(records - len(verdicts), verdicts, receipts, duplicate=True))

    def _settle(self, request: Request, *, durable: bool) -> None:
        """Say what became of a claim; only of one that this very request made."""
        if request.claimed and request.bid is not None and self._ids is not None:
            self._ids.settle(request.bid, durable=durable)
            request.claimed = False


def _fail(requests: Sequence[Request], error: Exception) -> None:
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(error)


def _by_position(logged: tuple[int, LoggedEntry]) -> int:
    """The log has leaves of records that could not be scanned behind those of audit events."""
    return logged[0]
