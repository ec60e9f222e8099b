"""The kit catches every way in which a plugin can break its contract: one planted fault each."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from headrig import Classification, ClassifierSpec, DetectorSpec, Drop, ProcessorSpec, Record, Resource, Span
from headrig.testing import (
    FakeHost,
    check_classifier,
    check_detector,
    check_processor,
    make_batch,
    make_record,
)


@dataclass(frozen=True, kw_only=True)
class NoConfig:
    """Nothing to configure."""


def plugin(**methods):
    """Make a factory of objects with these methods."""
    return lambda _config, _host: type(
        "Plugin", (), {name: staticmethod(value) for name, value in methods.items()}
    )()


def check(process, writes=("attributes.*", "body.*"), **more):
    spec = ProcessorSpec(
        kind="planted", config=NoConfig, factory=plugin(process=process), writes=writes, **more
    )
    check_processor(spec, NoConfig())


def no_return(record):
    record.attributes["a"] = "b"


def undeclared_attribute(record):
    record.attributes["team"] = "x"
    return record


def undeclared_body(record):
    record.body.pop("message", None)
    return record


def rolls_dice(record):
    record.attributes["n"] = str(random.random())
    return record


def drops_by_dice(record):
    if random.random() < 0.5:
        raise Drop("unlucky")
    return record


def other_resource(record):
    return Record(record.body, record.attributes, Resource("other"), record.time_ns)


def other_time(record):
    record.time_ns += 1
    return record


def trusts_level(record):
    record.attributes["level"] = record.body.get("level", "info").lower()
    return record


def trusts_rare_field(record):
    if "basket" in record.body:
        record.attributes["first"] = record.body["basket"][0]
    return record


def writes_a_set(record):
    record.body["tags"] = {1}
    return record


def writes_a_long_integer(record):
    record.body["n"] = 2**64
    return record


def writes_nan(record):
    record.body["n"] = float("nan")
    return record


def writes_number_keys(record):
    record.body["n"] = {1: 2}
    return record


def writes_a_surrogate(record):
    record.attributes["n"] = "\ud800"
    return record


def writes_number_attribute(record):
    record.attributes["n"] = 1
    return record


def keeps_record(record, _kept=[]):
    _kept.append(record)
    return record


def keeps_body(record, _kept={}):
    _kept["last"] = record.body
    return record


def backtracks(record):
    re.match(r"(a|a)*$", str(record.body.get("message")))
    return record


def compares_all_pairs(record):
    text = str(record.body.get("path", ""))
    sum(1 for one, other in itertools.product(text, text) if one is other and one == "?")
    return record


def reads_a_file(record):
    Path("/etc/hostname").exists() and Path("/etc/hostname").read_bytes()
    return record


def opens_null(record):
    with open("/dev/null"):
        return record


def waits(record):
    time.sleep(0.006)
    return record


async def is_async(record):
    return record


def prints(record):
    print(record.body)
    return record


def starts_a_thread(record):
    threading.Thread(target=lambda: None).start()
    return record


def exits(record):
    if record.body.get("level") == "plain":
        raise SystemExit
    return record


def bloats(record):
    record.body["copy"] = "a" * 1_000_000
    return record


def bloats_attributes(record):
    record.attributes["copy"] = "é" * 25_000
    return record


def sets_too_many(record):
    record.attributes.update((f"a{n}", "") for n in range(101))
    return record


class Mute(Drop):
    def __init__(self):
        pass


def drops_without_reason(record):
    if record.body.get("level") == "plain":
        raise Mute
    return record


def drops_with_content(record):
    if isinstance(record.body.get("user"), str):
        raise Drop(record.body["user"])
    return record


def drops_for_many_reasons(record):
    raise Drop(f"size-{len(repr(record.body))}")


@pytest.mark.parametrize(
    ("process", "writes", "sentence"),
    [
        (no_return, None, "returned None .* 'return record'"),
        (undeclared_attribute, ("attributes.owner",), r"wrote 'attributes.team' .* does not declare"),
        (undeclared_body, ("attributes.*",), "wrote 'body.message' .* does not declare"),
        (rolls_dice, None, "answered differently to equal records"),
        (drops_by_dice, None, "answered differently to equal records"),
        (other_resource, None, "changed the resource"),
        (other_time, None, "changed time_ns"),
        (trusts_level, None, "raised AttributeError on"),
        (trusts_rare_field, None, "raised .*Error on"),
        (writes_a_set, None, "not JSON .* body.tags is a set"),
        (writes_a_long_integer, None, "body.n is an integer beyond 64 bits"),
        (writes_nan, None, "body.n is nan"),
        (writes_number_keys, None, "body.n has a key that is not text"),
        (writes_a_surrogate, None, "lone surrogate"),
        (writes_number_attribute, None, "attributes are str to str"),
        (keeps_record, None, "kept its record"),
        (keeps_body, None, "kept its record"),
        (backtracks, None, "more than linear time"),
        (compares_all_pairs, None, "more than linear time"),
        (opens_null, None, r"did I/O \(open\)"),
        (waits, None, r"did I/O \(it waited\)"),
        (is_async, None, "process is asynchronous"),
        (prints, None, r"did I/O \(it printed\)"),
        (starts_a_thread, None, r"did I/O \(it started a thread\)"),
        (exits, None, "raised SystemExit on"),
        (bloats, None, "a line of 1[0-9]{6} bytes .* at most 262144"),
        (bloats_attributes, None, "[0-9] attributes of 5[0-9]{4} bytes .* at most 100 of 49152 bytes"),
        (sets_too_many, None, "10[0-9] attributes"),
        (drops_without_reason, None, "raised Drop without a reason"),
        (drops_with_content, None, "raised Drop with the reason '.*' .* metric label"),
        (drops_for_many_reasons, None, "more than 32 reasons"),
        (lambda record: record.body, None, "returned a dict"),
    ],
)
def test_planted_processor_fault_is_caught(process, writes, sentence):
    """Each fault ends in a sentence that names it."""
    with pytest.raises(AssertionError, match=sentence):
        check(process, writes or ("attributes.*", "body.*"))


def test_when_that_lets_nothing_through_is_not_a_pass():
    """A check that saw no record proves nothing, so it says what it needs."""
    with pytest.raises(AssertionError, match="examples="):
        check(lambda record: record, when=lambda _resource, fields: fields.get("a") == "b", reads=("a",))


def test_when_that_crashes_is_caught():
    """The question before parsing meets odd values too."""
    with pytest.raises(AssertionError, match="when raised"):
        check(
            lambda record: record, when=lambda _resource, fields: fields["level"].isalpha(), reads=("level",)
        )


def test_examples_lead_behind_when():
    """Odd values go into every field of an example, so a fault behind ``when`` is found."""
    spec = ProcessorSpec(
        kind="planted",
        config=NoConfig,
        factory=plugin(process=lambda record: record if record.body["amount"] + 1 else record),
        reads=("a",),
        when=lambda _resource, fields: fields.get("a") == "b",
    )

    with pytest.raises(AssertionError, match="raised .*Error"):
        check_processor(spec, NoConfig(), examples=[{"a": "b", "amount": 1}])


def test_good_processor_passes():
    """A processor that keeps its contract passes, also one that returns a new record or drops."""

    def process(record):
        if record.body.get("level") == "plain":
            raise Drop("plain")
        return Record(
            {**record.body, "seen": True}, {**record.attributes, "team": "x"}, record.resource, record.time_ns
        )

    check(process, ("attributes.team", "body.seen"))


def test_wrong_spec_is_caught():
    """A spec with a bad kind, bad writes, or another config is refused before anything runs."""
    good: dict[str, Any] = {
        "kind": "planted",
        "config": NoConfig,
        "factory": plugin(process=lambda record: record),
    }

    for kind in ("Owner-X", "_x", "x" * 42, "7x", "überall", ""):
        with pytest.raises(AssertionError, match="lower_snake"):
            check_processor(ProcessorSpec(**{**good, "kind": kind}), NoConfig())
    with pytest.raises(AssertionError, match="writes has 'owner'"):
        check_processor(ProcessorSpec(**good, writes=("owner",)), NoConfig())
    with pytest.raises(AssertionError, match="frozen dataclass"):
        check_processor(ProcessorSpec(**{**good, "config": dict}), {})
    with pytest.raises(AssertionError, match="was given a dict"):
        check_processor(ProcessorSpec(**good), {})
    with pytest.raises(AssertionError, match="no method process"):
        check_processor(ProcessorSpec(**{**good, "factory": plugin()}), NoConfig())


def test_plugin_with_resources_is_entered_and_left():
    """An async context manager is checked while it is open, and closed afterwards, also inside a running loop."""
    events = []

    class Owner:
        async def __aenter__(self):
            events.append("in")
            return self

        async def __aexit__(self, *_):
            events.append("out")

        def process(self, record):
            assert events[-1] == "in"
            return record

    check_processor(
        ProcessorSpec(kind="planted", config=NoConfig, factory=lambda _c, _h: Owner()), NoConfig()
    )

    assert events == ["in", "in", "out", "out"]


def find_check(find, literals=(), examples=()):
    spec = DetectorSpec(kind="planted", config=NoConfig, factory=plugin(find=find), literals=literals)
    check_detector(spec, NoConfig(), examples=examples)


def regex(pattern, flags=0):
    compiled = re.compile(pattern, flags)
    return lambda text: [Span(match.start(), match.end()) for match in compiled.finditer(text)]


_counter = itertools.count()


@pytest.mark.parametrize(
    ("find", "literals", "sentence"),
    [
        (lambda text: [Span(0, len(text) + 1)], (), "out of range"),
        (lambda text: [Span(-1, 1)] if text else [], (), "out of range"),
        (lambda _text: [Span(0, 0)], (), "out of range or empty"),
        (lambda text: [Span(0, len(text.encode()))] if text else [], (), "not bytes"),
        (lambda text: [(0, 1)] if text else [], (), "yielded a tuple"),
        (lambda text: [Span(0, 1, None)] if text else [], (), "label of type NoneType"),
        (lambda text: [Span(0, 1, "l" * 65)] if text else [], (), "label of 65 characters"),
        (lambda text: text[0] and [], (), "raised IndexError"),
        (lambda text: [Span(0, 1)] if text and next(_counter) % 3 else [], (), "answered differently"),
        (regex("(a+)+$"), (), "more than linear time"),
        (regex(r"(x+x+)+y"), ("x",), "more than linear time"),
        (regex(r"\s+$"), (), "more than linear time"),
        (regex(r"[\w.]+@[\w.]+\.x"), (), "more than linear time"),
        (regex("0"), ("badge-",), "none of its literals"),
        (regex("0"), ("Badge",), "lower case"),
        (lambda _text: [open("/dev/null").close()][:0], (), "did I/O"),
        (None, (), "no method find"),
    ],
)
def test_planted_detector_fault_is_caught(find, literals, sentence):
    """Each fault ends in a sentence that names it; a quadratic or exponential pattern does not hang the check."""
    with pytest.raises(AssertionError, match=sentence):
        if find is None:
            check_detector(DetectorSpec(kind="planted", config=NoConfig, factory=plugin()), NoConfig())
        find_check(find, literals)


def test_generator_detector_passes_and_must_find_its_examples():
    """A generator is fine; an example that is not found is a fault."""

    def find(text):
        for match in re.finditer(r"\bkey-[0-9]{4}\b", text):
            yield Span(match.start(), match.end(), "key")

    find_check(find, ("key-",), ["key-1234"])

    with pytest.raises(AssertionError, match="found nothing in 'key-12'"):
        find_check(find, ("key-",), ["key-12"])


LOGIN = Classification(rule="r", class_uid=3002, activity_id=1)


def judge_check(classify, **more):
    spec = ClassifierSpec(kind="planted", config=NoConfig, factory=plugin(classify=classify))
    check_classifier(spec, NoConfig(), **more)


def judge_and_write(record):
    record.body["x"] = 1


def keeps_judged(record, _kept=[]):
    _kept.append(record)


@pytest.mark.parametrize(
    ("classify", "sentence"),
    [
        (lambda _record: True, "returned a bool"),
        (judge_and_write, "changed 'body.x'"),
        (keeps_judged, "kept its record"),
        (lambda _record: Classification("r", 3002, 1, actor=7), "actor is a int"),
        (lambda _record: Classification("", 3002, 1), "rule of 0 characters"),
        (lambda _record: Classification("r", "3002", 1), "class_uid"),
        (lambda _record: Classification("r", 3002, 1, outcome="ok"), "outcome"),
        (lambda _record: Classification("r", 3002, 1, ocsf={"a": {1}}), "ocsf.a is a set"),
        (lambda _record: Classification("r", 3002, 1, actor=str(random.random())), "answered differently"),
        (lambda record: LOGIN if record.body.get("user").upper() else None, "raised AttributeError"),
        (is_async, "classify is asynchronous"),
    ],
)
def test_planted_classifier_fault_is_caught(classify, sentence):
    """Each fault ends in a sentence that names it."""
    with pytest.raises(AssertionError, match=sentence):
        judge_check(classify)


def test_classifier_may_not_drop():
    """Only processors drop."""

    def classify(_record):
        raise Drop

    with pytest.raises(AssertionError, match="only a processor may drop"):
        judge_check(classify)


def test_classifier_must_judge_its_examples():
    """An example that is not judged to be an event is a fault."""
    judge_check(lambda record: LOGIN if record.body.get("a") == 1 else None, examples=[{"a": 1}])

    with pytest.raises(AssertionError, match="returned None on"):
        judge_check(lambda _record: None, examples=[{"a": 1}])


def test_fakes_have_the_shapes_of_the_application():
    """Records and batches come out as columns of equal length with a fixed time."""
    record, batch = make_record("paid"), make_batch(["text", b"{}", {"a": "ü"}])

    assert record.body == {"message": "paid"}
    assert batch.lines == [b"text", b"{}", '{"a":"ü"}'.encode()]
    assert len(batch) == 3
    assert {len(column) for column in (batch.heads, batch.time_ns, batch.attributes, batch.envelopes)} == {3}
    assert batch.time_ns == sorted(set(batch.time_ns))
    assert FakeHost().now_ns() == record.time_ns
    assert len(FakeHost().key) == 32
