"""Third-party processors in a batch: what they may do, and what happens when they do otherwise."""

from __future__ import annotations

import asyncio
import signal
import time
from types import SimpleNamespace

import orjson
import pytest
import uvloop
from headrig import Drop, Record, Resource
from headrig.testing import make_batch

from pipeline.plugins import Guard, ProcessorRunner, Watch
from pipeline.plugins.processors import GuardedProcessor
from pipeline.plugins.rows import Wanted, write_back

KEY = bytes(32)
CANARY = "hunter2-canary"


@pytest.fixture
def watch():
    """A timer that is given back."""
    made = Watch()
    made.open()
    yield made
    made.close()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def guarded(
    watch,
    process,
    *,
    writes=("attributes.*", "body.*"),
    kind="planted",
    when=None,
    reads=(),
    deadline_ms=50,
    **limits,
):
    guard = Guard(kind, 1, deadline_ms * 1_000_000, KEY, watch=watch, slot=None)
    fields = {name: f"f_{name}" for name in reads}
    return GuardedProcessor(
        SimpleNamespace(process=process), guard, Wanted(reads, when, fields), writes, **limits
    )


def run(batch, *processors):
    """Run, and return the rows that were masked again."""
    return [row for row, _ in run_with_known(batch, *processors)]


def run_with_known(batch, *processors):
    """Run, and return the rows that were masked again with what masking is told to leave as it is."""
    masked = []
    ProcessorRunner(
        list(processors), lambda _batch, rows, known: masked.append(list(zip(rows, known, strict=True)))
    ).run(batch)
    assert len(masked) <= 1
    return masked[0] if masked else []


def test_untouched_records_stay_byte_identical(watch):
    """A processor that changes nothing leaves lines, heads and shared attributes as they were."""
    lines = [
        b'{ "a" : 1.0, "b":1e5 }',
        b"plain text",
        b'{"n":123456789012345678901234567890}',
        b'{"a":1,"a":2}',
        b"[1]",
        b"",
    ]
    batch = make_batch(lines)
    shared = batch.attributes[0]

    masked = run(batch, guarded(watch, lambda record: record))

    assert batch.lines == lines
    assert masked == batch.changed == batch.verdicts == []
    assert all(attributes is shared for attributes in batch.attributes)


def test_changed_body_is_encoded_and_masked_again(watch):
    """A changed line loses its head, is listed as changed, and goes through masking again."""
    batch = make_batch([{"a": 1}, {"a": 2}, "text"], heads=["h0", "h1", None])

    def process(record):
        if record.body.get("a") == 2:
            record.body["b"] = "ü"
        return record

    masked = run(batch, guarded(watch, process))

    assert batch.lines == [b'{"a":1}', '{"a":2,"b":"ü"}'.encode(), b"text"]
    assert batch.heads == ["h0", None, None]
    assert masked == batch.changed == [1]


def test_attributes_are_copied_shared_and_masked_again(watch):
    """Equal new attributes become one object that the plugin does not hold; the line is not decoded anew."""
    kept = []

    def process(record):
        kept.append(record)
        record.attributes["team"] = "x"
        return record

    batch = make_batch([{}, {}])
    masked = run(batch, guarded(watch, process))
    for record in kept:
        record.attributes["late"] = CANARY

    assert batch.attributes == [{"team": "x"}] * 2
    assert batch.attributes[0] is batch.attributes[1]
    assert (masked, batch.changed) == ([0, 1], [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"message": "two\nlines"}, b"two\nlines"),
        ({"message": 7}, b'{"message":7}'),
        ({"message": "x", "more": 1}, b'{"message":"x","more":1}'),
    ],
)
def test_plain_text_stays_text_while_it_is_only_a_message(watch, change, expected):
    """A text line whose message alone changed stays text; anything more makes it JSON."""
    batch = make_batch(["one"])

    def process(record):
        record.body = change
        return record

    run(batch, guarded(watch, process))

    assert batch.lines == [expected]


@pytest.mark.parametrize(
    ("line", "message", "left"),
    [
        ("text", "\n" * 900, 1),  # as JSON it would be longer
        ("text", "é" * 501, 0),
        ({"message": "x"}, "x" * 900, 1),
        ({"message": "x"}, "\n" * 900, 0),
        ("x" * 2000, "x" * 2000, 1),  # it came so
    ],
)
def test_the_operators_limit_of_a_line_holds_for_what_a_processor_makes(watch, line, message, left):
    """What counts is the line that would be stored, and only if a processor changed it."""
    batch = make_batch([line])

    def process(record):
        record.body["message"] = message
        return record

    run(batch, guarded(watch, process, line_bytes=1000))

    assert len(batch) == left
    assert [verdict.detail for verdict in batch.verdicts] == ["too-large"] * (1 - left)


def test_numbers_beyond_a_double_keep_their_digits():
    """Re-encoding keeps the bytes of long numbers in fields that did not change."""
    line = b'{"big":123456789012345678901234567890, "x":0.12345678901234567890, "b":1}'
    encoded = orjson.dumps({**orjson.loads(line), "b": 2})

    written = write_back(line, encoded, text=False)

    assert written == b'{"big":123456789012345678901234567890,"x":0.12345678901234567890,"b":2}'


def raises_content(_record):
    raise type(f"E {CANARY}", (Exception,), {})(CANARY)


def raises(error):
    def process(_record):
        raise error

    return process


def set_field(name, value):
    def process(record):
        setattr(record, name, value)
        return record

    return process


class LateExit(int):
    """A time whose comparison ends the program."""

    def __ne__(self, _other):
        raise SystemExit(CANARY)

    __hash__ = int.__hash__


class LateExitText(str):
    """An attribute whose comparison ends the program."""

    __slots__ = ()

    def __eq__(self, _other):
        raise SystemExit(CANARY)

    __hash__ = str.__hash__


def cyclic(record):
    record.body["self"] = record.body
    return record


@pytest.mark.parametrize(
    ("process", "detail"),
    [
        (raises(ValueError(CANARY)), "ValueError"),
        (raises_content, "Exception"),
        (raises(SystemExit(CANARY)), "SystemExit"),
        (raises(asyncio.CancelledError(CANARY)), "CancelledError"),
        (raises(KeyboardInterrupt(CANARY)), "KeyboardInterrupt"),
        (lambda _record: None, "not-a-record"),
        (lambda record: record.body, "not-a-record"),
        (set_field("resource", Resource("other")), "changed-resource-or-time"),
        (set_field("time_ns", 5), "changed-resource-or-time"),
        (set_field("time_ns", LateExit(5)), "changed-resource-or-time"),
        (lambda r: Record(r.body, r.attributes, Resource("other"), r.time_ns), "changed-resource-or-time"),
        (lambda _record: Record.__new__(Record), "AttributeError"),
        (set_field("body", [1]), "body-not-an-object"),
        (set_field("body", {"a": {1}}), "body-not-json"),
        (set_field("body", {"a": 2**64}), "body-not-json"),
        (set_field("body", {1: 2}), "body-not-json"),
        (set_field("body", {"a": "\ud800"}), "body-not-json"),
        (cyclic, "body-not-json"),
        (set_field("attributes", None), "attributes-not-a-dict"),
        (set_field("attributes", {"a": 1}), "attributes-not-text"),
        (set_field("attributes", {"a": "\ud800"}), "attributes-not-text"),
        (set_field("attributes", {"a": LateExitText("b")}), "attributes-not-text"),
        (set_field("attributes", {"ok": "é" * 25_000}), "too-large"),
        (set_field("attributes", {f"a{n}": "" for n in range(101)}), "too-large"),
        (set_field("body", {"row": 1, "ok": "x" * 300_000}), "too-large"),
        (set_field("attributes", {"secret": "x"}), "undeclared-write"),
        (set_field("body", {"row": 1, "secret": "x"}), "undeclared-write"),
        (set_field("body", {}), "undeclared-write"),
        (set_field("body", {"row": True}), "undeclared-write"),
    ],
)
def test_fault_quarantines_its_record_and_no_other(watch, process, detail):
    """A fault becomes a verdict without content for that row; its neighbours go on."""

    def only_the_second(record):
        return process(record) if record.body["row"] == 1 else record

    batch = make_batch([{"row": 0}, {"row": 1}, {"row": 2}])
    batch.origin = [10, 11, 12]
    run(batch, guarded(watch, only_the_second, writes=("attributes.ok", "body.ok")))

    (verdict,) = batch.verdicts
    assert (verdict.origin, verdict.kind, verdict.reason, verdict.detail) == (
        11,
        "quarantined",
        "plugin:planted",
        detail,
    )
    assert CANARY not in repr(verdict)
    assert batch.origin == [10, 12]
    assert batch.lines == [b'{"row":0}', b'{"row":2}']


def test_declared_names_may_be_written(watch):
    """What the spec declares is allowed: setting, changing and removing."""
    batch = make_batch([{"a": 1, "b": 2, "c": 3}])

    def process(record):
        record.body["a"] = 9
        del record.body["b"]
        record.body["d"] = 4
        record.attributes["team"] = "x"
        return record

    run(batch, guarded(watch, process, writes=("body.a", "body.b", "body.d", "attributes.team")))

    assert batch.verdicts == []
    assert batch.lines == [b'{"a":9,"c":3,"d":4}']


def test_drop_is_a_verdict_with_a_bounded_reason(watch):
    """A dropped record leaves with its reason; what is no short word, or one too many, is just dropped."""
    reasons = ["health-check", f"because {CANARY}", None, *[f"r{n}" for n in range(40)]]
    batch = make_batch([{"n": n} for n in range(len(reasons))])

    def process(record):
        raise Drop(reasons[record.body["n"]])

    run(batch, guarded(watch, process))

    found = [verdict.reason for verdict in batch.verdicts]
    assert len(batch) == 0
    assert {verdict.kind for verdict in batch.verdicts} == {"dropped"}
    assert found[:3] == ["health-check", "dropped", "dropped"]
    assert len(set(found)) == 33


class Mute(Drop):
    """A drop that forgot its reason."""

    def __init__(self):
        pass


class Loud(Drop):
    """A drop whose reason cannot be read."""

    def __init__(self):
        pass

    @property
    def reason(self):
        raise SystemExit(CANARY)


@pytest.mark.parametrize("drop", [Mute, Loud])
def test_a_drop_without_a_usable_reason_is_just_dropped(watch, drop):
    """What a plugin's own kind of `Drop` lacks fails no batch."""
    batch = make_batch([{"n": 0}, {"n": 1}])

    def process(record):
        if record.body["n"]:
            raise drop
        return record

    run(batch, guarded(watch, process))

    assert [(verdict.origin, verdict.kind, verdict.reason) for verdict in batch.verdicts] == [
        (1, "dropped", "dropped")
    ]


@pytest.mark.parametrize("late", ["text", ["no text"]])
def test_attributes_that_a_plugin_keeps_are_not_what_is_stored(watch, late):
    """What it writes into the attributes of an earlier record, declared or not, changes nothing."""
    kept = []

    def process(record):
        for attributes in kept:
            attributes["late"] = late
        kept.append(record.attributes)
        return record

    batch = make_batch([{"n": 0}, {"n": 1}, {"n": 2}])
    run(batch, guarded(watch, process, writes=()), guarded(watch, lambda record: record, kind="next"))

    assert batch.verdicts == []
    assert batch.attributes == [{}, {}, {}]


def test_rows_are_renumbered_when_others_leave(watch):
    """What goes to masking and into ``changed`` names rows of the batch as it is then."""

    def process(record):
        if record.body["n"] == 0:
            raise Drop("first")
        record.body["seen"] = True
        return record

    batch = make_batch([{"n": 0}, {"n": 1}])
    batch.attributes = [{}, {"team": "x"}]
    masked = run_with_known(batch, guarded(watch, process))

    assert masked == [(0, {"team": "x"})]
    assert batch.changed == [0]
    assert batch.lines == [b'{"n":1,"seen":true}']


def test_masking_is_told_what_no_processor_wrote(watch):
    """The attributes of before all processors, not of before the last one."""

    def setting(name, value):
        def process(record):
            record.attributes[name] = value
            return record

        return process

    batch = make_batch([{}, {}])
    batch.attributes = [{"owner": "o"}, {"owner": "o", "a": "1", "b": "2"}]
    known = run_with_known(batch, guarded(watch, setting("a", "1")), guarded(watch, setting("b", "2")))

    assert known == [(0, {"owner": "o"})]
    assert batch.attributes == [{"owner": "o", "a": "1", "b": "2"}] * 2


def test_later_processor_sees_what_an_earlier_one_wrote(watch):
    """Processors run in configured order on one parsed record; a change is blamed on who made it."""

    def first(record):
        record.body["a"] = 1
        return record

    def second(record):
        record.attributes["sum"] = str(record.body["a"] + 1)
        return record

    batch = make_batch([{}])
    run(
        batch,
        guarded(watch, first, writes=("body.a",), kind="first"),
        guarded(watch, second, writes=("attributes.sum",), kind="second"),
    )

    assert (batch.verdicts, batch.attributes) == ([], [{"sum": "2"}])


def test_when_is_asked_with_the_heads_fields(watch):
    """Unwanted rows never reach the plugin; absent and null fields are not in the mapping."""
    asked, seen = [], []

    def when(resource, fields):
        asked.append((resource.tenant, dict(fields)))
        return fields.get("level") == "error"

    def process(record):
        seen.append(record.body["n"])
        return record

    heads = [SimpleNamespace(f_level=level) for level in ("info", "error", None)] + [None]
    batch = make_batch([{"n": 0}, {"n": 1}, {"n": 2}, "text"], heads=heads)
    run(batch, guarded(watch, process, when=when, reads=("level",)))

    assert asked == [("acme", {"level": "info"}), ("acme", {"level": "error"}), ("acme", {}), ("acme", {})]
    assert seen == [1]


def test_when_that_raises_quarantines_its_record(watch):
    """The spec's question runs under the same guard."""
    batch = make_batch([{}, {}], heads=[SimpleNamespace(f_a=1), SimpleNamespace(f_a="x")])

    run(
        batch,
        guarded(watch, lambda record: record, when=lambda _r, fields: fields["a"].islower(), reads=("a",)),
    )

    assert [verdict.detail for verdict in batch.verdicts] == ["AttributeError"]
    assert batch.origin == [1]


def spins(record):
    while record.body["row"] == 1:
        pass
    return record


def spins_in_except(record):
    try:
        return spins(record)
    except Exception:  # noqa: BLE001 - this is what plugins do
        return record


def swallows(record):
    try:
        return spins(record)
    except BaseException:  # noqa: BLE001 - this, too
        return record


def waits(record):
    if record.body["row"] == 1:
        time.sleep(60)
    return record


def backtracks(record):
    import re

    if record.body["row"] == 1:
        re.match("(a+)+$", "a" * 60 + "!")
    return record


def works_in_native_code(record):
    if record.body["row"] == 1:
        sum(range(10_000_000))
    return record


OVERRUNS = [spins, spins_in_except, swallows, waits, backtracks, works_in_native_code]


@pytest.mark.parametrize("process", OVERRUNS)
def test_overrun_is_interrupted(watch, process):
    """A record whose plugin does not return in time is quarantined, the others go on."""
    batch = make_batch([{"row": 0}, {"row": 1}, {"row": 2}])

    run(batch, guarded(watch, process, deadline_ms=8))

    assert [(verdict.origin, verdict.detail) for verdict in batch.verdicts] == [(1, "Overrun")]
    assert batch.origin == [0, 2]


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
@pytest.mark.parametrize("process", [spins, waits, swallows])
def test_overrun_is_interrupted_inside_an_event_loop(new_loop, process):
    """Both loops, with their own wakeup descriptors for signals, go on undisturbed."""

    async def main():
        watch = Watch()
        watch.open()
        try:
            for _ in range(3):
                batch = make_batch([{"row": 0}, {"row": 1}, {"row": 2}])
                run(batch, guarded(watch, process, deadline_ms=8))
                await asyncio.sleep(0)
                assert batch.origin == [0, 2]
            async with asyncio.timeout(5):
                await asyncio.to_thread(lambda: None)
        finally:
            watch.close()
        return "on"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main()) == "on"


def test_tick_between_calls_never_interrupts(watch):
    """A signal that comes when no plugin runs is no one's overrun."""
    watch.start(1_000_000)
    watch.since = 0
    for _ in range(3):
        signal.raise_signal(signal.SIGALRM)
    watch.stop()

    assert not watch.fired


def test_storm_of_ticks_leaks_nowhere(watch):
    """However ticks fall on calls that all overrun, only the guard ever sees the interruption."""
    batch = make_batch([{"n": n} for n in range(40)])

    def process(record):
        until = time.thread_time_ns() + record.body["n"] * 100_000
        while time.thread_time_ns() < until:
            pass
        return record

    run(batch, guarded(watch, process, deadline_ms=2))

    assert len(batch) + len(batch.verdicts) == 40
    assert {verdict.detail for verdict in batch.verdicts} <= {"Overrun"}


def test_outside_the_main_thread_an_overrun_is_found_afterwards():
    """Without signals a call that took too long on the clock is still quarantined."""
    from concurrent.futures import ThreadPoolExecutor

    def work():
        watch = Watch()
        watch.open()
        batch = make_batch([{"row": 1}])
        run(batch, guarded(watch, works_in_native_code, deadline_ms=1))
        return watch.interrupts, [verdict.detail for verdict in batch.verdicts]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == (False, ["Overrun"])


def test_too_deep_a_line_fails_alone(watch):
    """A line that cannot be encoded again is quarantined instead of failing the batch."""
    deep = b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"
    batch = make_batch([deep, b"{}"])

    run(batch, guarded(watch, lambda record: record))

    assert [verdict.detail for verdict in batch.verdicts] == ["too-deep"]
    assert batch.lines == [b"{}"]
