"""The read routes: passed through to Loki where there is one, else answered by the embedded store."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


class Reader:
    """Answers the read routes of one worker.

    Args:
        node: Settings and paths.
        submit: Takes the audit event that a read of the audit trail is.
    """

    def __init__(self, node: Node, submit: Submit) -> None:
        self._settings: Settings = node.settings
        self._paths = node.paths
        self._submit = submit
        self._api: Api | None = None
        self._loki: LokiClient | None = None
        loki = node.settings.sinks.loki
        self._beside: dict[str, str] | None = None
        if loki is not None and "{tenant}" not in (loki.tenant or ""):
            # One Loki tenant: the audit stream lies beside the others, with the label that Loki adds.
            self._beside = {**stream_labels(node.settings.audit.origin), "service_name": "unknown_service"}

    async def answer(self, route: str, request: Request, credential: Credential, name: str = "") -> Response:
        """Answer one read request.

        Args:
            route: Name of the route: ``labels``, ``query_range``…
            request: With the query string.
            credential: Has the scope read.
            name: The label of ``label_values``.
        """
        query = request.query_params.get("query", "")
        about_audit = any(reads_trail(text, self._beside) for text in (query, *_matches(request)))
        if about_audit:
            if "audit" not in credential.scopes:
                raise AuthError("reading the audit trail needs the scope 'audit'", reason=FORBIDDEN)
            await self._audit_read(credential, route, query)
        if self._settings.sinks.loki is not None:
            return await self._pass(request, credential, about_audit=about_audit)
        try:
            answer = await asyncio.to_thread(self._embedded, route, request, credential, name, about_audit)
        except QueryError as error:
            return Response(str(error), status_code=error.status, media_type="text/plain; charset=utf-8")
        return Response(orjson.dumps(answer), media_type="application/json")

    def _embedded(
        self, route: str, request: Request, credential: Credential, name: str, about_audit: bool
    ) -> Any:
        from pipeline.query.api import categorized

        api = self._open()
        caller = Caller(
            credential.resource.tenant, audit=about_audit or (route in _CATALOGUE and "audit" in credential.scopes),
            every_tenant="admin" in credential.scopes,
        )  # fmt: skip
        parameters = dict(request.query_params)
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

    async def _pass(self, request: Request, credential: Credential, *, about_audit: bool) -> Response:
        from pipeline.query.loki_client import LokiClient

        section = self._settings.sinks.loki
        assert section is not None
        org = section.tenant or ""
        if "{tenant}" not in org and "audit" not in credential.scopes:
            # One Loki tenant holds everything, so whoever reads it reads the audit trail.
            raise AuthError(
                "reading needs the scope 'audit': this Loki has one tenant for everything", reason=FORBIDDEN
            )
        tenant = self._settings.audit.tenant if about_audit else credential.resource.tenant
        if self._loki is None:
            self._loki = LokiClient(
                section.url,
                username=section.username or "",
                password=section.password.get_secret_value() if section.password else "",
                token=section.token.get_secret_value() if section.token else "",
            )
        status, content_type, body = await self._loki.forward(
            request.url.path,
            request.url.query,
            org=org.replace("{tenant}", tenant),
            flags=request.headers.get("x-loki-response-encoding-flags", ""),
        )
        return Response(body, status_code=status, media_type=content_type)

    async def _audit_read(self, credential: Credential, route: str, query: str) -> None:
        """Record who read the audit trail, before it is shown."""
        line = orjson.dumps(
            {
                "timestamp": str(time.time_ns()),
                "level": "info",
                "service": "headrig",
                "event": "audit.read",
                "user": f"tenant:{credential.resource.tenant}",
                "target": route,
                "query": query,
                "outcome": "success",
            }
        )
        await self._submit(Inbound(credential.resource, [line], hashlib.sha256(line).digest(), body=line))


def _matches(request: Request) -> list[str]:
    return [*request.query_params.getlist("match[]"), *request.query_params.getlist("match")]


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
