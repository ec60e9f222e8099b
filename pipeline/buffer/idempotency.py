"""The node's shared table of batch ids: mapped before the fork, 24 bytes a slot.

A slot is {16s id, u32 body digest, u24 minutes since 2026, u8 state and worker}, little-endian. Slots lie in
buckets of 32; an id's bucket comes from its first bytes. A bucket is locked by a byte range of a file, a
POSIX record lock, which the kernel releases when its holder dies. A slot is written id first and state
last, so that a writer killed in between leaves a free slot.

An id is remembered for 24 hours at least, unless its bucket fills up: then the oldest goes first, and it is counted. A
later retry may still be told that it came before; another body under an id that is older than that is no conflict.

The table is a cache of the logs: rebuilt from frame headers at start, never stored.
"""

from __future__ import annotations

import enum
import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from headrig import OverloadedError

from pipeline.buffer.frame import BidMark
from pipeline.buffer.keys import KEEP_SECONDS

SLOT = 24
BUCKET = 32
_BUCKET_BYTES = SLOT * BUCKET
WORKERS = 64
_WORKER_BITS = 6
_KEEP_MINUTES = KEEP_SECONDS // 60
_FREE, _CLAIMED, _DURABLE = 0, 1, 2
_EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z; 24 bits of minutes reach to 2057."""


class Claim(enum.Enum):
    """What the table says to a request."""

    CLAIMED = "it is yours: store it"
    DURABLE = "it came before and is stored"
    IN_FLIGHT = "it is being stored now"
    CONFLICT = "the id came before with another body"


class BatchIds:
    """The table; fork while no thread is in a call.

    Args:
        table: Shared memory.
        lock_path: File whose bytes stand for buckets; opened by each process for itself.
        clock: Unix seconds.
    """

    def __init__(self, table: mmap.mmap, lock_path: Path, clock: Callable[[], float]) -> None:
        self._table = table
        self._buckets = len(table) // _BUCKET_BYTES
        self._lock_path = lock_path
        self._clock = clock
        self._fd = -1
        self._pid = 0
        self._threads = threading.Lock()  # record locks do not keep the threads of a process apart
        self.evicted = 0
        """Ids this process forgot before their time, because a bucket was full."""

    @classmethod
    def create(cls, lock_path: Path, slots: int, *, clock: Callable[[], float] = time.time) -> BatchIds:
        """Make an empty table, before the fork.

        Args:
            lock_path: For the locks; made when it is missing.
            slots: Rounded down to whole buckets.
            clock: Unix seconds.
        """
        buckets = max(slots // BUCKET, 1)
        lock_path.touch(mode=0o600)
        return cls(mmap.mmap(-1, buckets * _BUCKET_BYTES), lock_path, clock)

    def claim(self, bid: bytes, body: int, worker: int) -> Claim:
        """Claim an id for a worker, or learn what became of it.

        Args:
            bid: 16 bytes.
            body: First 32 bits of the body's digest.
            worker: Number of the worker, below `WORKERS`.

        Raises:
            OverloadedError: Every slot of its bucket is claimed.
        """
        if not 0 <= worker < WORKERS or not 0 <= body < 1 << 32 or len(bid) != 16:
            raise ValueError("an id has 16 bytes, a body 32 bits, a worker's number 6 bits")
        now = _minutes(self._clock())
        bucket = self._lock(bid)
        try:
            at = self._find(bid, bucket)
            if at < 0:
                at = self._place(bucket, now)
                if at < 0:
                    raise OverloadedError("too many requests in flight", retry_after=1.0)
            elif self._body(at) == body:
                return Claim.DURABLE if self._state(at) == _DURABLE else Claim.IN_FLIGHT
            elif self._state(at) != _DURABLE or now - self._time(at) < _KEEP_MINUTES:
                return Claim.CONFLICT
            self._write(at, bid, body, _CLAIMED, worker, now)
            return Claim.CLAIMED
        finally:
            self._unlock(bucket)

    def settle(self, bid: bytes, *, durable: bool) -> None:
        """Say what became of a claim: stored, or free for a retry."""
        bucket = self._lock(bid)
        try:
            at = self._find(bid, bucket)
            if at >= 0 and self._state(at) == _CLAIMED:
                state = _DURABLE if durable else _FREE
                self._table[at + 23] = state << _WORKER_BITS | self._table[at + 23] & 0x3F
        finally:
            self._unlock(bucket)

    def restore(self, mark: BidMark, seconds: int) -> None:
        """Enter an id that recovery found in a log, stored at ``seconds``.

        In a full bucket the oldest id goes, be it this one; a claim never goes, but becomes durable when it is this id's.
        """
        minutes = _minutes(seconds)
        bucket = self._lock(mark.bid)
        try:
            at = self._find(mark.bid, bucket)
            if at < 0:
                at = self._place(bucket, _minutes(self._clock()), newer_than=minutes)
            elif self._state(at) == _DURABLE and self._time(at) >= minutes:
                return
            if at >= 0:
                self._write(at, mark.bid, mark.body, _DURABLE, 0, minutes)
        finally:
            self._unlock(bucket)

    def void_worker(self, worker: int) -> None:
        """Free every claim of a worker that is gone, after `restore` of what it had stored."""
        wanted = _CLAIMED << _WORKER_BITS | worker
        states = bytes(self._table[23::SLOT])
        number = states.find(wanted)
        while number >= 0:
            bucket = self._lock_bucket(number // BUCKET)
            if self._table[number * SLOT + 23] == wanted:
                self._table[number * SLOT + 23] = _FREE
            self._unlock(bucket)
            number = states.find(wanted, number + 1)

    def _find(self, bid: bytes, bucket: int) -> int:
        start, end = bucket * _BUCKET_BYTES, (bucket + 1) * _BUCKET_BYTES
        at = self._table.find(bid, start, end)
        while at >= 0:
            if (at - start) % SLOT == 0 and self._state(at) != _FREE:
                return at
            at = self._table.find(bid, at + 1, end)
        return -1

    def _place(self, bucket: int, now: int, newer_than: int = 1 << 24) -> int:
        """Return a free slot, else the oldest durable one if it is older than ``newer_than``, else -1; minutes."""
        start, end = bucket * _BUCKET_BYTES, (bucket + 1) * _BUCKET_BYTES
        oldest, oldest_minutes = -1, newer_than
        for at in range(start, end, SLOT):
            state = self._state(at)
            if state == _FREE:
                return at
            if state == _DURABLE and self._time(at) < oldest_minutes:
                oldest, oldest_minutes = at, self._time(at)
        if oldest >= 0:
            self.evicted += now - oldest_minutes < _KEEP_MINUTES
            self._table[oldest + 23] = _FREE
        return oldest

    def _write(self, at: int, bid: bytes, body: int, state: int, worker: int, minutes: int) -> None:
        self._table[at + 23] = _FREE
        self._table[at : at + 23] = bid + body.to_bytes(4, "little") + minutes.to_bytes(3, "little")
        self._table[at + 23] = state << _WORKER_BITS | worker

    def _state(self, at: int) -> int:
        return self._table[at + 23] >> _WORKER_BITS

    def _body(self, at: int) -> int:
        return int.from_bytes(self._table[at + 16 : at + 20], "little")

    def _time(self, at: int) -> int:
        return int.from_bytes(self._table[at + 20 : at + 23], "little")

    def _lock(self, bid: bytes) -> int:
        return self._lock_bucket(int.from_bytes(bid[:8], "little") % self._buckets)

    def _lock_bucket(self, bucket: int) -> int:
        self._threads.acquire()
        try:
            if self._pid != os.getpid():
                # One descriptor per process, and never closed: closing any would drop the process' locks.
                self._fd = os.open(self._lock_path, os.O_RDWR | os.O_CLOEXEC)
                self._pid = os.getpid()
            fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, bucket)
        except BaseException:
            self._threads.release()
            raise
        return bucket

    def __del__(self) -> None:
        # Only with the table itself: a process that closes the file any earlier drops all its locks.
        if self._fd >= 0:
            os.close(self._fd)

    def _unlock(self, bucket: int) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, bucket)
        self._threads.release()


def _minutes(seconds: float) -> int:
    return min(max(int(seconds) - _EPOCH, 0) // 60, (1 << 24) - 1)
