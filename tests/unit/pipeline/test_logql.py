"""The LogQL subset: what it takes, and what it refuses by name."""

from __future__ import annotations

import pytest
from query_corpus import LOG_QUERIES, METRIC_QUERIES, REFUSED_BY_BOTH

from pipeline.query.errors import QueryError
from pipeline.query.logql import parse, parse_selector
from pipeline.query.rows import Found, format_number, label_set, metadata_of, steps
from pipeline.query.syntax import Both, Compare, Json, LabelFilter, LineFilter, Logs, Matcher, Range, Sum


def test_logql_makes_the_tree_it_says():
    """A query with everything becomes the tree it stands for; `and` binds closer than `or`."""
    query = 'sum by (a) (rate({a="b", c!~"d.*"} |= "x" or `y` | json | e>1 or f="g" and h<=1m30s [5m]))'
    condition = Both(
        Compare("e", ">", 1.0, "number"),
        "or",
        Both(Matcher("f", "=", "g"), "and", Compare("h", "<=", 90.0, "duration")),
    )
    logs = Logs(
        (Matcher("a", "=", "b"), Matcher("c", "!~", "d.*")),
        (LineFilter("|=", ("x", "y")), Json(), LabelFilter(condition)),
    )
    assert parse(query) == Sum(Range("rate", logs, 300_000_000_000), ("a",))


@pytest.mark.parametrize("query", [*LOG_QUERIES, *METRIC_QUERIES])
def test_logql_writes_what_it_reads(query):
    """The text of a tree parses to the same tree."""
    assert parse(str(parse(query))) == parse(query)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ('{a="b"} | logfmt', "| logfmt"),
        ('{a="b"} | regexp "(?P<x>.)"', "| regexp"),
        ('{a="b"} | pattern "<x>"', "| pattern"),
        ('{a="b"} | unpack', "| unpack"),
        ('{a="b"} | line_format "{{.x}}"', "| line_format"),
        ('{a="b"} | label_format x=y', "| label_format"),
        ('{a="b"} | drop __error__', "| drop"),
        ('{a="b"} | keep x', "| keep"),
        ('{a="b"} | decolorize', "| decolorize"),
        ('{a="b"} | json x="y"', "| json with parameters"),
        ('{a="b"} |> "<_> x"', "pattern filter |>"),
        ('{a="b"} !> "<_> x"', "pattern filter !>"),
        ('{a="b"} |= ip("10.0.0.0/8")', "ip()"),
        ('{a="b"} | x = ip("10.0.0.0/8")', "ip()"),
        ('{a="b"} | x > 5KB', "comparison with bytes"),
        ('sum without (a) (rate({a="b"}[5m]))', "sum without"),
        ('rate({a="b"}[5m] offset 1h)', "offset"),
        ('sum_over_time({a="b"} | unwrap x [5m])', "sum_over_time"),
        ('count_over_time({a="b"} | unwrap x [5m])', "| unwrap"),
        ('bytes_rate({a="b"}[5m])', "bytes_rate"),
        ('topk(3, rate({a="b"}[5m]))', "topk"),
        ('avg(rate({a="b"}[5m]))', "avg"),
        ('sum(avg_over_time({a="b"} | unwrap x [5m]))', "avg_over_time"),
        ('sum(sum(rate({a="b"}[5m])))', "sum inside sum"),
        ('rate({a="b"}[5m]) > 1', "arithmetic and comparison of results (>)"),
        ('rate({a="b"}[5m]) + rate({a="c"}[5m])', "arithmetic and comparison of results (+)"),
        ('rate({a="b"}[5m]) and rate({a="c"}[5m])', "and"),
    ],
)
def test_logql_names_what_is_not_supported(query, named):
    """LogQL outside the subset is a 400 that names the part."""
    with pytest.raises(QueryError) as refused:
        parse(query)
    assert (refused.value.status, refused.value.message) == (
        400,
        f"not supported by the embedded store: {named}",
    )


@pytest.mark.parametrize(
    "query",
    [q for q in REFUSED_BY_BOTH if "json" not in q and "code" not in q]
    + ["{" * 100, "(" * 5000, '{a="b"} | ' + "(" * 99],
)
def test_logql_refuses_what_is_none(query):
    """What is no LogQL is a 400 that says parse error."""
    with pytest.raises(QueryError, match="parse error") as refused:
        parse(query)
    assert refused.value.status == 400


def test_logql_refuses_a_query_that_is_too_long():
    """Queries are bounded."""
    with pytest.raises(QueryError, match="longer"):
        parse('{a="' + "x" * 20_000 + '"}')


def test_logql_reads_escapes_as_go_does():
    """Quoted strings have Go's escapes, backquoted ones none."""
    (matcher,) = parse_selector(r'{a="\t\"\\\u00e9\x41\101"}')
    assert matcher.value == '\t"\\éAA'
    (matcher,) = parse_selector(r"{a=`\t`}")
    assert matcher.value == r"\t"
    for text in (r'"\q"', r'"\ud800"', r'"\U00110000"'):
        with pytest.raises(QueryError):
            parse_selector("{a=" + text + "}")


def test_logql_selector_may_be_empty_where_nothing_is_read():
    """Label and series requests take a selector that every stream matches."""
    assert parse_selector("{}") == ()


def run(query: str, line: str, labels: str = "{}", metadata: str = "{}") -> dict[str, str]:
    """Parsed labels after the steps of a query."""
    found = Found(label_set(labels), metadata_of(metadata, labels))
    steps(parse('{a="b"} ' + query).steps)(found, line)
    return found.parsed


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        (
            '{"a":1.50,"b":12345678901234567890,"c":1e3,"d":-0}',
            {"a": "1.50", "b": "12345678901234567890", "c": "1e3", "d": "-0"},
        ),
        ('{"a":null,"b":[1],"c":{},"d":"","e":false}', {"d": "", "e": "false"}),
        ('{"a":{"b":{"c":1}},"x-y":2,"9":3,"é":4}', {"a_b_c": "1", "x_y": "2", "_9": "3", "_": "4"}),
        ('{"a":1,"a":2}', {"a": "1"}),
        ('{"env":1,"trace":2}', {"env_extracted": "1", "trace_extracted": "2"}),
    ],
)
def test_logql_json_flattens_like_loki(line, parsed):
    """Numbers keep their text, arrays and nulls make no label, taken names get a suffix."""
    assert run("| json", line, '{"env":"e"}', '{"trace":"t"}') == parsed


@pytest.mark.parametrize(
    "line", ["", "x", "[1]", "1", '"a"', "{", '{"a":NaN}', "{'a':1}", '{"a":' * 5000, "null"]
)
def test_logql_json_marks_what_is_no_object(line):
    """A line that does not parse is kept and marked, however deep or broken it is."""
    assert run("| json", line)["__error__"] == "JSONParserErr"


def test_logql_compare_of_no_number_marks_and_keeps():
    """A comparison that cannot be made sets __error__; a missing label is no error."""
    assert run("| json | a > 1", '{"a":"x"}')["__error__"] == "LabelFilterErr"
    assert "__error__" not in run("| json | b > 1", '{"a":"x"}')


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2"), (0.1, "0.1"), (1e-9, "0.000000001"), (1e20, "100000000000000000000")]
)
def test_logql_samples_have_no_exponent(value, text):
    """Samples are written as Prometheus writes them."""
    assert format_number(value) == text
