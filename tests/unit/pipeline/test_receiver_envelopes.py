"""What a push may put around its records: a little that is sent once is stored as often as there are records."""

import cramjam
import httpx
import orjson
import pytest

from pipeline.flow.inbound import Outcome
from pipeline.receiver.auth import Credentials
from pipeline.receiver.ingest import IngestApp
from pipeline.receiver.limits import Limits
from pipeline.receiver.loki_protobuf import WireEntry, WireStream
from pipeline.receiver.loki_push import PushColumns

NS = 1_795_422_174_853_719_500
SMALL = Limits(
    label_name_bytes=10, label_value_bytes=20, metadata_bytes=100, metadata_entries=4, line_bytes=500
)
BEYOND = [
    ({"n" * 11: "v"}, None, "label_bytes", "10 bytes"),
    ({"é" * 6: "v"}, None, "label_bytes", "10 bytes"),
    ({"a": "v" * 21}, None, "label_bytes", "20 bytes"),
    ({"a": "é" * 11}, None, "label_bytes", "20 bytes"),
    ({"a": "1"}, {"n" * 11: "v"}, "label_bytes", "10 bytes"),
    ({"a": "1"}, {"m": "v" * 98}, "metadata_bytes", "100 bytes"),
    ({"a": "1"}, {"m": ["v" * 40] * 3}, "metadata_bytes", "100 bytes"),
    ({name: "1" for name in "abcde"}, None, "metadata_entries", "4 labels"),
    ({"a": "1", "b": "2"}, {"c": "3", "d": "4", "e": "5"}, "metadata_entries", "4 labels"),
]
WITHIN = [
    ({"n" * 10: "v" * 20}, None),
    ({"é" * 5: "é" * 10}, None),
    ({"a": "1"}, {"m": "v" * 97}),
    ({"a": "1", "b": "2"}, {"c": "3", "d": "4"}),
]


class Flow:
    """Accepts everything and keeps it."""

    def __init__(self):
        self.seen = []

    async def submit(self, inbound):
        self.seen.append(inbound)
        return Outcome(len(inbound.lines))


async def post(flow, body, limits=SMALL):
    """Push one body."""
    app = IngestApp(flow.submit, Credentials({}), limits)
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        answer = await client.post("/loki/api/v1/push", content=content)
    app.close()
    assert app.inflight_bytes == 0
    return answer


def stream(labels, *lines, metadata=None):
    """One stream of a v1 push."""
    more = () if metadata is None else (metadata,)
    return {"stream": labels, "values": [[str(NS + n), line, *more] for n, line in enumerate(lines)]}


@pytest.mark.parametrize(("labels", "metadata", "reason", "limit"), BEYOND)
async def test_what_is_too_long_or_too_much_costs_its_records_only(labels, metadata, reason, limit):
    """The records of the stream, or the record, are rejected with the limit named; its neighbours are taken."""
    flow = Flow()
    good = stream({"a": "b"}, "good")
    answer = await post(flow, {"streams": [good, stream(labels, "x", "y", metadata=metadata), good]})
    inbound = flow.seen[0]

    assert (answer.status_code, answer.headers["x-headrig-rejected"]) == (204, "2")
    assert inbound.lines == [b"good", b"good"]
    assert inbound.positions == [0, 3]
    assert [(one.origin, one.reason, one.size) for one in inbound.rejected] == [
        (1, reason, 1),
        (2, reason, 1),
    ]
    assert all(limit in one.detail for one in inbound.rejected)


@pytest.mark.parametrize(("labels", "metadata"), WITHIN)
async def test_a_limit_itself_is_allowed(labels, metadata):
    """Limits count bytes, and reaching one is no excess."""
    flow = Flow()
    await post(flow, {"streams": [stream(labels, "x", metadata=metadata)]})

    inbound = flow.seen[0]
    assert not inbound.rejected
    assert orjson.loads(inbound.envelopes[inbound.envelope_of[0]]) == {
        "labels": labels,
        "metadata": metadata or {},
    }


async def test_one_records_metadata_costs_no_other_record_of_its_stream():
    """Structured metadata is the record's own."""
    values = [[str(NS), "a"], [str(NS), "b", {"m": "v" * 101}], [str(NS), "c", {"m": "v"}]]
    flow = Flow()
    await post(flow, {"streams": [{"stream": {"a": "1"}, "values": values}]})

    assert flow.seen[0].lines == [b"a", b"c"]
    assert [one.origin for one in flow.seen[0].rejected] == [1]


async def test_v0_and_protobuf_have_the_same_limits():
    """Neither shape is a way around them; nor is a label text that cannot be parsed."""
    entries = [{"ts": "2026-11-23T08:18:57Z", "line": "x"}]
    for labels in ('{a="%s"}' % ("v" * 21), "nonsense" * 13):
        flow = Flow()
        await post(flow, {"streams": [{"labels": labels, "entries": entries}]})
        assert [one.size for one in flow.seen[0].rejected] == [1]
    push = PushColumns(None, b"", SMALL)
    entry = WireEntry(NS, b"x", [(b"m", b"v" * 101)])
    push.add_wire([WireStream(b'{a="1"}', [entry]), WireStream(b'{a="%s"}' % (b"v" * 21), [entry])])
    assert [one.reason for one in push.finish().rejected] == ["metadata_bytes", "label_bytes"]


async def test_what_is_around_records_counts_once_for_each():
    """A body of some hundred bytes cannot become more than ``limits.inflated`` in memory and on disk."""
    limits = Limits(inflated_bytes=10_000)
    once = len(orjson.dumps({"labels": {"a": "v" * 500}, "metadata": {}}))
    for lines, status in ((10_000 // (once + 1), 204), (10_000 // (once + 1) + 1, 413)):
        flow = Flow()
        answer = await post(flow, {"streams": [stream({"a": "v" * 500}, *["x"] * lines)]}, limits)
        assert answer.status_code == status
        assert [one.envelope_bytes for one in flow.seen] == [once * lines] * (status == 204)
        assert status == 204 or answer.json()["reason"] == "inflated_bytes"


async def test_labels_beside_metadata_of_every_record_count_while_they_are_read():
    """Each record's own metadata makes an envelope of its own, labels and all; reading stops at the limit."""
    limits = Limits(inflated_bytes=100_000, label_value_bytes=2000)
    values = [[str(NS), "x", {"n": str(number)}] for number in range(1000)]
    flow = Flow()
    answer = await post(flow, {"streams": [{"stream": {"a": "v" * 2000}, "values": values}]}, limits)

    assert answer.status_code == 413
    assert not flow.seen


async def test_the_budget_holds_what_is_around_every_record():
    """While the flow works on a push, its memory is counted with the envelopes."""
    limits = Limits(inflight_bytes=20_000, body_bytes=20_000)
    body = {"streams": [stream({"a": "v" * 500}, *["x"] * 50)]}
    assert len(orjson.dumps(body)) < 5000

    answer = await post(Flow(), body, limits)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_wire_push_over_the_limits_is_answered_like_any_other():
    """Protobuf through the whole route."""
    text = b'{a="%s"}' % (b"v" * 21)
    entry = b"\x0a\x02\x08\x01\x12\x01x"
    one = b"\x0a%c%s\x12%c%s" % (len(text), text, len(entry), entry)
    flow = Flow()
    answer = await post(flow, bytes(cramjam.snappy.compress_raw(b"\x0a%c%s" % (len(one), one))))

    assert (answer.status_code, answer.headers["x-headrig-rejected"]) == (204, "1")
    assert not flow.seen[0].lines
