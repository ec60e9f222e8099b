"""Recall on the corpus of our own: per category, per place, per field name. ``make quality`` prints the tables."""

from itertools import islice

import pytest

from tests.corpus import keys, measure, places, plant, report
from tests.corpus.draw import Draw
from tests.corpus.judge import survives


def assert_found(tally, rows, least):
    """Nothing is below the least recall, no line is set aside, broken, or masked far beyond its secret."""
    print("\n".join([*report.table("recall", rows, least, tally), *report.missed(tally)]))
    assert [
        (name, recall, planted)
        for name, recall, planted in rows
        if recall < least and name not in report.SOFT
    ] == []
    assert not tally.refused
    assert not tally.broken
    planted = dict((name, n) for name, _, n in report.by_place(tally))
    assert {
        place: lost for place, lost in tally.collateral.items() if lost > report.COLLATERAL * planted[place]
    } == {}


def test_categories(masker):
    """Every category is found in plain places."""
    tally = measure.measure(masker, plant.plain(seed=1))
    assert_found(tally, report.categories(tally), report.CATEGORY)


def test_places(masker):
    """Every place where secrets hide is looked into."""
    tally = measure.measure(masker, plant.everywhere(seed=1))
    assert_found(tally, report.by_place(tally), report.PLACE)


def test_private_keys_over_records(masker):
    """A private key that was cut into records is masked in all of them, and nothing around it."""
    tally = measure.measure(masker, plant.split_keys(seed=1, count=60))
    assert_found(tally, report.by_place(tally), report.PLACE)


@pytest.mark.parametrize(
    ("kind", "least"),
    [(plant.names, report.PLACE), (plant.code, report.CODE), (plant.personal_names, report.PLACE)],
)
def test_field_names(masker, kind, least):
    """A value is masked because of its field's name, however the field is written down."""
    tally = measure.measure(masker, kind(seed=1))
    assert_found(tally, report.by_place(tally), least)


def test_what_plugins_add_is_masked(masker):
    """Lines and attributes that a plugin brought after masking are scanned like lines."""
    planted = list(islice(plant.plain(seed=3, each=1), 0, None, 11))
    lines = [b'{"n":%d}' % row for row in range(len(planted))]
    batch = masker.mask(measure.raw_batch(lines))
    rows = list(range(0, len(planted), 2))
    for row, one in enumerate(planted):
        if row in rows:
            batch.lines[row] = one.lines[0]
        else:
            batch.attributes[row] = {"note": one.lines[0].decode()}
    masker.mask_batch(batch, list(range(len(planted))))
    assert batch.origin == list(range(len(planted)))
    missed = [
        one.name
        for row, one in enumerate(planted)
        if any(
            survives(batch.lines[row].decode() + str(dict(batch.attributes[row])), secret)
            for secret in one.secrets
        )
    ]
    assert len(missed) <= (1 - report.PLACE) * len(planted), missed


@pytest.mark.parametrize("levels", [4, 5, 7])
def test_nesting_that_is_too_deep_is_masked_whole(masker, levels):
    """What is not followed is not let through."""
    draw = Draw(levels)
    for _ in range(50):
        secret = draw.shape("{n:24}")
        line = secret
        for level in range(levels + 1):
            line = places.compact({"password" if level == 0 else "body": line})
        output = masker.mask_line(line.encode()).decode()
        assert not survives(output, secret)


def test_a_key_that_never_ends_masks_no_other_request(masker):
    """The head of a private key in one request says nothing about the next."""
    head = keys.pem(Draw(1)).split("\n")[0].encode()
    line = places.compact({"message": places.KEPT}).encode()
    masker.mask(measure.raw_batch([head, b"MIIEpAIBAAKCAQEA"]))
    assert masker.mask(measure.raw_batch([line])).lines == [line]
