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
