"""Loki push on both paths, with bodies as the real clients make them."""

import base64
import gzip
import logging

import cramjam
import httpx
import orjson
import pytest
from headrig import Resource
from logging_loki.emitter import LokiEmitterV0, LokiEmitterV1

from pipeline.flow.inbound import Inbound, Outcome, Receipt
from pipeline.receiver.auth import Credential, Credentials
from pipeline.receiver.ingest import Hooks, IngestApp
from pipeline.receiver.limits import Limits
from pipeline.receiver.loki_labels import parse_labels

V1 = "/loki/api/v1/push"
V0 = "/api/prom/push"
NS = 1_795_422_174_853_719_500
URL = "http://loki.invalid"


class Flow:
    """Keeps every Inbound; accepts all of it, with receipts if given."""

    def __init__(self, receipts: list[Receipt] | None = None) -> None:
        self.seen: list[Inbound] = []
        self.receipts = receipts or []

    async def submit(self, inbound: Inbound) -> Outcome:
        self.seen.append(inbound)
        return Outcome(len(inbound.lines), [], self.receipts)


async def post(
    flow, body, path=V1, *, credentials=None, limits=None, hooks=None, content_type="application/json", **more
):
    """Push one body; anything that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    app = IngestApp(flow.submit, credentials or Credentials({}), limits, hooks)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        headers = {"Content-Type": content_type} | {
            name.replace("_", "-"): value for name, value in more.items()
        }
        answer = await client.post(path, content=content, headers=headers)
    app.close()
    return answer


def push(*values, **stream):
    """Return a v1 push of one stream."""
    return {"streams": [{"stream": stream, "values": list(values)}]}


def varint(number: int) -> bytes:
    """Encode an unsigned protobuf varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int) -> bytes:
    """Encode one protobuf field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def wire_push(labels: bytes, *entries: tuple[int, bytes, dict[bytes, bytes]]) -> bytes:
    """Encode a PushRequest of one stream."""
    stream = field(1, labels)
    for ns, line, metadata in entries:
        entry = field(1, field(1, ns // 10**9) + field(2, ns % 10**9)) + field(2, line)
        for name, value in metadata.items():
            entry += field(3, field(1, name) + field(2, value))
        stream += field(2, entry)
    return field(1, stream)


def record(message: str = "hello", **extra: object) -> logging.LogRecord:
    """Return a log record as the standard library makes it."""
    made = logging.LogRecord("my.logger", logging.ERROR, __file__, 1, message, None, None)
    made.__dict__.update(extra)
    return made


async def test_v1_of_python_logging_loki():
    """The body of LokiEmitterV1: any scalar as label value, any name."""
    emitter = LokiEmitterV1(
        URL, tags={"application": "my-app", "num": 7, "bad-name x": "v", "none": None, "on": True}
    )
    flow = Flow()
    answer = await post(flow, emitter.build_payload(record(tags={"user id": 42}), 'line é\n"q"'))
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    inbound = flow.seen[0]
    assert inbound.lines == ['line é\n"q"'.encode()]
    assert inbound.text_ok
    assert inbound.own_time
    assert inbound.coarse == 0
    assert inbound.times[0] > NS // 2
    assert orjson.loads(inbound.envelopes[inbound.envelope_of[0]]) == {
        "labels": {
            "application": "my-app",
            "num": "7",
            "bad-name x": "v",
            "none": "null",
            "on": "true",
            "severity": "error",
            "logger": "my.logger",
            "user_id": "42",
        },
        "metadata": {},
    }


@pytest.mark.parametrize("path", [V0, V1])
async def test_v0_of_python_logging_loki(path):
    """The body of LokiEmitterV0, on either path: RFC 3339 in us, backslashes that nobody escaped."""
    emitter = LokiEmitterV0(
        URL, tags={"app": "v0", "path": "C:\\data\\", "quote": 'a"b', "text": 'x="y",z="w"'}
    )
    legacy = []
    flow = Flow()
    answer = await post(
        flow, emitter.build_payload(record(), "line"), path, hooks=Hooks(legacy=legacy.append)
    )
    assert answer.status_code == 204
    inbound = flow.seen[0]
    assert inbound.lines == [b"line"]
    assert inbound.coarse == 3
    assert inbound.times[0] % 1000 == 0
    labels = orjson.loads(inbound.envelopes[0])["labels"]
    assert labels["app"] == "v0"
    assert labels["path"] == "C:\\data\\"
    assert labels["quote"] == 'a"b'
    assert labels["logger"] == "my.logger"
    assert legacy == ([] if path == V0 else ["default"])


@pytest.mark.parametrize("path", [V0, V1])
@pytest.mark.parametrize("content_type", ["application/x-protobuf", "application/json", "text/plain"])
async def test_protobuf_by_content(path, content_type):
    """Protobuf in a snappy block is known by its content, on either path."""
    body = wire_push(
        b'{app="x"}', (NS, b"one", {}), (NS + 1, b"two", {b"trace.id": b"abc"}), (0, b"three", {})
    )
    flow = Flow()
    answer = await post(flow, bytes(cramjam.snappy.compress_raw(body)), path, content_type=content_type)
    assert answer.status_code == 204
    inbound = flow.seen[0]
    assert inbound.lines == [b"one", b"two", b"three"]
    assert inbound.times == [NS, NS + 1, 0]
    assert not inbound.own_time
    assert [orjson.loads(inbound.envelopes[which]) for which in inbound.envelope_of] == [
        {"labels": {"app": "x"}, "metadata": {}},
        {"labels": {"app": "x"}, "metadata": {"trace.id": "abc"}},
        {"labels": {"app": "x"}, "metadata": {}},
    ]


@pytest.mark.parametrize("size", [91, 123])
async def test_protobuf_that_begins_like_json(size):
    """A snappy block of 91 or 123 bytes begins with a bracket."""
    for padding in range(120):
        body = wire_push(b'{app="x"}', (NS, b"x" * padding, {}))
        if len(body) == size:
            break
    packed = bytes(cramjam.snappy.compress_raw(body))
    assert packed[:1] in b"[{"
    for content_type in ("application/x-protobuf", "application/octet-stream"):
        flow = Flow()
        assert (await post(flow, packed, content_type=content_type)).status_code == 204
        assert flow.seen[0].lines == [b"x" * padding]


async def test_json_declared_as_protobuf():
    """The content wins over the content type."""
    flow = Flow()
    assert (await post(flow, push([str(NS), "a"]), content_type="application/x-protobuf")).status_code == 204
    assert flow.seen[0].lines == [b"a"]


async def test_protobuf_with_snappy_as_content_coding():
    """Loki tolerates a snappy content coding around protobuf; so do we."""
    body = bytes(cramjam.snappy.compress_raw(wire_push(b'{app="x"}', (NS, b"one", {}))))
    flow = Flow()
    answer = await post(flow, body, content_type="application/x-protobuf", Content_Encoding="snappy")
    assert answer.status_code == 204
    assert flow.seen[0].lines == [b"one"]


async def test_gzip_json():
    """A gzip body, as Fluent Bit and loki-logger-handler send it."""
    flow = Flow()
    answer = await post(flow, gzip.compress(orjson.dumps(push([str(NS), "a"]))), Content_Encoding="gzip")
    assert answer.status_code == 204
    assert flow.seen[0].times == [NS]


async def test_structured_metadata():
    """The third element: names sanitised, values stringified, one envelope per distinct content."""
    values = [
        [str(NS), "a", {"user.id": 7, "ok": True, "deep": {"x": [1]}}],
        [str(NS), "b", {}],
        [str(NS), "c", None],
        [str(NS), "d"],
        [str(NS), "e", {"user.id": 7, "ok": True, "deep": {"x": [1]}}],
    ]
    flow = Flow()
    await post(flow, push(*values, app="x"))
    inbound = flow.seen[0]
    assert inbound.lines == [b"a", b"b", b"c", b"d", b"e"]
    assert inbound.envelope_of[0] == inbound.envelope_of[4]
    assert inbound.envelope_of[1] == inbound.envelope_of[2] == inbound.envelope_of[3]
    assert len(inbound.envelopes) == 2
    found = orjson.loads(inbound.envelopes[inbound.envelope_of[0]])
    assert found["metadata"] == {"user.id": "7", "ok": "true", "deep": '{"x":[1]}'}


async def test_one_stream_object_per_record_shares_its_envelope():
    """pino-loki repeats the stream for each record."""
    streams = [{"stream": {"app": "x"}, "values": [[str(NS + n), str(n)]]} for n in range(5)]
    flow = Flow()
    await post(flow, {"streams": streams})
    assert len(flow.seen[0].envelopes) == 1
    assert flow.seen[0].envelope_of == [0] * 5


@pytest.mark.parametrize(
    "broken",
    [
        [str(NS), 7],
        [str(NS), {"a": 1}],
        [str(NS), None],
        [str(NS)],
        [],
        [str(NS), "x", {}, "more"],
        [str(NS), "x", "metadata"],
        [str(NS), "x", [1]],
        "ab",
        None,
        7,
        {"ts": 1},
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_broken_entry_leaves_its_neighbours(broken, at):
    """Wrong types cost the entry, not the push; positions tell which."""
    values = [[str(NS), "a"], [str(NS + 1), "b"]]
    values.insert(at, broken)
    flow = Flow()
    answer = await post(flow, push(*values))
    assert answer.status_code == 204
    assert answer.headers["x-headrig-rejected"] == "1"
    inbound = flow.seen[0]
    assert inbound.lines == [b"a", b"b"]
    assert inbound.times == [NS, NS + 1]
    assert [verdict.origin for verdict in inbound.rejected] == [at]
    assert inbound.positions == [row for row in range(3) if row != at]


@pytest.mark.parametrize(
    "broken", [7, None, "x", [], {"stream": {}, "values": "x"}, {"stream": {}, "entries": 1}]
)
async def test_a_broken_stream_leaves_its_neighbours(broken):
    """A stream of a wrong shape counts as one rejected record."""
    good = {"stream": {"app": "x"}, "values": [[str(NS), "a"]]}
    flow = Flow()
    answer = await post(flow, {"streams": [good, broken, good]})
    assert answer.status_code == 204
    assert flow.seen[0].lines == [b"a", b"a"]
    assert flow.seen[0].positions == [0, 2]
    assert [verdict.origin for verdict in flow.seen[0].rejected] == [1]


@pytest.mark.parametrize(
    ("stamp", "time", "coarse"),
    [
        (NS, NS, 0),
        (str(NS), NS, 0),
        (1.5e18, 1_500_000_000_000_000_000, 0),
        ("1795422174853", 1_795_422_174_853_000_000, 6),
        (1_795_422_174, 1_795_422_174_000_000_000, 9),
        ("2026-11-23T08:18:57.5Z", 1_795_421_937_500_000_000, 8),
        ("yesterday", 0, 0),
        (None, 0, 0),
        (True, 0, 0),
        ("-1", 0, 0),
        ("9" * 5000, 0, 0),
        ([], 0, 0),
    ],
)
async def test_times(stamp, time, coarse):
    """Numbers and texts of any unit; what is unusable is 0, never a refusal."""
    flow = Flow()
    assert (await post(flow, push([stamp, "a"]))).status_code == 204
    assert flow.seen[0].times == [time]
    assert flow.seen[0].coarse == coarse
    assert flow.seen[0].own_time == (time > 0)


async def test_the_coarseness_is_what_no_entry_uses():
    """Digits may be filled only if they are unused in every entry."""
    flow = Flow()
    await post(flow, push(["1795422174853", "ms"], ["1795422174853719", "us"], ["never", "none"]))
    assert flow.seen[0].coarse == 3


async def test_json_lines_lose_their_newlines_and_texts_keep_them():
    """A JSON document over several lines becomes one line; a stack trace stays as it is."""
    flow = Flow()
    await post(flow, push([str(NS), '{\n "a": 1\n}'], [str(NS), "Trace:\n  at x"], [str(NS), "{not json\n}"]))
    assert flow.seen[0].lines == [b'{  "a": 1 }', b"Trace:\n  at x", b"{not json\n}"]


async def test_an_empty_line_is_a_line():
    """Loki takes an empty line; so do we."""
    flow = Flow()
    await post(flow, push([str(NS), ""]))
    assert flow.seen[0].lines == [b""]


async def test_long_lines_are_held_alone():
    """Lines over the limit go to quarantine, with all their columns: the sender hears only 204."""
    flow = Flow()
    body = {
        "streams": [
            {"stream": {"a": "1"}, "values": [[str(NS), "x" * 11], [str(NS + 1), "b"]]},
            {"stream": {"a": "2"}, "values": [[str(NS + 2), "c"], [str(NS + 3), "x" * 12]]},
        ]
    }
    answer = await post(flow, body, limits=Limits(line_bytes=10))
    assert answer.headers["x-headrig-quarantined"] == "2"
    inbound = flow.seen[0]
    assert [(held.line, held.time_ns) for held in inbound.held] == [(b"x" * 11, NS), (b"x" * 12, NS + 3)]
    assert inbound.lines == [b"b", b"c"]
    assert inbound.times == [NS + 1, NS + 2]
    assert inbound.envelope_of == [0, 1]
    assert inbound.positions == [1, 2]
    assert [(verdict.origin, verdict.size) for verdict in inbound.rejected] == [(0, 11), (3, 12)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"streams":[{"stream":{},"values":[["%d","a\\ud800b"]]}]}' % NS,
        b'{"streams":[{"stream":{},"values":[["%d","a\xffb"]]}]}' % NS,
    ],
)
async def test_bad_characters_are_replaced(body):
    """A lone surrogate or an invalid byte becomes U+FFFD, as Go does it."""
    flow = Flow()
    assert (await post(flow, body)).status_code == 204
    assert flow.seen[0].lines == ["a\ufffdb".encode()]


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"NaN", b"-Infinity"])
async def test_a_number_that_is_none_costs_nothing_but_itself(number):
    """A number beyond all numbers reads as null, wherever it stands: as a value, a time, a line, or unknown."""
    good = b'["%d","good",{"m":%b}]' % (NS, number)
    body = b'{"x":%b,"streams":[{"stream":{"a":%b,"n":18446744073709551615},"values":[%b,[%b,"late"],["1",%b]]}]}'
    flow = Flow()
    answer = await post(flow, body % (number, number, good, number, number))
    inbound = flow.seen[0]
    assert (answer.status_code, answer.headers["x-headrig-rejected"]) == (204, "1")
    assert (inbound.lines, inbound.times) == ([b"good", b"late"], [NS, 0])
    assert orjson.loads(inbound.envelopes[inbound.envelope_of[0]]) == {
        "labels": {"a": "null", "n": "18446744073709551615"},
        "metadata": {"m": "null"},
    }


@pytest.mark.parametrize("body", [b"{", b"[]", b"hello", b'{"streams":7}', b"\x0a\xff", b"[" * 200_000, b""])
async def test_an_unreadable_push_is_400(body):
    """Only what cannot be read at all is refused."""
    answer = await post(Flow(), body)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400


@pytest.mark.parametrize("body", [b"{}", b'{"streams":[]}', b'{"streams":null}', b"\x00"])
async def test_no_stream_is_422(body):
    """As Loki has it."""
    assert (await post(Flow(), body)).status_code == 422


async def test_streams_without_values_are_204():
    """As Loki has it; the flow is not asked."""
    flow = Flow()
    assert (await post(flow, push(app="x"))).status_code == 204
    assert (await post(flow, {"streams": [{"stream": {}}]})).status_code == 204
    assert not flow.seen


async def test_receipts_are_a_range_in_a_header():
    """Audit indexes come as first-last."""
    receipts = [Receipt(index, "00" * 32, 0, 9) for index in (7, 5, 6)]
    answer = await post(Flow(receipts), push([str(NS), "a"]))
    assert answer.status_code == 204
    assert answer.headers["x-headrig-audit"] == "5-7"
    assert "x-headrig-audit-conflict" not in answer.headers
    receipts[1].conflict = True
    answer = await post(Flow(receipts), push([str(NS), "a"]))
    assert answer.headers["x-headrig-audit-conflict"] == "1"


async def test_basic_authentication():
    """LokiHandler knows only Basic: the password is the token, the user is ignored."""
    credentials = Credentials.from_tokens([("s3cret", Credential(Resource("acme")))])
    flow = Flow()
    basic = "Basic " + base64.b64encode(b"whoever:s3cret").decode()
    assert (
        await post(flow, push([str(NS), "a"]), credentials=credentials, Authorization=basic)
    ).status_code == 204
    assert flow.seen[0].resource.tenant == "acme"
    refused = await post(flow, push([str(NS), "a"]), credentials=credentials, X_Scope_OrgID="acme")
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", {}),
        ('{a="b"}', {"a": "b"}),
        (' { a = "b" , c="d", } ', {"a": "b", "c": "d"}),
        (r'{a="x\\y\n\t\"z\""}', {"a": 'x\\y\n\t"z"'}),
        (r'{a="\u00e9\x41\101\U0001F600"}', {"a": "éAA😀"}),
        (r'{a="\ud800\UFFFFFFFF"}', {"a": "\ufffd\ufffd"}),
        (r'{a="C:\dir\"}', {"a": "C:\\dir\\"}),
        (r'{a="C:\dir\",b="c"}', {"a": "C:\\dir\\", "b": "c"}),
        ('{a="}",b="{"}', {"a": "}", "b": "{"}),
        ('{bad-name="1",bad.name="2"}', {"bad-name": "1", "bad.name": "2"}),
        ("a=b", None),
        ("{a=b}", None),
        ('{a="b"', None),
        ('{a="b" c="d"}', {"a": 'b" c="d'}),
    ],
)
def test_label_texts(text, labels):
    """Go's quoting, and what clients make of it."""
    assert parse_labels(text) == labels


async def test_labels_that_cannot_be_parsed_are_kept_as_metadata():
    """No line is lost for its labels."""
    flow = Flow()
    body = {"streams": [{"labels": "{nonsense", "entries": [{"ts": "2026-11-23T08:18:57Z", "line": "a"}]}]}
    assert (await post(flow, body)).status_code == 204
    assert flow.seen[0].lines == [b"a"]
    assert orjson.loads(flow.seen[0].envelopes[0]) == {
        "labels": {},
        "metadata": {"invalid_labels": "{nonsense"},
    }
