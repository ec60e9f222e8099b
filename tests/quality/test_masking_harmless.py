"""Harmless lines stay as they came, and what is masked stays masked."""

from itertools import chain, islice

from tests.corpus import harmless, measure, plant, report


def test_harmless_lines_stay(masker):
    """At most one line in two thousand is altered, and no JSON is broken."""
    found = measure.harmless(masker, harmless.lines(seed=1, count=report.HARMLESS))
    print("\n".join([*report.altered(found), *report.contexts(found)]))
    assert found.total >= 20_000
    assert found.broken == 0
    assert not found.refused
    assert len(found.altered) <= report.ALTERED * found.total


def test_masking_twice_changes_nothing(masker):
    """Every line of the corpora, masked again, stays as it is."""
    planted = chain(plant.plain(2, 1), islice(plant.everywhere(2), 0, None, 3), plant.names(2), plant.code(2))
    lines = [line for one in planted if not one.envelope for line in one.lines]
    once = masker.mask(measure.raw_batch(lines)).lines
    twice = masker.mask(measure.raw_batch(once)).lines
    assert [(first, second) for first, second in zip(once, twice, strict=True) if first != second] == []
