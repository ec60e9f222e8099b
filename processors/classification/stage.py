r"""The classify stage: which rows of a batch are audit events.

A batch is scanned once, as bytes, for the witnesses of all rules; only rows that hold one are
parsed and evaluated, rules in order of priority, and the first that matches is the verdict.
A JSON line that writes characters as ``\\u0061`` or ``\\/`` could hide a witness, so such lines
are parsed and scanned as they are re-serialised, with every character that can stand for itself
doing so.
"""

from __future__ import annotations

import json
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from headrig import ConfigError

from processors.classification.audit import Plan
from processors.classification.fields import TextRecord
from processors.classification.pack import Pack, Rule, load_pack
from processors.classification.prefilter import Prefilter
from processors.classification.settings import (
    PATH,
    SERVICE_FIELDS,
    LogSource,
    Settings,
    parse_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headrig import Batch, Host

_APPLICATION: LogSource = {"category": "application"}


def make_classifier(section: Mapping[str, Any], host: Host) -> Classifier:
    """Make the stage from its configuration section; raises `ConfigError`."""
    settings = parse_settings(section)
    pack = load_pack(host.config_dir / place for place in settings.rules)
    return Classifier(pack, settings, host)


_CONTAINERS = (dict, list)
_KINDS = 1024
_VARIETY = 1024
_MEMO = 8192
_MEMO_TEXT = 256
"""Characters of values that are remembered with a verdict."""

_Verdict = tuple[Plan, str]
"""How to make the event, and its outcome."""


class _Kind:
    """What is known of records that have the same keys, types of values, and rules in question.

    Attributes:
        read: Takes the values that the rules read, as a tuple; None where they cannot be remembered by.
        verdicts: By those values.
        plans: By the id of the rule.
    """

    __slots__ = ("plans", "read", "verdicts")

    def __init__(self, read: Callable[[dict[str, Any]], tuple[Any, ...]] | None) -> None:
        self.read = read
        self.verdicts: dict[tuple[Any, ...], _Verdict | None] = {}
        self.plans: dict[str, Plan] = {}


class Classifier:
    """Appends an `AuditEvent` for every row that a rule matches; at most one a row.

    Attributes:
        rules: All rules, in order of priority.
        digest: SHA-256 of the rule files, hex; part of what a leaf records as its policy.
    """

    def __init__(self, pack: Pack, settings: Settings, host: Host) -> None:
        self.rules: tuple[Rule, ...] = tuple(pack.rules)
        self.digest = pack.digest
        empty: frozenset[str] = frozenset()
        self._prefilter = Prefilter(
            [rule.witness.expressions if rule.witness else empty for rule in self.rules], host.cache_dir
        )
        self._all = (1 << len(self.rules)) - 1
        self._always = self._mask(lambda rule: rule.witness is None)
        self._keywords = self._mask(lambda rule: rule.keywords)
        self._sources = {
            service: self._mask(lambda rule, source=source: _applies(rule, source))
            for service, source in settings.logsources.items()
        }
        self._application = self._mask(lambda rule: _applies(rule, {}))
        self._services = _readers(host.fields) if settings.logsources else []
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._remembered = 0
        self._warn(host)

    def run(self, batch: Batch) -> None:
        """Append the audit events of a batch, in order of rows."""
        joined, lines, parsed = _unescaped(batch.lines, batch.heads)
        found = self._candidates(joined, lines, parsed)
        if self._always:
            found = {row: found.get(row, 0) | self._always for row in range(len(lines))}
        heads, lines, append = batch.heads, batch.lines, batch.events.append
        for row, mask in found.items():
            head = heads[row]
            asked = mask & (self._applicable(batch, head) if self._sources else self._application)
            if not asked:
                continue
            record = parsed.get(row) if parsed else None
            if record is None:
                record = _record(lines[row], is_text=head is None)
            verdict = self._verdict(asked, record)
            if verdict is not None:
                plan, outcome = verdict
                append(plan.event(row, record, outcome))

    def explain(self, line: bytes) -> list[str]:
        """Return ``<rule id> matched`` or ``<rule id> considered`` for the rules that came in question.

        Rules of every log source are considered; the first that matched is the verdict.
        """
        return [
            f"{rule.id} {'matched' if rule.test(record) else 'considered'}"
            for rule, record in self._tried(line)
        ]

    def matching(self, line: bytes) -> list[Rule]:
        """Return the rules, of every log source, that match a line, in order of priority."""
        return [rule for rule, record in self._tried(line) if rule.test(record)]

    def _tried(self, line: bytes) -> list[tuple[Rule, dict[str, Any]]]:
        record = _record(line, is_text=False)
        joined, lines, parsed = _unescaped([line], [None if isinstance(record, TextRecord) else record])
        mask = self._candidates(joined, lines, parsed).get(0, 0) | self._always
        if isinstance(record, TextRecord):
            mask &= self._keywords
        return [(rule, record) for number, rule in enumerate(self.rules) if mask >> number & 1]

    def _candidates(
        self, joined: bytes, lines: list[bytes], parsed: dict[int, dict[str, Any]]
    ) -> dict[int, int]:
        hits = self._prefilter.scan(joined)
        found = self._prefilter.rows(hits, lines) if hits else {}
        for row in parsed:
            if not lines[row]:  # could not be written for the scan: every rule is asked
                found[row] = self._all
        return dict(sorted(found.items())) if parsed else found

    def _verdict(self, mask: int, record: dict[str, Any]) -> _Verdict | None:
        """Judge a record; remembered for records alike in all that the rules read."""
        # With the types, because 1, 1.0 and true are equal and a rule may tell them apart.
        shape = (mask, *record, *map(type, record.values()))
        kind = self._kinds.get(shape)
        if kind is None:
            kind = self._kinds[shape] = self._kind(mask, record)
        read = kind.read
        if read is None or type(record) is TextRecord:
            return self._judge(mask, record, kind)
        values = read(record)
        try:
            return kind.verdicts[values]
        except KeyError:
            pass
        verdict = self._judge(mask, record, kind)
        if sum(len(value) for value in values if type(value) in (str, bytes)) <= _MEMO_TEXT:
            self._remembered += 1
            kind.verdicts[values] = verdict
            if len(kind.verdicts) > _VARIETY:  # hardly two are alike
                kind.read = None
                kind.verdicts.clear()
        return verdict

    def _judge(self, mask: int, record: dict[str, Any], kind: _Kind) -> _Verdict | None:
        rule = self._first_match(mask, record)
        if rule is None:
            return None
        plan = kind.plans.get(rule.id)
        if plan is None:
            plan = kind.plans[rule.id] = rule.audit.plan(rule.id, record)
        return plan, rule.audit.judge(record)

    def _kind(self, mask: int, record: dict[str, Any]) -> _Kind:
        """Find out what of such records the rules read."""
        if len(self._kinds) >= _KINDS or self._remembered >= _MEMO:
            self._kinds.clear()
            self._remembered = 0
        asked = [rule for number, rule in enumerate(self.rules) if mask >> number & 1]
        reads = frozenset().union(*(rule.reads for rule in asked))
        gates = frozenset().union(*(rule.gates for rule in asked))
        met = [needs for weak, needs in gates if not weak.isdisjoint(record)]
        meets = frozenset().union(*(rule.meets for rule in asked), *met)
        keys = [key for key in record if key in reads]
        # What lies in an object or array is not told by its type.
        nested = any(type(record[key]) in _CONTAINERS for key in record if key in meets and key not in reads)
        if nested or mask & self._keywords:
            return _Kind(None)
        return _Kind(_getter(keys, nested=any(type(record[key]) in _CONTAINERS for key in keys)))

    def _first_match(self, mask: int, record: dict[str, Any]) -> Rule | None:
        if isinstance(record, TextRecord):
            mask &= self._keywords
        while mask:
            lowest = mask & -mask
            rule = self.rules[lowest.bit_length() - 1]
            if rule.test(record):
                return rule
            mask ^= lowest
        return None

    def _applicable(self, batch: Batch, head: Any) -> int:
        """Return the rules whose log source the record's service has."""
        service = batch.resource.service
        if service is None and head is not None:
            values = (read(head) for read in self._services)
            named = (value.get("name") if isinstance(value, dict) else value for value in values if value)
            service = next((name for name in named if isinstance(name, str)), None)
        return self._sources.get(service or "", self._application)

    def _mask(self, wanted: Any) -> int:
        return sum(1 << number for number, rule in enumerate(self.rules) if wanted(rule))

    def _warn(self, host: Host) -> None:
        reachable = self._application
        for mask in self._sources.values():
            reachable |= mask
        for number, rule in enumerate(self.rules):
            if not reachable >> number & 1:
                host.log.warning("rule %s never applies: no service has its log source", rule.id)
            elif rule.witness is None:
                host.log.warning(
                    "rule %s has no literal to search for: every record is parsed for it", rule.id
                )


def _applies(rule: Rule, source: LogSource) -> bool:
    """Rules for the category ``application`` apply to every record, as far as the rest agrees."""
    return all(
        source.get(key) == value or (key, value) in _APPLICATION.items()
        for key, value in rule.logsource.items()
    )


def _readers(fields: Mapping[str, str]) -> list[Any]:
    missing = [name for name in SERVICE_FIELDS if name not in fields]
    if missing:
        raise ConfigError(f"the head lacks the fields {', '.join(missing)}", path=PATH)
    return [attrgetter(fields[name]) for name in SERVICE_FIELDS]


def _getter(keys: list[str], *, nested: bool) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return what takes the values of keys; objects and arrays as they are written."""
    if nested:
        return lambda record: tuple(_flat(record[key]) for key in keys)
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda record: tuple(record[key] for key in keys)


def _flat(value: Any) -> Any:
    if type(value) not in _CONTAINERS:
        return value
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested too deeply: like nothing else
        return object()


def _unescaped(lines: list[bytes], heads: list[Any]) -> tuple[bytes, list[bytes], dict[int, dict[str, Any]]]:
    """Return the bytes to scan, the lines they are made of, and the records parsed on the way.

    A record that cannot be written again, being nested too deeply, stands as an empty line.
    """
    joined = b"\n".join(lines)
    parsed: dict[int, dict[str, Any]] = {}
    if b"\\" not in joined:
        return joined, lines, parsed
    if b"\\u" not in joined and b"\\/" not in joined:
        return joined, lines, parsed
    for row, line in enumerate(lines):
        if (b"\\u" in line or b"\\/" in line) and heads[row] is not None:
            parsed[row] = _record(line, is_text=False)
    if parsed:
        lines = list(lines)
        for row, record in parsed.items():
            lines[row] = _canonical(record)
        joined = b"\n".join(lines)
    return joined, lines, parsed


def _canonical(record: dict[str, Any]) -> bytes:
    """Write a record with every character that can stand for itself doing so; empty if it cannot be."""
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError:
        return b""


def _record(line: bytes, *, is_text: bool) -> dict[str, Any]:
    """Return the decoded object; a plain-text line, or one that does not decode, as a `TextRecord`."""
    if not is_text:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            record = _lenient(line)
        if isinstance(record, dict):
            return record
    return TextRecord(line.decode(errors="replace"))


def _lenient(line: bytes) -> Any:
    """Decode what only the strict decoder refuses, half a surrogate pair: nothing may hide behind one."""
    try:
        return orjson.loads(json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
