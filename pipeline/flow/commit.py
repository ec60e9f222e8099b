"""The two durable appends, in their order, and what each crash between them means.

1. audit append   A crash after it leaves leaves without lines: a retry finds the old indexes, and a
                  client that never retries has left an audit leaf without a line, on purpose.
2. buffer append  A crash after it leaves durable records without an answer: a retry is a duplicate.
3. settle, answer
"""

from __future__ import annotations

import asyncio
import functools
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from headrig import OverloadedError, Verdict
from isal import igzip

from pipeline.buffer import BidMark, Frame, frame_bytes
from pipeline.flow.balance import RECEIVED, STORED, Balance, verdict_counts
from pipeline.flow.frames import group_fragments
from pipeline.flow.inbound import Receipt

if TYPE_CHECKING:
    from pipeline.buffer import Room, Wal
    from pipeline.flow.part import Leaf, Part
    from pipeline.flow.request import Request
    from pipeline.streams import Fragment, Fragments

    Payload = tuple[bytes, list[Fragment]]
    """Compressed, and what is in it."""

_COUNTS_GROWTH = 512
"""Other requests of the tenant count meanwhile: some digits, some reasons more."""

_TURN_BYTES = 1 << 19
"""Half a millisecond of compression."""


class LoggedEntry(Protocol):
    """What the audit log says of an entry it holds."""

    @property
    def index(self) -> int:
        """Its place, for ever."""
        ...

    @property
    def leaf_hash(self) -> bytes:
        """32 bytes, RFC 6962 section 2.1."""
        ...

    @property
    def tree_size(self) -> int:
        """Size of the smallest tree that holds it."""
        ...

    @property
    def duplicate(self) -> bool:
        """The log held the event before."""
        ...

    @property
    def conflict(self) -> bool:
        """The id was taken by another payload; this is a leaf of its own, which says so."""
        ...


class AuditAppender(Protocol):
    """The worker's door to the audit process."""

    async def append(self, leaves: Sequence[Leaf], /) -> Sequence[LoggedEntry]:
        """Return once every leaf is durable; one answer for each, in order."""
        ...

    async def receipts(self, bid: bytes, /) -> Sequence[tuple[int, LoggedEntry]]:
        """Return position and entry of all leaves of a batch id."""
        ...


class QuarantineAppender(Protocol):
    """Keeps what was held back; durable on return."""

    def append_unscanned(self, tenant: str, verdicts: Sequence[Verdict], time_ns: int, /) -> None:
        """Store metadata and digests, never a body."""
        ...


class Committer:
    """Makes parts durable.

    Args:
        wal: This worker's buffer.
        audit: Door to the audit log.
        quarantine: Keeps metadata of what could not be scanned.
        balance: Counts for frame headers.
        clock: Current time, unix ns.
    """

    def __init__(
        self,
        wal: Wal,
        audit: AuditAppender,
        quarantine: QuarantineAppender,
        balance: Balance,
        clock: Callable[[], int],
    ) -> None:
        self._wal = wal
        self._audit = audit
        self._quarantine = quarantine
        self._balance = balance
        self._clock = clock

    def check_room(self, size: int) -> None:
        """Refuse before anything is stored when the buffer has no room for ``size`` more bytes."""
        if not self._wal.has_room(size):
            raise OverloadedError("the buffer is full", retry_after=5.0)

    async def commit(
        self, tenant: str, requests: Sequence[Request], going: Sequence[Request], parts: Sequence[Part]
    ) -> None:
        """Store everything of the requests that go on; durable on return.

        Args:
            tenant: Whose they are.
            requests: All requests of the group: what the owners of leaves point into.
            going: Those that are neither duplicates nor refused.
            parts: What the stages gave.
        """
        payloads = await _compress([part.fragments for part in parts if part.fragments is not None])
        # Nothing is stored anywhere before the buffer has promised its room.
        with self._wal.reserve(self._bound(tenant, going, payloads)) as room:
            await self._append_leaves(requests, parts)
            unscanned = [verdict for part in parts for verdict in part.unscanned]
            if unscanned:
                await asyncio.to_thread(self._quarantine.append_unscanned, tenant, unscanned, self._clock())
            done = self._put(tenant, going, payloads, room)
        if done is not None:
            await asyncio.shield(done)  # the write is shared with others

    def _put(
        self, tenant: str, going: Sequence[Request], payloads: Sequence[Payload], room: Room
    ) -> asyncio.Future[int] | None:
        """Count and hand over in one breath: the log keeps the order, so its newest frame has the newest counts."""
        delta = _delta(going)
        self._balance.add(tenant, delta)
        if not payloads:
            return None
        counts = self._balance.counts(tenant)
        try:
            done = self._wal.put(self._frames(tenant, going, payloads, counts), room)
        except BaseException:  # no frame carries these counts: nothing was received
            self._balance.take_back(tenant, delta)
            raise
        self._balance.taken(tenant, counts)
        return done

    def _bound(self, tenant: str, going: Sequence[Request], payloads: Sequence[Payload]) -> int:
        """Return what the frames take at most: their counts can still change a little before they are written."""
        if not payloads:
            return 0
        counts = self._balance.counts(tenant)
        for request in going:
            if request.verdicts:
                counts.update(verdict_counts(request.verdicts))
        head = frame_bytes(tenant, counts, max(len(going), 1), _COUNTS_GROWTH)
        return sum(head + len(payload) for payload, _ in payloads)

    async def _append_leaves(self, requests: Sequence[Request], parts: Sequence[Part]) -> None:
        leaves = [leaf for part in parts for leaf in part.leaves]
        if not leaves:
            return
        owners = [owner for part in parts for owner in part.owners]
        logged = await self._audit.append(leaves)
        for leaf, owner, entry in zip(leaves, owners, logged, strict=True):
            requests[owner].receipts.append(receipt(entry, leaf.line))

    def _frames(
        self, tenant: str, requests: Sequence[Request], payloads: Sequence[Payload], counts: dict[str, int]
    ) -> list[Frame]:
        last = len(payloads) - 1
        marks = [
            (request.bid, request.body) for request in requests if request.bid is not None and request.stored
        ]
        if not marks and last > 0:
            marks = [(os.urandom(16), 0)]  # so that recovery can tell a request without its last frame
        frames = []
        for number, (payload, group) in enumerate(payloads):
            frames.append(
                Frame(
                    tenant=tenant,
                    records=sum(fragments.records for fragments in group),
                    inflated=sum(len(fragments.data) for fragments in group) + len(group) - 1,
                    min_ns=min(fragments.min_ns for fragments in group),
                    max_ns=max(fragments.max_ns for fragments in group),
                    bids=tuple(BidMark(bid, body, number == last) for bid, body in marks),
                    counters=counts if number == last else _earlier(counts, payloads[number + 1 :]),
                    payload=payload,
                    streams=_xor(frozenset().union(*(fragments.marks for fragments in group))),
                )
            )
        return frames

    async def write_counts(self) -> None:
        """Store counts that no frame carries yet, e.g. of requests of which every record was rejected."""
        for tenant in self._balance.unwritten():
            now = self._clock()
            counts = self._balance.counts(tenant)
            done = self._wal.put([Frame(tenant, 0, 0, now, now, (), counts, b"")])
            self._balance.taken(tenant, counts)
            await asyncio.shield(done)


async def _compress(fragments: Sequence[Fragments]) -> list[Payload]:
    """Make the payloads of frames, with a turn of the loop after so many bytes."""
    payloads: list[Payload] = []
    left = _TURN_BYTES
    for group in group_fragments(fragments):
        if left < 0:
            await asyncio.sleep(0)
            left = _TURN_BYTES
        data = b",".join([fragment.data for fragment in group])
        left -= len(data)
        payloads.append((igzip.compress(data, 1), group))
    return payloads


def _earlier(counts: Mapping[str, int], later: Sequence[Payload]) -> dict[str, int]:
    """Counts for a frame that later frames of the same request follow: without their records.

    Recovery cuts a request whose last frame is missing, so these are never the newest for long.
    """
    records = sum(fragments.records for _, group in later for fragments in group)
    return {**counts, RECEIVED: counts.get(RECEIVED, 0) - records, STORED: counts.get(STORED, 0) - records}


def _xor(marks: Iterable[int]) -> int:
    return functools.reduce(operator.xor, marks, 0)


def _delta(requests: Sequence[Request]) -> Counter[str]:
    delta: Counter[str] = Counter()
    for request in requests:
        delta.update(verdict_counts(request.verdicts))
        delta[STORED] += request.stored
        delta[RECEIVED] += request.stored + len(request.verdicts)
    return delta


def receipt(entry: LoggedEntry, position: int) -> Receipt:
    """Make the receipt of a logged entry."""
    return Receipt(
        entry.index,
        entry.leaf_hash.hex(),
        position,
        entry.tree_size,
        duplicate=entry.duplicate,
        conflict=entry.conflict,
    )
