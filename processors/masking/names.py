"""The names that packs list: credentials by strength, personal data by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import re2

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
_SECTIONS = ("strong", "weak", "short", "lone", "neutral", "exceptions", "allowed")


def words(name: str) -> list[str]:
    """Cut a name into lower-case word parts."""
    return [part.lower() for part in _WORDS.findall(name)]


def expression(text: str) -> Any:
    """Compile an expression on values, of which one character is one byte.

    Raises:
        ValueError: It does not compile.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        raise ValueError(f"does not compile: {error}") from error


@dataclass(frozen=True)
class Personal:
    """Names of one kind of personal data.

    Attributes:
        names: Phrases, sensitive as the last words of a name.
        lone: Phrases, sensitive only as the whole name.
        value, lone_value: RE2 expressions: what a value must hold to be masked; any when empty.
        category: Of the detector.
    """

    names: frozenset[str] = frozenset()
    lone: frozenset[str] = frozenset()
    value: str = ""
    lone_value: str = ""
    category: str = "pii"

    @classmethod
    def parse(cls, section: Mapping[str, Any] | Iterable[str]) -> Personal:
        """Read a list of names, or a mapping of the attributes.

        Raises:
            ValueError: A key is unknown, or an expression does not compile.
        """
        if not isinstance(section, Mapping):
            return cls(frozenset(map(str, section)))
        if unknown := set(section) - {each.name for each in fields(cls)}:
            raise ValueError(f"unknown key {min(unknown)}")
        texts = {key: str(section[key]) for key in ("value", "lone_value", "category") if key in section}
        for key in ("value", "lone_value"):
            expression(texts.get(key, ""))
        names, lone = (frozenset(map(str, section.get(key, ()))) for key in ("names", "lone"))
        return cls(names, lone, **texts)

    def merged(self, other: Personal) -> Personal:
        """Return the union of two packs; what the later says about values holds."""
        return Personal(
            self.names | other.names,
            self.lone | other.lone,
            other.value or self.value,
            other.lone_value or self.lone_value,
            other.category,
        )


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
    personal: Mapping[str, Personal] = field(default_factory=dict)

    @classmethod
    def parse(cls, section: Mapping[str, Any]) -> FieldNames:
        """Read a pack's section.

        Raises:
            ValueError: A group of personal names is wrong.
        """
        personal = {
            str(name): Personal.parse(group) for name, group in (section.get("personal") or {}).items()
        }
        return cls(
            **{name: frozenset(map(str, section.get(name, ()))) for name in _SECTIONS}, personal=personal
        )

    def merged(self, other: FieldNames) -> FieldNames:
        """Return the union of two packs."""
        personal = dict(self.personal)
        for name, group in other.personal.items():
            personal[name] = personal[name].merged(group) if name in personal else group
        return FieldNames(
            **{name: getattr(self, name) | getattr(other, name) for name in _SECTIONS}, personal=personal
        )

    def without(self, groups: Iterable[str]) -> FieldNames:
        """Return the names without some groups of personal data."""
        left = {name: group for name, group in self.personal.items() if name not in set(groups)}
        return replace(self, personal=left)
