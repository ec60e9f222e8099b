"""What every sink must keep to, run against the Loki sink over real sockets.

A kit run needs a sink, the frames and a way to read back what is stored; it drives `write` as the
pump does, again and again with the same frames, and then compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import orjson
import pytest
from headrig import RetryableError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isal import igzip
from push_frames import NOW, entry, frame
from push_stub import DROP, FORGET, HANG, TAKE, PushStub

from pipeline.sinks.delivery import Delivery, Sink, StoredFrame
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.quarantine import Quarantine, Refused

Stored = Callable[[], Sequence[tuple[str, str]]]
_TRIES = 50


async def drive(sink: Sink, batches: Sequence[Sequence[StoredFrame]]) -> Delivery:
    """Write each batch until the sink confirms; return the totals."""
    delivered, refused = 0, Counter()
    for frames in batches:
        for _ in range(_TRIES):
            try:
                outcome = await sink.write(frames)
            except RetryableError:
                continue
            delivered += outcome.delivered
            refused.update(outcome.refused)
            break
        else:
            pytest.fail(f"the sink did not confirm within {_TRIES} tries")
    return Delivery(delivered, dict(refused))


def entries_of(batches: Sequence[Sequence[StoredFrame]]) -> list[tuple[str, str]]:
    """(ns, line) of all entries of the frames."""
    texts = [igzip.decompress(each.payload) for frames in batches for each in frames]
    return [
        (value[0], value[1])
        for text in texts
        for s in orjson.loads(b"[" + text + b"]")
        for value in s["values"]
    ]


async def check_sink(
    make_sink: Callable[[], Awaitable[Sink] | Sink],
    batches: Sequence[Sequence[StoredFrame]],
    stored: Stored,
    quarantined: Stored,
) -> None:
    """Assert the contract: every entry is stored or in quarantine, once, and is counted so."""
    sink = make_sink()
    outcome = await drive(sink, batches)
    await sink.close()
    assert Counter(stored()) + Counter(quarantined()) == Counter(entries_of(batches))
    assert outcome.delivered == len(stored())
    assert sum(outcome.refused.values()) == len(quarantined())


def make_batches(streams: int = 3, frames: int = 3, lines: int = 20) -> list[list[StoredFrame]]:
    """Two batches of frames; the lines of all are distinct."""
    made = []
    for batch in range(2):
        made.append([])
        for number in range(frames):
            position = batch * frames + number
            rows = [
                (
                    {"app": f"s{s}"},
                    [entry(NOW + position * 1000 + i, f"{position}.{s}.{i}", k="v") for i in range(lines)],
                )
                for s in range(streams)
            ]
            made[-1].append(frame(rows, position))
    return made


class Bench:
    """A stub, a quarantine and sinks between them."""

    def __init__(self, stub: PushStub, quarantine: Quarantine, **given) -> None:
        self.stub = stub
        self.quarantine = quarantine
        self.given = {"url": stub.url, "timeout_s": 0.3} | given

    def make_sink(self) -> Sink:
        return LokiSink(LokiSettings(**self.given), self.quarantine, clock=lambda: NOW)

    def quarantined(self) -> list[tuple[str, str]]:
        return [
            (item.ts, item.line) for item in self.quarantine.items().values() if isinstance(item, Refused)
        ]

    async def check(self, batches) -> None:
        await check_sink(self.make_sink, batches, self.stub.entries, self.quarantined)


@pytest.fixture
async def bench(tmp_path):
    quarantine = Quarantine.open(tmp_path / "quarantine", writer="w", max_bytes=1 << 20)
    async with PushStub() as stub:
        yield lambda **given: Bench(stub, quarantine, **given)
    quarantine.close()


ALONE = ["busy", "always", "never"]
FAULTS = [500, 503, 429, 408, 260, 200, 401, DROP, FORGET, HANG]


@pytest.mark.parametrize("alone", ALONE)
async def test_everything_arrives_once(bench, alone):
    """Without faults: all stored, none twice, no push for nothing."""
    tried = bench(alone=alone)
    await tried.check(make_batches())
    assert tried.stub.doubles == 0


@pytest.mark.parametrize("alone", ALONE)
@pytest.mark.parametrize("fault", FAULTS)
async def test_after_a_fault_everything_arrives_once(bench, fault, alone):
    """Whatever goes wrong with any one push, nothing is lost and nothing is stored twice."""
    tried = bench(alone=alone)
    tried.stub.script = [TAKE, fault, TAKE, fault, fault]
    await tried.check(make_batches())


@pytest.mark.parametrize("fault", [500, 503, 260, FORGET, HANG])
async def test_a_retry_is_byte_identical(bench, fault):
    """The push after a fault that leaves open what is stored has the same bytes."""
    tried = bench(alone="never")
    tried.stub.script = [fault]
    await tried.check(make_batches())
    first, second = tried.stub.seen[:2]
    assert first.body == second.body


@pytest.mark.parametrize("alone", ALONE)
async def test_a_bad_entry_never_blocks_its_neighbours(bench, alone):
    """Refused entries are in quarantine, with all others of their stream, frame and push delivered."""
    tried = bench(alone=alone)
    bad = {"0.0.0", "2.1.7", "2.1.8", "4.2.19"}
    tried.stub.blame = lambda _, value: "max entry size '1' bytes exceeded" if value[1] in bad else None
    await tried.check(make_batches())
    assert {line for _, line in tried.quarantined()} == bad


async def test_a_crash_between_write_and_commit_doubles_nothing(bench):
    """A new sink that is given frames which were delivered already changes nothing."""
    tried = bench()
    batches = make_batches()
    sink = tried.make_sink()
    await drive(sink, batches)
    await sink.close()
    await tried.check(batches)


# A scripted refusal may meet a single entry, which then is rightly quarantined. So it must not come
# after an entry may have been stored, by an answer that was lost or beside a bad neighbour: no server
# takes an entry and refuses the same bytes afterwards.
SCRIPT_OF_FAULTS = st.lists(st.sampled_from([TAKE, TAKE, 500, 503, 429, DROP, FORGET]), max_size=12)
SCRIPT_OF_REFUSALS = st.lists(st.sampled_from([TAKE, 500, 429, 413, 400, 422, DROP]), max_size=12)


BAD = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5)), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script_and_bad=st.one_of(
        st.tuples(SCRIPT_OF_FAULTS, BAD), st.tuples(SCRIPT_OF_REFUSALS, st.just(frozenset()))
    ),
    alone=st.sampled_from(ALONE),
    most=st.one_of(st.none(), st.integers(1, 40)),
)
async def test_any_script_of_faults_keeps_the_contract(tmp_path_factory, script_and_bad, alone, most):
    """Faults, refusals and a size limit in any order: every entry is stored or in quarantine, once."""
    script, bad = script_and_bad
    lines = {".".join(map(str, each)) for each in bad}
    quarantine = Quarantine.open(tmp_path_factory.mktemp("q"), writer="w", max_bytes=1 << 20)
    async with PushStub(script=list(script), most_entries=most) as stub:
        stub.blame = lambda _, value: "structured metadata too large" if value[1] in lines else None
        await Bench(stub, quarantine, alone=alone).check(make_batches(lines=6))
    quarantine.close()
