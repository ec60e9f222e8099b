"""Whether a query reads the audit trail, whatever its matchers call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.query.errors import QueryError
from pipeline.query.lexer import tokens
from pipeline.query.logql import parse_selector
from pipeline.query.rows import selector
from pipeline.query.syntax import Matcher

_NAMES = frozenset(["audit", "audit_log"])


def reads_trail(query: str, stream: Mapping[str, str], *, beside: bool = False) -> bool:
    """Tell whether a query asks for audit leaves.

    Args:
        query: LogQL, also of what the embedded store does not do; only its stream selectors count.
        stream: Labels of the audit stream, ``audit`` and ``audit_log`` among them.
        beside: The stream lies among all others: then a selector that catches it asks for it, e.g.
            ``{service_name=~".+"}``. Else only one that names those two labels, and means their values, does.

    Returns:
        For a query that cannot be parsed: ``beside``, so that what only Loki understands is counted as a
        read; elsewhere such a query finds nothing or only what is not the trail.
    """
    try:
        return any(_asks(matchers, stream, beside=beside) for matchers in _selectors(query))
    except QueryError:
        return beside


def _asks(matchers: tuple[Matcher, ...], stream: Mapping[str, str], *, beside: bool) -> bool:
    named = tuple(matcher for matcher in matchers if matcher.name in _NAMES)
    return bool(named and selector(named)(stream)) or (beside and selector(matchers)(stream))


def _selectors(query: str) -> Iterator[tuple[Matcher, ...]]:
    """Yield the selectors: what stands in braces, outside of strings."""
    start = 0
    for token in tokens(query):
        if token.text == "{":
            start = token.column - 1
        elif token.text == "}":
            yield parse_selector(query[start : token.column])
