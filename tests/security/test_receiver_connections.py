"""What a connection can cost before anybody knows who sends; and what HTTP allows that a parser does not."""

import asyncio
import functools
import json
import socket
from contextlib import asynccontextmanager

import pytest
import uvloop
from headrig import Resource

from pipeline.app.protocol import Bounds
from pipeline.app.server import HttpServer
from pipeline.flow.inbound import Outcome
from pipeline.receiver.auth import Credential, Credentials
from pipeline.receiver.ingest import IngestApp
from pipeline.receiver.limits import Limits
from pipeline.shared import WorkerMap

KIB = 1 << 10
SHORT = 0.05
TOKENS = Credentials.from_tokens([("t", Credential(Resource("acme")))])
UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
)


def on_uvloop(test):
    """Run a test on the loop of the workers."""

    @functools.wraps(test)
    def run(*arguments, **named):
        uvloop.run(test(*arguments, **named))

    return run


class Served:
    """A server on a free port with a flow that keeps what it gets."""

    def __init__(self):
        self.lines = []
        self.statuses = []
        self.port = 0

    async def submit(self, inbound):
        self.lines += inbound.lines
        return Outcome(len(inbound.lines))

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *pieces):
        """Send pieces, each in a packet of its own, and return all that comes until the server closes."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(20):  # turns of the loop, in which the server reads it
                await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer


@asynccontextmanager
async def serving(credentials=None, bounds=None, limits=None):
    """Serve the ingest routes on a connection as a worker does."""
    served = Served()
    app = IngestApp(served.submit, credentials or Credentials({}), limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        served.port = listener.getsockname()[1]
        server = HttpServer(app, listener, WorkerMap(1), 0, bounds)
        server.start()
        yield served
        await server.stop(1)
    app.close()
    assert app.inflight_bytes == 0


def post(body=b'{"a":1}', *headers, close=False):
    """One request."""
    more = b"".join(header + b"\r\n" for header in headers)
    last = b"Connection: close\r\n" if close else b""
    return b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        more,
        last,
        len(body),
        body,
    )


def statuses(answer):
    """Statuses of the answers on one connection; each body is one JSON document."""
    found = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        found.append(int(head.split()[1]))
        size = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
        )
        json.loads(answer[:size])
        answer = answer[size:]
    return found


@pytest.mark.parametrize("cut", [0, 1, 60, 150, 190, 230])
@on_uvloop
async def test_an_upgrade_that_is_not_honoured_is_ignored(cut):
    """RFC 9110 section 7.8: the request counts, body and all, in whatever pieces it comes; so does the next one."""
    first = post(b'{"a":1}', UPGRADE[:-2])
    text = first + post(b'{"a":2}', UPGRADE[:-2]) + post(b'{"a":3}', close=True)
    async with serving() as served:
        answer = await served.ask(text[:cut], text[cut:])

    assert statuses(answer) == [200, 200, 200]
    assert served.lines == [b'{"a":1}', b'{"a":2}', b'{"a":3}']


@on_uvloop
async def test_an_upgrade_with_a_chunked_body_is_ignored_too():
    """Chunks are read as if nothing had been offered; `Connection: close` beside the offer holds."""
    head = b"POST /v1/logs HTTP/1.1\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as served:
        answer = await served.ask(head + b"4\r\n" + b'{"a"', b"\r\n3\r\n:1}\r\n0\r\n\r\n")

    assert statuses(answer) == [200]
    assert b"connection: close" in answer
    assert served.lines == [b'{"a":1}']


@pytest.mark.parametrize(
    "request_",
    [b"nonsense\r\n\r\n", b"POST /v1/logs HTTP/1.1\r\nContent-Length: abc\r\n\r\n", b"\x16\x03\x01\0\0"],
)
@on_uvloop
async def test_what_is_no_http_is_told_so(request_):
    """400 as a problem document, and the connection ends."""
    async with serving() as served:
        answer = await served.ask(request_)

    assert statuses(answer) == [400]
    assert b"application/problem+json" in answer


@on_uvloop
async def test_a_tunnel_is_refused():
    """CONNECT is the one upgrade that cannot be ignored."""
    async with serving() as served:
        assert statuses(await served.ask(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")) == [405]


@on_uvloop
async def test_what_follows_a_request_is_not_answered_before_it():
    """Nonsense behind a whole request does not take its answer's place."""
    async with serving() as served:
        assert statuses(await served.ask(post() + b"\0nonsense\r\n\r\n")) == [200]
    assert served.lines == [b'{"a":1}']


@pytest.mark.parametrize("size", [100, 4000, 100_000])
@on_uvloop
async def test_headers_over_the_limit_are_431(size):
    """Many short headers, some long ones, or one without an end: refused once the limit is passed."""
    head = b"".join(b"x-%d: %b\r\n" % (n, b"y" * size) for n in range(64 * KIB // size + 1))
    async with serving(bounds=Bounds(head_bytes=64 * KIB)) as served:
        whole = b"POST /v1/logs HTTP/1.1\r\n" + head + b"\r\n"
        assert statuses(await served.ask(whole)) == [431]
        assert statuses(await served.ask(post(b'{"a":1}', *[b"x: y"] * 1000, close=True))) == [200]
    assert served.lines == [b'{"a":1}']


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"POST /v1/logs HTTP/1.1\r\n", b"x: %b\r\n" % (b"y" * 4000)),
        (b"POST /v1/logs HTTP/1.1\r\nx: ", b"y" * 4000),
        (b"POST /v1/logs?", b"y" * 4000),
        (b"POST /v1/logs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: %b\r\n" % (b"y" * 4000)),
        (b"POST /v1/logs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y" * 4000),
        (b"", b"\r\n" * 2000),
    ],
)
@on_uvloop
async def test_a_head_without_an_end_is_cut_off(start, piece):
    """Headers, one header, a path, trailers, a chunk's extension or blank lines: none may go on for ever."""
    sent = 0
    async with serving(bounds=Bounds(head_bytes=64 * KIB, discard_bytes=64 * KIB)) as served:
        reader, writer = await served.connect()
        writer.write(start)
        try:
            while sent < 64 << 20:
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
        except ConnectionError:
            pass
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1 << 20), 10)
        writer.close()
    assert sent < 16 << 20


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST /v1/logs HTTP/1.1\r\nHost:"])
@on_uvloop
async def test_a_head_must_come_in_time(sent):
    """A connection that says nothing, or half of what it has to say, ends; also one that has said something before."""
    async with serving(bounds=Bounds(read_seconds=SHORT)) as served:
        told = [408] * sent.startswith(b"POST")
        assert statuses(await served.ask(sent)) == told
        if sent:
            assert statuses(await served.ask(post(), sent)) == [200, *told]


@on_uvloop
async def test_a_body_must_begin_in_time():
    """Whole headers and then nothing is as slow as half a body: 408."""
    async with serving(limits=Limits(read_seconds=SHORT)) as served:
        for body in (b"", b"{"):
            assert statuses(await served.ask(post(b"{}")[:-2] + body)) == [408]


@on_uvloop
async def test_a_refused_body_is_not_swallowed():
    """Without a credential: 401, `Connection: close`, and what still comes is cut off after a bounded while."""
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    async with serving(TOKENS, Bounds(discard_bytes=1 << 20)) as served:
        reader, writer = await served.connect()
        writer.write(b"POST /v1/logs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            while sent < 300 << 20:
                writer.write(chunk)
                sent += len(chunk)
                await writer.drain()
        writer.close()
    assert b" 401 " in head
    assert b"connection: close" in head
    assert sent < 32 << 20


@on_uvloop
async def test_a_sender_that_reads_late_still_learns_why():
    """The whole of a refused body may come before the sender looks at the answer."""
    async with serving(TOKENS) as served:
        assert statuses(await served.ask(post(bytes(4 << 20)))) == [401]


@on_uvloop
async def test_a_refused_request_that_was_whole_keeps_its_connection():
    """A wrong token costs no connection when nothing of the body is still to come."""
    async with serving(TOKENS) as served:
        right = post(b"{}", b"Authorization: Bearer t", close=True)
        assert statuses(await served.ask(post(), right)) == [401, 200]
