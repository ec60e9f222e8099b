"""The table of batch ids against a dict, with room for all and clocks that go on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from buffer_frames import NOW, bid
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.buffer import BatchIds, BidMark, Claim
from pipeline.buffer.idempotency import BUCKET
from pipeline.buffer.keys import KEEP_SECONDS

KEYS = st.integers(0, BUCKET - 1)
"""At most as many as the smallest bucket has slots, so that none is ever evicted."""
BODIES = st.integers(0, 2)
WORKERS = st.integers(0, 3)


class BatchIdsMachine(RuleBasedStateMachine):
    """The model: for each id its body, its worker or None once it is durable, and its minute."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.now = NOW
        self.ids = BatchIds.create(Path(self.place.name) / "ids", 2 * BUCKET, clock=lambda: self.now)
        self.model: dict[int, tuple[int, int | None, int]] = {}

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.place.cleanup()

    def expected(self, key: int, body: int) -> Claim:
        """What the model says to a claim."""
        if key not in self.model:
            return Claim.CLAIMED
        other, worker, minute = self.model[key]
        if other == body:
            return Claim.DURABLE if worker is None else Claim.IN_FLIGHT
        old = worker is None and self.now // 60 - minute >= KEEP_SECONDS // 60
        return Claim.CLAIMED if old else Claim.CONFLICT

    @rule(key=KEYS, body=BODIES, worker=WORKERS)
    def claim(self, key: int, body: int, worker: int) -> None:
        """Any worker asks for any id."""
        expected = self.expected(key, body)
        assert self.ids.claim(bid(key), body, worker) is expected
        if expected is Claim.CLAIMED:
            self.model[key] = (body, worker, self.now // 60)

    @rule(key=KEYS, durable=st.booleans())
    def settle(self, key: int, durable: bool) -> None:
        """A claim ends."""
        self.ids.settle(bid(key), durable=durable)
        body, worker, minute = self.model.get(key, (0, None, 0))
        if worker is not None and durable:
            self.model[key] = (body, None, minute)
        elif worker is not None:
            del self.model[key]

    @rule(key=KEYS, body=BODIES, age=st.integers(0, 2 * KEEP_SECONDS))
    def restore(self, key: int, body: int, age: int) -> None:
        """A log has an id."""
        seconds = self.now - age
        self.ids.restore(BidMark(bid(key), body, last=True), seconds)
        _, worker, minute = self.model.get(key, (0, 0, 0))
        if worker is not None or minute < seconds // 60:
            self.model[key] = (body, None, seconds // 60)

    @rule(worker=WORKERS)
    def void(self, worker: int) -> None:
        """A worker is gone."""
        self.ids.void_worker(worker)
        self.model = {key: entry for key, entry in self.model.items() if entry[1] != worker}

    @rule(seconds=st.sampled_from([1, 59, 60, 3600, KEEP_SECONDS - 60, KEEP_SECONDS]))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.now += seconds

    @invariant()
    def nothing_is_evicted(self) -> None:
        """There is room for all."""
        assert self.ids.evicted == 0


TestBatchIds = BatchIdsMachine.TestCase
TestBatchIds.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
