"""The contract of classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrig import Classification, Classifier, ClassifierSpec, Drop, Record
from headrig._limits import OUTCOMES, RULE_CHARACTERS
from headrig.testing._calls import call_twice, entered, refuse_async
from headrig.testing._fakes import FakeHost, make_record
from headrig.testing._processor import asked_for, check_spec, check_time, refuse_kept, wanted
from headrig.testing._values import changed, show, twin, why_not_json


def check_classifier(
    spec: ClassifierSpec[Any],
    config: Any,
    *,
    examples: Iterable[Mapping[str, Any]] = (),
    host: FakeHost | None = None,
) -> None:
    """Check that a classifier keeps its contract on any record.

    It must be synchronous and without I/O, return a `Classification` or None, change and keep
    nothing, answer the same to the same record, and take time in proportion to its text.

    Args:
        spec: The plugin's declaration.
        config: An instance of ``spec.config``.
        examples: Bodies that it must judge to be events; odd values are put into each of their fields.
        host: What the factory gets; by default a `FakeHost`.

    Raises:
        AssertionError: Says what to fix.
    """
    check_spec(spec, config)
    host = host or FakeHost(fields={name: name for name in spec.reads})
    classifier, other = spec.factory(config, host), spec.factory(config, host)
    refuse_async("classify", classifier)
    entered(classifier, lambda: entered(other, lambda: _check(spec, classifier, other, list(examples))))


def _check(
    spec: ClassifierSpec[Any], classifier: Classifier, other: Classifier, examples: list[Mapping[str, Any]]
) -> None:
    check_time("classify", classifier.classify, spec.reads, examples)
    for record in wanted(spec, asked_for(classifier.classify, spec.reads, examples), examples):
        _check_one(classifier, other, record)
    for example in examples:
        if classifier.classify(make_record(example)) is None:
            raise AssertionError(
                f"classify returned None on {show(example)}, which it is meant to judge an event"
            )


def _check_one(classifier: Classifier, other: Classifier, record: Record) -> None:
    what = f"a record with the body {show(record.body)}"
    try:
        verdict, given = call_twice("classify", classifier.classify, lambda: twin(record), what)
    except Drop:
        raise AssertionError(
            f"classify raised Drop on {what}: only a processor may drop; return None"
        ) from None
    touched = changed(record.body, given.body, "body") + changed(
        record.attributes, given.attributes, "attributes"
    )
    if touched or given.resource != record.resource or given.time_ns != record.time_ns:
        raise AssertionError(
            f"classify changed {show(touched[0]) if touched else 'the resource or time'} on {what}: it may only judge; "
            "changes belong into a processor"
        )
    _check_verdict(verdict, what)
    if classifier.classify(twin(record)) != verdict or other.classify(twin(record)) != verdict:
        raise AssertionError(
            f"classify answered differently to equal records ({what}): let the answer depend on the record and the "
            "configuration alone, because an event that is sent again must be the same event"
        )
    refuse_kept("classify", classifier.classify, record)


def _check_verdict(verdict: Any, what: str) -> None:
    if verdict is None:
        return
    if type(verdict) is not Classification:
        raise AssertionError(
            f"classify returned a {type(verdict).__name__} on {what}: return a Classification or None"
        )
    for name in ("rule", "actor", "target", "action", "outcome"):
        value = getattr(verdict, name)
        why = why_not_json(value, name) if type(value) is str else f"{name} is a {type(value).__name__}"
        if why:
            raise AssertionError(
                f"classify returned a bad text on {what}: {why}; turn it into a str yourself"
            )
    if not 0 < len(verdict.rule) <= RULE_CHARACTERS:
        raise AssertionError(
            f"classify returned a rule of {len(verdict.rule)} characters on {what}: 1 to {RULE_CHARACTERS}"
        )
    if verdict.outcome not in OUTCOMES:
        raise AssertionError(f"classify returned another outcome on {what}: use {', '.join(OUTCOMES)}")
    for name in ("class_uid", "activity_id"):
        number = getattr(verdict, name)
        if type(number) is not int or not 0 <= number < 2**31:
            raise AssertionError(f"classify returned a {name} on {what} that is not an OCSF number")
    why = why_not_json(verdict.ocsf, "ocsf") if type(verdict.ocsf) is dict else "ocsf is not a dict"
    if why:
        raise AssertionError(f"classify returned what is not JSON on {what}: {why}")
