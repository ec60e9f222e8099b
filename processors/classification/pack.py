"""Rule packs: directories of Sigma YAML, read and compiled once at start.

Every ``*.yaml`` and ``*.yml`` file of a directory (not of its subdirectories) holds one or more
Sigma rules (specification 2.1) as YAML documents, but for ``fields.yaml``, which holds the
pack's words, its field aliases above all (see `processors.classification.vocabulary`).

Besides Sigma's own keys a rule has an ``audit`` block (see `processors.classification.audit`),
and may have tests, run by the stage's self-test; a string stands for a plain-text line::

    tests:
      match: [{event: login, user: ann}]
      no_match: [{event: logout}, "login page rendered"]
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from headrig import ConfigError
from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionValueExpression
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.rule.base import SigmaYAMLLoader
from sigma.types import SigmaExists

from processors.classification.audit import AuditMapping, parse_audit
from processors.classification.condition import Test, compile_condition
from processors.classification.settings import PATH, LogSource, refuse_unknown
from processors.classification.vocabulary import UnsupportedError, Vocabulary, keys_of
from processors.classification.witness import Witness, witness_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ALIAS_FILE = "fields.yaml"
LEVELS = ("informational", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule.

    Attributes:
        id: UUID, lower case.
        level: Sigma level.
        logsource: What is set of category, product and service.
        test: Whether a record matches.
        witness: What a matching line must contain; None: any line may match.
        keywords: Whether the rule looks at a line as text, so that plain text can match it.
        reads: Top-level keys whose value its condition or its outcome may look at.
        meets: Top-level keys of which it may look whether they are there and not null.
        gates: Top-level keys, and those that it meets where one of them is there.
    """

    id: str
    title: str
    level: str
    logsource: LogSource
    test: Test
    witness: Witness | None
    keywords: bool
    audit: AuditMapping
    match: tuple[Any, ...] = ()
    no_match: tuple[Any, ...] = ()
    reads: frozenset[str] = frozenset()
    meets: frozenset[str] = frozenset()
    gates: frozenset[tuple[frozenset[str], frozenset[str]]] = frozenset()

    @property
    def priority(self) -> tuple[int, int, str]:
        """Sort key: highest level, then most specific log source, then lowest id."""
        return (-LEVELS.index(self.level), -len(self.logsource), self.id)


@dataclass(slots=True)
class Pack:
    """All rules, in order of priority; ``digest`` is the SHA-256 of what they were made from."""

    rules: list[Rule] = field(default_factory=list)
    words: Vocabulary = field(default_factory=Vocabulary)
    digest: str = ""


def load_pack(places: Iterable[Path]) -> Pack:
    """Read rule files and directories; raises `ConfigError` that names file, rule and field."""
    files = [file for place in places for file in _files(place)]
    contents = [(file, _read(file)) for file in files]
    pack = Pack(digest=_digest(contents))
    for file, content in contents:
        if file.name == ALIAS_FILE:
            for document in _documents(content, file):
                pack.words.add(document, file.name)
    seen: dict[str, Path] = {}
    for file, content in contents:
        if file.name == ALIAS_FILE:
            continue
        for number, document in enumerate(_documents(content, file), 1):
            rule = _rule(document, pack.words, f"{file.name}: rule {number}")
            if rule.id in seen:
                raise ConfigError(
                    f"id {rule.id} is also in {seen[rule.id].name}", path=f"{file.name}: rule {number}"
                )
            seen[rule.id] = file
            pack.rules.append(rule)
    pack.rules.sort(key=lambda rule: rule.priority)
    return pack


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(file for file in place.iterdir() if file.suffix in {".yaml", ".yml"} and file.is_file())
    return [place]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", path=f"{PATH}.rules") from None


def _digest(contents: list[tuple[Path, bytes]]) -> str:
    """Return the digest of names and bytes, whatever directory they are in."""
    total = hashlib.sha256()
    for name, content in sorted((file.name.encode(), content) for file, content in contents):
        for part in (name, content):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def _documents(content: bytes, file: Path) -> list[Any]:
    try:
        documents = list(yaml.load_all(content, SigmaYAMLLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else f": {error}"
        raise ConfigError(f"not valid YAML{place}", path=file.name) from None
    return [document for document in documents if document is not None]


def _rule(document: Any, words: Vocabulary, path: str) -> Rule:
    if not isinstance(document, dict):
        raise ConfigError("a rule must be a mapping", path=path)
    for key in ("correlation", "filter", "action"):
        if key in document:
            raise ConfigError(f"documents with {key!r} are not supported, only single rules", path=path)
    _refuse_odd(document.get("detection"), f"{path}: detection")
    try:
        sigma = SigmaRule.from_dict(document)
        conditions = [condition.parse() for condition in sigma.detection.parsed_condition]
    except SigmaError as error:
        raise ConfigError(f"not a Sigma rule: {error}", path=path) from None
    if sigma.id is None or sigma.level is None:
        raise ConfigError("a rule needs an id and a level", path=path)
    if len(conditions) != 1 or conditions[0] is None:
        raise ConfigError("a rule needs exactly one condition", path=path)
    try:
        test = compile_condition(conditions[0], words)
        witness = witness_of(conditions[0], words)
    except UnsupportedError as error:
        raise ConfigError(f"not supported: {error}", path=path) from None
    level = str(sigma.level).lower()
    audit = parse_audit(document.get("audit"), LEVELS.index(level) + 1, words, f"{path}: audit")
    judged = audit.outcome.paths if audit.outcome is not None else ()
    match, no_match = _tests(document.get("tests") or {}, f"{path}: tests")
    return Rule(
        id=str(sigma.id),
        title=str(sigma.title),
        level=level,
        logsource=_logsource(sigma),
        test=test,
        witness=witness,
        keywords=_has_keywords(conditions[0]),
        audit=audit,
        match=match,
        no_match=no_match,
        reads=frozenset([*_looks(conditions[0], words, values=True), *keys_of(judged)]),
        meets=frozenset(_looks(conditions[0], words, values=False)),
        gates=frozenset(_gates(conditions[0], words)),
    )


def _refuse_odd(detection: Any, path: str) -> None:
    """Refuse what pySigma does not expect, or passes over in silence."""
    if not isinstance(detection, dict):
        raise ConfigError("must be a mapping with selections and a condition", path=path)
    if "timeframe" in detection:
        raise ConfigError("is not supported: a rule sees one record", path=f"{path}.timeframe")
    conditions = detection.get("condition", "")
    conditions = conditions if isinstance(conditions, list) else [conditions]
    if not all(isinstance(condition, str) for condition in conditions):
        raise ConfigError("must be text", path=f"{path}.condition")
    stack = [(path, detection)]
    while stack:
        place, node = stack.pop()
        if isinstance(node, list):
            stack += [(place, member) for member in node if isinstance(member, (dict, list))]
        elif isinstance(node, dict):
            if not all(isinstance(key, str) for key in node):
                raise ConfigError("names of fields and selections must be text", path=place)
            stack += [(f"{place}.{key}", member) for key, member in node.items()]


def _logsource(sigma: SigmaRule) -> LogSource:
    source = sigma.logsource
    named = {"category": source.category, "product": source.product, "service": source.service}
    return {key: value for key, value in named.items() if value}


def _has_keywords(node: Any) -> bool:
    if isinstance(node, ConditionValueExpression):
        return True
    return any(_has_keywords(part) for part in getattr(node, "args", ()))


def _looks(node: Any, words: Vocabulary, *, values: bool) -> Iterator[str]:
    """Name the top-level keys at which a field may begin whose value, or whose presence, matters."""
    if isinstance(node, ConditionFieldEqualsValueExpression):
        if values:
            yield from () if isinstance(node.value, SigmaExists) else keys_of(words.paths(node.field))
        else:
            yield from keys_of(words.paths(node.field)) if isinstance(node.value, SigmaExists) else ()
    for part in getattr(node, "args", ()):
        yield from _looks(part, words, values=values)


def _gates(node: Any, words: Vocabulary) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Yield the keys of weak paths, and those whose presence decides whether they count."""
    if isinstance(node, ConditionFieldEqualsValueExpression):
        weak = words.names.get(node.field)
        if weak is not None and weak.paths:
            yield frozenset(keys_of(weak.paths)), frozenset(keys_of(weak.needs))
    for part in getattr(node, "args", ()):
        yield from _gates(part, words)


def _tests(block: Any, path: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    if not isinstance(block, dict):
        raise ConfigError("must be a mapping with 'match' and 'no_match'", path=path)
    refuse_unknown(block, ("match", "no_match"), path)
    for key, records in block.items():
        if not isinstance(records, list) or not all(isinstance(one, (dict, str)) for one in records):
            raise ConfigError("must be a list of JSON objects or plain-text lines", path=f"{path}.{key}")
    return tuple(block.get("match") or ()), tuple(block.get("no_match") or ())
