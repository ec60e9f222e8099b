"""The ``audit:`` block of a rule: how a matching record becomes an audit event.

::

    audit:
      class_uid: 3002                 # OCSF class, required
      activity_id: 1                  # OCSF activity in that class, required
      actor: [actor.name, by]         # VALUE: who
      target: {field: [host], default: console}   # VALUE: what it was done to
      user: {field: [user], is: actor}            # who is named without saying as what
      object: [resource]              # VALUE: the target where neither names one
      action: login                   # VALUE: what was done
      outcome:                        # a literal, or read from the record
        field: [outcome, status]
        error: [error]
        success: [success, ok, true]
        failure: [failure, denied, false]
        default: success
      id: {field: event_uuid, shaped: event_id}   # PATHS: the client's event id
      seq: seq                        # PATHS: the client's sequence number
      ocsf:                           # other OCSF attributes: attribute path to VALUE
        src_endpoint.ip: [src_ip, ip]

VALUE is a literal (string, number or boolean), a list of PATHS, or a mapping with ``field``
(PATHS), ``text`` (an RE2 expression with one group, looked for in every text of the record, or in
a plain-text line, where no field has a value) and a literal ``default``. PATHS is one field path or
a list of them; the first that has a value wins. Field paths are those of the detection, aliases
included.

``actor``, ``target``, ``action`` and ``id`` become text: a number its decimal form, an array its
members joined by a comma. Objects are passed over, but for ``actor``, ``target``, ``user`` and ``object`` the
pack may say which keys name one (``naming``). Text is cut at 1,024 characters; an ``id`` keeps the
SHA-256 of the whole at the cut, so that two ids never become one. ``ocsf`` keeps scalars and arrays
of up to 64 scalars. ``seq`` must be a non-negative integer below 2^63, or its decimal form.

``user`` is somebody who may be the doer or the one it was done to. Where an actor is named, the user
is the target, unless another is named. Where none is, the user is the actor, unless ``is`` says
otherwise and no other target is named: ``target``, who is then the target, or ``self``, who is both.

An ``outcome`` is ``success``, ``failure`` or ``unknown``, as `processors.classification.outcome`
says; ``{is: NAME, default: success}`` uses what the pack defines under that name. ``default`` is for
records that say nothing about it, and is ``unknown`` where it is not given.

Two records with one id are one event, so an ``id`` must come from a field that is surely unique; a
field of ``shaped`` counts only where its value has the shape of a UUID, a ULID or a hexadecimal
number of 16 digits or more.

``ocsf.severity_id`` is set from the rule's ``level`` (OCSF 1 informational .. 5 critical) unless the
mapping sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import re2
from headrig import AuditEvent, ConfigError

from processors.classification.extract import (
    Bound,
    Extract,
    identity,
    kept,
    scalar,
    sequence,
    somebody,
    text,
    unique,
)
from processors.classification.outcome import Outcome
from processors.classification.settings import refuse_unknown
from processors.classification.vocabulary import Vocabulary

KEYS = (
    "class_uid",
    "activity_id",
    "actor",
    "target",
    "user",
    "object",
    "action",
    "outcome",
    "id",
    "seq",
    "ocsf",
)
OUTCOMES = ("success", "failure", "unknown")
ROLES = ("actor", "target", "self")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one rule makes an event of records of one shape: what is fixed, and what must be looked up."""

    rule: str
    class_uid: int
    activity_id: int
    role: str
    fixed: tuple[Any, ...]
    found: tuple[tuple[int, Bound], ...]
    ocsf: dict[str, Any]
    more: tuple[tuple[str, Bound], ...]

    def event(self, row: int, record: Mapping[str, Any], outcome: str) -> AuditEvent:
        """Return the audit event of one record."""
        values = list(self.fixed)
        for place, find in self.found:
            values[place] = find(record)
        ocsf = self.ocsf.copy()
        for name, find in self.more:
            if (value := find(record)) is not None:
                ocsf[name] = value
        actor, target, user, thing, action, uid, shaped, seq = values
        if user:
            actor, target = self._cast(actor, target, user)
        return AuditEvent(
            row,
            self.rule,
            self.class_uid,
            self.activity_id,
            actor,
            target or thing,
            action,
            outcome,
            uid or shaped,
            seq,
            ocsf,
        )

    def _cast(self, actor: str, target: str, user: str) -> tuple[str, str]:
        """Return actor and target, when there is a user who may be either."""
        if actor:
            if not target and (self.role != "actor" or user != actor):
                target = user
            return actor, target
        if target or self.role == "actor":
            return user, target
        return (user if self.role == "self" else ""), user


@dataclass(frozen=True, slots=True)
class AuditMapping:
    """A compiled ``audit:`` block; ``default`` is the outcome where ``outcome`` finds none."""

    class_uid: int
    activity_id: int
    actor: Extract
    target: Extract
    user: Extract
    role: str
    object: Extract
    action: Extract
    outcome: Outcome | None
    default: str
    ids: tuple[Extract, Extract]
    seq: Extract
    ocsf: dict[str, Extract]

    def judge(self, record: Mapping[str, Any]) -> str:
        """Return the outcome."""
        return (self.outcome.judge(record) if self.outcome is not None else "") or self.default

    def plan(self, rule: str, record: Mapping[str, Any]) -> Plan:
        """Prepare for records with the same top-level keys as this one, and values of the same types."""
        bound = [
            self.actor.bind(record, text),
            self.target.bind(record, text),
            self.user.bind(record, text),
            self.object.bind(record, text),
            self.action.bind(record, text),
            *(one.bind(record, identity) for one in self.ids),
            self.seq.bind(record, sequence),
        ]
        extras = {name: extract.bind(record, kept) for name, extract in self.ocsf.items()}
        return Plan(
            rule,
            self.class_uid,
            self.activity_id,
            self.role,
            tuple(fixed for fixed, _ in bound),
            tuple((place, find) for place, (_, find) in enumerate(bound) if find is not None),
            {name: fixed for name, (fixed, _) in extras.items() if fixed is not None},
            tuple((name, find) for name, (_, find) in extras.items() if find is not None),
        )


def parse_audit(block: Any, severity_id: int, words: Vocabulary, path: str) -> AuditMapping:
    """Validate and compile an ``audit:`` block; raises `ConfigError` that names the key."""
    if not isinstance(block, dict):
        raise ConfigError("a rule needs a mapping 'audit' that says what the event is", path=path)
    refuse_unknown(block, KEYS, path)
    extras = block.get("ocsf") or {}
    if not isinstance(extras, dict) or not all(isinstance(name, str) and name for name in extras):
        raise ConfigError("must map OCSF attribute paths to values", path=f"{path}.ocsf")
    ocsf = {name: _value(value, words, f"{path}.ocsf.{name}") for name, value in extras.items()}
    ocsf.setdefault("severity_id", Extract(default=severity_id))
    pick = somebody(words.naming) if words.naming else scalar
    user, role = _user(block.get("user"), words, pick, f"{path}.user")
    outcome, default = _outcome(block.get("outcome", "unknown"), words, f"{path}.outcome")
    return AuditMapping(
        class_uid=_number(block, "class_uid", 1000, 9_999_999, path),
        activity_id=_number(block, "activity_id", 0, 99, path),
        actor=_value(block.get("actor"), words, f"{path}.actor", pick),
        target=_value(block.get("target"), words, f"{path}.target", pick),
        user=user,
        role=role,
        object=_value(block.get("object"), words, f"{path}.object", pick),
        action=_value(block.get("action"), words, f"{path}.action"),
        outcome=outcome,
        default=default,
        ids=_ids(block.get("id"), words, f"{path}.id"),
        seq=_first(block.get("seq"), words, f"{path}.seq"),
        ocsf=ocsf,
    )


def _number(block: Mapping[str, Any], key: str, low: int, high: int, path: str) -> int:
    value = block.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"must be an integer from {low} to {high}", path=f"{path}.{key}")
    return value


def _value(spec: Any, words: Vocabulary, path: str, pick: Any = scalar) -> Extract:
    """Compile a VALUE."""
    if isinstance(spec, list):
        return _first(spec, words, path, pick)
    if isinstance(spec, dict):
        refuse_unknown(spec, ("field", "text", "default"), path)
        paths = words.expand(spec["field"], f"{path}.field") if "field" in spec or "text" not in spec else ()
        pattern = _pattern(spec["text"], f"{path}.text") if "text" in spec else None
        return Extract(paths, _literal(spec.get("default"), f"{path}.default"), pattern=pattern, pick=pick)
    return Extract(default=_literal(spec, path))


def _literal(value: Any, path: str) -> Any:
    if value is not None and not isinstance(value, (str, int, float)):
        raise ConfigError("must be a literal, a list of field paths, or {field, default}", path=path)
    return value


def _pattern(spec: Any, path: str) -> Any:
    try:
        pattern = re2.compile(spec)
    except (re2.error, TypeError):
        raise ConfigError("is no RE2 expression", path=path) from None
    if pattern.groups != 1:
        raise ConfigError("must have exactly one group", path=path)
    return pattern


def _first(spec: Any, words: Vocabulary, path: str, pick: Any = scalar) -> Extract:
    """Compile PATHS: the first field that has a value wins; None finds nothing."""
    return Extract() if spec is None else Extract(words.expand(spec, path), pick=pick)


def _user(spec: Any, words: Vocabulary, pick: Any, path: str) -> tuple[Extract, str]:
    if spec is None:
        return Extract(), "actor"
    if not isinstance(spec, dict):
        raise ConfigError("must be a mapping with 'field' and 'is'", path=path)
    refuse_unknown(spec, ("field", "is"), path)
    if spec.get("is") not in ROLES:
        raise ConfigError(f"must be one of {', '.join(ROLES)}", path=f"{path}.is")
    return _first(spec.get("field", []), words, f"{path}.field", pick), spec["is"]


def _ids(spec: Any, words: Vocabulary, path: str) -> tuple[Extract, Extract]:
    if not isinstance(spec, dict):
        return _first(spec, words, path), Extract()
    refuse_unknown(spec, ("field", "shaped"), path)
    return (
        _first(spec.get("field"), words, f"{path}.field"),
        _first(spec.get("shaped"), words, f"{path}.shaped", unique),
    )


def _outcome(spec: Any, words: Vocabulary, path: str) -> tuple[Outcome | None, str]:
    if isinstance(spec, str) and spec in OUTCOMES:
        return None, spec
    if not isinstance(spec, dict):
        raise ConfigError(f"must be one of {', '.join(OUTCOMES)}, or a mapping with 'field'", path=path)
    default = spec.get("default", "unknown")
    if default not in OUTCOMES:
        raise ConfigError(f"must be one of {', '.join(OUTCOMES)}", path=f"{path}.default")
    if "is" in spec:
        refuse_unknown(spec, ("is", "default"), path)
        if spec["is"] not in words.outcomes:
            raise ConfigError("the pack defines no such outcome", path=f"{path}.is")
        return words.outcomes[spec["is"]], default
    refuse_unknown(spec, ("field", "error", "success", "failure", "default"), path)
    return words.outcome(spec, path), default
