"""The audit log against a list: appends, retries, crashes, restarts, in any order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.audit.conflict import own_entry
from pipeline.audit.entry import Entry
from pipeline.audit.frame import pack_row
from pipeline.audit.note import Signer
from pipeline.audit.segments import list_segments, read_log
from pipeline.audit.server import open_log
from pipeline.audit.tlog import leaf_hash, root_of
from pipeline.audit.verify import verify_log

SIGNER = Signer("audit.example.com/machine", bytes(32))


class AuditMachine(RuleBasedStateMachine):
    """The model: a list of leaves, and for each id and mac an index; the first mac of an id has no conflict."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.base = Path(tempfile.mkdtemp())
        self.leaves: list[bytes] = []
        self.known: dict[int, dict[bytes, int]] = {}
        self.batches: dict[int, list[tuple[int, int]]] = {}
        self.signed = 0
        self.now = 1_000
        self.open()

    def open(self) -> None:
        """Open the log; it must hold what the model holds."""

        async def opened() -> None:
            self.log, self.publisher = open_log(
                self.base / "log", SIGNER, segment_bytes=900, retain=10_000, clock=lambda: self.now
            )

        self.runner.run(opened())
        self.signed = len(self.leaves)
        assert self.log.committed.size == len(self.leaves)
        assert self.log.committed.root == root_of([leaf_hash(leaf) for leaf in self.leaves])

    @rule(
        bid=st.integers(0, 3),
        items=st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=6),
        size=st.integers(0, 120),
    )
    def append(self, bid: int, items: list[tuple[int, bool]], size: int) -> None:
        """Append a batch in which ids may be new, repeated, or taken by another payload."""
        entries = [
            Entry(
                bid.to_bytes(16, "big"),
                line,
                number.to_bytes(16, "big"),
                (b"o" if other else b"m") * 16,
                b'{"n":%d,"at":%d,"pad":"%b"}' % (number, len(self.leaves), b"x" * size),
            )
            for line, (number, other) in enumerate(items)
        ]
        receipts = self.runner.run(self.log.append(entries))
        for entry, receipt, (number, _) in zip(entries, receipts, items, strict=True):
            macs = self.known.setdefault(number, {})
            assert receipt.conflict == (next(iter(macs), entry.mac) != entry.mac)
            assert receipt.duplicate == (entry.mac in macs)
            index = macs.setdefault(entry.mac, len(self.leaves))
            if not receipt.duplicate:
                self.batches.setdefault(bid, []).append((entry.line, index))
                row = pack_row(*entry[:4])
                self.leaves.append(own_entry(row, entry.leaf).leaf if receipt.conflict else entry.leaf)
            assert receipt.index == index
            assert receipt.leaf_hash == leaf_hash(self.leaves[index])

    @rule()
    def publish(self) -> None:
        """Sign what is durable."""
        self.signed = self.publisher.publish(self.log.committed).size
        assert self.signed == len(self.leaves)

    @rule(back=st.integers(-500, 500))
    def move_clock(self, back: int) -> None:
        """The clock may jump, also backwards."""
        self.now = max(1, self.now + back)

    @rule()
    def restart(self) -> None:
        """End in order and start again."""
        self.runner.run(self.log.close())
        self.open()

    @rule(torn=st.binary(max_size=120))
    def crash(self, torn: bytes) -> None:
        """Die with a write half done: some of the next frame is on disk."""

        async def die() -> None:
            await asyncio.to_thread(self.log._writer.stop)
            self.log.store.close()

        self.runner.run(die())
        segments = list_segments(self.base / "log")
        if segments:
            with segments[-1].open("ab") as file:
                file.write(torn)
        self.open()

    @precondition(lambda self: self.leaves)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read from any place."""
        start = data.draw(st.integers(0, len(self.leaves) - 1))
        got = self.log.entries(start, data.draw(st.integers(1, 2_000)))
        assert [leaf.leaf for leaf in got] == self.leaves[start : start + len(got)]
        assert got

    @invariant()
    def the_file_holds_the_model(self) -> None:
        """Any process reads exactly the acknowledged leaves, in order, each at a later time."""
        found = list(read_log(self.base / "log"))
        assert [leaf.leaf for leaf in found] == self.leaves
        times = [leaf.ts_ns for leaf in found]
        assert times == sorted(set(times))

    @invariant()
    def batches_are_found(self) -> None:
        """Each batch id leads to its entries."""
        for bid, expected in self.batches.items():
            found = self.log.receipts(bid.to_bytes(16, "big"))
            assert [(line, receipt.index) for line, receipt in found] == expected

    @invariant()
    def an_auditor_is_content(self) -> None:
        """The verifier finds nothing, and knows what is signed."""
        report = verify_log(self.base / "log", vkeys=[SIGNER.vkey])
        assert (report.exit_code, report.signed, report.entries) == (0, self.signed, len(self.leaves))

    def teardown(self) -> None:
        """Close and remove the log."""
        self.runner.run(self.log.close())
        self.runner.close()
        shutil.rmtree(self.base)


TestAuditMachine = AuditMachine.TestCase
TestAuditMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
