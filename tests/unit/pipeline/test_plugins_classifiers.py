"""Third-party classifiers and detectors under guard."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from headrig import AuditEvent, Classification, Drop, ProcessorError, Span
from headrig.testing import make_batch

from pipeline.plugins import ClassifierRunner, Guard, GuardedDetector, Watch
from pipeline.plugins.classifiers import GuardedClassifier
from pipeline.plugins.rows import Wanted

CANARY = "hunter2-canary"


@pytest.fixture
def watch():
    """A timer that is given back."""
    made = Watch()
    made.open()
    yield made
    made.close()


def guard(watch, kind="planted"):
    return Guard(kind, 1, 20_000_000, bytes(32), watch=watch, slot=None)


def judging(watch, classify, kind="planted", when=None):
    return GuardedClassifier(SimpleNamespace(classify=classify), guard(watch, kind), Wanted((), when, {}))


def hide_canary(batch, rows):
    """Stands in for masking: replaces one word."""
    for row in rows:
        batch.lines[row] = batch.lines[row].replace(CANARY.encode(), b"<masked>")
    batch.masked["canary"] += 1


def run(batch, *classifiers, mask=hide_canary):
    ClassifierRunner(list(classifiers), mask).run(batch)


def verdict(record):
    return Classification("acme.r", 3002, 1, actor=str(record.body.get("user", "")), ocsf={"n": 1})


def test_classification_becomes_an_event_of_its_row(watch):
    """The words of the classifier become the event; rows with an event are not asked."""
    batch = make_batch([{"user": "alice"}, {"user": "bob"}, {}])
    batch.events.append(AuditEvent(row=1, rule="ours", class_uid=1, activity_id=1))

    run(batch, judging(watch, lambda record: verdict(record) if record.body else None))

    assert [(event.row, event.rule, event.actor) for event in batch.events] == [
        (1, "ours", ""),
        (0, "acme.r", "alice"),
    ]
    assert batch.events[1].ocsf == {"n": 1}
    assert batch.verdicts == []


def test_first_classifier_wins_and_each_sees_the_record_as_it_is(watch):
    """A classifier can neither change what others see nor judge what was judged."""

    def vandal(record):
        record.body.clear()
        record.attributes["x"] = "y"

    batch = make_batch([{"user": "alice"}])
    run(batch, judging(watch, vandal), judging(watch, verdict), judging(watch, lambda _record: 1 / 0))

    assert [event.actor for event in batch.events] == ["alice"]
    assert batch.lines == [b'{"user":"alice"}']
    assert batch.attributes == [{}]


def test_words_of_a_verdict_are_masked(watch):
    """A secret that a classifier decoded does not reach a leaf."""
    batch = make_batch([{"a": 1}])

    run(batch, judging(watch, lambda _r: Classification("r", 1, 1, actor=CANARY, ocsf={"deep": [CANARY]})))

    (event,) = batch.events
    assert (event.actor, event.ocsf) == ("<masked>", {"deep": ["<masked>"]})
    assert batch.masked == {"canary": 1}


def test_verdict_that_cannot_be_scanned_quarantines_its_record(watch):
    """Masking that removes the row of a verdict removes its record; the other one stays."""

    def refuse_canary(scratch, _rows):
        scratch.keep([row for row, line in enumerate(scratch.lines) if CANARY.encode() not in line])

    batch = make_batch([{"user": CANARY}, {"user": "bob"}])
    run(batch, judging(watch, verdict), mask=refuse_canary)

    assert [(event.row, event.actor) for event in batch.events] == [(0, "bob")]
    assert [(v.origin, v.reason, v.detail) for v in batch.verdicts] == [
        (0, "plugin:planted", "verdict-unscanned")
    ]


def drops(_record):
    raise Drop(CANARY)


def spins(_record):
    while True:
        pass


@pytest.mark.parametrize(
    ("classify", "detail"),
    [
        (lambda _r: True, "not-a-classification"),
        (lambda _r: Classification("r", True, 1), "bad-classification"),
        (lambda _r: Classification("r", 1, -1), "bad-classification"),
        (lambda _r: Classification("", 1, 1), "bad-classification"),
        (lambda _r: Classification("r" * 201, 1, 1), "bad-classification"),
        (lambda _r: Classification("r", 1, 1, actor=None), "bad-classification"),
        (lambda _r: Classification("r", 1, 1, actor="\ud800"), "bad-classification"),
        (lambda _r: Classification("r", 1, 1, outcome="ok"), "bad-classification"),
        (lambda _r: Classification("r", 1, 1, ocsf={"a": {1}}), "bad-classification"),
        (lambda _r: Classification("r", 1, 1, ocsf=None), "bad-classification"),
        (lambda _r: {}["x"], "KeyError"),
        (drops, "Drop"),
        (spins, "Overrun"),
    ],
)
def test_classifier_fault_quarantines_its_record_and_no_other(watch, classify, detail):
    """A fault becomes a verdict without content; its neighbour is judged."""
    batch = make_batch([{"row": 0}, {"row": 1}])

    run(
        batch, judging(watch, lambda record: classify(record) if record.body["row"] == 0 else verdict(record))
    )

    assert [(v.origin, v.kind, v.detail) for v in batch.verdicts] == [(0, "quarantined", detail)]
    assert [event.row for event in batch.events] == [0]
    assert batch.origin == [1]


def finding(watch, find):
    return GuardedDetector(SimpleNamespace(find=find), guard(watch))


def test_detector_findings_come_back_as_a_list(watch):
    """A generator is read under the guard."""
    assert finding(watch, lambda text: (Span(n, n + 1) for n in range(len(text)))).find("ab") == [
        Span(0, 1),
        Span(1, 2),
    ]


def lazily_fails(text):
    yield Span(0, 1)
    raise ValueError(text)


@pytest.mark.parametrize(
    ("find", "rule"),
    [
        (lambda _text: [Span(0, 5)], "span-out-of-range"),
        (lambda _text: [Span(1, 1)], "span-out-of-range"),
        (lambda _text: [Span(-1, 1)], "span-out-of-range"),
        (lambda _text: [(0, 1)], "not-a-span"),
        (lambda _text: [Span(0.0, 1)], "not-a-span"),
        (lambda _text: [Span(0, 1, "x" * 65)], "bad-label"),
        (lambda _text: None, "TypeError"),
        (lazily_fails, "ValueError"),
        (drops, "Drop"),
        (spins, "Overrun"),
    ],
)
def test_detector_fault_fails_the_line_closed(watch, find, rule):
    """The error reaches masking, which must not let the line through; it carries no content."""
    with pytest.raises(ProcessorError) as caught:
        finding(watch, find).find("text")

    assert str(caught.value) == f"plugin planted: {rule}"
    assert "text" not in repr(caught.value.__context__) + repr(caught.value.__cause__)
