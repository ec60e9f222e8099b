"""Bodies that begin with a bracket: an array, whole or with broken elements, or lines that only look like one."""

import pytest
from headrig import DecodeError, Resource, TooLargeError

from pipeline.receiver.dialect_json import decode
from pipeline.receiver.limits import Limits

GOOD = b'{"message":"a \\" ] } , [ {","n":{"list":[1,{"x":"y"}]}}'


def lines_of(body, limits=None):
    """Lines and positions of rejected records."""
    inbound = decode(body, b"", Resource("acme"), b"", limits or Limits())
    return inbound.lines, [verdict.origin for verdict in inbound.rejected]


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (b"[ERROR] boom", [b'{"a":1}', b'{"a":2}']),
        (b"[]", [b'{"a":1}']),
        (b'[{"a":1}]', [b'{"a":2}']),
        (b"[1,2", [b"[3]", b'{"a":[1]}']),
    ],
)
def test_a_first_line_that_begins_like_an_array_leaves_the_others(first, others):
    """A body that is no array but has lines that are objects is NDJSON, and the flow judges each line."""
    assert lines_of(b"\n".join([first, *others, b""])) == ([first, *others], [])


@pytest.mark.parametrize("body", [b"[ERROR] boom\n[ERROR] again", b'[\n {"a":1},\n {"b":2},\n'])
def test_lines_of_which_none_is_an_object_stay_a_broken_array(body):
    """An array that was cut off is told to the sender as a whole."""
    with pytest.raises(DecodeError):
        lines_of(body)


@pytest.mark.parametrize("bad", [b'{"a":NaN}', b'{"a":{"b":[01]}}', b'{"t":"x","n":tru}', b"{ , }", b"x"])
def test_one_bad_element_costs_a_large_array_nothing_else(bad):
    """However large the array is, it is cut between its elements and the flow judges the broken one alone."""
    many = 40_000
    body = b"[" + b",\n".join([GOOD, bad] + [GOOD] * many) + b"]"
    assert len(body) > 2 << 20

    assert lines_of(body) == ([GOOD, bad] + [GOOD] * many, [])


def test_an_element_that_is_not_utf8_is_rejected_alone():
    """Whether the array could be parsed or had to be cut."""
    assert lines_of(b'[{"a":"\xff"},' + GOOD + b"]") == ([GOOD], [0])
    assert lines_of(b'[{"a":"\xff"},{"b":tru},' + GOOD + b"]") == ([b'{"b":tru}', GOOD], [0])


def test_a_broken_array_holds_no_more_records_than_allowed():
    """Cutting stops at the limit."""
    with pytest.raises(TooLargeError):
        lines_of(b"[tru" + b',{"a":1}' * 10 + b"]", Limits(records=10))
