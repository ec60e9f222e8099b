"""The HTTP face of a worker: the ingest routes as plain ASGI, everything else as ordinary FastAPI."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from headrig import HeadrigError, Resource
from starlette.exceptions import HTTPException

from pipeline.app.proving import Proving
from pipeline.app.pseudonyms import PseudonymDesk
from pipeline.flow.inbound import Submit
from pipeline.receiver.auth import Credential, Credentials
from pipeline.receiver.ingest import LOGS, LOKI_PUSH, LOKI_PUSH_V0, Hooks, IngestApp
from pipeline.receiver.limits import Limits
from pipeline.receiver.problem import CONTENT_TYPE, Problem, of_error

if TYPE_CHECKING:
    from pipeline.app.node import Node
    from pipeline.app.reading import Reader
    from pipeline.app.worker import Worker
    from pipeline.settings import Settings


log = logging.getLogger("headrig.routes")


_INGEST = {
    LOGS: ("Records: one JSON object, an array, or one object per line", "200", "What became of each record"),
    LOKI_PUSH: ("A Loki push: JSON, or protobuf in snappy", "204", "Everything is durable"),
    LOKI_PUSH_V0: ("A Loki push on its old path", "204", "Everything is durable"),
}


class HeadrigApp(FastAPI):
    """FastAPI, with a short way past it for the ingest routes: its request handling costs three times as much."""

    def openapi(self) -> dict[str, Any]:
        """Describe all routes, those past FastAPI too."""
        schema = super().openapi()
        for path, (summary, status, meaning) in _INGEST.items():
            schema["paths"][path] = {
                "post": {"summary": summary, "responses": {status: {"description": meaning}}}
            }
        return schema

    ingest: IngestApp

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] == "http" and scope["path"] in IngestApp.paths:
            await self.ingest(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def credentials_of(settings: Settings) -> Credentials:
    """Build the credentials from the configured tokens."""
    return Credentials.from_tokens(
        (
            token.token.get_secret_value(),
            Credential(Resource(token.tenant, token.service, token.environment), frozenset(token.scopes)),
        )
        for token in settings.tokens
    )


def make_app(node: Node, worker: Worker, submit: Submit, reader: Reader) -> HeadrigApp:
    """Make the application of one worker."""
    settings = node.settings
    credentials = credentials_of(settings)
    limits = Limits(
        body_bytes=settings.limits.body,
        inflated_bytes=settings.limits.inflated,
        line_bytes=settings.limits.line,
        depth=settings.limits.depth,
        records=settings.limits.records,
        label_name_bytes=settings.limits.label_name,
        label_value_bytes=settings.limits.label_value,
        metadata_bytes=settings.limits.metadata,
        metadata_entries=settings.limits.metadata_entries,
        inflight_bytes=settings.limits.inflight,
        read_seconds=settings.limits.read,
        records_per_second=settings.limits.rate.records,
        bytes_per_second=settings.limits.rate.bytes,
    )
    # A redirect to the path without its slash would quote the query string in its Location.
    app = HeadrigApp(title="headrig", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.ingest = IngestApp(submit, credentials, limits, _hooks(worker))
    _add_operations(app, worker)
    _add_reading(app, reader, credentials)
    Proving(node, reader, credentials).add_to(app)
    _add_admin(app, PseudonymDesk(node.blueprint.made["mask"], submit), credentials)
    app.add_exception_handler(HeadrigError, _problem)
    app.add_exception_handler(HTTPException, _no_route)
    return app


def _hooks(worker: Worker) -> Hooks:
    telemetry = worker.telemetry
    requests: dict[tuple[str, int], Any] = {}
    seconds: dict[str, Any] = {}

    def answered(route: str, status: int, elapsed: float, _size: int) -> None:
        child = requests.get((route, status))
        if child is None:
            child = requests[route, status] = telemetry.requests.labels(route, str(status))
            seconds[route] = telemetry.ack.labels(route)
        child.inc()
        seconds[route].observe(elapsed)

    def failed(error: BaseException) -> None:
        worker.unexpected(error)

    told: set[str] = set()

    def legacy(tenant: str) -> None:
        if tenant not in told:
            told.add(tenant)
            log.info(
                "a v0 body came on the v1 push path: Loki itself would lose it",
                extra={"data": {"tenant": tenant}},
            )

    return Hooks(answered=answered, failed=failed, legacy=legacy)


def _add_operations(app: FastAPI, worker: Worker) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="The process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Records are accepted")
    async def readyz() -> JSONResponse:
        problems = worker.problems()
        body = {"status": "ready" if not problems else "not ready", "problems": problems}
        return JSONResponse(body, status_code=503 if problems else 200)

    @app.get("/metrics", summary="Prometheus metrics of the whole program")
    async def metrics() -> Response:
        text, content_type = worker.telemetry.exposition()
        return Response(text, media_type=content_type)


def _add_reading(app: FastAPI, reader: Reader, credentials: Credentials) -> None:
    def credential(request: Request) -> Credential:
        header = request.headers.get("authorization")
        return credentials.authorize(None if header is None else header.encode("latin-1"), "read")

    @app.get("/loki/api/v1/labels", summary="Label names")
    async def labels(request: Request) -> Response:
        return await reader.answer("labels", request, credential(request))

    @app.get("/loki/api/v1/label", include_in_schema=False)
    async def label(request: Request) -> Response:
        return await reader.answer("labels", request, credential(request))

    @app.get("/loki/api/v1/label/{name}/values", summary="Values of a label")
    async def label_values(request: Request, name: str) -> Response:
        return await reader.answer("label_values", request, credential(request), name=name)

    @app.get("/loki/api/v1/series", summary="Streams")
    async def series(request: Request) -> Response:
        return await reader.answer("series", request, credential(request))

    @app.get("/loki/api/v1/query_range", summary="Log or metric query over a range")
    async def query_range(request: Request) -> Response:
        return await reader.answer("query_range", request, credential(request))

    @app.get("/loki/api/v1/query", summary="Metric query at an instant")
    async def query(request: Request) -> Response:
        return await reader.answer("query", request, credential(request))


def _add_admin(app: FastAPI, desk: PseudonymDesk, credentials: Credentials) -> None:
    @app.post("/admin/pseudonym", summary="The pseudonym of a value; each use is an audit event")
    async def pseudonym(request: Request) -> Response:
        header = request.headers.get("authorization")
        credential = credentials.authorize(None if header is None else header.encode("latin-1"), "admin")
        return await desk.answer(request, credential)


async def _problem(_request: Request, error: Exception) -> Response:
    return _document(of_error(error))


async def _no_route(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses, 404 and 405, as everything else is refused."""
    assert isinstance(error, HTTPException)
    allow = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _document(Problem(error.status_code, "no such route", "not_found"))
    reason = "method" if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "refused"
    return _document(Problem(error.status_code, "the route does not take this request", reason, allow))


def _document(problem: Problem) -> Response:
    response = Response(problem.body(), status_code=problem.status, media_type=CONTENT_TYPE.decode())
    for name, value in problem.headers:  # a name may come twice
        response.headers.append(name.decode(), value.decode())
    return response
