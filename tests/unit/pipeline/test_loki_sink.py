"""The Loki sink against a small Loki over real sockets."""

from __future__ import annotations

import pytest
from headrig import ConfigError
from push_frames import NOW, entry, frame
from push_stub import DROP, FORGET, HANG, HOUR_NS, PushStub

from pipeline.sinks.delivery import Delivery, HeldError, UndeliveredError
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.quarantine import Quarantine, Refused

A, B, C = {"app": "a"}, {"app": "b"}, {"app": "c"}


@pytest.fixture
async def stub():
    async with PushStub() as server:
        yield server


@pytest.fixture
def quarantine(tmp_path):
    held = Quarantine.open(tmp_path / "quarantine", writer="w0", max_bytes=1 << 20)
    yield held
    held.close()


@pytest.fixture
async def make_sink(stub, quarantine):
    sinks = []

    def make(**settings) -> LokiSink:
        values = {"url": stub.url, "timeout_s": 5.0} | settings
        sinks.append(LokiSink(LokiSettings(**values), quarantine, clock=lambda: NOW))
        return sinks[-1]

    yield make
    for sink in sinks:
        await sink.close()


def refused(quarantine: Quarantine) -> list[Refused]:
    return [item for item in quarantine.items().values() if isinstance(item, Refused)]


async def test_frames_are_one_push_and_all_entries_arrive(stub, make_sink):
    """Frames of known streams become one request whose gzip members concatenate."""
    sink = make_sink(alone="never")
    frames = [
        frame([(A, [entry(NOW + i, f"a{i}")]), (B, [entry(NOW + i, f"b{i}", level="info")])], i)
        for i in range(5)
    ]
    assert await sink.write(frames) == Delivery(10)
    assert len(stub.seen) == 1
    assert len(stub.entries()) == 10
    assert stub.seen[0].headers["content-encoding"] == "gzip"
    assert stub.seen[0].headers["content-type"] == "application/json"
    assert stub.seen[0].path == "/loki/api/v1/push"


async def test_a_push_stays_below_its_bound(stub, make_sink):
    """Frames that together inflate to more than push_bytes go in several requests, in order."""
    sink = make_sink(alone="never", push_bytes=1 << 20)
    frames = [frame([(A, [entry(NOW + i, chr(97 + i) * 400_000)])], i) for i in range(5)]
    await sink.write(frames)
    assert [len(seen.streams) for seen in stub.seen] == [2, 2, 1]
    assert [line[0] for _, line in stub.entries()] == list("abcde")


async def test_the_organisation_is_ours(stub, make_sink):
    """X-Scope-OrgID comes from the configuration: a template, an exception, a fixed value or none."""
    for settings, want in (
        ({}, "acme"),
        ({"org": "logs-{tenant}"}, "logs-acme"),
        ({"orgs": {"acme": "special"}}, "special"),
        ({"org": "fixed"}, "fixed"),
        ({"org": ""}, None),
    ):
        await make_sink(**settings).write([frame([(A, [entry(NOW, "x")])])])
        assert stub.seen[-1].headers.get("x-scope-orgid") == want


async def test_credentials_are_sent(stub, make_sink):
    """Basic and bearer authentication, by configuration."""
    await make_sink(username="u", password="p").write([frame([(A, [entry(NOW, "x")])])])
    assert stub.seen[-1].headers["authorization"] == "Basic dTpw"
    await make_sink(bearer="t").write([frame([(A, [entry(NOW, "x")])])])
    assert stub.seen[-1].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_passing_fault_is_told_and_the_same_bytes_go_again(stub, make_sink, status):
    """What may pass raises with its status; the next write sends identical bytes."""
    sink = make_sink()
    stub.script = [(status, "wait", {"Retry-After": "7"})]
    frames = [frame([(A, [entry(NOW, "x")])])]
    with pytest.raises(UndeliveredError) as caught:
        await sink.write(frames)
    assert (caught.value.status, caught.value.retry_after) == (str(status), 7.0)
    assert not isinstance(caught.value, HeldError)
    assert await sink.write(frames) == Delivery(1)
    assert stub.seen[0].body == stub.seen[1].body


@pytest.mark.parametrize("status", [200, 202, 260, 301, 401, 403, 404, 405])
async def test_only_204_is_success(stub, make_sink, quarantine, status):
    """Any other answer that will not pass by itself holds the frames and asks for an operator."""
    sink = make_sink()
    stub.script = [status]
    frames = [frame([(A, [entry(NOW, "x")])])]
    with pytest.raises(HeldError) as caught:
        await sink.write(frames)
    assert caught.value.status == str(status)
    assert await sink.write(frames) == Delivery(1)
    assert not quarantine.items()


@pytest.mark.parametrize(("step", "status"), [(HANG, "timeout"), (DROP, "network"), (FORGET, "network")])
async def test_no_answer_means_maybe_stored(stub, make_sink, step, status):
    """Silence, a cut body and a lost answer raise; sending again doubles nothing."""
    sink = make_sink(timeout_s=0.3)
    stub.script = [step]
    frames = [frame([(A, [entry(NOW, "x" * 500_000)])])]
    with pytest.raises(UndeliveredError) as caught:
        await sink.write(frames)
    assert caught.value.status == status
    assert await sink.write(frames) == Delivery(1)
    assert len(stub.entries()) == 1


async def test_a_kept_connection_that_died_is_replaced(stub, make_sink):
    """A server that closed an idle connection costs no failed write."""
    sink = make_sink()
    await sink.write([frame([(A, [entry(NOW, "x")])], 0)])
    stub.script = [DROP]
    assert await sink.write([frame([(A, [entry(NOW + 1, "y")])], 1)]) == Delivery(1)
    assert stub.connections == 2


async def test_connections_are_kept(stub, make_sink):
    """Writes one after the other use one connection."""
    sink = make_sink()
    for position in range(5):
        await sink.write([frame([(A, [entry(NOW + position, "x")])], position)])
    assert stub.connections == 1


async def test_nobody_listens(make_sink, unused_tcp_port):
    """A refused connection is a network fault."""
    with pytest.raises(UndeliveredError) as caught:
        await make_sink(url=f"http://127.0.0.1:{unused_tcp_port}").write([frame([(A, [entry(NOW, "x")])])])
    assert (caught.value.status, caught.value.sent) == ("connect", False)


async def test_a_bad_entry_goes_alone_and_its_neighbours_arrive(stub, make_sink, quarantine):
    """Entries that Loki refuses for themselves end in quarantine with its reason; all others are delivered."""
    bad = {f"a{i}" for i in (3, 500, 501, 999)}
    stub.blame = lambda _, value: (
        "max entry size '1' bytes exceeded for stream '{app=\"a\"}' while adding" if value[1] in bad else None
    )
    values = [entry(NOW + i, f"a{i}", level="info") for i in range(1000)]
    delivery = await make_sink().write([frame([(A, values), (B, [entry(NOW, "b")])])])
    assert delivery == Delivery(997, {"too_large": 4})
    assert {line for _, line in stub.entries()} == {f"a{i}" for i in range(1000)} - bad | {"b"}
    assert {item.line for item in refused(quarantine)} == bad
    item = refused(quarantine)[0]
    assert item.reason == "too_large"
    assert "max entry size" in item.detail
    assert (dict(item.labels), dict(item.metadata), item.tenant, item.sink) == (
        A,
        {"level": "info"},
        "acme",
        "loki",
    )
    assert len(stub.seen) < 4 * 4 * 10


async def test_a_bad_label_set_refuses_its_stream_only(stub, make_sink, quarantine):
    """Loki stores nothing of a push with an invalid label name; the other streams arrive all the same."""
    delivery = await make_sink(alone="never").write(
        [
            frame(
                [
                    (A, [entry(NOW, "a")]),
                    ({"a-b": "x"}, [entry(NOW + i, f"bad{i}") for i in range(50)]),
                    (B, [entry(NOW, "b")]),
                ]
            )
        ]
    )
    assert delivery == Delivery(2, {"labels": 50})
    assert {line for _, line in stub.entries()} == {"a", "b"}
    assert len(refused(quarantine)) == 50
    assert len(stub.seen) == 4


async def test_a_500_that_blames_an_entry_does_not_block_for_ever(stub, make_sink, quarantine):
    """Loki answers 500 to a metadata name it cannot make valid; that is the entry's fault, not a passing one."""
    text = 'normalization for label name "-" resulted in invalid name "_"'

    def answer(step, streams):
        wrong = any("-" in metadata for s in streams for value in s["values"] for metadata in value[2:])
        return (500, text, {}) if wrong else plain(step, streams)

    plain, stub._answer = stub._answer, answer
    values = [entry(NOW, "good"), [str(NOW + 1), "bad", {"-": "x"}], entry(NOW + 2, "good too")]
    assert await make_sink().write([frame([(A, values)])]) == Delivery(2, {"format": 1})
    assert [item.line for item in refused(quarantine)] == ["bad"]


async def test_a_push_too_large_is_halved(stub, make_sink):
    """After 413 the halves go, down to what fits; a single entry too large is refused."""
    stub.most_entries = 10
    frames = [frame([(A, [entry(NOW + 100 * i + j, f"{i}.{j}") for j in range(40)])], i) for i in range(3)]
    assert await make_sink(alone="never").write(frames) == Delivery(120)
    assert len(stub.entries()) == 120
    stub.most_entries = 0
    assert await make_sink().write([frame([(A, [entry(NOW, "z")])], 9)]) == Delivery(0, {"too_large": 1})


async def test_what_is_larger_than_the_burst_gets_smaller(stub, make_sink):
    """After a 429 a large push is cut before it goes again, so that it cannot be too much for ever."""
    sink = make_sink(alone="never")
    frames = [frame([(A, [entry(NOW + i, chr(97 + i) * 300_000)])], i) for i in range(4)]
    stub.script = [429]
    with pytest.raises(UndeliveredError):
        await sink.write(frames)
    assert await sink.write(frames) == Delivery(4)
    assert [len(seen.streams) for seen in stub.seen] == [4, 2, 2]


async def test_old_records_go_late_at_once(stub, make_sink):
    """Records that could be too far behind get the hour's label, where Loki's window cannot refuse them."""
    stub.window_ns = HOUR_NS
    values = [entry(NOW - 3 * HOUR_NS + i, f"old{i}") for i in range(3)] + [entry(NOW, "new")]
    assert await make_sink().write([frame([(A, [entry(NOW, "newest")])], 0)]) == Delivery(1)
    assert await make_sink().write([frame([(A, values), (B, [entry(NOW, "b")])], 1)]) == Delivery(5)
    assert len(stub.entries()) == 6
    late = {
        value[1]
        for seen in stub.seen
        for s in seen.streams
        if s["stream"].get("late") == "2026-11-23T23"
        for value in s["values"]
    }
    assert late == {"old0", "old1", "old2"}


async def test_a_204_that_hides_an_error_of_another_stream_loses_nothing(stub, make_sink):
    """Loki says 204 when the last stream is taken, whatever befell those before it."""
    stub.window_ns = HOUR_NS
    sink = make_sink()
    await sink.write([frame([(A, [entry(NOW, "a")]), (B, [entry(NOW, "b")])], 0)])
    assert await sink.write(
        [frame([(A, [entry(NOW - 3 * HOUR_NS, "late")]), (B, [entry(NOW + 1, "b1")])], 1)]
    ) == Delivery(2)
    assert {line for _, line in stub.entries()} == {"a", "b", "late", "b1"}


async def test_a_new_stream_is_introduced_alone(stub, make_sink):
    """So the limit of streams is heard: in one push with a known stream Loki would answer 204."""
    stub.max_streams = 1
    sink = make_sink()
    await sink.write([frame([(B, [entry(NOW, "b")])], 0)])
    frames = [frame([(A, [entry(NOW, "a")]), (B, [entry(NOW + 1, "b1")])], 1)]
    with pytest.raises(UndeliveredError) as caught:
        await sink.write(frames)
    assert caught.value.status == "429"
    stub.max_streams = 2
    assert await sink.write(frames) == Delivery(2)
    assert len(stub.entries()) == 3
    before = len(stub.seen)
    await sink.write([frame([(A, [entry(NOW + 2, "a2")]), (B, [entry(NOW + 2, "b2")])], 2)])
    assert len(stub.seen) == before + 1


@pytest.mark.parametrize("alone", ["busy", "always"])
async def test_a_stream_over_its_rate_loses_nothing_behind_a_quiet_one(stub, make_sink, alone):
    """Loki hides a stream over its rate behind one that it takes: so a busy stream goes alone, and again."""
    sink = make_sink(alone=alone)
    await sink.write([frame([(A, [entry(NOW, "a")]), (B, [entry(NOW, "b")])], 0)])
    stub.stream_burst = 300_000
    frames = [
        frame(
            [
                (A, [entry(NOW + 10 * p + i, f"{p}.{i}".ljust(20_000)) for i in range(4)]),
                (B, [entry(NOW + p, f"b{p}")]),
            ],
            p,
        )
        for p in range(1, 10)
    ]
    tries = 0
    while True:
        try:
            delivery = await sink.write(frames)
            break
        except UndeliveredError as error:
            assert (error.status, tries < 20) == ("429", True)
            tries += 1
            stub.refill()

    assert tries
    assert delivery == Delivery(45)
    assert len(stub.entries()) == 47


async def test_quiet_streams_share_a_push(stub, make_sink):
    """What is known and small costs no push of its own; what is busy does, and frames of one stream go as they are."""
    sink = make_sink()
    first = [frame([(labels, [entry(NOW, "x")]) for labels in (A, B, C)], 0)]
    await sink.write(first)
    introduced = len(stub.seen)
    large = frame([(C, [entry(NOW + 1, "x" * 70_000)])], 2)
    await sink.write([frame([(A, [entry(NOW + 1, "a1")]), (B, [entry(NOW + 1, "b1")])], 1), large])
    pushed = [sorted(each["stream"]["app"] for each in seen.streams) for seen in stub.seen[introduced:]]

    assert introduced == 3
    assert sorted(pushed) == [["a", "b"], ["c"]]


async def test_an_answer_that_speaks_of_no_entry_moves_nothing_to_quarantine(stub, make_sink, quarantine):
    """A proxy's 400 is narrowed to one entry and held there, in few pushes, until an operator looks."""
    text = "Client sent an HTTP request to an HTTPS server"
    stub.script = [(400, text, {})] * 40
    sink = make_sink()
    frames = [frame([(A, [entry(NOW + i, f"a{i}") for i in range(50)]), (B, [entry(NOW, "b")])])]
    for _ in range(3):
        with pytest.raises(HeldError, match="look at"):
            await sink.write(frames)
    assert len(stub.seen) < 40
    stub.script = []

    assert await sink.write(frames) == Delivery(51)
    assert not quarantine.items()


async def test_an_unknown_reason_blames_an_entry_when_its_neighbours_are_taken(stub, make_sink, quarantine):
    """A text of another version of Loki holds nobody else: the others arrive, then the entries are at fault."""
    bad = {"a3", "a4", "a20"}
    stub.blame = lambda _, value: "a rule that came later" if value[1] in bad else None
    sink = make_sink()
    frames = [frame([(A, [entry(NOW + i, f"a{i}") for i in range(50)]), (B, [entry(NOW, "b")])])]
    for _ in range(5):
        try:
            delivery = await sink.write(frames)
            break
        except HeldError:
            pass

    assert delivery == Delivery(48, {"other": 3})
    assert {item.line for item in refused(quarantine)} == bad
    with pytest.raises(HeldError):
        await sink.write([frame([(A, [entry(NOW + 99, "a3")])], 1)])


async def test_waiting_starts_short_again_when_a_part_was_taken(stub, make_sink):
    """A fault in the middle of several pushes says that there was progress."""
    sink = make_sink()
    frames = [frame([(A, [entry(NOW, "a")]), (B, [entry(NOW, "b")])])]
    stub.script = [204, 503, 503]
    found = []
    for _ in range(2):
        with pytest.raises(UndeliveredError) as caught:
            await sink.write(frames)
        found.append(caught.value.progress)

    assert found == [True, False]


async def test_too_far_behind_is_sent_again_with_its_hour(stub, make_sink, quarantine):
    """Without the shortcut, what Loki refuses as too late is sent with the label, in few pushes."""
    stub.window_ns = HOUR_NS
    sink = make_sink(late_after_s=0)
    await sink.write([frame([(A, [entry(NOW, "newest")])], 0)])
    values = [entry(NOW - 3 * HOUR_NS + i * HOUR_NS // 1000, f"v{i}") for i in range(3000)]
    assert await sink.write([frame([(A, values)], 1)]) == Delivery(3000)
    assert len(stub.entries()) == 3001
    assert not quarantine.items()
    assert len(stub.seen) < 20


async def test_too_old_even_for_the_late_stream_is_refused(stub, make_sink, quarantine):
    """An entry that Loki takes in no stream ends in quarantine as too late, in few pushes."""
    limit = NOW - 3600 * 10**9
    stub.blame = lambda labels, value: (
        "entry for stream '{x}' has timestamp too old: 2026-11-24T00:00:00Z, "
        "oldest acceptable timestamp is: 2026-11-24T01:18:09Z"
        if int(value[0]) < limit
        else None
    )
    values = [entry(NOW - 5400 * 10**9 + i, f"v{i}") for i in range(500)] + [entry(NOW, "good")]
    assert await make_sink().write([frame([(A, values)])]) == Delivery(1, {"too_late": 500})
    assert len(refused(quarantine)) == 500
    assert len(stub.seen) < 10


async def test_what_was_confirmed_is_not_sent_again(stub, make_sink):
    """A fault in the middle of several pushes resumes there."""
    sink = make_sink(alone="always")
    frames = [frame([(A, [entry(NOW, "a")]), (B, [entry(NOW, "b")]), (C, [entry(NOW, "c")])])]
    stub.script = [204, 503]
    with pytest.raises(UndeliveredError):
        await sink.write(frames)
    assert await sink.write(frames) == Delivery(3)
    sent = [seen.streams[0]["stream"]["app"] for seen in stub.seen]
    assert sent == ["a", "b", "b", "c"]


@pytest.mark.parametrize("step", [503, DROP, FORGET])
async def test_a_plan_that_grows_old_loses_and_doubles_nothing(stub, make_sink, quarantine, step):
    """Loki was away for hours with a push under way; meanwhile another sender brought the streams to now."""
    stub.window_ns = HOUR_NS
    now = [NOW]
    sink = LokiSink(LokiSettings(url=stub.url, alone="never"), quarantine, clock=lambda: now[0])
    frames = [frame([(A, [entry(NOW, "a")]), (B, [entry(NOW, "b")]), (C, [entry(NOW + 1, "c")])])]
    stub.script = [step]
    with pytest.raises(UndeliveredError):
        await sink.write(frames)
    now[0] += 3 * HOUR_NS
    if step != FORGET:
        newer = [frame([(A, [entry(now[0], "a1")]), (B, [entry(now[0], "b1")])], 1)]
        await make_sink().write(newer)
    assert await sink.write(frames) == Delivery(3)
    lines = [line for _, line in stub.entries()]
    assert sorted(lines) == sorted(["a", "b", "c"] + (["a1", "b1"] if step != FORGET else []))
    await sink.close()


async def test_a_plan_that_was_never_sent_is_made_anew(stub, make_sink, quarantine):
    """Behind a fault that lasted hours, pushes that never went are late from the start."""
    stub.window_ns = HOUR_NS
    now = [NOW]
    settings = LokiSettings(url=stub.url, alone="never", push_bytes=1 << 20)
    sink = LokiSink(settings, quarantine, clock=lambda: now[0])
    frames = [frame([(A, [entry(NOW + i, "x" * 700_000)])], i) for i in range(2)]
    stub.script = [503]
    with pytest.raises(UndeliveredError):
        await sink.write(frames)
    now[0] += 3 * HOUR_NS
    assert await sink.write(frames) == Delivery(2)
    assert [seen.streams[0]["stream"].get("late") for seen in stub.seen] == [None, None, "2026-11-24T02"]
    await sink.close()


async def test_check_asks_whether_loki_is_ready(stub, make_sink):
    """`check` passes on 200 and raises on anything else."""
    sink = make_sink()
    stub.script = [200, 503]
    await sink.check()
    with pytest.raises(UndeliveredError):
        await sink.check()


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"url": "loki:3100"}, "sinks.loki.url"),
        ({"url": "http://u:p@loki"}, "sinks.loki.url"),
        ({"url": "http://loki", "bearer": "x", "username": "y"}, "sinks.loki.bearer"),
        ({"url": "http://loki", "org": "a\nb"}, "sinks.loki.org"),
        ({"url": "http://loki", "push_bytes": 5}, "sinks.loki.push_bytes"),
        ({"url": "http://loki", "timeout_s": 0}, "sinks.loki.timeout_s"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, path):
    """The error names the place in the configuration."""
    with pytest.raises(ConfigError) as caught:
        LokiSettings(**settings)
    assert caught.value.path == path


def test_settings_do_not_print_secrets():
    """A settings object in a log shows no password or token."""
    assert "s3cret" not in repr(LokiSettings(url="http://loki", username="u", password="s3cret"))
    assert "s3cret" not in repr(LokiSettings(url="http://loki", bearer="s3cret"))
