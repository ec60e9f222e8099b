"""The contract of processors."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields as dataclass_fields
from functools import partial
from typing import Any

from headrig import Drop, Processor, ProcessorSpec, Record
from headrig._limits import (
    ATTRIBUTE_BYTES,
    ATTRIBUTES,
    DROP_REASON,
    DROP_REASONS,
    KIND,
    LINE_BYTES,
)
from headrig.testing._calls import attempt, call_twice, entered, grows, refuse_async
from headrig.testing._corpus import UNITS, records
from headrig.testing._fakes import FakeHost, make_record
from headrig.testing._values import changed, exactly, show, twin, why_not_attributes, why_not_json

_PARTS = ("attributes.", "body.")


def check_processor(
    spec: ProcessorSpec[Any],
    config: Any,
    *,
    examples: Iterable[Mapping[str, Any]] = (),
    host: FakeHost | None = None,
) -> None:
    """Check that a processor keeps its contract on any record.

    It must be synchronous and without I/O, output or threads, return the record it was given (or raise
    `Drop` with a short reason of its own), write only what its spec declares, leave resource and time
    alone, keep nothing, give JSON of a bounded size back, answer the same to the same record, and take
    time in proportion to its text.

    Args:
        spec: The plugin's declaration.
        config: An instance of ``spec.config``.
        examples: Bodies the processor has something to do with; odd values are put into each of their
            fields. Needed when ``when`` lets no other body through.
        host: What the factory gets; by default a `FakeHost`.

    Raises:
        AssertionError: Says what to fix.
    """
    check_spec(spec, config)
    for entry in spec.writes:
        if not entry.startswith(_PARTS) or entry in _PARTS:
            raise AssertionError(
                f"writes has {entry!r}: write attributes.<name>, attributes.*, body.<name> or body.*"
            )
    host = host or FakeHost(fields={name: name for name in spec.reads})
    processor, other = spec.factory(config, host), spec.factory(config, host)
    refuse_async("process", processor)
    entered(processor, lambda: entered(other, lambda: _check(spec, processor, other, list(examples))))


def _check(
    spec: ProcessorSpec[Any], processor: Processor, other: Processor, examples: list[Mapping[str, Any]]
) -> None:
    check_time("process", processor.process, spec.reads, examples)
    reasons: set[str] = set()
    for record in wanted(spec, asked_for(processor.process, spec.reads, examples), examples):
        _check_one(spec, processor, other, record, reasons)
        if len(reasons) > DROP_REASONS:
            raise AssertionError(
                f"process raised Drop for more than {DROP_REASONS} reasons: each is a metric label of its own"
            )


def _check_one(
    spec: ProcessorSpec[Any], processor: Processor, other: Processor, record: Record, reasons: set[str]
) -> None:
    what = f"a record with the body {show(record.body)}"
    try:
        result, _ = call_twice("process", processor.process, lambda: twin(record), what)
    except Drop as drop:
        reasons.add(_reason(drop, what))
        _check_drop(other, record, what)
        return
    _check_result(spec, record, result, what)
    try:
        again, fresh = processor.process(twin(record)), other.process(twin(record))
    except Drop:
        raise AssertionError(_undecided(what)) from None
    for one in (again, fresh):
        if not exactly(one.body, result.body) or one.attributes != result.attributes:
            raise AssertionError(_undecided(what))
    refuse_kept("process", processor.process, record)


def _reason(drop: Drop, what: str) -> str:
    reason: Any = getattr(drop, "reason", None)
    if reason is None:
        raise AssertionError(
            f"process raised Drop without a reason on {what}: call super().__init__(reason) in your own Drop"
        )
    if type(reason) is not str or not re.fullmatch(DROP_REASON, reason):
        raise AssertionError(
            f"process raised Drop with the reason {show(reason)} on {what}: it is a metric label, a short lower-case "
            "word of yours and never content"
        )
    return reason


def _check_drop(other: Processor, record: Record, what: str) -> None:
    try:
        other.process(twin(record))
    except Drop:
        return
    raise AssertionError(_undecided(what))


def _undecided(what: str) -> str:
    return (
        f"process answered differently to equal records ({what}): let the answer depend on the record and the "
        "configuration alone, because a batch that is sent again must come out the same"
    )


def _check_result(spec: ProcessorSpec[Any], before: Record, result: Any, what: str) -> None:
    if result is None:
        raise AssertionError(
            f"process returned None on {what}: end it with 'return record', or raise Drop to drop"
        )
    if type(result) is not Record:
        raise AssertionError(f"process returned a {type(result).__name__} on {what}: return the record")
    if result.resource != before.resource:
        raise AssertionError(
            f"process changed the resource on {what}: it comes from the credential; set an attribute"
        )
    if result.time_ns != before.time_ns:
        raise AssertionError(f"process changed time_ns on {what}: set an attribute instead")
    if type(result.body) is not dict:
        raise AssertionError(
            f"process made the body a {type(result.body).__name__} on {what}: it must stay a dict"
        )
    why = why_not_json(result.body) or why_not_attributes(result.attributes)
    if why:
        raise AssertionError(f"process gave back what is not JSON on {what}: {why}")
    touched = changed(before.body, result.body, "body")
    touched += changed(before.attributes, result.attributes, "attributes")
    undeclared = [name for name in touched if not _declared(name, spec.writes)]
    if undeclared:
        raise AssertionError(
            f"process wrote {show(undeclared[0])} on {what}, which the spec does not declare: add it to writes "
            f"(now {', '.join(spec.writes) or 'nothing'}) or leave it alone"
        )
    if touched:
        _check_size(result, what)


def _check_size(result: Record, what: str) -> None:
    size = len(json.dumps(result.body, ensure_ascii=False, separators=(",", ":")).encode())
    if size > LINE_BYTES:
        raise AssertionError(f"process made a line of {size} bytes of {what}: at most {LINE_BYTES}")
    count = len(result.attributes)
    size = len("".join((*result.attributes, *result.attributes.values())).encode())
    if count > ATTRIBUTES or size > ATTRIBUTE_BYTES:
        raise AssertionError(
            f"process made {count} attributes of {size} bytes on {what}: at most {ATTRIBUTES} of {ATTRIBUTE_BYTES} "
            "bytes; put what is larger into the body"
        )


def _declared(name: str, writes: tuple[str, ...]) -> bool:
    return name in writes or f"{name.split('.', 1)[0]}.*" in writes


def check_spec(spec: Any, config: Any) -> None:
    """Check what a spec of any kind declares."""
    if not re.fullmatch(KIND, spec.kind):
        raise AssertionError(f"kind {spec.kind!r} is not a lower_snake word of at most 41 characters")
    parameters: Any = getattr(spec.config, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise AssertionError(
            "config is not a frozen dataclass: decorate it with @dataclass(frozen=True, kw_only=True)"
        )
    if type(config) is not spec.config:
        names = ", ".join(field.name for field in dataclass_fields(spec.config))
        raise AssertionError(
            f"the check was given a {type(config).__name__}, not {spec.config.__name__}({names})"
        )


class _Probe(dict[str, Any]):
    """A body that remembers which fields were asked for."""

    def __init__(self, body: dict[str, Any], asked: set[str]) -> None:
        super().__init__(body)
        self._asked = asked

    def __getitem__(self, key: str) -> Any:
        self._asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return super().get(key, default)


def asked_for(
    function: Callable[[Record], Any], reads: tuple[str, ...], examples: list[Mapping[str, Any]]
) -> list[str]:
    """Find out which top-level fields a plugin looks at, to put odd values there."""
    asked = set(reads)
    for body in (*examples, {}, dict.fromkeys(reads, "text"), dict.fromkeys(reads, 1)):
        for _ in range(8):
            known = len(asked)
            record = make_record({**dict.fromkeys(asked, "text"), **body})
            record.body = _Probe(record.body, asked)
            with suppress(Exception, SystemExit, Drop):  # what it raises is found out on real bodies
                function(record)
            if len(asked) == known:
                break
    return sorted(asked)


def wanted(spec: Any, fields: list[str], examples: list[Mapping[str, Any]]) -> Iterator[Record]:
    """Yield the odd records which the spec's ``when`` lets through; none at all is an error."""
    count = 0
    for record in records(fields, examples):
        known = {name: value for name in spec.reads if (value := record.body.get(name)) is not None}
        what = f"fields {show(known)}"
        if spec.when is None or attempt("when", partial(spec.when, record.resource), known, what):
            count += 1
            yield record
    if not count:
        raise AssertionError(
            "when let no record through: give the check examples=[{…}] of bodies the plugin wants"
        )


def refuse_kept(name: str, function: Callable[[Record], Any], record: Record) -> None:
    """Refuse a plugin that holds on to its record: count the references before and after."""
    mine = twin(record)
    body, attributes = mine.body, mine.attributes
    before = [sys.getrefcount(mine), sys.getrefcount(body), sys.getrefcount(attributes)]
    try:
        function(mine)
    except Drop:
        return
    mine.body, mine.attributes = body, attributes
    after = [sys.getrefcount(mine), sys.getrefcount(body), sys.getrefcount(attributes)]
    if any(now > then for now, then in zip(after, before, strict=True)):
        raise AssertionError(
            f"{name} kept its record: copy the values you need; the record belongs to the batch"
        )


def check_time(
    name: str, function: Callable[[Record], Any], reads: tuple[str, ...], examples: list[Mapping[str, Any]]
) -> None:
    """Refuse time that grows faster than the text of a record: of each field it asks for, then of all."""
    fields = (*asked_for(function, reads, examples), "message")
    example = examples[0] if examples else {}
    for field in dict.fromkeys(fields):
        _check_time_of(name, function, (field,), example)
    _check_time_of(name, function, fields, {})


def _check_time_of(
    name: str, function: Callable[[Record], Any], fields: tuple[str, ...], example: Mapping[str, Any]
) -> None:
    for unit in UNITS:

        def run(size: int, unit: str = unit) -> None:
            with suppress(Exception, SystemExit, Drop):
                function(make_record({**example, **dict.fromkeys(fields, unit * size + "!")}))

        size = grows(run)
        if size:
            raise AssertionError(
                f"{name} takes more than linear time on {unit!r} repeated (found at {size} times): look for nested "
                "or overlapping repetitions in a regular expression"
            )
