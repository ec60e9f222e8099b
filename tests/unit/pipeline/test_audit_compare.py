"""Every way in which the copy can differ from the log is told for what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.compare import Copy, Line
from pipeline.audit.entry import LoggedLeaf
from pipeline.audit.tlog import leaf_hash

BASE = 1_795_435_200_000_000_000
TEXTS = [b'{"n":%d}' % n for n in range(12)]
LOG = [LoggedLeaf(n, BASE + 10 * n, text, leaf_hash(text)) for n, text in enumerate(TEXTS)]


def line(leaf, **changes):
    metadata = {"audit_index": str(leaf.index), "audit_leaf": leaf.leaf_hash.hex()}
    return Line(
        changes.get("ts_ns", leaf.ts_ns), changes.get("text", leaf.leaf), changes.get("metadata", metadata)
    )


CLEAN = [line(leaf) for leaf in LOG]


def compare(lines, first=0, last=12):
    """Compare the leaves from ``first`` to before ``last``; a larger log knows the others."""
    copy = Copy("loki")
    copy.compare(LOG[first:last], lines, lambda index: LOG[index] if index < len(LOG) else None)
    return copy


def test_a_clean_copy_in_any_order_has_no_finding():
    """All twelve are held."""
    copy = compare(CLEAN[::-1])
    assert (copy.findings, copy.held, copy.lines) == ([], 12, 12)


def without(*indexes):
    return [each for n, each in enumerate(CLEAN) if n not in indexes]


CASES = {
    "altered": ([*without(3), line(LOG[3], text=b'{"n":4}')], 3, "was altered: the line is not the leaf"),
    "metadata": (
        [*without(3), line(LOG[3], metadata={"audit_index": "3", "audit_leaf": "00"})], 3, "audit_leaf is not that of the leaf",
    ),
    "no metadata": ([*without(3), line(LOG[3], metadata={})], 3, "audit_index or audit_leaf is not"),
    "missing": (without(3), 3, "index 3 (between 2026-11-23T12:00:00.000000030Z"),
    "missing run": (without(3, 4, 5), 3, "indexes 3 to 5"),
    "twice": ([*CLEAN, CLEAN[3]], 3, "is there twice"),
    "moved": ([*without(3), line(LOG[3], ts_ns=BASE + 31)], 3, "was moved"),
    "forged index": ([*CLEAN, line(LOG[3], metadata={"audit_index": "77"}, ts_ns=BASE + 5)], 77, "the log has no such leaf"),
    "forged": ([*CLEAN, Line(BASE + 5, b"{}", {})], None, "a line (between"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "index", "what"), CASES.values(), ids=CASES)
def test_each_change_is_one_finding(lines, index, what):
    """With its index and its time."""
    copy = compare(lines)
    assert [finding.index for finding in copy.findings] == [index]
    assert what in copy.findings[0].message


@pytest.mark.parametrize(
    ("text", "what"), [(TEXTS[9], "index 9"), (b"{}", "whose leaf is another")], ids=["moved", "forged"]
)
def test_a_line_of_another_span_is_told(text, what):
    """A leaf that was moved into the span, or a line that claims an index outside of it."""
    stray = Line(BASE + 5, text, {"audit_index": "9", "audit_leaf": LOG[9].leaf_hash.hex()})
    copy = compare([*CLEAN[:6], stray], 0, 6)
    assert len(copy.findings) == 1
    assert what in copy.findings[0].message


@given(st.lists(st.integers(0, 11), unique=True), st.lists(st.integers(0, 11)))
def test_what_is_missing_and_what_is_double_are_counted_exactly(gone, twice):
    """For any of both at once."""
    left = [n for n in range(12) if n not in gone]
    double = [n for n in twice if n in left]
    copy = compare([CLEAN[n] for n in (*left, *double)])
    assert copy.held == len(left)
    assert sum("is there twice" in finding.message for finding in copy.findings) == len(double)
    spans = sorted(gone)
    runs = sum(n - 1 not in spans for n in spans)
    assert sum("missing" in finding.message for finding in copy.findings) == runs
