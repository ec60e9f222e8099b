"""The node's table of batch ids: one answer for all processes, whoever dies."""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from buffer_frames import NOW, bid, mark
from headrig import OverloadedError

from pipeline.buffer import BatchIds, BidMark, Claim
from pipeline.buffer.idempotency import BUCKET, SLOT, WORKERS
from pipeline.buffer.keys import KEEP_SECONDS


class Clock:
    """Unix seconds that a test sets."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the table."""
    return Clock()


def make(tmp_path: Path, clock: Callable[[], float] = Clock(), slots: int = BUCKET) -> BatchIds:
    """Make a table, of one bucket unless said otherwise."""
    return BatchIds.create(tmp_path / "batch-ids", slots, clock=clock)


def test_a_claim_ends_as_durable_or_free(tmp_path: Path) -> None:
    """The four answers."""
    ids = make(tmp_path)
    assert ids.claim(bid(1), 11, 0) is Claim.CLAIMED
    assert ids.claim(bid(1), 11, 0) is Claim.IN_FLIGHT
    assert ids.claim(bid(1), 11, 5) is Claim.IN_FLIGHT
    assert ids.claim(bid(1), 12, 5) is Claim.CONFLICT
    ids.settle(bid(1), durable=False)
    assert ids.claim(bid(1), 12, 5) is Claim.CLAIMED
    ids.settle(bid(1), durable=True)
    assert ids.claim(bid(1), 12, 0) is Claim.DURABLE
    assert ids.claim(bid(1), 11, 0) is Claim.CONFLICT
    ids.settle(bid(1), durable=False)  # what is durable stays so
    ids.settle(bid(9), durable=True)  # what nobody claimed is not there
    assert ids.claim(bid(1), 12, 0) is Claim.DURABLE
    assert ids.claim(bid(9), 0, 0) is Claim.CLAIMED


@pytest.mark.parametrize("body", [0, 1, (1 << 31), (1 << 32) - 1])
def test_a_body_has_32_bits_and_all_of_them_count(tmp_path: Path, body: int) -> None:
    """Any other body conflicts."""
    ids = make(tmp_path)
    assert ids.claim(bid(1), body, WORKERS - 1) is Claim.CLAIMED
    assert ids.claim(bid(1), body, 0) is Claim.IN_FLIGHT
    for other in range(32):
        assert ids.claim(bid(1), body ^ 1 << other, 0) is Claim.CONFLICT


@pytest.mark.parametrize(
    ("key", "body", "worker"),
    [
        (b"short", 0, 0),
        (bytes(17), 0, 0),
        (bytes(16), 1 << 32, 0),
        (bytes(16), -1, 0),
        (bytes(16), 0, 64),
        (bytes(16), 0, -1),
    ],
)
def test_what_does_not_fit_a_slot_is_refused(tmp_path: Path, key: bytes, body: int, worker: int) -> None:
    """It would be another id, or another state."""
    ids = make(tmp_path)
    with pytest.raises(ValueError, match="16 bytes"):
        ids.claim(key, body, worker)
    assert ids.claim(bid(1), 0, 0) is Claim.CLAIMED


def test_ids_that_look_alike_are_kept_apart(tmp_path: Path) -> None:
    """Zeros, repeated bytes, and an id that reaches over two slots of others."""
    ids = make(tmp_path)
    keys = [bytes(16), b"\xff" * 16, b"ab" * 8, b"ba" * 8]
    for number, key in enumerate(keys):
        assert ids.claim(key, number, 0) is Claim.CLAIMED
        ids.settle(key, durable=True)
    for at in range(SLOT * len(keys) - 16):
        straddling = bytes(ids._table[at : at + 16])
        if straddling not in keys:
            assert ids.claim(straddling, 77, 1) is Claim.CLAIMED, at
            ids.settle(straddling, durable=False)
    assert [ids.claim(key, number, 0) for number, key in enumerate(keys)] == [Claim.DURABLE] * 4


def test_a_full_bucket_forgets_the_oldest_and_never_a_claim(tmp_path: Path, clock: Clock) -> None:
    """In the order in which they were claimed, whatever their place; and what is forgotten before its time is counted."""
    ids = make(tmp_path, clock)
    order = list(range(BUCKET))
    random.Random(1).shuffle(order)
    for number in order:
        clock.now += 60
        assert ids.claim(bid(number), 0, 0) is Claim.CLAIMED
    kept = order[::2]
    for number in order[1::2]:
        ids.settle(bid(number), durable=True)
    for count, number in enumerate(order[1::2], 1):
        clock.now += 60
        assert ids.claim(bid(1000 + count), 0, 1) is Claim.CLAIMED
        assert ids.evicted == count
        assert bytes(ids._table).find(bid(number)) < 0
    with pytest.raises(OverloadedError, match="in flight"):
        ids.claim(bid(5000), 0, 0)
    assert all(ids.claim(bid(number), 0, 0) is Claim.IN_FLIGHT for number in kept)
    assert ids.evicted == BUCKET // 2
    ids.settle(bid(kept[0]), durable=False)
    assert ids.claim(bid(5000), 0, 0) is Claim.CLAIMED


def test_an_overloaded_bucket_leaves_others_alone_and_its_lock_free(tmp_path: Path) -> None:
    """The id's first bytes choose the bucket."""
    ids = make(tmp_path, slots=2 * BUCKET + 5)
    for number in range(BUCKET):
        ids.claim(bid(2 * number), 0, 0)
    for _ in range(3):
        with pytest.raises(OverloadedError):
            ids.claim(bid(2 * BUCKET), 0, 0)
    assert ids.claim(bid(1), 0, 0) is Claim.CLAIMED
    assert ids.claim(bid(0), 0, 0) is Claim.IN_FLIGHT


def test_an_id_of_yesterday_may_come_with_another_body(tmp_path: Path, clock: Clock) -> None:
    """The same body is still a duplicate while there is room; forgetting it then is not before its time."""
    ids = make(tmp_path, clock)
    for number in range(BUCKET):
        ids.claim(bid(number), 7, 0)
        ids.settle(bid(number), durable=True)
    clock.now += KEEP_SECONDS - 60
    assert ids.claim(bid(0), 8, 0) is Claim.CONFLICT
    clock.now += 60
    assert ids.claim(bid(0), 7, 0) is Claim.DURABLE
    assert ids.claim(bid(0), 8, 0) is Claim.CLAIMED
    assert ids.claim(bid(0), 7, 0) is Claim.CONFLICT  # it is in flight with the new body
    assert ids.claim(bid(999), 0, 0) is Claim.CLAIMED
    assert ids.evicted == 0


@pytest.mark.parametrize("now", [0, -1e9, 1_767_225_599, 3e9, 1e12])
def test_a_wild_clock_costs_order_and_nothing_else(tmp_path: Path, clock: Clock, now: float) -> None:
    """Before 2026 or after 2057 all ids are of the same age; before 1970, too."""
    clock.now = now
    ids = make(tmp_path, clock)
    for number in range(2 * BUCKET):
        assert ids.claim(bid(number), 0, 0) is Claim.CLAIMED
        ids.settle(bid(number), durable=True)
        assert ids.claim(bid(number), 0, 0) is Claim.DURABLE
    ids.restore(mark(500), int(now))
    ids.restore(mark(501), NOW)
    clock.now = NOW  # set right while the node is up
    assert ids.claim(bid(600), 0, 0) is Claim.CLAIMED


def test_what_a_log_holds_is_restored(tmp_path: Path) -> None:
    """Over a claim, too, which was stored before its worker died; a live claim of another id is left alone."""
    ids = make(tmp_path)
    ids.claim(bid(1), 1, 3)
    ids.claim(bid(2), 2, 3)
    ids.claim(bid(3), 3, 4)
    ids.restore(mark(1), NOW)
    ids.restore(mark(7), NOW)
    ids.void_worker(3)
    assert ids.claim(bid(1), 1, 0) is Claim.DURABLE
    assert ids.claim(bid(7), 7, 0) is Claim.DURABLE
    assert ids.claim(bid(2), 2, 0) is Claim.CLAIMED
    assert ids.claim(bid(3), 3, 0) is Claim.IN_FLIGHT
    ids.settle(bid(1), durable=False)
    assert ids.claim(bid(1), 1, 0) is Claim.DURABLE


def test_restoring_the_same_id_keeps_the_newer(tmp_path: Path, clock: Clock) -> None:
    """A log may hold an id twice, yesterday's key with another body."""
    for order in (1, -1):
        ids = make(tmp_path, clock)
        for body, seconds in [(1, NOW - KEEP_SECONDS - 60), (2, NOW)][::order]:
            ids.restore(BidMark(bid(1), body, last=True), seconds)
        assert ids.claim(bid(1), 2, 0) is Claim.DURABLE


def test_a_full_bucket_restores_the_newest(tmp_path: Path, clock: Clock) -> None:
    """In any order; a claim never goes, and nothing raises."""
    numbers = list(range(3 * BUCKET))
    random.Random(2).shuffle(numbers)
    ids = make(tmp_path, clock)
    ids.claim(bid(9999), 0, 1)
    for number in numbers:
        ids.restore(mark(number), NOW - 60 * number)
    table = bytes(ids._table)
    assert [number for number in sorted(numbers) if table.find(bid(number)) >= 0] == list(range(BUCKET - 1))
    assert ids.claim(bid(9999), 0, 0) is Claim.IN_FLIGHT
    full = make(tmp_path, clock)
    for number in range(BUCKET):
        full.claim(bid(number), 0, 0)
    full.restore(mark(999), NOW)
    assert bytes(full._table).find(bid(999)) < 0


def test_only_claims_of_that_worker_are_voided(tmp_path: Path) -> None:
    """Over all buckets; the first, the last and every worker between."""
    ids = make(tmp_path, slots=8 * BUCKET)
    for number in range(2 * WORKERS):
        ids.claim(bid(number), 0, number % WORKERS)
    ids.settle(bid(WORKERS + 5), durable=True)
    for worker in (0, 5, WORKERS - 1):
        ids.void_worker(worker)
    free = {0, 5, WORKERS - 1, WORKERS, 2 * WORKERS - 1}
    for number in range(2 * WORKERS):
        expected = Claim.CLAIMED if number in free else Claim.IN_FLIGHT
        if number == WORKERS + 5:
            expected = Claim.DURABLE
        assert ids.claim(bid(number), 0, 1) is expected


def test_threads_of_one_process_share_the_table(tmp_path: Path) -> None:
    """A record lock does not keep them apart: each id has one owner all the same."""
    ids = make(tmp_path, slots=64 * BUCKET)
    count, won = 300, [[] for _ in range(4)]
    start = threading.Barrier(4)
    switch = sys.getswitchinterval()

    def work(number: int) -> None:
        start.wait()
        for key in range(count):
            if ids.claim(bid(key), 0, number) is Claim.CLAIMED:
                won[number].append(key)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert sorted(key for keys in won for key in keys) == list(range(count))


class Children:
    """Processes that were forked, as workers are; each tells its results through a pipe."""

    def __init__(self) -> None:
        self._pids: list[int] = []

    def start(self, work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
        """Fork; return the process and the end of a pipe with what it says."""
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(out)
                work(lambda text: os.write(into, text.encode()))
                status = 0
            finally:
                os._exit(status)
        os.close(into)
        self._pids.append(pid)
        return pid, out

    def kill(self, pid: int) -> None:
        """Kill one and wait until it is gone."""
        self._pids.remove(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def join(self) -> list[int]:
        """Wait for all; return their exit codes."""
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self._pids]
        self._pids.clear()
        return codes

    def close(self) -> None:
        """Leave nobody behind."""
        for pid in list(self._pids):
            self.kill(pid)


@pytest.fixture
def children() -> Iterator[Children]:
    """Processes that end with the test."""
    made = Children()
    yield made
    made.close()


def said(out: int) -> str:
    """Read what a process said until its end."""
    with os.fdopen(out) as pipe:
        return pipe.read()


def hears(out: int, seconds: float) -> bool:
    """Tell whether a process says something in time."""
    waiting = select.poll()  # select() takes no descriptor above 1023
    waiting.register(out, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def test_forked_processes_agree_on_every_id(tmp_path: Path, children: Children) -> None:
    """Each id is claimed by exactly one of them, and settled ids are durable for all."""
    ids = make(tmp_path, slots=64 * BUCKET)
    ids.claim(bid(10**6), 0, 60)  # the parent has its own descriptor by then
    count = 400

    def work(number: int) -> Callable[[Callable[[str], None]], None]:
        def run(say: Callable[[str], None]) -> None:
            keys = list(range(count))
            random.Random(number).shuffle(keys)
            mine = [key for key in keys if ids.claim(bid(key), key, number) is Claim.CLAIMED]
            for key in mine:
                ids.settle(bid(key), durable=key % 2 == 0)
            say(",".join(map(str, mine)))

        return run

    outs = [children.start(work(number))[1] for number in range(4)]
    won = [[int(key) for key in said(out).split(",") if key] for out in outs]
    assert children.join() == [0] * 4
    claimed = sorted(key for keys in won for key in keys)
    assert {key for key in claimed if key % 2 == 0} == set(range(0, count, 2))
    assert [claimed.count(key) for key in range(0, count, 2)] == [1] * (count // 2)
    for key in range(count):
        assert ids.claim(bid(key), key, 5) is (Claim.CLAIMED if key % 2 else Claim.DURABLE)


def test_a_killed_process_leaves_its_lock_to_others(tmp_path: Path, children: Children) -> None:
    """It dies with a bucket locked and a slot half written: others go on, and its neighbours are whole."""
    ids = make(tmp_path)
    ids.restore(mark(1), NOW)

    def hold(say: Callable[[str], None]) -> None:
        ids._lock(bid(2))
        at = ids._place(0, 0)
        ids._table[at : at + 16] = bid(2)
        say("held")
        signal.pause()

    def wait(say: Callable[[str], None]) -> None:
        say(ids.claim(bid(2), 5, 7).name)

    holder, out = children.start(hold)
    assert os.read(out, 4) == b"held"
    os.close(out)
    _, waiting = children.start(wait)
    assert not hears(waiting, 0.1)
    children.kill(holder)
    assert said(waiting) == "CLAIMED"
    assert children.join() == [0]
    assert ids.claim(bid(1), 1, 0) is Claim.DURABLE
    assert ids.claim(bid(2), 5, 0) is Claim.IN_FLIGHT
    ids.void_worker(7)
    assert ids.claim(bid(2), 6, 0) is Claim.CLAIMED


@pytest.mark.parametrize("seed", range(3))
def test_processes_that_die_at_any_moment_leave_a_sound_table(
    tmp_path: Path, children: Children, seed: int
) -> None:
    """Three claim and settle in few buckets, one after the other is killed: nobody stands still, nothing durable is lost."""
    ids = make(tmp_path, slots=4 * BUCKET)
    durable = range(40)
    for number in durable:
        ids.restore(mark(number), NOW + 60 * 60)

    def churn(worker: int) -> Callable[[Callable[[str], None]], None]:
        def run(say: Callable[[str], None]) -> None:
            say("x")
            chance = random.Random(worker * 100 + seed)
            while True:
                key = bid(1000 + chance.randrange(60))
                if ids.claim(key, 0, worker) is Claim.CLAIMED and chance.random() < 0.9:
                    ids.settle(key, durable=False)

        return run

    chance = random.Random(seed)
    for worker in range(6):
        pid, out = children.start(churn(worker))
        assert os.read(out, 1) == b"x"
        hears(out, chance.random() / 50)  # it says nothing more: let it work for a moment
        children.kill(pid)
        os.close(out)
        ids.void_worker(worker)
    assert [ids.claim(bid(number), number, 0) for number in durable] == [Claim.DURABLE] * 40
    for number in range(60):
        assert ids.claim(bid(1000 + number), 1, 0) is Claim.CLAIMED
