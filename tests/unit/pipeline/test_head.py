"""Heads: a few fields of each line, and the lines that cannot be used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.head import NOT_JSON, NOT_OBJECT, TOO_DEEP, HeadDecoder, depth_over, most_brackets

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


@pytest.mark.parametrize(
    "lines",
    [
        [b'{"service":"a"}{"service":"EVIL"}', b'{"service":"b"}', b'{"service":', b'"c"}'],
        [b'{"service":', b'"zq81"}', b'{"service":"b"}{"service":"c"}'],
        [b'{"a":[{"x":1}', b'{"service":"b"}', b"]}"],
        [b'{"a":"x}', b'{y"}', b'{"b":1}{"c":2}'],
    ],
)
def test_a_value_over_two_lines_is_no_record(lines):
    """Two objects in a line never make up for one in two lines: each line is judged alone."""
    heads = decoder()
    found, bad = heads.decode_lines(b"\n".join(lines), lines)

    assert [row not in bad for row in range(len(lines))] == [is_object(line) for line in lines]
    assert [head is not None for head in found] == [is_object(line) for line in lines]


def is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@given(
    st.lists(
        st.sampled_from([b'{"a":1}', b"{", b"}", b'"x":', b'"y"', b",", b'{"b":{}}', b"[", b"]", b" "]),
        max_size=12,
    )
)
def test_the_quick_way_and_the_slow_one_agree(pieces):
    """Whatever the pieces of JSON between newlines, a line has a head if and only if it is an object."""
    lines = [
        line
        for line in b"".join(pieces).replace(b"}{", b"}\n{").replace(b", ", b"\n").split(b"\n")
        if line.strip()
    ]
    found, bad = decoder().decode_lines(b"\n".join(lines), lines)

    assert [head is not None for head in found] == [is_object(line) for line in lines]
    assert bad.keys() == {row for row, line in enumerate(lines) if not is_object(line)}


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b'{"level":1e999,"service":"a"}', None),
        (b'{"level":' + b"9" * 5000 + b',"service":"a"}', None),
        (rb'{"level":"cut \ud83d","service":"a"}', "cut \ufffd"),
        (rb'{"other":"\ud83d","level":"info","service":"a"}', "info"),
        (rb'{"other":"\ud83d","level":["x"],"service":"a"}', None),
    ],
)
def test_valid_json_that_is_odd_has_a_head(line, level):
    """RFC 8259 allows numbers of any size and halves of surrogate pairs; what nobody can use reads as absent."""
    heads = decoder()
    found, bad = heads.decode_lines(line, [line])

    assert bad == {}
    assert read(heads, found[0], "level") == level
    assert read(heads, found[0], "service") == "a"


@pytest.mark.parametrize(
    "line", [b'{"level":NaN}', b'{"level":-Infinity}', b'{"level":"a\nb"}', b'{"level":1,}']
)
def test_what_is_no_json_has_no_head(line):
    """A lenient look makes nothing valid that is not."""
    assert decoder().decode_lines(line, [line])[1] == {0: NOT_JSON}


def test_no_line_is_no_problem():
    """Every entry of a push may have been refused before."""
    assert decoder().decode_mixed([]) == ([], {})
    assert decoder().decode_lines(b"", []) == ([], {})


@given(
    st.lists(st.sampled_from([b"{", b"[", b"x", b"y" * 1000, b"{[" * 300]), max_size=60), st.integers(1, 4096)
)
def test_brackets_are_never_counted_too_low(pieces, length):
    """What decides that no line can be too deep is true of every stretch of a window."""
    buffer = b"".join(pieces)
    most = max(
        (
            buffer[at : at + length].count(b"{") + buffer[at : at + length].count(b"[")
            for at in range(0, len(buffer), 97)
        ),
        default=0,
    )
    assert most_brackets(buffer, length) >= most


@pytest.mark.parametrize("before", [0, 40, 64, 100])
def test_brackets_across_pieces_are_counted_together(before):
    """A large buffer is counted in pieces of 128 KiB, and what lies at an edge is no less."""
    buffer = b"x" * (128 * 1024 - before) + b"[" * 100 + b"x" * 5000
    assert most_brackets(buffer, 100) == 100
    assert most_brackets(buffer, 1 << 20) == 100


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
