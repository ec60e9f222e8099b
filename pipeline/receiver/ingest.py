"""The ingest routes as one plain ASGI application, without the cost of a framework.

The order for each request is fixed: route, method, credential, rate, headers, body, content coding, dialect,
rate again, flow, answer. Nothing of a request is kept once it is answered; nothing is stored when it is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import google_crc32c
from headrig import DecodeError, HeadrigError, Resource, TooLargeError

from pipeline.flow.inbound import Inbound, Outcome, Submit
from pipeline.receiver import dialect_json, dialect_loki
from pipeline.receiver.answers import Answer, logs_answer, loki_answer, refusal
from pipeline.receiver.auth import Credentials
from pipeline.receiver.body import DisconnectedError, Receive, inflate, inflated_too_large, read_body
from pipeline.receiver.limits import Limits, MemoryBudget
from pipeline.receiver.loki_push import LegacyPush
from pipeline.receiver.problem import Problem, method_not_allowed, of_error
from pipeline.receiver.rate import RateLimit

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]
Decode = Callable[[bytes, bytes, Resource, bytes, Limits], Inbound]

LOGS = "/v1/logs"
LOKI_PUSH = "/loki/api/v1/push"
LOKI_PUSH_V0 = "/api/prom/push"
CLIENT_GONE = 499
"""Status told to the hooks when the client left before its body was complete; nobody receives it."""

_ROUTES: dict[str, tuple[Decode, Callable[[Inbound, Outcome], Answer]]] = {
    LOGS: (dialect_json.decode, logs_answer),
    LOKI_PUSH: (dialect_loki.decode, loki_answer),
    LOKI_PUSH_V0: (dialect_loki.decode, loki_answer),
}
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_ONCE = (b"authorization", b"content-encoding", b"content-type", b"idempotency-key", b"content-length")
# What is inflated and decoded in the event loop: about 1 ms of work, also for entries of a few bytes.
# A thread for one body costs more than that again: it and the loop take the interpreter from each other.
_INLINE_BYTES = {LOGS: 256 << 10, LOKI_PUSH: 64 << 10, LOKI_PUSH_V0: 64 << 10}
_INLINE_NDJSON_BYTES = 3 << 19
_INLINE_LINES = 4096
_IDENTITY = (b"", b"identity")


@dataclass(frozen=True, slots=True)
class Hooks:
    """What telemetry wants to know; called in the event loop, must not block or raise.

    Attributes:
        answered: Route, status, seconds, bytes of the body as received.
        failed: An exception that nobody expected; the client got a 500 without its text.
        legacy: A v0 body came on the v1 path (real Loki answers 204 and loses it): worth telling the operator; the tenant.
    """

    answered: Callable[[str, int, float, int], None] = field(default=lambda *_: None)
    failed: Callable[[BaseException], None] = field(default=lambda _: None)
    legacy: Callable[[str], None] = field(default=lambda _: None)


class IngestApp:
    """The ASGI application of the ingest routes.

    Args:
        submit: The flow: returns once a request is durable, raises to refuse it.
        credentials: Who may write.
        limits: Bounds of one request and of all together.
        hooks: What telemetry wants to know.
        clock: Seconds, for the rates.
    """

    paths = frozenset(_ROUTES)

    def __init__(
        self,
        submit: Submit,
        credentials: Credentials,
        limits: Limits | None = None,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._submit = submit
        self._credentials = credentials
        self._limits = limits or Limits()
        self._hooks = hooks or Hooks()
        self._few_lines = replace(self._limits, records=min(_INLINE_LINES, self._limits.records))
        self._most_inline = min(_INLINE_NDJSON_BYTES, self._limits.inflated_bytes)
        self._budget = MemoryBudget(self._limits.inflight_bytes)
        rates = (self._limits.records_per_second, self._limits.bytes_per_second)
        self._rate = None if rates == (None, None) else RateLimit(*rates, clock)
        # Two: what a thread inflates is not in the budget yet, so their number bounds that memory.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="decode")

    @property
    def inflight_bytes(self) -> int:
        """Bytes of request bodies in memory."""
        return self._budget.used

    def close(self) -> None:
        """Stop the threads; call it when no request is open any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, ``http`` scope)."""
        started = time.perf_counter()
        route: str = scope["path"]
        request = _Request()
        try:
            status, headers, body = await self._answer(route, scope, receive, request)
        except DisconnectedError:
            self._hooks.answered(route, CLIENT_GONE, time.perf_counter() - started, 0)
            return
        except Exception as error:
            if not isinstance(error, HeadrigError):
                self._hooks.failed(error)
            status, headers, body = refusal(of_error(error))
        self._hooks.answered(route, status, time.perf_counter() - started, request.received)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, route: str, scope: Scope, receive: Receive, request: _Request) -> Answer:
        if route not in _ROUTES:
            return refusal(Problem(404, "no such ingest route", "not_found"))
        if scope["method"] != "POST":
            return refusal(method_not_allowed(b"POST"))
        headers = _single(scope["headers"])
        resource = self._credentials.authorize(headers.get(b"authorization"), "write").resource
        if self._rate is not None:
            self._rate.check(resource.tenant)
        key = _idempotency_key(headers.get(b"idempotency-key"))
        body = await read_body(receive, headers.get(b"content-length"), self._limits, self._budget)
        request.received = request.held = len(body)
        try:
            inbound = await self._decode(route, body, headers, resource, keyed=key is not None)
            if route == LOKI_PUSH and isinstance(inbound, LegacyPush):
                self._hooks.legacy(resource.tenant)
            del body
            inbound.key = key
            self._hold(request, inbound)
            answer = _ROUTES[route][1]
            if not inbound.lines and not inbound.rejected:
                return answer(inbound, Outcome(0))
            return answer(inbound, await self._submit(inbound))
        finally:
            self._budget.give(request.held)

    async def _decode(
        self, route: str, body: bytes, headers: Headers, resource: Resource, *, keyed: bool
    ) -> Inbound:
        """Decode what takes about 1 ms at once, the rest in a thread, so that nobody waits behind it."""
        encoding = headers.get(b"content-encoding", b"")
        content_type = headers.get(b"content-type", b"")
        decode, limits, inline = _ROUTES[route][0], self._limits, _INLINE_BYTES[route]
        if len(body) <= inline:
            try:
                data = inflate(body, encoding, min(inline, limits.inflated_bytes))
            except TooLargeError:
                if limits.inflated_bytes <= inline:
                    raise
            else:
                return decode(data, content_type, resource, digest_of(data, keyed=keyed), limits)

        if route == LOGS and encoding in _IDENTITY and not is_array(body) and len(body) <= self._most_inline:
            try:
                return decode(body, content_type, resource, digest_of(body, keyed=keyed), self._few_lines)
            except TooLargeError:
                if limits.records <= _INLINE_LINES:
                    raise

        def work() -> Inbound:
            data = inflate(body, encoding, limits.inflated_bytes)
            return decode(data, content_type, resource, digest_of(data, keyed=keyed), limits)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _hold(self, request: _Request, inbound: Inbound) -> None:
        """Account for what stays in memory until the answer: lines, and what is around them, for each line."""
        size = len(inbound.body) if inbound.body is not None else sum(map(len, inbound.lines))
        size += inbound.envelope_bytes
        if size > self._limits.inflated_bytes:
            raise inflated_too_large(self._limits.inflated_bytes)
        size += sum(len(held.line) for held in inbound.held)
        if size > request.held:
            self._budget.take(size - request.held)
            request.held = size
        if self._rate is not None:
            records = len(inbound.lines) + len(inbound.rejected)
            self._rate.take(inbound.resource.tenant, records, size)


@dataclass(slots=True)
class _Request:
    """Bytes of one request: received, and held in the budget."""

    received: int = 0
    held: int = 0


def digest_of(data: bytes, *, keyed: bool) -> bytes:
    """Return what tells bodies apart, see `Inbound.digest`.

    It is over the inflated body: a retry that compresses again makes other bytes of it (gzip has the time in it).
    Without a key it becomes the identity of the request, so nobody may find two bodies that share it. Beside a key
    only 32 bits are kept, to notice a key that is used twice: a checksum notices as much, at a tenth of the cost.
    """
    if keyed:
        checksum: int = google_crc32c.value(data)
        return checksum.to_bytes(4, "little")
    return hashlib.sha256(data).digest()


def is_array(body: bytes) -> bool:
    """Tell whether a body may be an array, which is parsed as a whole."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["


def _single(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers by name; one that decides something must not come twice."""
    listed = list(pairs)
    headers = dict(listed)
    if len(headers) != len(listed):
        names = [name for name, _ in listed]
        for name in _ONCE:
            if names.count(name) > 1:
                raise DecodeError(f"the header {name.decode()} comes more than once", reason="bad_header")
    return headers


def _idempotency_key(value: bytes | None) -> str | None:
    if value is None:
        return None
    if not _KEY.fullmatch(value):
        raise DecodeError("Idempotency-Key must be 1 to 255 visible ASCII characters", reason="bad_header")
    return value.decode()
