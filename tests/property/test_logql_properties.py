"""LogQL: nothing crashes the parser, and what a tree writes it reads again; both stores of records agree."""

from __future__ import annotations

import orjson
from archive_frames import Reading
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from push_frames import NOW, entry, frame

from pipeline.query.errors import QueryError
from pipeline.query.logql import parse
from pipeline.query.syntax import (
    Both,
    Compare,
    Json,
    LabelFilter,
    LineFilter,
    Logs,
    Matcher,
    Range,
    Sum,
    quoted,
)
from pipeline.sinks.archive import ArchiveSink

_KEYWORDS = {"and", "or", "offset", "json", "logfmt", "regexp", "pattern", "unpack", "decolorize", "line_format"} | {
    "label_format", "drop", "keep", "unwrap", "distinct", "ip", "by", "without",
}  # fmt: skip
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in _KEYWORDS
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
PATTERNS = st.sampled_from(["a.*", "[0-9]+", "x|y", "", "(?i)A"])
MATCHERS = st.one_of(
    st.builds(Matcher, NAMES, st.sampled_from(["=", "!="]), TEXTS),
    st.builds(Matcher, NAMES, st.sampled_from(["=~", "!~"]), PATTERNS),
)
COMPARES = st.one_of(
    st.builds(
        Compare,
        NAMES,
        st.sampled_from(["==", "!=", ">", ">=", "<", "<="]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.just("number"),
    ),
    st.builds(
        Compare,
        NAMES,
        st.sampled_from(["==", "!=", ">", ">=", "<", "<="]),
        st.integers(-(10**15), 10**15).map(lambda ns: ns / 1e9),
        st.just("duration"),
    ),
)
CONDITIONS = st.recursive(
    st.one_of(MATCHERS, COMPARES),
    lambda inner: st.builds(Both, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=6,
)
LINE_FILTERS = st.one_of(
    st.builds(LineFilter, st.sampled_from(["|=", "!="]), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)),
    st.builds(
        LineFilter, st.sampled_from(["|~", "!~"]), st.lists(PATTERNS, min_size=1, max_size=2).map(tuple)
    ),
)
STEPS = st.lists(
    st.one_of(LINE_FILTERS, st.just(Json()), st.builds(LabelFilter, CONDITIONS)), max_size=4
).map(tuple)
LOGS = st.builds(
    lambda more, steps: Logs((Matcher("a", "=", "b"), *more), steps), st.lists(MATCHERS, max_size=2), STEPS
)
RANGES = st.builds(Range, st.sampled_from(["count_over_time", "rate"]), LOGS, st.integers(1, 9 * 10**17))
QUERIES = st.one_of(LOGS, RANGES, st.builds(Sum, RANGES, st.none() | st.lists(NAMES, max_size=3).map(tuple)))


@given(QUERIES)
def test_logql_round_trip(tree):
    """Every tree's text parses to the tree."""
    assert parse(str(tree)) == tree


FRAGMENTS = st.sampled_from(
    list('{}()[]|=~!"`,<>+-*/^%#\\ \n')
    + ["a", "5m", "1.5", "|=", "| json", "sum by", "rate", "or", "and", '"x"', "é", "\x00", "10KB"]
)


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(FRAGMENTS, max_size=25).map("".join),
        st.builds("{}{}".format, QUERIES, st.text(max_size=5)),
    )
)
@example('{a="b"} | x' + " or x" * 2000)
def test_logql_parser_never_crashes(text):
    """Any text is a tree or a QueryError with status 400."""
    try:
        tree = parse(text)
    except QueryError as error:
        assert error.status == 400
    else:
        assert parse(str(tree)) == tree


LINES = st.one_of(
    TEXTS,
    st.dictionaries(
        st.sampled_from(["a", "b", "k", "x y"]),
        st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
        max_size=4,
    ).map(
        lambda body: (
            orjson.dumps(body).decode()
            if all(not isinstance(v, int) or abs(v) < 2**53 for v in body.values())
            else "{}"
        )
    ),
    st.builds(
        '{{"k":{}}}'.format, TEXTS.map(lambda text: orjson.dumps(text).decode().replace("a", "\\u0061"))
    ),
)
RECORDS = st.lists(
    st.tuples(st.sampled_from(["one", "two"]), st.integers(0, 5), LINES, TEXTS), min_size=1, max_size=8
)
STEP = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["|=", "!="]), TEXTS.map(quoted)),
    st.builds(
        '{} "{}"'.format,
        st.sampled_from(["|~", "!~"]),
        st.sampled_from(["a", ".", "^.$", "[0-9]", "é", r"\\s"]),
    ),
    st.just("| json"),
    st.builds(
        "| {} {} {}".format,
        st.sampled_from(["k", "m", "a", "service_name"]),
        st.sampled_from(["=", "!="]),
        TEXTS.map(quoted),
    ),
    st.builds("| {} > {}".format, st.sampled_from(["k", "m"]), st.integers(-9, 9)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, st.lists(STEP, max_size=3), st.data())
def test_logql_files_and_frames_agree(tmp_path_factory, records, steps, data):
    """A query finds the same in Parquet, where DuckDB anticipates it, as in frames, where nothing does."""
    texts = [line for *_, line, _ in records] + [value for *_, value in records]
    chosen = data.draw(st.sampled_from(texts))
    query = '{service_name=~".+"} ' + " ".join(steps)
    more = data.draw(
        st.sampled_from(
            ["", f" |= {quoted(chosen)}", f" | json | k={quoted(chosen)}", f" | m={quoted(chosen)}"]
        )
    )
    reading = Reading(tmp_path_factory.mktemp("agree"))
    reading.frames = [
        frame([({"service_name": name}, [entry(NOW + ns, line, m=value)])], k)
        for k, (name, ns, line, value) in enumerate(records)
    ]
    waiting = [
        reading.answer(query + more, direction=way, limit=limit)
        for way in ("forward", "backward")
        for limit in ("2", "100")
    ]
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    sink._store(reading.frames[:3])
    sink._store(reading.frames)
    sink._thread.shutdown()
    archived = [
        reading.answer(query + more, direction=way, limit=limit)
        for way in ("forward", "backward")
        for limit in ("2", "100")
    ]
    reading.store.close()
    assert archived == waiting
