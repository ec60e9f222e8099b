"""Heads: a few fields of each line, and the lines that cannot be used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.head import NOT_JSON, NOT_OBJECT, TOO_DEEP, HeadDecoder, depth_over

FIELDS = ["service", "service.name", "level"]


def decoder(**options):
    return HeadDecoder(FIELDS, **options)


def read(heads, head, name):
    return getattr(head, heads.fields[name])


def test_fields_are_read_by_their_json_names():
    """Dots belong to a name; what is absent is None; values of any type are taken as they are."""
    heads = decoder()
    lines = [b'{"service.name":"a","x":1}', b'{"service":{"name":"b"},"level":30}']
    found, bad = heads.decode_lines(b"\n".join(lines), lines)

    assert bad == {}
    assert read(heads, found[0], "service.name") == "a"
    assert read(heads, found[0], "service") is None
    assert read(heads, found[1], "service") == {"name": "b"}
    assert read(heads, found[1], "level") == 30


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"a":', NOT_JSON),
        (b"plain", NOT_JSON),
        (b"[1]", NOT_OBJECT),
        (b'"text"', NOT_OBJECT),
        (b'{"a":' * 70 + b"1" + b"}" * 70, TOO_DEEP),
        (b"[" * 100_000, TOO_DEEP),
    ],
)
def test_a_bad_line_says_why_and_fails_alone(line, why):
    """The neighbours of a line without a usable form keep their heads."""
    heads = decoder()
    lines = [b'{"service":"a"}', line, b'{"service":"b"}']
    found, bad = heads.decode_lines(b"\n".join(lines), lines)

    assert bad == {1: why}
    assert [read(heads, found[row], "service") for row in (0, 2)] == ["a", "b"]


def test_plain_text_has_no_head_where_it_is_welcome():
    """A Loki line may be text, of several lines even."""
    heads = decoder()
    found, bad = heads.decode_mixed([b"text\nmore", b'{"service":"a"}', b"[1]"])

    assert bad == {}
    assert [head is None for head in found] == [True, False, True]


def nested(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_the_limit_of_depth_is_exact():
    """A line of the limit's depth passes, one deeper does not, whatever surrounds it."""
    heads = decoder(max_depth=64)
    wide = json.dumps({"a": [{"b": [n]} for n in range(300)]}).encode()
    lines = [wide, nested(64), wide, nested(65), wide]

    assert heads.decode_lines(b"\n".join(lines), lines)[1] == {3: TOO_DEEP}


def test_brackets_in_strings_do_not_count():
    """Text may hold any number of brackets."""
    line = json.dumps({"m": "[{" * 500 + '\\"]'}).encode()

    assert decoder().decode_lines(line, [line])[1] == {}


@given(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_depth_equals_the_naive_depth(value):
    """The count over bytes agrees with a walk over the value."""

    def depth(node):
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
        return 0 if children is None else 1 + max(map(depth, children), default=0)

    line = json.dumps(value).encode()
    assert [depth_over(line, limit) for limit in range(6)] == [depth(value) > limit for limit in range(6)]
