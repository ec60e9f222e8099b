"""`POST /v1/logs` through the ASGI application, with a flow that records what it gets."""

import asyncio
import gzip
import hashlib
import zlib

import cramjam
import google_crc32c
import httpx
import orjson
import pytest
from headrig import ConflictError, IntegrityError, OverloadedError, Resource, RetryableError, Verdict

from pipeline.flow.inbound import Inbound, Outcome, Receipt
from pipeline.receiver.auth import Credential, Credentials
from pipeline.receiver.ingest import Hooks, IngestApp, is_array
from pipeline.receiver.limits import Limits

ANYBODY = Credentials({})
RECORD = b'{"message":"paid","level":"info"}'


class Flow:
    """Keeps every Inbound; answers with ``outcome`` or raises ``error``."""

    def __init__(self, outcome: Outcome | None = None, error: Exception | None = None) -> None:
        self.seen: list[Inbound] = []
        self.outcome = outcome
        self.error = error

    async def submit(self, inbound: Inbound) -> Outcome:
        self.seen.append(inbound)
        if self.error is not None:
            raise self.error
        return self.outcome or Outcome(len(inbound.lines))


async def post(
    flow: Flow,
    content: bytes,
    *,
    credentials: Credentials = ANYBODY,
    limits: Limits | None = None,
    **headers: str,
) -> httpx.Response:
    """Send one body to ``/v1/logs``; header names are written with underscores."""
    app = IngestApp(flow.submit, credentials, limits)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://headrig") as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await client.post("/v1/logs", content=content, headers=named)
    app.close()
    assert app.inflight_bytes == 0
    return answer


async def test_one_object_is_one_record():
    """A single object is handed over as one line and answered with its number."""
    flow = Flow()
    answer = await post(flow, RECORD)
    assert answer.status_code == 200
    assert answer.json() == {"accepted": 1, "rejected": [], "quarantined": [], "receipts": []}
    assert flow.seen[0].lines == [RECORD]
    assert flow.seen[0].body == RECORD
    assert flow.seen[0].times is None
    assert not flow.seen[0].text_ok


async def test_a_pretty_printed_object_is_one_record():
    """An object over several lines is one record without newlines."""
    flow = Flow()
    pretty = orjson.dumps({"a": {"b": [1, 2]}, "c": "x\ny"}, option=orjson.OPT_INDENT_2)
    await post(flow, b"\n" + pretty + b"\n")
    assert len(flow.seen[0].lines) == 1
    assert b"\n" not in flow.seen[0].lines[0]
    assert orjson.loads(flow.seen[0].lines[0]) == orjson.loads(pretty)


async def test_ndjson_is_kept_as_it_came():
    """The body of an NDJSON request is its lines joined, and not copied line by line."""
    flow = Flow()
    await post(flow, RECORD + b"\n" + RECORD + b"\n")
    assert flow.seen[0].lines == [RECORD, RECORD]
    assert flow.seen[0].body == RECORD + b"\n" + RECORD


async def test_ndjson_with_crlf_and_blank_lines():
    """Carriage returns before newlines and blank lines do not count."""
    flow = Flow()
    await post(flow, b"\r\n" + RECORD + b"\r\n\r\n  \t\r\n" + RECORD + b"\r\n \r\n")
    assert flow.seen[0].lines == [RECORD, RECORD]
    assert flow.seen[0].body == RECORD + b"\n" + RECORD
    assert flow.seen[0].positions is None


async def test_a_byte_order_mark_is_ignored():
    """A UTF-8 byte order mark before the body is no content."""
    flow = Flow()
    await post(flow, b"\xef\xbb\xbf" + RECORD)
    assert flow.seen[0].lines == [RECORD]


async def test_a_broken_first_line_leaves_the_others():
    """When neither the first line nor the body is JSON, it is NDJSON and the flow judges each line."""
    flow = Flow()
    await post(flow, b'{"a":\n' + RECORD)
    assert flow.seen[0].lines == [b'{"a":', RECORD]


async def test_an_array_is_one_record_per_element():
    """Elements keep their bytes; newlines between tokens become spaces."""
    flow = Flow()
    await post(flow, b' [{"a":\n1} ,\n {"b":2}, 7]')
    assert flow.seen[0].lines == [b'{"a": 1}', b'{"b":2}', b"7"]
    assert flow.seen[0].body is None


async def test_an_empty_array_is_fine():
    """No record is no error, and the flow is not asked."""
    flow = Flow()
    answer = await post(flow, b"[]")
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 0
    assert not flow.seen


@pytest.mark.parametrize("body", [b"", b" \n\r\n "])
async def test_an_empty_body_is_refused(body):
    """Nothing but blank space is 400."""
    answer = await post(Flow(), body)
    assert answer.status_code == 400
    assert answer.json()["reason"] == "empty_body"


@pytest.mark.parametrize("body", [b'[{"a":1},', b"[1,]", b'[{"a" 1}]', b"[" * 100_000])
async def test_a_broken_array_is_400_without_content(body):
    """An array that does not end cannot be told apart into records."""
    answer = await post(Flow(), body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_lines_that_are_not_utf8_are_rejected_alone():
    """Invalid UTF-8 costs its own record only; positions of the others stay."""
    flow = Flow()
    answer = await post(flow, RECORD + b'\n{"a":"\xff"}\n' + RECORD)
    assert flow.seen[0].lines == [RECORD, RECORD]
    assert flow.seen[0].positions == [0, 2]
    assert flow.seen[0].body == RECORD + b"\n" + RECORD
    assert answer.json()["rejected"] == [{"index": 1, "reason": "not_utf8", "detail": "not UTF-8"}]
    assert answer.json()["accepted"] == 2


async def test_long_lines_are_rejected_alone_and_name_the_limit():
    """A line over the limit is rejected with the limit in the detail."""
    flow = Flow()
    long = b'{"a":"' + b"x" * 100 + b'"}'
    answer = await post(flow, RECORD + b"\n" + long, limits=Limits(line_bytes=80))
    assert answer.status_code == 200
    rejected = answer.json()["rejected"]
    assert [(one["index"], one["reason"]) for one in rejected] == [(1, "line_bytes")]
    assert "80 bytes" in rejected[0]["detail"]


async def test_a_single_rejected_object_is_422():
    """A body that is one record and was rejected does not look like success."""
    flow = Flow(Outcome(0, [Verdict(0, "rejected", "malformed", "no JSON object")]))
    answer = await post(flow, b"hello")
    assert answer.status_code == 422
    assert answer.json()["rejected"] == [{"index": 0, "reason": "malformed", "detail": "no JSON object"}]
    assert (await post(flow, b"[7]")).status_code == 200
    assert (await post(flow, b"hello\nworld")).status_code == 200


async def test_verdicts_and_receipts_are_listed():
    """Every record that left is listed by kind, every audit event has a receipt."""
    verdicts = [Verdict(1, "quarantined", "too_deep", "depth 64"), Verdict(2, "dropped", "health")]
    receipts = [Receipt(index=41, leaf="ab" * 32, position=0, tree_size=42, duplicate=True)]
    answer = await post(Flow(Outcome(1, verdicts, receipts, duplicate=True)), b"\n".join([RECORD] * 3))
    assert answer.json() == {
        "accepted": 1,
        "rejected": [],
        "quarantined": [{"index": 1, "reason": "too_deep", "detail": "depth 64"}],
        "dropped": [{"index": 2, "reason": "health", "detail": ""}],
        "receipts": [{"index": 41, "leaf": "ab" * 32, "record": 0, "tree_size": 42, "duplicate": True}],
        "duplicate": True,
    }


@pytest.mark.parametrize("start", [b"", b"\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_array_is_told_whatever_stands_before_it(start):
    """It is parsed as a whole, which must not hold up everybody else."""
    assert is_array(start + b"[{}]")
    assert not is_array(start + RECORD)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]) + b"\0\0"),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("zstd", lambda data: bytes(cramjam.zstd.compress(data))),
        (
            "zstd",
            lambda data: bytes(cramjam.zstd.compress(data[:5])) + bytes(cramjam.zstd.compress(data[5:])),
        ),
        ("snappy", lambda data: bytes(cramjam.snappy.compress(data))),
        ("snappy", lambda data: bytes(cramjam.snappy.compress_raw(data))),
        ("identity", lambda data: data),
        (" GZIP ", gzip.compress),
    ],
)
@pytest.mark.parametrize("records", [1, 4_000, 20_000])
async def test_content_codings(encoding, encode, records):
    """Each coding gives the same lines, in the event loop and in a thread."""
    flow = Flow()
    answer = await post(flow, encode(b"\n".join([RECORD] * records)), Content_Encoding=encoding)
    assert answer.json()["accepted"] == records
    assert flow.seen[0].lines == [RECORD] * records


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzip,zstd"])
async def test_unknown_and_stacked_codings_are_415(encoding):
    """One coding of the known ones, or 415."""
    answer = await post(Flow(), gzip.compress(RECORD), Content_Encoding=encoding)
    assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
@pytest.mark.parametrize(
    "body", [b"", b"not compressed at all", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\x06\0\0sNaPpY"]
)
async def test_bytes_that_are_not_the_coding_are_400(encoding, body):
    """What cannot be inflated is 400, whatever the library says about it."""
    answer = await post(Flow(), body, Content_Encoding=encoding)
    assert answer.status_code == 400


async def test_a_truncated_gzip_is_400():
    """A body that ends early is not taken for a shorter one."""
    for cut in range(1, 20):
        answer = await post(Flow(), gzip.compress(RECORD)[:-cut], Content_Encoding="gzip")
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"resourceLogs":[]}', "application/json"),
        (b'{\n "resourceLogs": [\n {}\n ]\n}', "application/json"),
        (b'{"resourceLogs":[]}\n{"resourceLogs":[]}', "text/plain"),
        (b'{"a":1}\n{"resourceLogs":[]}', "application/json"),
        (b'[{"resourceLogs":[]}]', "application/json"),
        (b'[{"a":1},\n{"b":1,"resourceLogs":[]}]', "application/json"),
        (b"\x0a\x00", "application/x-protobuf"),
    ],
)
async def test_otlp_is_415(body, content_type):
    """OTLP is told that it is not supported yet, in JSON and protobuf."""
    answer = await post(Flow(), body, Content_Type=content_type)
    assert answer.status_code == 415
    assert "OTLP" in answer.json()["detail"]


async def test_a_record_may_mention_otlp():
    """The word inside a record is not OTLP."""
    flow = Flow()
    record = b'{"message":"resourceLogs","x":{"resourceLogs":1}}'
    for body in (record, record + b"\n" + record, b"[" + record + b"]"):
        assert (await post(flow, body)).status_code == 200
    assert len(flow.seen) == 3


TOKENS = Credentials.from_tokens(
    [
        ("writer", Credential(Resource("acme", "checkout"), frozenset({"write"}))),
        ("reader", Credential(Resource("acme"), frozenset({"read"}))),
    ]
)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer nobody", 401),
        ("Bearer ", 401),
        ("Digest x", 401),
        ("Basic !!!", 401),
        ("Basic " + "dXNlcg==", 401),  # user without a password
        ("Bearer reader", 403),
        ("Bearer writer", 200),
        ("bearer   writer ", 200),
        ("Basic " + "YW55Ym9keTp3cml0ZXI=", 200),  # anybody:writer
    ],
)
async def test_credentials(authorization, status):
    """A token is known, has the scope, and comes as Bearer or as the password of Basic."""
    flow = Flow()
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await post(flow, RECORD, credentials=TOKENS, **headers)
    assert answer.status_code == status
    if status == 200:
        assert flow.seen[0].resource == Resource("acme", "checkout")
    if status == 401:
        challenges = answer.headers.get_list("www-authenticate")
        assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]


async def test_the_credential_is_checked_before_the_body_is_read():
    """A body without a credential is never received."""
    app = IngestApp(Flow().submit, TOKENS)
    sent = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": "/v1/logs", "headers": []}, receive, send)
    assert sent[0]["status"] == 401


async def test_without_tokens_everybody_is_the_default_tenant():
    """Anonymous requests belong to the tenant ``default``."""
    flow = Flow()
    await post(flow, RECORD, Authorization="Bearer whatever")
    assert flow.seen[0].resource == Resource("default")


async def test_the_idempotency_key_and_digest_are_handed_over():
    """The key comes from its header, the digest from the inflated body: a checksum beside a key."""
    flow = Flow()
    bodies = [gzip.compress(RECORD, mtime=1), gzip.compress(RECORD, mtime=2), zlib.compress(RECORD)]
    for body, coding in zip(bodies, ["gzip", "gzip", "deflate"], strict=True):
        await post(flow, body, Idempotency_Key="a-1", Content_Encoding=coding)
        await post(flow, body, Content_Encoding=coding)
    assert [inbound.key for inbound in flow.seen] == ["a-1", None] * 3
    assert {one.digest for one in flow.seen[::2]} == {google_crc32c.value(RECORD).to_bytes(4, "little")}
    assert {one.digest for one in flow.seen[1::2]} == {hashlib.sha256(RECORD).digest()}


async def test_a_large_body_has_the_digest_of_its_content_too():
    """What is inflated in a thread is told apart by the same rule."""
    flow = Flow()
    body = b"\n".join([RECORD] * 20_000)
    await post(flow, gzip.compress(body), Content_Encoding="gzip")
    assert flow.seen[0].digest == hashlib.sha256(body).digest()


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_bad_idempotency_key_is_400(key):
    """1 to 255 visible ASCII characters."""
    assert (await post(Flow(), RECORD, Idempotency_Key=key)).status_code == 400


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (ConflictError("the key came with another body"), 422, None),
        (OverloadedError("the buffer is full", retry_after=4.2), 503, "5"),
        (RetryableError("in flight"), 503, "1"),
        (IntegrityError("segment 7 of /var/lib is damaged"), 503, "10"),
        (ZeroDivisionError("secret content"), 500, None),
    ],
)
async def test_errors_of_the_flow(error, status, retry_after):
    """Each error class has one answer; unexpected ones do not show their text."""
    answer = await post(Flow(error=error), RECORD)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "secret" not in answer.text
    assert "/var/lib" not in answer.text


async def test_throttling_is_429():
    """A retryable error that says throttled is the sender's own rate."""
    error = RetryableError("too many records a second", retry_after=2)
    error.throttled = True
    answer = await post(Flow(error=error), RECORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_405(method):
    """Ingest routes take POST and say so."""
    app = IngestApp(Flow().submit, ANYBODY)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        answer = await client.request(method, "/v1/logs")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_an_unknown_path_is_404():
    """The application answers for its own routes only."""
    app = IngestApp(Flow().submit, ANYBODY)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        assert (await client.post("/v2/logs", content=RECORD)).status_code == 404


async def test_headers_that_decide_must_not_come_twice():
    """Two content codings in two headers are as stacked as in one."""
    app = IngestApp(Flow().submit, ANYBODY)
    pairs = [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        answer = await client.post("/v1/logs", content=gzip.compress(RECORD), headers=pairs)
    assert answer.status_code == 400


async def test_a_client_that_leaves_stores_nothing():
    """A disconnect before the end of the body: no submit, no answer, no bytes held."""
    flow = Flow()
    answered = []
    app = IngestApp(flow.submit, ANYBODY, hooks=Hooks(answered=lambda *seen: answered.append(seen[:2])))
    messages = [
        {"type": "http.request", "body": RECORD, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        raise AssertionError(message)

    await app({"type": "http", "method": "POST", "path": "/v1/logs", "headers": []}, receive, send)
    assert not flow.seen
    assert app.inflight_bytes == 0
    assert answered == [("/v1/logs", 499)]


async def test_a_body_in_pieces_is_joined():
    """Chunks of a body are one body."""
    flow = Flow()

    async def pieces():
        for byte in RECORD:
            yield bytes([byte])

    app = IngestApp(flow.submit, ANYBODY)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        assert (await client.post("/v1/logs", content=pieces())).status_code == 200
    assert flow.seen[0].lines == [RECORD]


async def test_hooks_are_told():
    """Telemetry learns route, status and size, and what nobody expected."""
    answered, failed = [], []
    hooks = Hooks(answered=lambda *seen: answered.append(seen), failed=failed.append)
    error = ZeroDivisionError()
    app = IngestApp(Flow(error=error).submit, ANYBODY, hooks=hooks)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        await client.post("/v1/logs", content=RECORD)
    route, status, seconds, size = answered[0]
    assert (route, status, size) == ("/v1/logs", 500, len(RECORD))
    assert 0 <= seconds < 60
    assert failed == [error]


async def test_cancellation_gives_the_memory_back():
    """A request that is cancelled while the flow works holds nothing any more."""
    started = asyncio.Event()

    async def submit(inbound):
        started.set()
        await asyncio.Event().wait()
        raise AssertionError(inbound)

    app = IngestApp(submit, ANYBODY)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        task = asyncio.create_task(client.post("/v1/logs", content=RECORD))
        await started.wait()
        assert app.inflight_bytes == len(RECORD)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert app.inflight_bytes == 0
