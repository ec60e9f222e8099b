"""From the wire to plain bytes: reading with a cap, inflating with a cap.

No step allocates more than its cap plus one window: gzip and deflate stop while inflating, zstd and
framed snappy write into a lazily backed map of the cap's size, raw snappy declares its size first.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import cramjam
from headrig import DecodeError, RejectedError, TooLargeError
from isal import igzip_lib as _stubs

from pipeline.receiver.limits import Limits, MemoryBudget
from pipeline.receiver.problem import SLOW, UNSUPPORTED

igzip_lib: Any = _stubs  # its stubs call the exception an instance
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP_MEMBERS = 10_000
_WINDOW = 64 << 10
_SNAPPY_STREAM = b"\xff\x06\x00\x00sNaPpY"
_ZLIB_METHOD = 8


class DisconnectedError(Exception):
    """The client went away before its body was complete; nothing may be stored."""


async def read_body(receive: Receive, declared: bytes | None, limits: Limits, budget: MemoryBudget) -> bytes:
    """Read a whole request body; its size stays taken from ``budget`` when this returns.

    Args:
        receive: ASGI receive.
        declared: Value of ``Content-Length``, if there.
        limits: ``body_bytes`` and ``read_seconds`` are used.
        budget: Taken from while bytes arrive; given back when this raises.

    Raises:
        TooLargeError: More than ``body_bytes``, declared or received.
        OverloadedError: The budget is spent.
        DisconnectedError: The client left.
    """
    if declared is not None and (
        not declared.isdigit() or len(declared) > 18 or int(declared) > limits.body_bytes
    ):
        if not declared.isdigit():
            raise DecodeError("Content-Length is not a number", reason="bad_header")
        raise _too_large(limits)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        budget.take(len(body))
        return body
    return await _read_rest(receive, message, limits, budget)


async def _read_rest(
    receive: Receive, message: MutableMapping[str, Any], limits: Limits, budget: MemoryBudget
) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            while message["type"] == "http.request":
                chunk: bytes = message.get("body", b"")
                if size + len(chunk) > limits.body_bytes:
                    raise _too_large(limits)
                if chunk:
                    budget.take(len(chunk))
                    size += len(chunk)
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
                message = await receive()
        raise DisconnectedError
    except BaseException as error:
        budget.give(size)
        if isinstance(error, TimeoutError):
            raise RejectedError(
                f"the body was not complete after {limits.read_seconds:g} s", reason=SLOW
            ) from None
        raise


def inflate(data: bytes, encoding: bytes, cap: int) -> bytes:
    """Undo one content coding (RFC 9110 section 8.4).

    Args:
        data: The body as received.
        encoding: Value of ``Content-Encoding``; empty means identity.
        cap: Largest result in bytes.

    Raises:
        TooLargeError: The result would be larger than ``cap``; found before or while it is made.
        DecodeError: Not what the coding says; reason `UNSUPPORTED` for an unknown or stacked coding.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        if len(data) > cap:
            raise inflated_too_large(cap)
        return data
    coding = _CODINGS.get(name)
    if coding is None:
        known = "gzip, zstd, deflate, snappy, identity"
        raise DecodeError(f"Content-Encoding must be one of {known}; not stacked", reason=UNSUPPORTED)
    try:
        return coding(data, cap)
    except (cramjam.DecompressionError, igzip_lib.IsalError):
        raise DecodeError(f"the body is not valid {name.decode()}", reason="bad_encoding") from None


def inflate_snappy_block(data: bytes, cap: int) -> bytes:
    """Undo the raw block format of snappy, which begins with its inflated size.

    Raises:
        cramjam.DecompressionError: Not a snappy block.
        TooLargeError: The declared size is larger than ``cap``; nothing was inflated.
    """
    if cramjam.snappy.decompress_raw_len(data) > cap:
        raise inflated_too_large(cap)
    return bytes(cramjam.snappy.decompress_raw(data))


def inflated_too_large(cap: int) -> TooLargeError:
    """Return the error for a body that passes ``cap`` once inflated."""
    return TooLargeError(
        f"the inflated body is larger than the limit of {cap} bytes", reason="inflated_bytes"
    )


def _too_large(limits: Limits) -> TooLargeError:
    return TooLargeError(
        f"the body is larger than the limit of {limits.body_bytes} bytes", reason="body_bytes"
    )


def _gzip(data: bytes, cap: int) -> bytes:
    """All members, one after the other (RFC 1952 section 2.2); zero padding after the last is fine."""
    out, end = _stream(data, 0, igzip_lib.DECOMP_GZIP, cap)
    if end == len(data):
        return out
    parts, size, members = [out], len(out), 1
    while end < len(data):
        if data[end] == 0 and not data[end:].strip(b"\0"):
            break
        members += 1
        if members > _GZIP_MEMBERS:
            raise TooLargeError(f"more than {_GZIP_MEMBERS} gzip members", reason="gzip_members")
        out, end = _stream(data, end, igzip_lib.DECOMP_GZIP, cap, size)
        size += len(out)
        parts.append(out)
    return b"".join(parts)


def _stream(data: bytes, start: int, flag: int, cap: int, used: int = 0) -> tuple[bytes, int]:
    """Inflate one deflate-based stream; return its content and where the next one begins.

    ``used`` bytes of the cap went to streams before it.
    A body with many members is fed in windows, because the rest is copied at the end of each.
    """
    decompressor = igzip_lib.IgzipDecompressor(flag=flag)
    parts: list[bytes] = []
    size = 0
    position = start
    window: bytes = data if start == 0 and len(data) <= _WINDOW else data[start : start + _WINDOW]
    while True:
        position += len(window)
        out = decompressor.decompress(window, cap - used - size + 1)
        size += len(out)
        if used + size > cap:
            raise inflated_too_large(cap)
        parts.append(out)
        if decompressor.eof:
            content = parts[0] if len(parts) == 1 else b"".join(parts)
            return content, position - len(decompressor.unused_data)
        window = data[position : position + _WINDOW]
        if not window and (decompressor.needs_input or not out):
            raise igzip_lib.IsalError("truncated")


def _deflate(data: bytes, cap: int) -> bytes:
    """Both meanings found in the wild: zlib (RFC 1950, what HTTP says) and raw deflate (RFC 1951)."""
    zlib_header = len(data) >= 2 and data[0] & 0x0F == _ZLIB_METHOD and int.from_bytes(data[:2]) % 31 == 0
    for flag in (igzip_lib.DECOMP_ZLIB,) * zlib_header + (igzip_lib.DECOMP_DEFLATE,):
        try:
            out, end = _stream(data, 0, flag, cap)
        except igzip_lib.IsalError:
            continue
        if end == len(data):
            return out
    raise igzip_lib.IsalError("neither zlib nor raw deflate")


def _into_map(decompress: Callable[[bytes, Any], int], data: bytes, cap: int) -> bytes:
    """Inflate into an anonymous map: only the pages that are written cost memory."""
    with mmap.mmap(-1, cap + 1) as room:
        try:
            size = decompress(data, room)
        except cramjam.DecompressionError as error:
            if "failed to write whole buffer" in str(error):
                raise inflated_too_large(cap) from None
            raise
        if size > cap:
            raise inflated_too_large(cap)
        return room[:size]


def _zstd(data: bytes, cap: int) -> bytes:
    if not data:
        raise cramjam.DecompressionError("empty")
    return _into_map(cramjam.zstd.decompress_into, data, cap)


def _snappy(data: bytes, cap: int) -> bytes:
    """Both formats: framed (begins with its stream identifier) and raw block (Loki clients)."""
    if data.startswith(_SNAPPY_STREAM):
        return _into_map(cramjam.snappy.decompress_into, data, cap)
    return inflate_snappy_block(data, cap)


_CODINGS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"zstd": _zstd,
    b"deflate": _deflate,
    b"snappy": _snappy,
    b"x-snappy-framed": _snappy,
}
