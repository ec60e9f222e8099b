"""The index of ids."""

from __future__ import annotations

import tracemalloc
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.entry import LogReceipt
from pipeline.audit.frame import pack_row
from pipeline.audit.receipts import ReceiptIndex


def row(number: int, bid: int = 0, mac: bytes = b"m" * 16) -> bytes:
    """Make the row of an entry."""
    return pack_row(bid.to_bytes(16, "big"), number % 2**32, number.to_bytes(16, "big"), mac)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.booleans()), max_size=120))
def test_it_answers_as_a_dictionary_does(steps: list[tuple[int, int, bool]]) -> None:
    """New, duplicate, conflict and the entries of each batch, for any order of ids and batches."""
    index = ReceiptIndex(1_000)
    known: dict[int, tuple[int, bytes, bytes]] = {}
    batches: dict[int, list[tuple[int, int]]] = {}
    for number, bid, other in steps:
        mac = b"o" * 16 if other else b"m" * 16
        digest = len(known).to_bytes(32, "big")
        stored = index.admit(row(number, bid, mac), digest)
        if number in known:
            place, kept, before = known[number]
            assert stored == LogReceipt(place, kept, duplicate=mac == before, conflict=mac != before)
        else:
            assert stored is None
            batches.setdefault(bid, []).append((number, len(known)))
            known[number] = (len(known), digest, mac)
    assert index.size == len(known)
    for bid in range(5):
        found = [(line, receipt.index) for line, receipt in index.batch(bid.to_bytes(16, "big"))]
        assert found == batches.get(bid, [])


@given(st.lists(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 2)), max_size=6), max_size=30))
def test_a_block_is_taken_as_its_rows_one_by_one_or_not_at_all(blocks: list[list[tuple[int, int]]]) -> None:
    """Only if every id is new and fits; ids, batches and leaf hashes are then as by the slow way."""
    quick, slow = ReceiptIndex(12), ReceiptIndex(12)
    for block in blocks:
        rows = [row(number, bid) for number, bid in block]
        hashes = [(slow.size + place).to_bytes(32, "big") for place in range(len(rows))]
        before = quick.size
        if not quick.extend(b"".join(rows), hashes):
            assert quick.size == before
            for one, digest in zip(rows, hashes, strict=True):
                assert quick.admit(one, digest) == slow.admit(one, digest)
        else:
            assert [slow.admit(one, digest) for one, digest in zip(rows, hashes, strict=True)] == [
                None
            ] * len(rows)
        assert quick.size == slow.size
        for bid in range(3):
            assert quick.batch(bid.to_bytes(16, "big")) == slow.batch(bid.to_bytes(16, "big"))
        for start in range(slow.size):
            assert quick.hashes(start, 1) == slow.hashes(start, 1)


@given(st.integers(1, 40), st.integers(0, 200))
def test_at_least_the_newest_are_known_and_not_many_more(retain: int, count: int) -> None:
    """The bound holds on both sides."""
    index = ReceiptIndex(retain)
    for number in range(count):
        assert index.admit(row(number), bytes(32)) is None
    known = [
        number
        for number in range(count)
        if any(g.find(number.to_bytes(16, "big")) >= 0 for g in index._generations)
    ]
    assert known == list(range(count - len(known), count))
    assert min(count, retain) <= len(known) <= 5 * -(-retain // 4)


def test_an_id_takes_little_memory() -> None:
    """150 MB for a million ids: measured here on 100,000, at most 150 bytes each."""
    random = Random(1)
    rows = [random.randbytes(52) for _ in range(1_000)]
    tracemalloc.start()
    index = ReceiptIndex(100_000)
    for number in range(100_000):
        index.restore(rows[number % 1_000], bytes(32)) if number % 7 else index.admit(
            random.randbytes(52), bytes(32)
        )
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.size == 100_000
    assert used / 100_000 < 150
