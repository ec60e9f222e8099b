"""What a hostile body can cost: bounded memory, bounded time, a true answer."""

import asyncio
import gzip
import resource
import struct
import zlib

import cramjam
import httpx
import pytest
from headrig import TooLargeError

from pipeline.flow.inbound import Outcome
from pipeline.receiver.auth import Credentials
from pipeline.receiver.body import inflate
from pipeline.receiver.bounds import check_values, structural_count
from pipeline.receiver.ingest import IngestApp
from pipeline.receiver.limits import Limits

LOGS = "/v1/logs"
PUSH = "/loki/api/v1/push"
MIB = 1 << 20
SMALL = Limits(inflated_bytes=MIB)


async def accept(inbound):
    """Accept everything."""
    return Outcome(len(inbound.lines))


async def post(body, path=LOGS, limits=None, app=None, **headers):
    """Send one body."""
    app = app or IngestApp(accept, Credentials({}), limits)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrig") as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post(path, content=body, headers=named)


def raw_deflate(data):
    """Compress without any header."""
    return zlib.compress(data, 9, wbits=-15)


def zstd_unsized(data):
    """Compress to a zstd frame that does not declare its size."""
    compressor = cramjam.zstd.Compressor()
    compressor.compress(data)
    return bytes(compressor.finish())


ZEROS = bytes(10_000_000)
BOMBS = [
    ("gzip", gzip.compress(ZEROS)),
    ("gzip", gzip.compress(ZEROS[:600_000]) * 16),
    ("deflate", zlib.compress(ZEROS)),
    ("deflate", raw_deflate(ZEROS)),
    ("zstd", bytes(cramjam.zstd.compress(ZEROS))),
    ("zstd", zstd_unsized(ZEROS)),
    ("snappy", bytes(cramjam.snappy.compress(ZEROS))),
    ("snappy", bytes(cramjam.snappy.compress_raw(ZEROS))),
]


@pytest.mark.parametrize(("encoding", "bomb"), BOMBS)
async def test_bombs_are_413(encoding, bomb):
    """10 MB of zeros in some kB are refused when the limit is 1 MiB."""
    for path in (LOGS, PUSH):
        answer = await post(bomb, path, SMALL, Content_Encoding=encoding)
        assert answer.status_code == 413
        assert str(MIB) in answer.json()["detail"]


@pytest.mark.parametrize(("encoding", "bomb"), BOMBS)
def test_bombs_take_bounded_memory(encoding, bomb):
    """Inflating stops at the cap: the peak does not grow by what the bomb holds."""
    with pytest.raises(TooLargeError):
        inflate(bomb, encoding.encode(), MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLargeError):
        inflate(bomb, encoding.encode(), MIB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * 1024


async def test_a_snappy_block_that_declares_too_much_is_413():
    """The declared size is checked before anything is allocated; also inside a Loki push."""
    lie = b"\xff\xff\xff\xff\x0f" + b"\x00a"
    assert (await post(lie, PUSH, Content_Type="application/x-protobuf")).status_code == 413
    assert (await post(lie, Content_Encoding="snappy")).status_code == 413


async def test_a_body_exactly_at_the_cap_passes():
    """The cap itself is allowed, one byte more is not."""
    for size, status in ((MIB, 200), (MIB + 1, 413)):
        body = b'{"a":"' + b"x" * (size - 8) + b'"}'
        answer = await post(
            gzip.compress(body),
            limits=Limits(inflated_bytes=MIB, line_bytes=2 * MIB),
            Content_Encoding="gzip",
        )
        assert answer.status_code == status


async def test_many_empty_gzip_members_are_413():
    """Members cost time each, so their number is bounded."""
    assert (await post(gzip.compress(b"") * 20_000, Content_Encoding="gzip")).status_code == 413


async def test_a_declared_length_over_the_limit_is_413_before_reading():
    """Content-Length is believed when it is bad news."""
    app = IngestApp(accept, Credentials({}), Limits(body_bytes=100))
    sent = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    for length in (b"101", b"9" * 400):
        scope = {"type": "http", "method": "POST", "path": LOGS, "headers": [(b"content-length", length)]}
        await app(scope, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [413, 413]


async def test_a_body_without_a_declared_length_is_cut_off():
    """Chunks are counted while they come."""
    delivered = []

    async def chunks():
        for _ in range(100):
            delivered.append(1)
            yield b"x" * 50

    answer = await post(chunks(), limits=Limits(body_bytes=100))
    assert answer.status_code == 413
    assert len(delivered) < 100


async def test_a_body_that_never_ends_times_out():
    """A sender that stops in the middle is told so and holds nothing."""
    app = IngestApp(accept, Credentials({}), Limits(read_seconds=0.01))
    first = [{"type": "http.request", "body": b"{", "more_body": True}]
    sent = []

    async def receive():
        if first:
            return first.pop()
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": LOGS, "headers": []}, receive, send)
    assert sent[0]["status"] == 408
    assert app.inflight_bytes == 0


async def test_bodies_in_memory_are_bounded():
    """Over the budget the answer is 503 at once; when a request ends there is room again."""
    entered = asyncio.Event()
    leave = asyncio.Event()

    async def submit(inbound):
        entered.set()
        await leave.wait()
        return Outcome(len(inbound.lines))

    app = IngestApp(submit, Credentials({}), Limits(inflight_bytes=150))
    body = b'{"a":"' + b"x" * 92 + b'"}'
    first = asyncio.create_task(post(body, app=app))
    await entered.wait()
    refused = await post(body, app=app)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    leave.set()
    assert (await first).status_code == 200
    assert (await post(body, app=app)).status_code == 200
    assert app.inflight_bytes == 0


async def test_the_budget_counts_inflated_bytes():
    """A small body that becomes large is counted at its size."""
    limits = Limits(inflight_bytes=100_000, inflated_bytes=MIB, line_bytes=MIB)
    body = gzip.compress(b'{"a":"' + b"x" * 200_000 + b'"}')
    assert (await post(body, limits=limits, Content_Encoding="gzip")).status_code == 503


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LOGS, b"{}\n" * 11),
        (LOGS, b"[" + b",".join([b"{}"] * 11) + b"]"),
        (LOGS, b"{}" + b"\n" * 2000 + b"{}"),
        (PUSH, b'{"streams":[{"values":[' + b",".join([b'["1795422174853719500","x"]'] * 11) + b"]}]}"),
        (PUSH, b'{"streams":[' + b",".join([b"7"] * 11) + b"]}"),
        (PUSH, b'{"streams":[{"entries":[' + b",".join([b'{"ts":"","line":""}'] * 11) + b"]}]}"),
        (PUSH, b"\x0a\x16" + b"\x12\x00" * 11),
    ],
)
async def test_too_many_records_are_413(path, body):
    """The number of records in one request is bounded, in every shape."""
    answer = await post(body, path, Limits(records=10))
    assert answer.status_code == 413
    assert "10 records" in answer.json()["detail"]


@pytest.mark.parametrize("unit", [b"1,", b"{},", b"[],", b'"",', b'{"a":1},'])
@pytest.mark.parametrize("path", [LOGS, PUSH])
async def test_floods_of_tiny_values_are_413(path, unit):
    """Memory out of proportion to the body is never allocated."""
    body = b"[" + unit * 50_000 + b"0]"
    if path == PUSH:
        body = b'{"streams":' + body + b"}"
    assert (await post(body, path, Limits(records=1000))).status_code == 413


def test_brackets_and_commas_in_strings_are_no_values():
    """Only structure counts: text full of commas passes."""
    text = b'["' + b',[{\\"' * 10_000 + b'\\\\"]'
    assert structural_count(text) == 1
    check_values(text, 100)


@pytest.mark.parametrize("shift", range(4))
def test_windows_do_not_split_escapes(shift):
    """The count is the same wherever a window of 1 MiB ends."""
    text = b'["' + b"x" * (MIB - 6 + shift) + b'\\\\\\",[' + b'",{"a":[1,2]}]'
    assert structural_count(text) == 5


async def test_deep_nesting_is_no_crash():
    """Nesting beyond what parsers take is a refusal or the flow's verdict, not an error."""
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert (await post(deep, limits=Limits(line_bytes=10 * MIB))).status_code == 200
    assert (await post(b"\n".join([deep, deep]), limits=Limits(line_bytes=10 * MIB))).status_code == 200
    assert (await post(b"[" + deep + b"]")).status_code == 400
    assert (await post(deep, PUSH)).status_code == 400


async def test_refusals_never_quote_content():
    """A canary in a refused body is not in the answer."""
    canary = b"hunter2-canary"
    bodies = [
        (LOGS, b"[" + canary),
        (LOGS, b'[{"' + canary + b'":}]'),
        (PUSH, b'{"' + canary),
        (PUSH, b'{"streams":"' + canary + b'"}'),
        (PUSH, b'{"streams":["' + canary + b'"]}'),
        (PUSH, canary),
        (PUSH, struct.pack("<B", len(canary)) + bytes([(len(canary) - 1) << 2]) + canary),
    ]
    for path, body in bodies:
        answer = await post(body, path, Content_Encoding="identity")
        assert canary not in answer.content
        assert canary.decode() not in str(answer.headers)
    for header in ("Idempotency-Key", "Content-Encoding", "Content-Length"):
        answer = await post(b"{}", **{header: f"{canary.decode()} x"})
        assert answer.status_code in (400, 415)
        assert canary not in answer.content
