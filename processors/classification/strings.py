"""Sigma string values: comparison without regard to case, wildcards ``*`` and ``?``.

Case is folded character by character with ``str.lower``, but no character outside ASCII ever
becomes an ASCII letter (the Kelvin sign would become ``k``): then a scan of bytes that knows only
ASCII case finds every line that can match, which the prefilter needs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import re2
from sigma.types import Placeholder, SigmaCasedString, SigmaString, SpecialChars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The two characters whose lower case holds an ASCII letter stay apart, in the private use area;
# the lower case of the capital sigma depends on its place in the word, so it is fixed.
_FOLD = str.maketrans({"\u212a": "\uf8f0", "\u0130": "\uf8f1", "\u03a3": "\u03c3", "\u03c2": "\u03c3"})

SEPARATORS = " ._:/-"
"""What may stand between the words of a name."""
GAP = "~"
"""The part that a separator of a name becomes: none or one of them."""

_MEMO = 2048
_MEMO_TEXT = 128
_SEPARATED = re.compile(f"[{re.escape(SEPARATORS)}]")


def fold(text: str) -> str:
    """Return ``text`` folded for comparison."""
    if text.isascii():
        return text.lower()
    return text.translate(_FOLD).lower()


def parts_of(value: SigmaString) -> list[str]:
    """Split a value at its wildcards into ``*``, ``?`` and literals, which carry a ``=`` in front.

    Raises `TypeError` when the value holds a placeholder of the ``expand`` modifier.
    """
    parts: list[str] = []
    for part in value.s:
        if isinstance(part, Placeholder):
            raise TypeError("expand")
        if part is SpecialChars.WILDCARD_MULTI:
            if parts[-1:] != ["*"]:
                parts.append("*")
        elif part is SpecialChars.WILDCARD_SINGLE:
            parts.append("?")
        else:
            parts.append(f"={part}")
    return parts


def names_of(parts: list[str]) -> list[str]:
    """Take the literals of a name apart at their separators, each of which becomes a `GAP`."""
    apart: list[str] = []
    for part in parts:
        if part[0] != "=":
            apart.append(part)
            continue
        for number, word in enumerate(_SEPARATED.split(part[1:])):
            apart += ([GAP] if number else []) + ([f"={word}"] if word else [])
    return apart


def compile_texts(
    values: Iterable[SigmaString], *, anywhere: bool = False, names: bool = False
) -> Callable[[str], bool]:
    """Return a test for texts that equal any of the values.

    Args:
        values: Sigma strings; a `SigmaCasedString` is compared with regard to case.
        anywhere: Keywords: a value may stand anywhere in the text.
        names: Separators are folded, see `names_of`.
    """
    folded: list[list[str]] = []
    cased: list[list[str]] = []
    for value in values:
        parts = names_of(parts_of(value)) if names else parts_of(value)
        if anywhere:
            parts = ["*", *(parts if parts[:1] != ["*"] else parts[1:])]
            parts += ["*"] if parts[-1] != "*" else []
        (cased if isinstance(value, SigmaCasedString) else folded).append(parts)
    tests: list[Callable[[str], bool]] = []
    if folded:
        test_folded = _compile([[part[0] + fold(part[1:]) for part in parts] for parts in folded])
        tests.append(lambda text: test_folded(fold(text)))
    if cased:
        tests.append(_compile(cased))
    if len(tests) == 1:
        return tests[0]
    return lambda text: any(test(text) for test in tests)


def _compile(patterns: list[list[str]]) -> Callable[[str], bool]:
    """Sort patterns by shape, so that each shape costs one native call for all its patterns."""
    exact: set[str] = set()
    prefixes: list[str] = []
    suffixes: list[str] = []
    inner: list[str] = []
    general: list[str] = []
    for parts in patterns:
        literal = next((part[1:] for part in parts if part[0] == "="), "")
        match [part[0] for part in parts]:
            case [] | ["="]:
                exact.add(literal)
            case ["=", "*"]:
                prefixes.append(literal)
            case ["*", "="]:
                suffixes.append(literal)
            case ["*", "=", "*"]:
                inner.append(literal)
            case _:
                general.append(_expression(parts))
    if not (prefixes or suffixes or inner or general):
        return exact.__contains__
    starts, ends = tuple(prefixes), tuple(suffixes)
    matches = _general(general) if general else None

    def test(text: str) -> bool:
        return (
            text in exact
            or text.startswith(starts)
            or text.endswith(ends)
            or any(literal in text for literal in inner)
            or (matches is not None and matches(text))
        )

    return test


def _expression(parts: list[str]) -> str:
    wild = {"*": ".*", "?": ".", GAP: f"[{re2.escape(SEPARATORS)}]?"}
    return "".join(re2.escape(part[1:]) if part[0] == "=" else wild[part[0]] for part in parts)


def _general(expressions: list[str]) -> Callable[[str], bool]:
    pattern = re2.compile(f"(?s)(?:{'|'.join(expressions)})")

    @lru_cache(_MEMO)
    def remembered(text: str) -> bool:
        return pattern.fullmatch(text) is not None

    def test(text: str) -> bool:
        # Short texts repeat (names of events); long ones are not worth the memory.
        return remembered(text) if len(text) <= _MEMO_TEXT else pattern.fullmatch(text) is not None

    return test
