"""A request through the stages and into the logs: to return is to acknowledge, to raise is to refuse.

Requests of a credential that wait are joined, scanned, encoded and appended as one group; one group
is in flight, and whoever comes meanwhile is in the next. A large request needs no company: it is cut into
slices, with a turn of the loop between them, so that small ones do not wait behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headrig import ConflictError, IntegrityError, RetryableError

from pipeline.buffer import Claim
from pipeline.flow.balance import DUPLICATE, RECEIVED, Balance
from pipeline.flow.commit import Committer, Part, PartBuilder, receipt
from pipeline.flow.inbound import Inbound, Outcome
from pipeline.flow.prepare import Columns, Preparer, identify, raw_batch
from pipeline.flow.request import Request
from pipeline.flow.timestamps import Apart

if TYPE_CHECKING:
    from collections import Counter

    from headrig import Verdict

    from pipeline.buffer import BatchIds
    from pipeline.flow.commit import AuditAppender, LoggedEntry
    from pipeline.flow.stages import Stages

SLICE = 250
"""Rows between two turns of the loop: 2 ms of work, and they stay in the caches on their way."""
GROUP_REQUESTS = 512


class FlowObserver(Protocol):
    """Counts what became of records."""

    def settled(self, tenant: str, requests: Sequence[Request], masked: Counter[str], /) -> None:
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
        if len(inbound.lines) > SLICE:
            self._busy += 1
            try:
                await self._guarded([request], self._large(request))
            finally:
                self._busy -= 1
        else:
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
            self._void(requests)
            _fail(requests, error)

    async def _group(self, requests: Sequence[Request]) -> None:
        columns = self._preparer.columns(requests)
        identify(columns)
        self._reject_bad(columns)
        without = await self._claim(requests)
        going = [request for number, request in enumerate(requests) if number not in without]
        if not going:
            return
        part = self._process(columns, without)
        self._committer.check_room(2 * len(columns.buffer))
        await self._finish(going, requests, [part])

    async def _large(self, request: Request) -> None:
        """Take a large request slice by slice, with a turn of the loop between them.

        With a key its batch id is known before anything else, and a slice is decoded and processed while it
        is warm in the caches. Without one the id depends on whether all records bring their time.
        """
        self._committer.check_room(sum(map(len, request.inbound.lines)))
        keyed = request.inbound.key is not None
        if keyed:
            request.identify(own_time=False)
            if await self._claim([request]):
                return
        parts: list[Part] = []
        slices: list[Columns] = []
        apart = Apart()
        for start in range(0, len(request.inbound.lines), SLICE):
            columns = self._preparer.columns([request], start, start + SLICE)
            columns.times = apart.move(columns.times)
            self._reject_bad(columns)
            if keyed:
                parts.append(self._process(columns, set()))
            else:
                slices.append(columns)
            await asyncio.sleep(0)
        if not keyed:
            request.identify(own_time=not any(columns.unusable for columns in slices))
            if await self._claim([request]):
                return
            for columns in slices:
                parts.append(self._process(columns, set()))
                await asyncio.sleep(0)
        await self._finish([request], [request], parts)

    def _reject_bad(self, columns: Columns) -> None:
        for row, why in columns.bad.items():
            columns.requests[columns.owner[row]].reject(columns.row_of[row], why)

    def _process(self, columns: Columns, without: set[int]) -> Part:
        raw, rows = raw_batch(columns, columns.requests[0].inbound.resource, without)
        if not raw.lines:
            return Part(None)
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
            if request.bid is not None and self._ids is not None:
                self._ids.settle(request.bid, durable=request.stored > 0)
            if not request.answer.done():
                request.answer.set_result(request.outcome())
        masked = sum((part.masked for part in parts[1:]), parts[0].masked)
        self._observer.settled(tenant, going, masked)

    async def _claim(self, requests: Sequence[Request]) -> set[int]:
        """Claim the batch ids; answer those that do not go on and return their places."""
        done: set[int] = set()
        if self._ids is None:
            return done
        for number, request in enumerate(requests):
            bid = request.bid
            if bid is None:
                continue
            claim = self._ids.claim(bid, request.body, self._worker)
            if claim is Claim.CLAIMED:
                continue
            done.add(number)
            request.bid = None  # it is another's: nothing here may settle it
            if claim is Claim.CONFLICT:
                _fail(
                    [request],
                    ConflictError("this Idempotency-Key came before with another body", reason="conflict"),
                )
            elif claim is Claim.IN_FLIGHT:
                _fail([request], RetryableError("the same request is in flight", retry_after=1.0))
            else:
                await self._answer_duplicate(request, bid)
        return done

    async def _answer_duplicate(self, request: Request, bid: bytes) -> None:
        tenant = request.inbound.resource.tenant
        records = len(request.inbound.lines) + len(request.inbound.rejected)
        try:
            logged = await self._audit.receipts(bid)
        except RetryableError as error:
            _fail([request], error)
            return
        receipts = [receipt(entry, position) for position, entry in sorted(logged, key=_by_position)]
        self._balance.add(tenant, {RECEIVED: records, DUPLICATE: records})
        self._observer.duplicates(tenant, records)
        verdicts: list[Verdict] = sorted(request.verdicts, key=lambda verdict: verdict.origin)
        request.answer.set_result(Outcome(records - len(verdicts), verdicts, receipts, duplicate=True))

    def _void(self, requests: Sequence[Request]) -> None:
        if self._ids is None:
            return
        for request in requests:
            if request.bid is not None and not request.answer.done():
                self._ids.settle(request.bid, durable=False)


def _fail(requests: Sequence[Request], error: Exception) -> None:
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(error)


def _by_position(logged: tuple[int, LoggedEntry]) -> int:
    """The log has leaves of records that could not be scanned behind those of audit events."""
    return logged[0]
