"""Parser for the LogQL subset of the embedded store.

Stream selectors, line filters, ``| json``, label filters, ``count_over_time`` and ``rate`` with
``sum`` and ``sum by``, and ``vector(1)+vector(1)``. Whatever else LogQL has is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import re2

from pipeline.query.errors import QueryError, unsupported
from pipeline.query.lexer import Token, duration_ns, tokens, unquoted
from pipeline.query.syntax import (
    Both,
    Compare,
    Condition,
    Json,
    LabelFilter,
    LineFilter,
    Logs,
    Matcher,
    Query,
    Range,
    Step,
    Sum,
    Vector,
)

MAX_QUERY = 16_384
MAX_RANGE_NS = 30 * 365 * 86_400 * 1_000_000_000
_MAX_DEPTH = 50
_STAGES = frozenset(
    [
        "logfmt",
        "regexp",
        "pattern",
        "unpack",
        "decolorize",
        "line_format",
        "label_format",
        "drop",
        "keep",
        "unwrap",
        "distinct",
    ]
)
_FUNCTIONS = frozenset(
    ["bytes_rate", "bytes_over_time", "absent_over_time", "rate_counter", "first_over_time", "last_over_time"]
    + [f"{name}_over_time" for name in ("avg", "min", "max", "sum", "stddev", "stdvar", "quantile")]
    + [
        "avg",
        "min",
        "max",
        "count",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "approx_topk",
        "sort",
        "sort_desc",
    ]
    + ["label_replace", "variants"]
)
_COMPARE = {"==", "=", "!=", ">", ">=", "<", "<="}
_NO_MATCHER = (
    "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible"
    ' value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


def parse(query: str) -> Query:
    """Parse a query.

    Raises:
        QueryError: It is not LogQL, or not of the subset; the message says where and what.
    """
    parser = _Parser(query)
    tree = parser.query()
    parser.end()
    return tree


def parse_selector(query: str, *, need: bool = False) -> tuple[Matcher, ...]:
    """Parse a bare stream selector, as ``match[]`` of series and ``query`` of labels have it.

    Args:
        query: The selector.
        need: Refuse one that every stream matches.
    """
    parser = _Parser(query)
    matchers = parser.selector(need=need)
    parser.end()
    return matchers


def require_selection(matchers: Sequence[Matcher]) -> None:
    """Refuse matchers that every stream passes, as Loki does."""
    if not any(_selects(matcher) for matcher in matchers):
        raise QueryError(400, _NO_MATCHER)


class _Parser:
    def __init__(self, query: str) -> None:
        if len(query) > MAX_QUERY:
            raise QueryError(400, f"the query is longer than {MAX_QUERY} characters")
        self._tokens = tokens(query)
        self._next = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *texts: str, kind: str = "operator") -> Token | None:
        token = self._token
        if token.kind == kind and (not texts or token.text in texts):
            self._next += 1
            return token
        return None

    def _expect(self, *texts: str, kind: str = "operator") -> Token:
        token = self._take(*texts, kind=kind)
        if token is None:
            raise self._wrong(" or ".join(texts) or f"a {kind}")
        return token

    def _wrong(self, expected: str) -> QueryError:
        token = self._token
        # Names and strings are what the sender looks for: an error quotes neither.
        found = token.text if token.kind in {"operator", "end"} else f"a {token.kind}"
        return QueryError(
            400,
            f"parse error at col {token.column}: unexpected {found or 'end of query'}, expected {expected}",
        )

    def end(self) -> None:
        token = self._token
        if token.kind == "operator" and token.text in {
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            ">",
            "<",
            ">=",
            "<=",
            "==",
            "!=",
        }:
            raise unsupported(f"arithmetic and comparison of results ({token.text})")
        if token.kind == "name" and token.text in {"and", "or", "unless", "offset", "by", "without"}:
            raise unsupported(token.text)
        if token.kind != "end":
            raise self._wrong("the end of the query")

    def query(self) -> Query:
        token = self._token
        if token.text == "{":
            return self._logs()
        if token.kind != "name":
            raise self._wrong("{ or a function")
        self._next += 1
        if token.text == "vector":
            return self._vector()
        if token.text == "sum":
            return self._sum()
        self._next -= 1
        return self._range()

    def _vector(self) -> Vector:
        numbers = []
        while True:
            self._expect("(")
            numbers.append(_finite(self._expect(kind="number")))
            self._expect(")")
            if not self._take("+"):
                return Vector(tuple(numbers))
            self._expect("vector", kind="name")

    def _sum(self) -> Sum:
        by = self._by()
        self._expect("(")
        inner = self._range()
        self._expect(")")
        return Sum(inner, self._by() if by is None else by)

    def _by(self) -> tuple[str, ...] | None:
        if self._take("without", kind="name"):
            raise unsupported("sum without")
        if not self._take("by", kind="name"):
            return None
        self._expect("(")
        names: list[str] = []
        while not self._take(")"):
            if names:
                self._expect(",")
            names.append(self._expect(kind="name").text)
        return tuple(names)

    def _range(self) -> Range:
        token = self._expect(kind="name")
        if token.text not in {"count_over_time", "rate"}:
            if token.text in _FUNCTIONS or token.text in {"sum", "vector"}:
                raise unsupported(token.text if token.text in _FUNCTIONS else f"{token.text} inside sum")
            self._next -= 1
            raise self._wrong("a function")
        self._expect("(")
        logs, ns = self._ranged()
        self._expect(")")
        return Range(token.text, logs, ns)

    def _ranged(self) -> tuple[Logs, int]:
        """``{…} | steps [5m]`` or ``{…}[5m] | steps``; LogQL knows both."""
        matchers = self.selector(need=True)
        early = self._window()
        steps = self._steps()
        ns = early or self._window()
        if not ns:
            raise self._wrong("a range such as [5m]")
        if self._token.text == "offset":
            raise unsupported("offset")
        return Logs(matchers, steps), ns

    def _window(self) -> int:
        if not self._take("["):
            return 0
        ns = duration_ns(self._expect(kind="duration").text)
        if not 0 < ns <= MAX_RANGE_NS:
            raise QueryError(400, "parse error: a range must be longer than 0 and at most 30 years")
        self._expect("]")
        return ns

    def _logs(self) -> Logs:
        return Logs(self.selector(need=True), self._steps())

    def selector(self, *, need: bool) -> tuple[Matcher, ...]:
        self._expect("{")
        matchers: list[Matcher] = []
        while not self._take("}"):
            if matchers:
                self._expect(",")
            name = self._expect(kind="name").text
            op = self._expect("=", "!=", "=~", "!~").text
            matchers.append(_matcher(name, op, unquoted(self._expect(kind="string"))))
        if need:
            require_selection(matchers)
        return tuple(matchers)

    def _steps(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            if token := self._take("|=", "|~", "!=", "!~"):
                steps.append(self._line_filter(token.text))
            elif token := self._take("|>", "!>"):
                raise unsupported(f"pattern filter {token.text}")
            elif self._take("|"):
                steps.append(self._stage())
            else:
                return tuple(steps)

    def _line_filter(self, op: str) -> LineFilter:
        values = [self._text()]
        while self._take("or", kind="name"):
            values.append(self._text())
        if op in {"|~", "!~"}:
            for value in values:
                pattern(value)
        return LineFilter(op, tuple(values))

    def _text(self) -> str:
        if self._token.text == "ip":
            raise unsupported("ip()")
        return unquoted(self._expect(kind="string"))

    def _stage(self) -> Step:
        if self._token.kind == "name" and self._token.text in _STAGES:
            raise unsupported(f"| {self._token.text}")
        if self._take("json", kind="name"):  # a keyword: `| json != "x"` goes on with a line filter
            if self._token.kind == "name":
                raise unsupported("| json with parameters")
            return Json()
        return LabelFilter(self._either(0))

    def _either(self, depth: int) -> Condition:
        left = self._all(depth)
        while self._take("or", kind="name"):
            left = Both(left, "or", self._all(depth))
        return left

    def _all(self, depth: int) -> Condition:
        left = self._condition(depth)
        while True:
            joined = self._take("and", kind="name") or self._take(",")
            if not joined and not (self._token.kind == "name" and self._token.text not in {"or", "offset"}):
                return left
            left = Both(left, "and", self._condition(depth))

    def _condition(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise QueryError(400, f"parse error: conditions nest deeper than {_MAX_DEPTH}")
        if self._take("("):
            inner = self._either(depth + 1)
            self._expect(")")
            return inner
        name = self._expect(kind="name").text
        op = self._expect(*_COMPARE, "=~", "!~").text
        if token := self._take(kind="string"):
            if op not in {"=", "!=", "=~", "!~"}:
                self._next -= 1
                raise self._wrong("a number or duration")
            return _matcher(name, op, unquoted(token))
        return self._compare(name, op)

    def _compare(self, name: str, op: str) -> Compare:
        if op in {"=~", "!~"}:
            raise self._wrong("a string")
        op = "==" if op == "=" else op
        if token := self._take(kind="number"):
            return Compare(name, op, _finite(token), "number")
        if token := self._take(kind="duration"):
            return Compare(name, op, duration_ns(token.text) / 1e9, "duration")
        if self._token.kind == "size":
            raise unsupported("comparison with bytes")
        if self._token.text == "ip":
            raise unsupported("ip()")
        raise self._wrong("a string, number or duration")


def pattern(text: str, *, whole: bool = False) -> re2._Regexp[str]:
    """Compile a regular expression: RE2 as in Loki, ``whole`` as label matchers have it.

    Raises:
        QueryError: It is none.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        bare = re2.compile(text, options)  # first alone: "a)(b" is none, whatever stands around it
        return re2.compile(f"^(?s:{text})$", options) if whole else bare
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        reason = reason.partition(":")[0]  # behind the colon RE2 quotes the expression
        raise QueryError(400, f"parse error: invalid regular expression: {reason}") from None


def _matcher(name: str, op: str, value: str) -> Matcher:
    if op in {"=~", "!~"}:
        pattern(value, whole=True)
    return Matcher(name, op, value)


def _selects(matcher: Matcher) -> bool:
    """Tell whether a matcher refuses the empty value, so that it picks streams."""
    if matcher.op == "=":
        return matcher.value != ""
    if matcher.op == "=~":
        return pattern(matcher.value, whole=True).match("") is None
    return (
        matcher.value == ""
        if matcher.op == "!="
        else pattern(matcher.value, whole=True).match("") is not None
    )


def _finite(token: Token) -> float:
    number = float(token.text)
    if math.isinf(number):
        raise QueryError(400, f"parse error at col {token.column}: the number is out of range")
    return number
