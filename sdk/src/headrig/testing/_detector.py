"""The contract of detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from headrig import Detector, DetectorSpec, Span
from headrig._limits import LABEL_CHARACTERS
from headrig.testing._calls import call_twice, entered, grows, refuse_async
from headrig.testing._corpus import stretches, texts
from headrig.testing._fakes import FakeHost
from headrig.testing._processor import check_spec
from headrig.testing._values import show


def check_detector(
    spec: DetectorSpec[Any], config: Any, *, examples: Iterable[str] = (), host: FakeHost | None = None
) -> None:
    """Check that a detector keeps its contract on any text.

    It must be synchronous and without I/O, yield spans inside its text, answer the same to the same
    text, find nothing in a text without its literals, and take time in proportion to the text.

    Args:
        spec: The plugin's declaration.
        config: An instance of ``spec.config``.
        examples: Texts in which it must find something, alone and inside a longer text.
        host: What the factory gets; by default a `FakeHost`.

    Raises:
        AssertionError: Says what to fix.
    """
    check_spec(spec, config)
    for literal in spec.literals:
        if not literal or literal != literal.lower():
            raise AssertionError(
                f"literal {literal!r} must be lower case and not empty: lines are compared folded"
            )
    host = host or FakeHost()
    detector, other = spec.factory(config, host), spec.factory(config, host)
    refuse_async("find", detector)
    entered(detector, lambda: entered(other, lambda: _check(spec, detector, other, list(examples))))


def _check(spec: DetectorSpec[Any], detector: Detector, other: Detector, examples: list[str]) -> None:
    def find(text: str) -> list[Span]:
        return list(detector.find(text))

    _check_time(find, spec.literals)  # first: on a long odd text an exponential pattern would never return
    for text in texts(spec.literals):
        _check_one(spec, find, other, text)
    for example in examples:
        for text in (example, f"日本 {example} 🪵\n"):
            if not _check_one(spec, find, other, text):
                raise AssertionError(f"find found nothing in {show(text)}, which it is meant to find")


def _check_time(find: Callable[[str], list[Span]], literals: tuple[str, ...]) -> None:
    for begin, unit, end in stretches(literals):

        def run(size: int, begin: str = begin, unit: str = unit, end: str = end) -> None:
            with suppress(Exception):  # what it raises is found out on the odd texts
                find(begin + unit * size + end)

        size = grows(run)
        if size:
            raise AssertionError(
                f"find takes more than linear time on {begin!r}, then {unit!r} repeated, then {end!r} (found at {size} "
                "times): look for nested or overlapping repetitions in a regular expression, and give them a bound"
            )


def _check_one(spec: DetectorSpec[Any], find: Any, other: Detector, text: str) -> list[Span]:
    what = f"the text {show(text)}"
    spans: list[Any]
    spans, _ = call_twice("find", find, lambda: text, what)
    for span in spans:
        if type(span) is not Span:
            raise AssertionError(
                f"find yielded a {type(span).__name__} on {what}: yield headrig.Span(start, end)"
            )
        if (
            type(span.start) is not int
            or type(span.end) is not int
            or not 0 <= span.start < span.end <= len(text)
        ):
            raise AssertionError(
                f"find yielded the span {span.start}:{span.end} on {what} of {len(text)} characters: a span is out of "
                "range or empty; count characters of the text given, not bytes and not of a copy of another length"
            )
        if type(span.label) is not str:
            raise AssertionError(
                f"find yielded a label of type {type(span.label).__name__} on {what}: it must be str"
            )
        if len(span.label) > LABEL_CHARACTERS:
            raise AssertionError(
                f"find yielded a label of {len(span.label)} characters on {what}: at most {LABEL_CHARACTERS}"
            )
    if find(text) != spans or list(other.find(text)) != spans:
        raise AssertionError(
            f"find answered differently to the same text ({what}): let it depend on the text alone"
        )
    folded = text.lower()
    if spans and spec.literals and not any(literal in folded for literal in spec.literals):
        raise AssertionError(
            f"find found something in {what}, which has none of its literals: add the missing literal, because "
            "lines without one are never shown to the detector"
        )
    return spans
