"""Which field names hold credentials, whatever the value looks like.

A name is cut into word parts (``dbPassword``, ``DB_PASSWORD`` and ``x-db-password`` are the same
words) and compared with phrases of the packs:

* *strong* phrases (``password``) make every name sensitive that holds them, unless the last word
  is an exception (``password_policy``);
* *weak* phrases (``token``) only where nothing, or neutral words, follow (``token_value``);
* *short* phrases (``pin``) only as the last words;
* *lone* phrases (``sid``) only as the whole name.

A name counts only if the prefilter's expression matches it: how a value is spelled must not decide
whether it is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from processors.masking.placeholders import Placeholders

COUNT: Final = 1
"""A weak plural: a number below it counts (``tokens``)."""
WEAK: Final = 2
STRONG: Final = 3
TAIL: Final = 40
"""Longest rest of a name after its phrase; the prefilter looks no further."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
_MEMO = 8192
_GAP = rb'[^A-Za-z0-9"\n]{0,3}'
"""What may stand between the words of a phrase."""
_SECTIONS = ("strong", "weak", "short", "lone", "neutral", "exceptions", "allowed")


@dataclass(frozen=True)
class FieldNames:
    """The ``fields`` section of a pack, words in lower snake case."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    lone: frozenset[str] = frozenset()
    neutral: frozenset[str] = frozenset()
    exceptions: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, section: Mapping[str, Iterable[str]]) -> FieldNames:
        """Read a pack's section."""
        return cls(**{name: frozenset(map(str, section.get(name, ()))) for name in _SECTIONS})

    def merged(self, other: FieldNames) -> FieldNames:
        """Return the union of two packs."""
        return FieldNames(**{name: getattr(self, name) | getattr(other, name) for name in _SECTIONS})


def words(name: str) -> list[str]:
    """Cut a name into lower-case word parts."""
    return [part.lower() for part in _WORDS.findall(name)]


class FieldPolicy:
    """Tells how sensitive a field name is, with a bounded memory of answers.

    Args:
        names: The phrases of all packs.
        placeholders: Ours; they are no part of a name.
    """

    def __init__(self, names: FieldNames, placeholders: Placeholders) -> None:
        self.placeholders = placeholders
        self._names = names
        self._strong = {phrase.replace("_", "") for phrase in names.strong}
        self._weak = {phrase.replace("_", "") for phrase in names.weak}
        self._short = {phrase.replace("_", "") for phrase in names.short}
        self._memo: dict[bytes, int] = {}
        long, short = self.prefilter()
        self._shape = re.compile(long + rb'[^"\n]{0,%d}\Z|' % TAIL + short + rb"[0-9]?\Z", re.IGNORECASE)

    def __call__(self, name: bytes) -> int:
        """Return 0, `COUNT`, `WEAK` or `STRONG` for a field name in UTF-8."""
        found = self._memo.get(name)
        if found is None:
            bare = self.placeholders.behind(name)[-4 * TAIL :]
            found = self._judge(bare.decode("utf-8", "replace")) if self._shape.search(bare) else 0
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[name] = found
        return found

    def _judge(self, name: str) -> int:
        parts = words(name)
        whole = "_".join(parts)
        if not parts or whole in self._names.allowed:
            return 0
        strength = WEAK if whole in self._names.lone else self._ending(parts)
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
            if glued in self._weak:
                return _weak(glued)
            if glued in self._short:
                return WEAK
        for strong in self._strong:
            if len(strong) > 5 and glued.endswith(strong):
                return STRONG
        for weak in self._weak:
            if len(weak) > 4 and parts[-1].endswith(weak):
                return _weak(weak)
        return 0

    def prefilter(self) -> tuple[bytes, bytes]:
        """Return the caseless expression of phrases that may have a tail, and of those that may not.

        It is empty where there are none.
        """
        names = self._names
        return _alternation(sorted(names.strong | names.weak)), _alternation(sorted(names.short | names.lone))


def _weak(phrase: str) -> int:
    return COUNT if phrase.endswith("s") and not phrase.endswith("ss") else WEAK


def _alternation(phrases: list[str]) -> bytes:
    bodies = [_GAP.join(map(re.escape, phrase.encode().split(b"_"))) for phrase in phrases]
    return b"(?:" + b"|".join(bodies) + b")" if bodies else b""
