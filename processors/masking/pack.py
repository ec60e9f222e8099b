"""Rule packs: YAML files with detectors, field names and their tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import re2
import regex
import yaml
from headrig import ConfigError

from processors.masking import gitleaks_file, timed
from processors.masking.database import OWN
from processors.masking.finders import FINDERS
from processors.masking.keywords import KEYWORD, Value
from processors.masking.names import FieldNames
from processors.masking.rules import BOUNDARIES, Rule
from processors.masking.validators import VALIDATORS
from processors.scanning import Pattern, PatternError, check

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C takes a tenth of the time; it comes with the wheels."""
_KNOWN = {column.name for column in fields(Rule)}
_REPEAT = re.compile(r"<(\d+):([^<>]+)>")
CATEGORIES = frozenset(
    ("cloud", "vcs", "saas", "payment", "db-url", "auth-header", "private-key", "pii", "network", "generic")
)


OPTIONAL = "addresses"
"""Database whose rules are off unless enabled: its shapes have no literal, and it slows every scan."""


@dataclass(frozen=True)
class Pack:
    """What all configured packs say together.

    Attributes:
        rules: The detectors in force.
        names: The field names.
        detectors: Names of all detectors, also of those left out.
        optional: Names of those that are off unless the configuration enables them.
        digest: SHA-256 of the files, hex.
        files: Name of the file that each rule in force is from, by its name.
        notes: What of the files is left out and why, one sentence each.
    """

    rules: tuple[Rule, ...]
    names: FieldNames
    detectors: tuple[str, ...]
    optional: tuple[str, ...]
    digest: str
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load(paths: Iterable[Path], *, disable: Iterable[str] = (), enable: Iterable[str] = ()) -> Pack:
    """Read packs.

    Args:
        paths: YAML files, directories of them, or TOML files of gitleaks.
        disable: Detectors to leave out.
        enable: Detectors of addresses to take in.

    Raises:
        ConfigError: A file, a rule, or a name in ``disable`` or ``enable`` is wrong; names the file and the rule.
    """
    rules: dict[str, Rule] = {}
    files: dict[str, str] = {}
    notes: list[str] = []
    names = FieldNames()
    digest = hashlib.sha256()
    for file in _files(paths):
        content = _content(file)
        for part in (file.name.encode(), content):  # whatever directory they are in
            digest.update(len(part).to_bytes(8) + part)
        found: Iterable[Rule]
        if file.suffix == ".toml":
            leaks = gitleaks_file.read(file.name, content)
            found = leaks.rules
            notes += leaks.notes
        else:
            section = _read(file, content)
            found = (_rule(entry, file) for entry in section.get("detectors") or ())
            try:
                names = names.merged(FieldNames.parse(section.get("fields") or {}))
            except ValueError as error:
                raise ConfigError(str(error), path=f"{file.name}: fields") from error
        for rule in found:
            if rule.name in rules:
                raise ConfigError(f"detector {rule.name} is defined twice", path=str(file))
            rules[rule.name] = rule
            files[rule.name] = file.name
    for key, wanted in (("disable", set(disable) - set(names.personal)), ("enable", set(enable))):
        if unknown := wanted - set(rules):
            raise ConfigError(f"no detector is named {', '.join(sorted(unknown))}", path=f"masking.{key}")
    optional = tuple(rule.name for rule in rules.values() if rule.database == OPTIONAL)
    off = set(disable) | (set(optional) - set(enable))
    left = tuple(rule for name, rule in rules.items() if name not in off)
    detectors = tuple(dict.fromkeys((*rules, *names.personal)))
    return Pack(left, names.without(disable), detectors, optional, digest.hexdigest(), files, tuple(notes))


def _files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise ConfigError(f"no *.yaml in {path}", path="masking.packs")
        files += found
    return files


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the pack: {error}", path=str(file)) from error


def _read(file: Path, content: bytes) -> Mapping[str, Any]:
    try:
        section = yaml.load(content, Loader=_LOADER)  # noqa: S506 - one of the two safe ones
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the pack: {error}", path=str(file)) from error
    if not isinstance(section, dict) or set(section) - {"detectors", "fields"}:
        raise ConfigError("a pack holds `detectors` and `fields`", path=str(file))
    return section


def _rule(entry: Mapping[str, Any], file: Path) -> Rule:
    name = str(entry.get("name", "?"))
    place = f"{file.name}: {name}"
    if unknown := set(entry) - _KNOWN:
        raise ConfigError(f"unknown key {min(unknown)}", path=place)
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    if "keywords" in values:
        words = values["keywords"]
        if not isinstance(words, tuple) or not all(map(KEYWORD.fullmatch, map(str, words))):
            raise ConfigError("keywords is a list of words in lower snake case", path=place)
        values = {"left": "alnum", "right": "alnum", **values}
    try:
        rule = Rule(**values)
    except TypeError as error:
        raise ConfigError(f"{error}", path=place) from error
    _check(rule, place)
    return rule


def _check(rule: Rule, place: str) -> None:
    if not _NAME.fullmatch(rule.name):
        raise ConfigError("a name is kebab case", path=place)
    known: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("category", rule.category, CATEGORIES),
        ("finder", rule.finder, {"", *FINDERS}),
        ("validator", rule.validator, {"", *VALIDATORS}),
        ("engine", rule.engine, {"re2", timed.ENGINE}),
        ("left", rule.left, BOUNDARIES),
        ("right", rule.right, BOUNDARIES),
        ("database", rule.database, OWN),
    )
    for key, value, values in known:
        if value not in values:
            raise ConfigError(f"{key} is one of {', '.join(sorted(values))}", path=place)
    if rule.keywords or rule.value:
        _check_keywords(rule, place)
    elif not rule.pattern or bool(rule.confirm) == bool(rule.finder):
        raise ConfigError("give pattern, and either confirm or finder; or keywords and value", path=place)
    if min(len(rule.positive), len(rule.negative)) < 2:
        raise ConfigError("needs two positive and two negative tests", path=place)
    if not (type(rule.timeout_ms) is int and 1 <= rule.timeout_ms <= timed.MOST_MS):
        raise ConfigError(f"timeout_ms is from 1 to {timed.MOST_MS}", path=place)
    try:
        if rule.pattern:
            check(Pattern(rule.pattern.encode(), 0, rule.caseless))
    except PatternError as error:
        raise ConfigError(f"{error}", path=place) from error
    try:
        Value(rule) if rule.keywords else rule.compile()
    except (re2.error, regex.error) as error:
        key = "value" if rule.keywords else "confirm"
        raise ConfigError(f"{key} does not compile: {_said(error)}", path=place) from error


def _check_keywords(rule: Rule, place: str) -> None:
    if not (rule.keywords and rule.value) or rule.pattern or rule.confirm or rule.finder:
        raise ConfigError("give keywords and value, and no pattern, confirm or finder", path=place)
    if rule.database != "main":
        raise ConfigError("a rule with keywords is of the database main", path=place)


def _said(error: Exception) -> str:
    """Return what an engine said; RE2 says it in bytes."""
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else f"{error}"


def expand(sample: str) -> tuple[str, str]:
    """Expand a test of a pack.

    Args:
        sample: Text in which ``<N:seed>`` repeats the seed to N characters and «…» marks the secret.

    Returns:
        The text, and the secret (empty for a negative test).
    """
    text = _REPEAT.sub(lambda found: (found[2] * int(found[1]))[: int(found[1])], sample)
    _, opening, rest = text.partition("«")
    return text.replace("«", "").replace("»", ""), rest.partition("»")[0] if opening else ""
