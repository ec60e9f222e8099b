"""Which queries read the audit trail."""

from __future__ import annotations

import pytest

from pipeline.query.trail import reads_trail

STREAM = {"audit": "true", "audit_log": "a/b", "service_name": "unknown_service"}


@pytest.mark.parametrize(
    "query",
    [
        '{audit="true"}',
        '{ audit =~ "t.*", x="y"} |= "z"',
        '{audit!~"false"}',
        '{x="y", audit_log!=""}',
        'sum by (actor) (count_over_time({audit="true"} | json [5m]))',
        'topk(3, rate({audit="true"}[1m])) > 2',
        'sum(rate({a="b"}[1m])) / sum(rate({audit="true"}[1m]))',
    ],
)
def test_naming_the_audit_labels_is_a_read_of_the_trail(query: str) -> None:
    """A selector that names ``audit`` or ``audit_log`` asks for leaves, with whatever operator, in any query."""
    assert reads_trail(query, STREAM)
    assert reads_trail(query, STREAM, beside=True)


@pytest.mark.parametrize(
    "query", ['{service_name=~".+",audit!="true"}', '{audit="false"}', '{x="y",audit_log!~"a/.*"}']
)
def test_leaving_the_trail_out_is_no_read_of_it(query: str) -> None:
    """A selector that names the audit labels to exclude the trail gets the ordinary lines it asks for."""
    assert not reads_trail(query, STREAM)
    assert not reads_trail(query, STREAM, beside=True)


@pytest.mark.parametrize(
    "query", ["", '{x="y"}', '{x="y"} |= "{audit=\\"true\\"}"', '{x="y"} | audit="true"', '{x="audit=1"}']
)
def test_the_word_alone_is_no_read_of_the_trail(query: str) -> None:
    """What a line or a label's value says about audit does not make a query one about the trail."""
    assert not reads_trail(query, STREAM)
    assert not reads_trail(query, STREAM, beside=True)


@pytest.mark.parametrize("query", ['{service_name=~".+"}', '{service_name="unknown_service"}', '{env=""}'])
def test_a_selector_that_catches_the_audit_stream_reads_it(query: str) -> None:
    """Where the trail lies among all other streams, a selector need not name it to read it."""
    assert reads_trail(query, STREAM, beside=True)
    assert not reads_trail(query, STREAM)


def test_a_query_that_cannot_be_parsed_counts_where_loki_would_answer_it() -> None:
    """What only Loki understands is a read where Loki holds the trail; elsewhere it finds nothing."""
    assert reads_trail('{a="b", c}', STREAM, beside=True)
    assert not reads_trail('{a="b", c}', STREAM)
