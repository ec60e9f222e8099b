r"""Witnesses: what the bytes of a line must contain for a rule to match it.

A witness is a set of expressions for the multi-pattern scanner, one of which stands in every
line that the rule can match. It is derived from the condition: a value gives its longest part
between asterisks; AND takes its strongest part, OR needs all of its parts, NOT gives nothing.

Why a scan of bytes may stand for values: JSON writes a string value between double quotes, and
every character of it as itself, but for ``"``, ``\\`` and control characters, when the line holds
no ``\\u`` and no ``\\/`` (lines that do are re-serialised before they are scanned). Those
characters, and letters outside ASCII (the scanner folds only ASCII case), become a gap of one to
six bytes in the expression: the longest form, ``\\u0000``, has six.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import SigmaExists, SigmaExpansion, SigmaNull, SigmaNumber, SigmaString

from processors.classification.strings import GAP, names_of, parts_of
from processors.classification.vocabulary import Vocabulary

_MIN_LITERAL = 3
_MAX_LITERAL = 48
_KEY_STRENGTH = 2
_GAP = None
_SPECIAL = '"\\'

_SEPARATOR = ""
_BETWEEN = ".?"  # a class of characters would cost the scanner half as much again

_Run = list[str | None]
"""Characters of a run between asterisks; None is a gap of one character, ``""`` a separator of a name."""
_PARTS: dict[str, _Run] = {"?": [_GAP], GAP: [_SEPARATOR]}


@dataclass(frozen=True, slots=True)
class Witness:
    """One of ``expressions`` is in every line that can match.

    Attributes:
        expressions: Scanner expressions, to be matched without regard to ASCII case.
        strength: Length of the shortest literal: the longer, the rarer. A key counts as 2, so
            that any value is preferred to it.
    """

    expressions: frozenset[str]
    strength: int


def witness_of(node: Any, words: Vocabulary) -> Witness | None:
    """Return the witness of a condition tree, or None when any line may match."""
    if isinstance(node, ConditionAND):
        found = [witness for part in node.args if (witness := witness_of(part, words)) is not None]
        return max(found, key=lambda witness: (witness.strength, -len(witness.expressions)), default=None)
    if isinstance(node, ConditionOR):
        return _union([witness_of(part, words) for part in node.args])
    if isinstance(node, ConditionNOT):
        return None
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _of_field(node.field, node.value, words)
    if isinstance(node, ConditionValueExpression):
        return _of_text(node.value, quoted=False)
    return None


def _union(witnesses: list[Witness | None]) -> Witness | None:
    found = [witness for witness in witnesses if witness is not None]
    if not found or len(found) < len(witnesses):
        return None
    return Witness(
        frozenset().union(*(witness.expressions for witness in found)),
        min(witness.strength for witness in found),
    )


def _of_field(field: str, value: Any, words: Vocabulary) -> Witness | None:
    if isinstance(value, SigmaNull) or (isinstance(value, SigmaExists) and not value.exists):
        return None
    if field in words.outcomes:  # made of the values of other fields, in many ways
        return None
    of_text = _of_text(value, quoted=True, names=field in words.names)
    return of_text or _union([_of_key(path) for path in words.paths(field)])


def _of_key(path: str) -> Witness | None:
    """Witness of a key: flat or nested, the last segment stands before a quotation mark."""
    first, _, last = path.rpartition(".")
    run: _Run = [*_characters(last), '"']
    if not first:
        run.insert(0, '"')
    expression, strength = _render(run)
    return Witness(frozenset({expression}), _KEY_STRENGTH) if strength else None


def _of_text(value: Any, *, quoted: bool, names: bool = False) -> Witness | None:
    if isinstance(value, SigmaExpansion):
        return _union([_of_text(part, quoted=quoted, names=names) for part in value.values])
    if isinstance(value, SigmaNumber) and not quoted:
        value = SigmaString(str(value))
    if not isinstance(value, SigmaString):
        return None
    runs: list[_Run] = [[]]
    for part in names_of(parts_of(value)) if names else parts_of(value):
        if part == "*":
            runs.append([])
        else:
            runs[-1] += _PARTS[part] if part in _PARTS else _characters(part[1:])
    if quoted:
        runs[0].insert(0, '"')
        runs[-1].append('"')
    expression, strength = max((_render(run) for run in runs), key=lambda rendered: rendered[1])
    return Witness(frozenset({expression}), strength) if strength >= _MIN_LITERAL else None


def _characters(text: str) -> _Run:
    """Turn characters that may stand in more than one byte form into gaps."""
    return [char if " " <= char <= "~" and char not in _SPECIAL else _GAP for char in text]


def _render(run: _Run) -> tuple[str, int]:
    """Return the expression of a run and the length of its longest literal; ``("", 0)`` for none."""
    run = run[:_MAX_LITERAL]
    while run and not run[0]:
        run = run[1:]
    while run and not run[-1]:
        run = run[:-1]
    pieces: list[str] = []
    longest = current = gaps = 0
    for char in run:
        if char is None:
            gaps += 1
            current = 0
            continue
        if gaps:
            pieces.append(f".{{{gaps},{6 * gaps}}}")
            gaps = 0
        if char == _SEPARATOR:
            pieces.append(_BETWEEN)
            current = 0
            continue
        pieces.append(char if char.isalnum() else f"\\x{ord(char):02x}")
        current += 1
        longest = max(longest, current)
    return "".join(pieces), longest
