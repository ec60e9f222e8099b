"""The ``audit:`` block of a rule: how a matching record becomes an audit event.

::

    audit:
      class_uid: 3002                 # OCSF class, required
      activity_id: 1                  # OCSF activity in that class, required
      actor: [user.name, user]        # VALUE: who
      target: {field: [host], default: console}   # VALUE: what it was done to
      action: login                   # VALUE: what was done
      outcome:                        # a literal, or read from the record
        field: [outcome, status]
        success: [success, ok, true]
        failure: [failure, denied, false]
        default: success
      id: event_id                    # PATHS: the client's event id
      seq: seq                        # PATHS: the client's sequence number
      ocsf:                           # other OCSF attributes: attribute path to VALUE
        src_endpoint.ip: [src_ip, ip]

VALUE is a literal (string, number or boolean), a list of PATHS, or a mapping with ``field``
(PATHS) and an optional literal ``default``. PATHS is one field path or a list of them; the first
that has a value wins. Field paths are those of the detection, aliases included.

``actor``, ``target``, ``action`` and ``id`` become text: a number its decimal form, an array its
members joined by a comma; objects are passed over. Text is cut at 1,024 characters. ``ocsf``
keeps scalars and arrays of up to 64 scalars. ``seq`` must be a non-negative integer below 2^63,
or its decimal form. ``outcome`` is ``success``, ``failure`` or ``unknown``; the lists are
compared without regard to case. ``ocsf.severity_id`` is set from the rule's ``level`` (OCSF 1
informational .. 5 critical) unless the mapping sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrig import AuditEvent, ConfigError

from processors.classification.condition import Aliases, UnsupportedError, paths_of
from processors.classification.fields import FirstOf
from processors.classification.settings import refuse_unknown
from processors.classification.strings import fold

KEYS = ("class_uid", "activity_id", "actor", "target", "action", "outcome", "id", "seq", "ocsf")
OUTCOMES = ("success", "failure", "unknown")
MAX_TEXT = 1024
MAX_MEMBERS = 64
_MAX_SEQ = (1 << 63) - 1

Bound = Callable[[Mapping[str, Any]], Any]
"""The value a mapping finds in a record of one shape, or None."""

_SHAPES = 512


class Extract:
    """A VALUE, compiled.

    Args:
        fields: Where to look; None for a literal.
        default: What stands for nothing, or the literal.
        meaning: Folded word to outcome; None keeps the value as it is.
    """

    __slots__ = ("_default", "_fields", "_meaning")

    def __init__(
        self, fields: FirstOf | None = None, default: Any = None, meaning: Mapping[str, str] | None = None
    ) -> None:
        self._fields = fields
        self._default = default
        self._meaning = meaning

    def bind(self, record: Mapping[str, Any], convert: Callable[[Any], Any]) -> tuple[Any, Bound | None]:
        """Prepare for records with the same top-level keys as this one, and values of the same types.

        Args:
            record: One of them.
            convert: Makes the final value of what was found.

        Returns:
            The final value where no field is there, and what finds it where one is, else None.
        """
        default, meaning, fields = self._default, self._meaning, self._fields
        fixed = default if meaning is not None else convert(default)
        starts = [
            start
            for start in (fields.starts(record) if fields is not None else ())
            if start[2] is None or isinstance(record[start[1]], dict | list)
        ]
        if fields is None or not starts:
            return fixed, None
        at = fields.at
        _, first, below = starts[0]
        plain = below is None

        def value(record: Mapping[str, Any]) -> Any:
            found = record[first] if plain else None
            if type(found) is not str or not found:
                several = at(record, starts)
                if not several:
                    return fixed
                found = several[0] if len(several) == 1 else several[:MAX_MEMBERS]
            return convert(found) if meaning is None else meaning.get(fold(_text(found)), default)

        return fixed, value


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to make an event of records of one shape: what is fixed, and what must be looked up."""

    fixed: tuple[Any, ...]
    found: tuple[tuple[int, Bound], ...]
    ocsf: dict[str, Any]
    more: tuple[tuple[str, Bound], ...]


@dataclass(frozen=True, slots=True)
class AuditMapping:
    """A compiled ``audit:`` block."""

    class_uid: int
    activity_id: int
    actor: Extract
    target: Extract
    action: Extract
    outcome: Extract
    id: Extract
    seq: Extract
    ocsf: dict[str, Extract]
    _plans: dict[tuple[Any, ...], _Plan] = field(default_factory=dict, compare=False)

    def event(self, row: int, rule: str, record: Mapping[str, Any]) -> AuditEvent:
        """Return the audit event of one record."""
        shape = (*record, *map(type, record.values()))
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plan(shape, record)
        values = list(plan.fixed)
        for place, find in plan.found:
            values[place] = find(record)
        ocsf = plan.ocsf.copy()
        for name, find in plan.more:
            if (value := find(record)) is not None:
                ocsf[name] = value
        actor, target, action, outcome, identity, seq = values
        return AuditEvent(
            row, rule, self.class_uid, self.activity_id, actor, target, action, outcome, identity, seq, ocsf
        )

    def _plan(self, shape: tuple[Any, ...], record: Mapping[str, Any]) -> _Plan:
        if len(self._plans) >= _SHAPES:
            self._plans.clear()
        bound = [
            self.actor.bind(record, _text),
            self.target.bind(record, _text),
            self.action.bind(record, _text),
            self.outcome.bind(record, _text),
            self.id.bind(record, _text),
            self.seq.bind(record, _sequence),
        ]
        extras = {name: extract.bind(record, _kept) for name, extract in self.ocsf.items()}
        plan = self._plans[shape] = _Plan(
            tuple(fixed for fixed, _ in bound),
            tuple((place, find) for place, (_, find) in enumerate(bound) if find is not None),
            {name: fixed for name, (fixed, _) in extras.items() if fixed is not None},
            tuple((name, find) for name, (_, find) in extras.items() if find is not None),
        )
        return plan


def parse_audit(block: Any, severity_id: int, aliases: Aliases, path: str) -> AuditMapping:
    """Validate and compile an ``audit:`` block; raises `ConfigError` that names the key."""
    if not isinstance(block, dict):
        raise ConfigError("a rule needs a mapping 'audit' that says what the event is", path=path)
    refuse_unknown(block, KEYS, path)
    extras = block.get("ocsf") or {}
    if not isinstance(extras, dict) or not all(isinstance(name, str) and name for name in extras):
        raise ConfigError("must map OCSF attribute paths to values", path=f"{path}.ocsf")
    ocsf = {name: _value(value, aliases, f"{path}.ocsf.{name}") for name, value in extras.items()}
    ocsf.setdefault("severity_id", Extract(default=severity_id))
    return AuditMapping(
        class_uid=_number(block, "class_uid", 1000, 9_999_999, path),
        activity_id=_number(block, "activity_id", 0, 99, path),
        actor=_value(block.get("actor"), aliases, f"{path}.actor"),
        target=_value(block.get("target"), aliases, f"{path}.target"),
        action=_value(block.get("action"), aliases, f"{path}.action"),
        outcome=_outcome(block.get("outcome", "unknown"), aliases, f"{path}.outcome"),
        id=_first(block.get("id"), aliases, f"{path}.id"),
        seq=_first(block.get("seq"), aliases, f"{path}.seq"),
        ocsf=ocsf,
    )


def _number(block: Mapping[str, Any], key: str, low: int, high: int, path: str) -> int:
    value = block.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"must be an integer from {low} to {high}", path=f"{path}.{key}")
    return value


def _value(spec: Any, aliases: Aliases, path: str) -> Extract:
    """Compile a VALUE."""
    if isinstance(spec, list):
        return _first(spec, aliases, path)
    if isinstance(spec, dict):
        refuse_unknown(spec, ("field", "default"), path)
        fields = _fields(spec.get("field", []), aliases, f"{path}.field")
        return Extract(fields, _literal(spec.get("default"), f"{path}.default"))
    return Extract(default=_literal(spec, path))


def _literal(value: Any, path: str) -> Any:
    if value is not None and not isinstance(value, (str, int, float)):
        raise ConfigError("must be a literal, a list of field paths, or {field, default}", path=path)
    return value


def _first(spec: Any, aliases: Aliases, path: str) -> Extract:
    """Compile PATHS: the first field that has a value wins; None finds nothing."""
    return Extract() if spec is None else Extract(_fields(spec, aliases, path))


def _fields(spec: Any, aliases: Aliases, path: str) -> FirstOf:
    names = [spec] if isinstance(spec, str) else spec
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError("must be a field path or a list of field paths", path=path)
    try:
        paths = tuple(one for name in names for one in paths_of(name, aliases))
    except UnsupportedError as error:
        raise ConfigError(str(error), path=path) from None
    return FirstOf(paths, _is_scalar)


def _outcome(spec: Any, aliases: Aliases, path: str) -> Extract:
    if isinstance(spec, str) and spec in OUTCOMES:
        return Extract(default=spec)
    if not isinstance(spec, dict):
        raise ConfigError(f"must be one of {', '.join(OUTCOMES)}, or a mapping with 'field'", path=path)
    refuse_unknown(spec, ("field", "success", "failure", "default"), path)
    default = spec.get("default", "unknown")
    if default not in OUTCOMES:
        raise ConfigError(f"must be one of {', '.join(OUTCOMES)}", path=f"{path}.default")
    fields = _fields(spec.get("field", []), aliases, f"{path}.field")
    meaning: dict[str, str] = {}
    for outcome in ("success", "failure"):
        words = spec.get(outcome) or []
        if not isinstance(words, list) or not all(isinstance(word, (str, int)) for word in words):
            raise ConfigError("must be a list of strings, numbers or booleans", path=f"{path}.{outcome}")
        meaning.update((fold(_text(word)), outcome) for word in words)
    return Extract(fields, default, meaning)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and value != ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_text, value))[:MAX_TEXT]
    return str(value)


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [_kept(member) for member in value]
    return value


def _sequence(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SEQ:
        return value
    return None
