"""The socket between workers and the audit process."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from headrig import ConfigError, DecodeError, IntegrityError, OverloadedError, SinkUnavailableError
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit import wire
from pipeline.audit.client import AuditClient
from pipeline.audit.entry import Entry
from pipeline.audit.leaf import blob_name
from pipeline.audit.note import Signer
from pipeline.audit.segments import list_segments, read_log
from pipeline.audit.server import AuditServer, open_log
from pipeline.audit.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIGNER = Signer("audit.example.com/server", bytes(32))


def entry(number: int, leaf: bytes = b"{}") -> Entry:
    """Make an entry of batch 1."""
    return Entry(b"b" * 16, number, number.to_bytes(16, "big"), b"m" * 16, leaf)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AuditServer]:
    """A listening server with small limits."""
    log, publisher = open_log(tmp_path / "log", SIGNER, max_pending_bytes=12_000_000)
    server = AuditServer(log, publisher, tmp_path / "audit.sock", publish_seconds=0.005)
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def client(server: AuditServer, tmp_path: Path) -> AsyncIterator[AuditClient]:
    """A client of that server."""
    assert server.log.committed.size == 0
    client = AuditClient(tmp_path / "audit.sock")
    yield client
    await client.close()


async def test_appends_come_back_as_receipts(client: AuditClient, server: AuditServer) -> None:
    """In the order of the entries, for calls that overlap; repeats get the old index."""
    results = await asyncio.gather(*(client.append([entry(n), entry(n + 100)]) for n in range(30)))
    for number, (first, second) in enumerate(results):
        leaves = server.log.entries(first.index, 1)
        assert second.index == first.index + 1
        assert leaves[0].leaf_hash == first.leaf_hash
        (again,) = await client.append([entry(number)])
        assert (again.index, again.duplicate) == (first.index, True)
    assert await client.append([]) == []
    found = await client.receipts(b"b" * 16)
    assert len(found) == 60
    assert {receipt.index for _, receipt in found} == set(range(60))
    (conflict,) = await client.append([entry(5)._replace(mac=b"x" * 16)])
    assert (conflict.index, conflict.conflict) == (60, True)
    assert (5, conflict.index, True) in [
        (line, r.index, r.conflict) for line, r in await client.receipts(b"b" * 16)
    ]


async def test_a_large_append_travels_in_parts(client: AuditClient, server: AuditServer) -> None:
    """Blobs go with their leaves."""
    blob = b"z" * 3_000_000
    digest, size = blob_name(blob)
    leaf = b'{"blob":{"len":%d,"sha256":"%b"}}' % (size, digest.encode())
    entries = [entry(n, b"x" * 60_000) for n in range(120)]
    entries[80] = entry(80, leaf)
    receipts = await client.append(entries, [blob])
    assert [receipt.index for receipt in receipts] == list(range(120))
    path = server.log.store.directory / "blobs" / "sha256" / digest[:2] / digest
    assert path.read_bytes() == blob


async def test_errors_say_over_here_what_they_said_over_there(
    client: AuditClient, server: AuditServer
) -> None:
    """Refused for ever, refused for now, stopped."""
    with pytest.raises(DecodeError, match="did not come with it"):
        await client.append([entry(1, b'{"blob":{"len":1,"sha256":"00"}}')])
    blob = b"z" * 12_000_001
    digest, size = blob_name(blob)
    with pytest.raises(OverloadedError, match="12000000 may"):
        await client.append(
            [entry(2, b'{"blob":{"len":%d,"sha256":"%b"}}' % (size, digest.encode()))], [blob]
        )
    assert server.log.committed.size == 0
    await client.append([entry(3)])
    list_segments(server.log.store.directory)[0].unlink()
    with pytest.raises(IntegrityError):
        await client.append([entry(9)])
    with pytest.raises(IntegrityError):
        await server.serve()


async def test_a_client_outlives_its_server(tmp_path: Path) -> None:
    """Away: retry later. Back: the same client goes on, and a retry finds what was stored."""
    client = AuditClient(tmp_path / "audit.sock", timeout=2)
    with pytest.raises(SinkUnavailableError, match=r"\Athe audit process is away\Z"):
        await client.append([entry(0)])
    for start in (0, 1):
        log, publisher = open_log(tmp_path / "log", SIGNER)
        server = AuditServer(log, publisher, tmp_path / "audit.sock")
        await server.start()
        (receipt,) = await client.append([entry(0)])
        assert (receipt.index, receipt.duplicate) == (0, bool(start))
        await server.close()
        with pytest.raises(SinkUnavailableError):
            await client.append([entry(1)])
    await client.close()
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).lines[0].startswith("verified: 1 entries")


async def test_closing_publishes_what_was_appended(tmp_path: Path) -> None:
    """Nothing acknowledged stays unsigned after an orderly end; the socket is gone."""
    log, publisher = open_log(tmp_path / "log", SIGNER)
    server = AuditServer(log, publisher, tmp_path / "s", publish_seconds=600)
    await server.start()
    client = AuditClient(tmp_path / "s")
    await client.append([entry(n) for n in range(5)])
    await server.close()
    await client.close()
    assert not (tmp_path / "s").exists()
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).signed == 5


class Silent(asyncio.Protocol):
    """Reads and never answers."""

    def __init__(self) -> None:
        self.heard = 0
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    """A bound on every wait; the connection is closed, so a late answer cannot be taken for another's."""
    silent = Silent()
    server = await asyncio.get_running_loop().create_unix_server(lambda: silent, str(tmp_path / "s"))
    client = AuditClient(tmp_path / "s", timeout=0.05)
    with pytest.raises(SinkUnavailableError, match="does not answer"):
        await client.append([entry(1)])
    await silent.lost.wait()
    assert silent.heard > 0
    server.close()
    await server.wait_closed()


async def test_rubbish_closes_the_connection_and_nothing_else(
    client: AuditClient, server: AuditServer, tmp_path: Path
) -> None:
    """A length that no message has: there is no way to go on reading."""
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "audit.sock"))
    writer.write(struct.pack("<IBI", 2**31, 1, 1))
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "audit.sock"))
    writer.write(wire.encode_message(99, 7, b"") + wire.encode_message(wire.APPEND, 8, b"short"))
    for number in (7, 8):
        length, kind, replied = struct.unpack("<IBI", await reader.readexactly(9))
        assert (kind, replied) == (wire.REFUSED, number)
        assert isinstance(wire.decode_error(await reader.readexactly(length - 5)), DecodeError)
    writer.close()
    await writer.wait_closed()
    (receipt,) = await client.append([entry(1)])
    assert receipt.index == server.log.committed.size - 1 == 0


async def test_a_socket_path_that_the_system_cannot_hold_is_a_configuration_error(tmp_path: Path) -> None:
    """107 bytes are the limit of sun_path."""
    log, publisher = open_log(tmp_path / "log", SIGNER)
    server = AuditServer(log, publisher, tmp_path / ("x" * 120))
    with pytest.raises(ConfigError, match="107"):
        await server.start()
    await server.close()


async def test_the_socket_is_for_its_owner_alone(server: AuditServer, tmp_path: Path) -> None:
    """Mode 0600: whoever can connect can write audit events."""
    assert server.log.failure is None
    assert (tmp_path / "audit.sock").stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "audit.sock"))


async def test_another_process_reads_while_the_log_is_written(client: AuditClient, tmp_path: Path) -> None:
    """`read_log` needs no lock and no server."""
    for number in range(10):
        await client.append([entry(number)])
        assert [leaf.index for leaf in read_log(tmp_path / "log")] == list(range(number + 1))


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=90)), min_size=1, max_size=9),
    st.lists(st.binary(max_size=50), max_size=3),
    st.integers(1, 40),
)
def test_an_append_survives_the_wire_in_pieces(
    leaves: list[tuple[int, bytes]], blobs: list[bytes], step: int
) -> None:
    """However the stream is cut; and a message that is cut short or too long is refused."""
    entries = [Entry(b"b" * 16, line, b"i" * 16, b"m" * 16, leaf) for line, leaf in leaves]
    body = wire.encode_append(entries, blobs)
    stream = wire.encode_message(wire.APPEND, 3, body) * 2
    buffer, got = wire.MessageBuffer(), []
    for at in range(0, len(stream), step):
        got += buffer.feed(stream[at : at + step])
    assert got == [(wire.APPEND, 3, body)] * 2
    append = wire.decode_append(body)
    assert (append.count, append.blobs) == (len(entries), tuple(blobs))
    for wrong in (body[:-1], body + b"x", b""):
        with pytest.raises(DecodeError):
            wire.decode_append(wrong)
