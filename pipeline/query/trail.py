"""Whether a query reads the audit trail, whatever its matchers call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.query.errors import QueryError
from pipeline.query.lexer import tokens
from pipeline.query.logql import parse_selector
from pipeline.query.rows import selector
from pipeline.query.syntax import Matcher

_NAMES = frozenset(["audit", "audit_log"])


def reads_trail(query: str, stream: Mapping[str, str] | None = None) -> bool:
    """Tell whether a query asks for audit leaves.

    Args:
        query: LogQL, also of what the embedded store does not do; only its stream selectors count.
        stream: Labels of the audit stream where it lies among all others: then a selector that matches
            it asks for it, e.g. ``{service_name=~".+"}``. None: only one that names ``audit`` does.

    Returns:
        For a query that cannot be parsed: True with ``stream``, so that what only Loki understands is counted
        as a read; False without, where such a query finds nothing or only what is not the trail.
    """
    try:
        return any(_asks(matchers, stream) for matchers in _selectors(query))
    except QueryError:
        return stream is not None


def _asks(matchers: tuple[Matcher, ...], stream: Mapping[str, str] | None) -> bool:
    if any(matcher.name in _NAMES for matcher in matchers):
        return True
    return stream is not None and selector(matchers)(stream)


def _selectors(query: str) -> Iterator[tuple[Matcher, ...]]:
    """Yield the selectors: what stands in braces, outside of strings."""
    start = 0
    for token in tokens(query):
        if token.text == "{":
            start = token.column - 1
        elif token.text == "}":
            yield parse_selector(query[start : token.column])
