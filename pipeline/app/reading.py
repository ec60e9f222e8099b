"""The read routes: passed through to Loki where there is one, else answered by the embedded store."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from fastapi import Request, Response
from headrig import AuthError

from pipeline.app.paths import Paths
from pipeline.audit.segments import read_log
from pipeline.buffer import SegmentGone, read_frames
from pipeline.flow.inbound import Inbound, Submit
from pipeline.query.errors import QueryError
from pipeline.query.recent import Caller, Log
from pipeline.query.trail import reads_trail
from pipeline.receiver.auth import FORBIDDEN, Credential
from pipeline.sinks.sources import leaf_frames, stream_labels

if TYPE_CHECKING:
    from pipeline.app.node import Node
    from pipeline.query.api import Api
    from pipeline.query.loki_client import LokiClient
    from pipeline.settings import Settings

_CATALOGUE = frozenset(["labels", "label_values", "series"])
"""Routes that name streams and show no record."""
_MATCHES = ("match[]", "match")
"""The only parameters that may come more than once."""
_CONCURRENT = 2
_PATIENCE_SECONDS = 60.0


class Reader:
    """Answers the read routes of one worker.

    Args:
        node: Settings and paths.
        submit: Takes the audit event that a read of the audit trail is.
        loki: Asks the Loki behind; None makes the one that the settings name.
    """

    def __init__(self, node: Node, submit: Submit, loki: LokiClient | None = None) -> None:
        self._settings: Settings = node.settings
        self._paths = node.paths
        self._submit = submit
        self._api: Api | None = None
        self._loki = loki
        # Threads of their own: pumps and commits use the loop's default ones and must not wait for a query.
        self._threads = ThreadPoolExecutor(_CONCURRENT, thread_name_prefix="query")
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._one_tenant = len({token.tenant for token in node.settings.tokens}) <= 1
        # The label that Loki adds, with the two that are ours.
        self._trail = {**stream_labels(node.settings.audit.origin), "service_name": "unknown_service"}

    async def answer(self, route: str, request: Request, credential: Credential, name: str = "") -> Response:
        """Answer one read request.

        Args:
            route: Name of the route: ``labels``, ``query_range``…
            request: With the query string.
            credential: Has the scope read.
            name: The label of ``label_values``.
        """
        try:
            return await self._answer(route, request, credential, name)
        except QueryError as error:
            return Response(str(error), status_code=error.status, media_type="text/plain; charset=utf-8")

    async def _answer(self, route: str, request: Request, credential: Credential, name: str) -> Response:
        parameters = _single(request)
        org = self._org(credential.resource.tenant)
        # Where readers and the trail share a tenant of Loki, whoever reads the one reads the other.
        beside = org is not None and org == self._org(self._settings.audit.tenant)
        asked = (parameters.get("query", ""), *_matches(request))
        about_audit = any(reads_trail(text, self._trail, beside=beside) for text in asked)
        if about_audit and org is not None:
            org = self._org(self._settings.audit.tenant)
        self._authorize(credential, about_audit=about_audit, beside=beside, through=org is not None)
        if about_audit:
            await self._audit_read(credential, route, name, request)
        if org is not None:
            return await self._pass(request, org)
        answer = await self._in_slot(self._embedded, route, request, credential, name, about_audit)
        return Response(orjson.dumps(answer), media_type="application/json")

    def _org(self, tenant: str) -> str | None:
        """Name the tenant of Loki that holds a tenant's records; None without a Loki."""
        loki = self._settings.sinks.loki
        return None if loki is None else (loki.tenant or "").replace("{tenant}", tenant)

    def _authorize(self, credential: Credential, *, about_audit: bool, beside: bool, through: bool) -> None:
        """Refuse what the scopes do not cover.

        The embedded store shows each tenant its own leaves; Loki shows all that one of its tenants holds, and
        the trail is of all our tenants.
        """
        if not (about_audit or beside):
            return
        if "audit" not in credential.scopes:
            why = "this Loki has one tenant for everything" if beside else "it asks for the audit trail"
            raise AuthError(f"reading needs the scope 'audit': {why}", reason=FORBIDDEN)
        if through and not self._one_tenant and "admin" not in credential.scopes:
            raise AuthError(
                "reading needs the scope 'admin': Loki would show the records of all tenants",
                reason=FORBIDDEN,
            )

    async def _in_slot(self, work: Any, *arguments: Any) -> Any:
        """Run in one of the threads for reads; who waits for one holds no thread.

        Raises:
            QueryError: None was free in time.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise QueryError(503, "too many queries at once; try later") from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._slots.release()

    def _embedded(
        self, route: str, request: Request, credential: Credential, name: str, about_audit: bool
    ) -> Any:
        from pipeline.query.api import categorized

        api = self._open()
        caller = Caller(
            credential.resource.tenant, audit=about_audit or (route in _CATALOGUE and "audit" in credential.scopes),
            every_tenant="admin" in credential.scopes,
        )  # fmt: skip
        parameters = _single(request)
        if route == "labels":
            return api.labels(caller, parameters)
        if route == "label_values":
            return api.label_values(caller, name, parameters)
        if route == "series":
            return api.series(caller, _matches(request), parameters)
        if route == "query_range":
            return api.query_range(caller, parameters, categorize=categorized(dict(request.headers)))
        return api.query(caller, parameters)

    def _open(self) -> Api:
        """Make the embedded store at the first query: it brings DuckDB, which costs memory."""
        if self._api is None:
            from pipeline.query.api import Api
            from pipeline.query.store import Store

            store = Store(
                self._paths.archive, lambda: waiting_logs(self._paths, self._settings), gone=(SegmentGone,)
            )
            self._api = Api(store)
        return self._api

    async def find(self, tenant: str, query: str, start_ns: int) -> bytes:
        """Answer a log query of headrig's own, from where records go; the answer as JSON.

        Raises:
            SinkUnavailableError: Loki cannot be reached.
        """
        org = self._org(tenant)
        parameters = {"query": query, "start": str(start_ns), "limit": "10"}
        if org is None:
            answer = await self._in_slot(lambda: self._open().query_range(Caller(tenant), parameters))
            return orjson.dumps(answer)
        path = "/loki/api/v1/query_range"
        return (await self._behind().forward(path, urlencode(parameters), org=org))[2]

    def _behind(self) -> LokiClient:
        """Return the client of the Loki that the settings name."""
        from pipeline.query.loki_client import LokiClient

        section = self._settings.sinks.loki
        assert section is not None
        if self._loki is None:
            self._loki = LokiClient(
                section.url,
                username=section.username or "",
                password=section.password.get_secret_value() if section.password else "",
                token=section.token.get_secret_value() if section.token else "",
            )
        return self._loki

    async def _pass(self, request: Request, org: str) -> Response:
        status, content_type, body = await self._behind().forward(
            request.url.path,
            # What was checked, written anew: Loki may read the client's own spelling in another way.
            urlencode(request.query_params.multi_items()),
            org=org,
            flags=request.headers.get("x-loki-response-encoding-flags", ""),
        )
        return Response(body, status_code=status, media_type=content_type)

    async def _audit_read(self, credential: Credential, route: str, name: str, request: Request) -> None:
        given = request.query_params
        about = {
            **({"label": name} if name else {}),
            "query": given.get("query", ""),
            **({"match": matches} if (matches := _matches(request)) else {}),
            **{bound: given[bound] for bound in ("start", "end", "since") if bound in given},
        }
        await self.record_read(credential, route, about)

    async def record_read(self, credential: Credential, target: str, about: Mapping[str, Any]) -> None:
        """Record who read what of the audit trail, before it is shown."""
        line = orjson.dumps(
            {
                "timestamp": str(time.time_ns()),
                "level": "info",
                "service": "headrig",
                "event": "audit.read",
                "user": f"tenant:{credential.resource.tenant}",
                "target": target,
                **about,
                "outcome": "success",
            }
        )
        await self._submit(Inbound(credential.resource, [line], hashlib.sha256(line).digest(), body=line))


def _single(request: Request) -> dict[str, str]:
    """Return the parameters that come once.

    Raises:
        QueryError: Another comes twice: what is checked and what Loki answers might be two things.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _MATCHES:
            continue
        if name in found:
            raise QueryError(400, "a parameter is given more than once; only match[] may be")
        found[name] = value
    return found


def _matches(request: Request) -> list[str]:
    return [value for name in _MATCHES for value in request.query_params.getlist(name)]


def waiting_logs(paths: Paths, settings: Settings) -> Iterator[Log]:
    """Name every place where acknowledged records may lie that no manifest covers yet."""
    for directory in sorted(paths.buffers.glob("w*")):
        yield Log(directory, _frames_of(directory))
    yield Log(
        paths.audit_cursors,
        lambda start: leaf_frames(settings.audit.tenant, settings.audit.origin, _leaves(paths, start)),
        audit=True,
    )


def _frames_of(directory: Path) -> Any:
    return lambda start: read_frames(directory, start)


def _leaves(paths: Paths, start: int) -> Iterable[Any]:
    return read_log(paths.audit_log, start)
