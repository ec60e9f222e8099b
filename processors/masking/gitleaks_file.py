"""Reads a gitleaks TOML file into rules.

What cannot matter in logs (paths, commits) is left out and said; what would change what the file finds
and is not known here is an error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import re2
from headrig import ConfigError

from processors.masking.database import FOREIGN
from processors.masking.gitleaks import PREFIX, Allowlist, GitleaksRule, matcher, prefilter, widened
from processors.scanning import Pattern, PatternError, check

_RULE = {
    "id", "description", "regex", "secretgroup", "entropy", "keywords", "path", "tags",
    "allowlist", "allowlists", "required", "skipreport",
}  # fmt: skip
_ALLOW = {
    "description",
    "condition",
    "commits",
    "paths",
    "regextarget",
    "regexes",
    "stopwords",
    "targetrules",
}
_FILE = {"title", "description", "extend", "allowlist", "allowlists", "rules", "minversion"}
_CONDITIONS = {"": False, "or": False, "||": False, "and": True, "&&": True}
_TARGETS = ("secret", "match", "line")


@dataclass(frozen=True)
class File:
    """A file that was read.

    Attributes:
        rules: In the order of the file.
        notes: What was left out and why, one sentence each.
    """

    rules: tuple[GitleaksRule, ...]
    notes: tuple[str, ...]


@dataclass
class _Reader:
    name: str
    notes: list[str] = field(default_factory=list)
    everywhere: list[Allowlist] = field(default_factory=list)
    targeted: dict[str, list[Allowlist]] = field(default_factory=dict)

    def fail(self, rule: str, said: str) -> ConfigError:
        return ConfigError(said, path=f"{self.name}: {rule}" if rule else self.name)

    def keys(self, entry: Any, known: set[str], place: str) -> dict[str, Any]:
        """Return a table with its keys in lower case, as gitleaks compares them."""
        if not isinstance(entry, Mapping):
            raise self.fail(place, "a table is needed")
        table = {str(key).lower(): value for key, value in entry.items()}
        if unknown := set(table) - known:
            raise self.fail(place, f"unknown key {min(unknown)}")
        return table


def read(name: str, content: bytes) -> File:
    """Read a file.

    Args:
        name: Of the file, for messages.
        content: TOML.

    Raises:
        ConfigError: It is no gitleaks file, or a rule cannot be taken; names the rule and the reason.
    """
    reader = _Reader(name)
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise reader.fail("", f"cannot read the file: {error}") from error
    table = reader.keys(document, _FILE, "")
    if table.get("extend"):
        raise reader.fail(
            "extend", "is not followed: list every file in masking.packs, and what is off in masking.disable"
        )
    for entry in _lists(reader, table, ""):
        allowed, targets = _allowlist(reader, entry, "allowlists")
        for target in targets:
            reader.targeted.setdefault(target, []).extend(allowed)
        if not targets:
            reader.everywhere += allowed
    entries = [reader.keys(entry, _RULE, _place(entry)) for entry in table.get("rules") or ()]
    known = {str(entry.get("id")) for entry in entries}
    if missing := set(reader.targeted) - known:
        raise reader.fail("allowlists", f"no rule is named {min(missing)}")
    rules = tuple(rule for rule in (_rule(reader, entry) for entry in entries) if rule is not None)
    return File(rules, tuple(f"{name}: {note}" for note in reader.notes))


def _rule(reader: _Reader, entry: Mapping[str, Any]) -> GitleaksRule | None:
    identity = entry.get("id")
    if not identity or not isinstance(identity, str):
        raise reader.fail("rules", "a rule has no id")
    if not entry.get("regex"):
        reader.notes.append(f"{identity} looks at paths only and is left out")
        return None
    if entry.get("skipreport"):
        reader.notes.append(f"{identity} reports nothing by itself and is left out")
        return None
    if entry.get("path"):
        reader.notes.append(f"{identity} is asked whatever the path")
    if entry.get("required"):
        reader.notes.append(f"{identity} is asked without the rules it requires beside it")
    allow = [*reader.everywhere, *reader.targeted.get(identity, ())]
    for allowed in _lists(reader, entry, identity):
        allow += _allowlist(reader, allowed, identity)[0]
    try:
        expression = widened(str(entry["regex"]))
        rule = GitleaksRule(
            name=PREFIX + re.sub(r"[^a-z0-9]+", "-", identity.lower()).strip("-"),
            category="generic",
            pattern=prefilter(expression),
            confirm=expression,
            confidence="medium",
            source=reader.name,
            database=FOREIGN,
            group=int(entry.get("secretgroup", 0)),
            entropy=float(entry.get("entropy", 0.0)),
            words=tuple(str(word).lower().encode() for word in entry.get("keywords") or ()),
            allow=tuple(allow),
        )
        rule.compile()
        check(Pattern(rule.pattern.encode(), 0))
    except (re2.error, PatternError, ValueError, TypeError) as error:
        raise reader.fail(identity, f"the rule cannot be taken: {_said(error)}") from error
    return rule


def _place(entry: Any) -> str:
    return str(entry.get("id", "rules")) if isinstance(entry, Mapping) else "rules"


def _lists(reader: _Reader, table: Mapping[str, Any], place: str) -> list[Any]:
    """Return the allow-lists of a rule or the file, in either spelling."""
    old, new = table.get("allowlist"), table.get("allowlists") or []
    if old is not None and new:
        raise reader.fail(place, "has both allowlist and allowlists")
    if isinstance(new, Mapping):
        new = [new]
    return [*([old] if old is not None else []), *new]


def _allowlist(reader: _Reader, entry: Any, place: str) -> tuple[list[Allowlist], list[str]]:
    """Return an allow-list, none when it cannot hold in logs, and the rules it is for; none for all."""
    table = reader.keys(entry, _ALLOW, place)
    condition = str(table.get("condition", "")).lower()
    target = table.get("regextarget") or "secret"
    if condition not in _CONDITIONS:
        raise reader.fail(place, "condition is AND or OR")
    if target not in _TARGETS:
        raise reader.fail(place, f"regexTarget is one of {', '.join(_TARGETS)}")
    every = _CONDITIONS[condition]
    regexes = tuple(_expression(reader, text, place) for text in _texts(reader, table, "regexes", place))
    words = tuple(text.lower().encode() for text in _texts(reader, table, "stopwords", place))
    targets = _texts(reader, table, "targetrules", place)
    if table.get("paths") or table.get("commits"):
        reader.notes.append(f"{place}: paths and commits of an allow-list never hold in logs")
        if every:
            return [], targets
    return ([Allowlist(every, target, regexes, words)] if regexes or words else []), targets


def _texts(reader: _Reader, table: Mapping[str, Any], key: str, place: str) -> list[str]:
    value = table.get(key) or []
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise reader.fail(place, f"{key} is a list of texts")
    return value


def _expression(reader: _Reader, text: str, place: str) -> Any:
    try:
        return matcher(text)[0]
    except re2.error as error:
        raise reader.fail(
            place, f"an expression of an allow-list does not compile: {_said(error)}"
        ) from error


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
