"""Sigma conditions, compiled to Python closures.

Supported values: strings with wildcards, numbers, booleans, null, and what the modifiers
``contains startswith endswith all cased re i m s cidr exists gt gte lt lte neq windash base64
base64offset wide utf16 utf16be`` make of them. Not supported: ``fieldref``, ``expand`` and the
parts of a time (``minute`` .. ``year``).

Where implementations of Sigma differ, this one does so: a string matches strings only; a number
matches numbers, and strings that are its decimal form; ``null`` matches a field that is absent
or null, ``''`` the empty string; a field that is an array matches when any member does; a
keyword is looked for in every string value, not in keys, and in the whole of a plain-text line;
``re`` is RE2 and may match anywhere in the value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

import re2
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
)

from processors.classification.fields import texts_of
from processors.classification.strings import compile_texts, fold
from processors.classification.vocabulary import UnsupportedError, Vocabulary

Test = Callable[[Mapping[str, Any]], bool]
"""Whether a record matches."""
ValueTest = Callable[[Any], bool]

_OPERATORS: dict[CompareOperators, Callable[[float, float], bool]] = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


def compile_condition(node: Any, words: Vocabulary) -> Test:
    """Compile a condition tree as pySigma parses it; raises `UnsupportedError`."""
    if isinstance(node, ConditionAND):
        return _both([compile_condition(part, words) for part in node.args])
    if isinstance(node, ConditionOR):
        return _either(_alternatives(node, words))
    if isinstance(node, ConditionNOT):
        inner = compile_condition(node.args[0], words)
        return lambda record: not inner(record)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _field_test(node.field, [node.value], words)
    if isinstance(node, ConditionValueExpression):
        return _keyword_test([node.value])
    raise UnsupportedError(f"condition of the kind {type(node).__name__}")


def _both(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda record: all(test(record) for test in tests)


def _either(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda record: any(test(record) for test in tests)


def _alternatives(node: ConditionOR, words: Vocabulary) -> list[Test]:
    """Compile the parts of an OR; values of one field become one test."""
    by_field: dict[str, list[Any]] = {}
    keywords: list[Any] = []
    tests: list[Test] = []
    for part in node.args:
        if isinstance(part, ConditionFieldEqualsValueExpression):
            by_field.setdefault(part.field, []).append(part.value)
        elif isinstance(part, ConditionValueExpression):
            keywords.append(part.value)
        else:
            tests.append(compile_condition(part, words))
    fields = [_field_test(field, values, words) for field, values in by_field.items()]
    return [*fields, *([_keyword_test(keywords)] if keywords else []), *tests]


def _field_test(field: str, values: list[Any], words: Vocabulary) -> Test:
    """Return a test whether the field has any of the values."""
    collect = words.values(field)
    whole: list[Test] = []
    single: list[Any] = []
    for value in values:
        if isinstance(value, SigmaNull):
            whole.append(lambda record: all(member is None for member in collect(record)))
        elif isinstance(value, SigmaExists):
            whole.append(_existence(words.presence(field), wanted=value.exists))
        else:
            single.append(value)
    if single:
        test = _value_test(single, f"field {field!r}", names=field in words.names)
        whole.append(lambda record: any(test(member) for member in collect(record)))
    return _either(whole)


def _existence(is_there: Test, *, wanted: bool) -> Test:
    return lambda record: is_there(record) is wanted


def _keyword_test(values: list[Any]) -> Test:
    keywords = [SigmaString(str(value)) if isinstance(value, SigmaNumber) else value for value in values]
    if any(_is_everywhere(value) for value in _expanded(keywords)):
        raise UnsupportedError("a keyword without any character to look for")
    test = _value_test(keywords, "a keyword", anywhere=True)
    return lambda record: any(test(text) for text in texts_of(record))


def _is_everywhere(value: Any) -> bool:
    """Whether every line holds this, so that a slip would make audit events of all."""
    return isinstance(value, SigmaString) and not any(isinstance(part, str) and part for part in value.s)


def _value_test(values: list[Any], place: str, *, anywhere: bool = False, names: bool = False) -> ValueTest:
    """Return a test whether one member equals any of the values."""
    strings: list[SigmaString] = []
    tests: list[ValueTest] = []
    for value in _expanded(values):
        if isinstance(value, SigmaString):
            strings.append(value)
        else:
            tests.append(_scalar_test(value, place))
    if strings:
        try:
            of_text = compile_texts(strings, anywhere=anywhere, names=names)
        except TypeError:
            raise UnsupportedError(f"{place}: modifier 'expand'") from None
        tests.append(lambda member: isinstance(member, str) and of_text(member))
    if len(tests) == 1:
        return tests[0]
    return lambda member: any(test(member) for test in tests)


def _expanded(values: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat += _expanded(value.values) if isinstance(value, SigmaExpansion) else [value]
    return flat


def _scalar_test(value: Any, place: str) -> ValueTest:
    if isinstance(value, SigmaTimestampPart):
        raise UnsupportedError(f"{place}: modifier '{value.timestamp_part.name.lower()}'")
    if isinstance(value, SigmaFieldReference):
        raise UnsupportedError(f"{place}: modifier 'fieldref'")
    if isinstance(value, SigmaNumber):
        return _number_test(value.number)
    if isinstance(value, SigmaBool):
        return _bool_test(value.boolean)
    if isinstance(value, SigmaCompareExpression):
        return _compare_test(value)
    if isinstance(value, SigmaCIDRExpression):
        return _cidr_test(value)
    if isinstance(value, SigmaRegularExpression):
        return _regex_test(value)
    raise UnsupportedError(f"{place}: value of the kind {type(value).__name__}")


def _number_test(number: float) -> ValueTest:
    text = str(number)
    return lambda member: (
        member == number
        if isinstance(member, (int, float)) and not isinstance(member, bool)
        else member == text
    )


def _bool_test(wanted: bool) -> ValueTest:
    text = "true" if wanted else "false"
    return lambda member: fold(member) == text if isinstance(member, str) else member is wanted


def _compare_test(value: SigmaCompareExpression) -> ValueTest:
    compare = _OPERATORS[value.op]
    limit = value.number.number

    def test(member: Any) -> bool:
        if isinstance(member, str):
            try:
                member = float(member)
            except ValueError:
                return False
            return math.isfinite(member) and compare(member, limit)
        return isinstance(member, (int, float)) and not isinstance(member, bool) and compare(member, limit)

    return test


def _cidr_test(value: SigmaCIDRExpression) -> ValueTest:
    network = value.network

    def test(member: Any) -> bool:
        # 45 characters is the longest textual address (RFC 4291 with an embedded IPv4 one).
        if not isinstance(member, str) or len(member) > 45:
            return False
        try:
            return ip_address(member) in network
        except ValueError:
            return False

    return test


def _regex_test(value: SigmaRegularExpression) -> ValueTest:
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    pattern = re2.compile(f"(?{flags}){value.regexp}" if flags else str(value.regexp))
    return lambda member: isinstance(member, str) and pattern.search(member) is not None
