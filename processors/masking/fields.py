"""Which field names hold credentials, whatever the value looks like.

A name is cut into word parts (``dbPassword``, ``DB_PASSWORD`` and ``x-db-password`` are the same
words) and compared with phrases of the packs:

* *strong* phrases (``password``) make every name sensitive that holds them, unless the last word
  is an exception (``password_policy``);
* *weak* phrases (``token``) only where nothing, or neutral words, follow (``token_value``);
* *short* phrases (``pin``) only as the last words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

WEAK: Final = 1
STRONG: Final = 2
TAIL: Final = 40
"""Longest rest of a name after its phrase; the prefilter looks no further."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
_MEMO = 8192


@dataclass(frozen=True)
class FieldNames:
    """The ``fields`` section of a pack, words in lower snake case."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    neutral: frozenset[str] = frozenset()
    exceptions: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, section: Mapping[str, Iterable[str]]) -> FieldNames:
        """Read a pack's section."""
        names = ("strong", "weak", "short", "neutral", "exceptions", "allowed")
        return cls(**{name: frozenset(map(str, section.get(name, ()))) for name in names})

    def merged(self, other: FieldNames) -> FieldNames:
        """Return the union of two packs."""
        return FieldNames(
            self.strong | other.strong,
            self.weak | other.weak,
            self.short | other.short,
            self.neutral | other.neutral,
            self.exceptions | other.exceptions,
            self.allowed | other.allowed,
        )


def words(name: str) -> list[str]:
    """Cut a name into lower-case word parts."""
    return [part.lower() for part in _WORDS.findall(name)]


class FieldPolicy:
    """Tells how sensitive a field name is, with a bounded memory of answers.

    Args:
        names: The phrases of all packs.
    """

    def __init__(self, names: FieldNames) -> None:
        self._names = names
        self._strong = {phrase.replace("_", "") for phrase in names.strong}
        self._weak = {phrase.replace("_", "") for phrase in names.weak}
        self._short = {phrase.replace("_", "") for phrase in names.short}
        self._memo: dict[bytes, int] = {}

    def __call__(self, name: bytes) -> int:
        """Return 0, `WEAK` or `STRONG` for a field name in UTF-8."""
        found = self._memo.get(name)
        if found is None:
            found = self._judge(name.decode("utf-8", "replace"))
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[name] = found
        return found

    def _judge(self, name: str) -> int:
        if len(name) > 4 * TAIL:
            name = name[-4 * TAIL :]
        parts = words(name)
        if not parts or "_".join(parts) in self._names.allowed:
            return 0
        strength = self._ending(parts)
        if strength or parts[-1] in self._names.exceptions:
            return strength
        for stop in range(len(parts) - 1, 0, -1):
            strength = self._ending(parts[:stop])
            if not strength:
                continue
            rest = parts[stop:]
            if sum(map(len, rest)) > TAIL // 2:
                return 0
            if strength == STRONG or all(word in self._names.neutral or word.isdigit() for word in rest):
                return strength
        return 0

    def _ending(self, parts: list[str]) -> int:
        """Judge a name that ends with a phrase: whole words, or glued on (``dbpassword``)."""
        glued = ""
        for part in reversed(parts[-4:]):
            glued = part + glued
            if glued in self._strong:
                return STRONG
            if glued in self._weak or (glued in self._short):
                return WEAK
        for strong in self._strong:
            if len(strong) > 5 and glued.endswith(strong):
                return STRONG
        return WEAK if any(len(weak) > 4 and parts[-1].endswith(weak) for weak in self._weak) else 0

    def prefilter(self) -> tuple[bytes, bytes]:
        """Return the caseless expression of phrases that may have a tail, and of those that may not."""
        long = sorted(self._names.strong | self._names.weak)
        return _alternation(long), _alternation(sorted(self._names.short))


def _alternation(phrases: list[str]) -> bytes:
    bodies = ["[_\\-. ]?".join(map(re.escape, phrase.split("_"))) for phrase in phrases]
    return ("(?:" + "|".join(bodies) + ")").encode()
