"""Which field names hold credentials or personal data, whatever the value looks like.

A name is cut into word parts (``dbPassword``, ``DB_PASSWORD`` and ``x-db-password`` are the same
words) and compared with phrases of the packs:

* *strong* phrases (``password``) make every name sensitive that holds them, unless the last word
  is an exception (``password_policy``);
* *weak* phrases (``token``) only where nothing, or neutral words, follow (``token_value``);
* *short* phrases (``pin``) only as the last words;
* *lone* phrases (``sid``) only as the whole name;
* *personal* phrases (``first_name``) only as the last words, where the value looks as their group
  says; they are masked under the group's name.

A name counts only if the prefilter's expression matches it: how a value is spelled must not decide
whether it is masked.
"""

from __future__ import annotations

import re
from typing import Any, Final

import re2

from processors.masking.names import FieldNames, expression, words
from processors.masking.placeholders import NAME, Placeholders

COUNT: Final = 1
"""A weak plural: a number below it counts (``tokens``)."""
WEAK: Final = 2
STRONG: Final = 3
TAIL: Final = 40
"""Longest rest of a name after its phrase; the prefilter looks no further."""

_MEMO = 8192
_MORE = re.compile(rb"(?:,?[ \t]{1,2}[(+\-]?[A-Z0-9\x80-\xff][^\s\"'&,;{}\[\]=:|<>]*+(?![=:])){1,5}+")
"""Further words of a name, an address or a number in a sentence: none is the key of another pair."""
_GROUPS = re.compile(rb"(?:[ \-][0-9]{1,8}+(?![0-9A-Za-z.:=])){1,5}+")
_ITEM = re.compile(rb'"([^"\\]*+)"|[^\s",\[\]{}:]++')
_GAP = rb'[^A-Za-z0-9"\n]{0,3}'
"""What may stand between the words of a phrase."""
_SMALL_GAP = rb"[_ .\-]?"
"""The same for phrases that end a name; they are many, and a wider gap halves the speed of the prefilter."""
_LONGEST_SPELLED = 48
"""A name in words is no longer."""
_LONGEST_VALUE = 4096
"""A value is judged by no more of it than this."""
BEFORE: Final = rb'[^A-Za-z0-9_."\n]{0,4}'
"""Before a name that must be whole: dashes of a flag."""
_TOGETHER = 60
"""Phrases of one expression of the prefilter."""
_GLUED = 6
"""A longer phrase may end a word (``customersurname``); a shorter one would end others."""

Group = tuple[str, bool]
"""A kind of personal data, and whether its name is one that must be whole."""


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
        groups = names.personal.items()
        self._personal = {phrase.replace("_", ""): name for name, group in groups for phrase in group.names}
        self._glued = [phrase for phrase in self._personal if len(phrase) > _GLUED]
        self._alone = {phrase: name for name, group in groups for phrase in group.lone}
        self._values = {
            (name, lone): expression(text)
            for name, group in groups
            for lone, text in ((False, group.value), (True, group.lone_value))
            if text
        }
        self._spelled = {phrase.encode() for phrase in self._strong | self._weak | set(self._personal)}
        self._memo: dict[bytes, int] = {}
        self._groups: dict[bytes, Group] = {}
        self._shape = _shape(*self.prefilter())

    def __call__(self, name: bytes) -> int:
        """Return 0, `COUNT`, `WEAK` or `STRONG` for a field name in UTF-8."""
        found = self._memo.get(name)
        if found is None:
            bare = self.placeholders.behind(name)[-4 * TAIL :]
            found, group = 0, None
            if self._shape.search(bare):
                found, group = self._judge(bare.decode("utf-8", "replace"))
            if len(self._memo) >= _MEMO:
                self._memo.clear()
                self._groups.clear()
            self._memo[name] = found
            if group:
                self._groups[name] = group
        return found

    def spelled(self, before: bytes) -> bytes:
        """Return the name that a text ends with when it is spelt in words (``First name``), else nothing.

        Args:
            before: What stands before the colon.
        """
        parts = before[-_LONGEST_SPELLED:].split(b" ")[-4:]
        while len(parts) > 1:
            if b"".join(parts).lower() in self._spelled:
                return b" ".join(parts)
            del parts[0]
        return b""

    def detector(self, name: bytes) -> str:
        """Return under what name the value of a sensitive field is masked."""
        self(name)
        group = self._groups.get(name)
        return NAME if group is None else group[0]

    def is_harmless(self, name: bytes, value: bytes) -> bool:
        """Tell whether a value is none of those that its sensitive field is masked for.

        Args:
            name: Of the field.
            value: A string without quotes, a number, or a container as JSON.
        """
        self(name)
        group = self._groups.get(name)
        if group is None:
            return value[:1] in (b"/", b"~") and name.lower() == b"pwd"  # the shell's working directory
        looks = self._values.get(group)
        if looks is None or looks.search(value[:_LONGEST_VALUE]):
            return False
        if value[:1] != b"[":
            return True
        items = _ITEM.finditer(value[:_LONGEST_VALUE])
        return not any(looks.search(item[0] if item[1] is None else item[1]) for item in items)

    def end_of_value(self, name: bytes, text: bytes, begin: int, stop: int, high: int) -> int:
        """Return where a field's value in a sentence ends: numbers and names go on over blanks.

        Args:
            name: Of a sensitive field.
            text, high: The unit, and where what may be looked at ends.
            begin, stop: The value up to its first blank or delimiter.
        """
        if self.placeholders.at(text, begin, high):
            return stop
        self(name)
        group = self._groups.get(name)
        if group is None:
            more = _GROUPS.match(text, stop, high) if text[begin:stop].isdigit() else None
            return more.end() if more else stop
        more = _MORE.match(text, stop, high)
        end = more.end() if more else stop
        while end > stop and self.is_harmless(name, text[begin:end]):
            end = max(stop, *(text.rfind(blank, stop, end) for blank in (b" ", b"\t", b",")))
        return end

    def _judge(self, name: str) -> tuple[int, Group | None]:
        """Return the strength of a name, and its kind if it is one of personal data."""
        parts = words(name)
        whole = "_".join(parts)
        if not parts or whole in self._names.allowed:
            return 0, None
        if strength := WEAK if whole in self._names.lone else self._credential(parts):
            return strength, None
        if group := self._group(parts):
            return STRONG, (group, False)
        alone = self._alone.get(whole)
        return (STRONG, (alone, True)) if alone else (0, None)

    def _group(self, parts: list[str]) -> str:
        """Return the kind of personal data whose phrase a name ends with, or nothing."""
        found = self._ending_group(parts)
        numbered = len(parts) > 1 and parts[-1].isdigit() and len(parts[-1]) == 1
        return self._ending_group(parts[:-1]) if numbered and not found else found

    def _ending_group(self, parts: list[str]) -> str:
        glued = ""
        for part in reversed(parts[-6:]):
            glued = part + glued
            if found := self._personal.get(glued):
                return found
        return next((self._personal[phrase] for phrase in self._glued if parts[-1].endswith(phrase)), "")

    def _credential(self, parts: list[str]) -> int:
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

    def prefilter(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Return caseless expressions of phrases that may have a tail, that may not, and that are whole names.

        Vectorscan is fastest with some dozens of phrases in one, and those with the same end together.
        """
        names, personal = self._names, self._names.personal.values()
        ending = names.short.union(*(group.names for group in personal))
        lone = names.lone.union(*(group.lone for group in personal))
        return (
            _alternations(_shortest(names.strong | names.weak, ends=False), _GAP),
            _alternations(_shortest(ending, ends=True), _SMALL_GAP),
            _alternations(sorted(lone), _SMALL_GAP),
        )

    def credentials(self) -> tuple[list[bytes], list[bytes]]:
        """Return the caseless expressions of credentials alone: that may have a tail, and that may not."""
        long = _shortest(self._names.strong | self._names.weak, ends=False)
        short = _shortest(self._names.short | self._names.lone, ends=True)
        return _alternations(long, _SMALL_GAP), _alternations(short, _SMALL_GAP)


def _shortest(phrases: frozenset[str], *, ends: bool) -> list[str]:
    """Leave out the phrases in which, or at the end of which, another stands: wherever they match, it does."""
    kept: list[str] = []
    for phrase in sorted(phrases, key=lambda each: (len(each), each)):
        body = f"_{phrase}_"
        if not any(body.endswith(f"_{other}_") if ends else f"_{other}_" in body for other in kept):
            kept.append(phrase)
    return sorted(kept, key=lambda each: each[::-1])


def _weak(phrase: str) -> int:
    return COUNT if phrase.endswith("s") and not phrase.endswith("ss") else WEAK


def _alternations(phrases: list[str], gap: bytes) -> list[bytes]:
    bodies = [gap.join(map(re.escape, phrase.encode().split(b"_"))) for phrase in phrases]
    return [
        b"(?:" + b"|".join(bodies[start : start + _TOGETHER]) + b")"
        for start in range(0, len(bodies), _TOGETHER)
    ]


def _shape(long: list[bytes], short: list[bytes], lone: list[bytes]) -> Any:
    """Return what a name must match to be judged: what the prefilter finds."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    tails = [each + rb'[^"\n]{0,%d}\z' % TAIL for each in long] + [each + rb"[0-9]?\z" for each in short]
    return re2.compile(b"|".join(tails + [rb"\A" + BEFORE + each + rb"\z" for each in lone]), options)
