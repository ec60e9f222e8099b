"""Harmless lines stay as they came."""

from tests.corpus import harmless, measure, report


def test_harmless_lines_stay(masker):
    """At most one line in two thousand is altered, and no JSON is broken."""
    found = measure.harmless(masker, harmless.lines(seed=1, count=report.HARMLESS))
    print("\n".join([*report._altered(found), *report._contexts(found)]))
    assert found.total >= 20_000
    assert found.broken == 0
    assert not found.refused
    assert len(found.altered) <= report.ALTERED * found.total
