"""The audit log over HTTP: C2SP tlog-tiles below ``/audit``, and proofs of single events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Request, Response
from headrig import AuthError, IntegrityError, RejectedError
from starlette.exceptions import HTTPException

from pipeline.audit.published import Published
from pipeline.audit.search import FIELDS, Question, find_id, search
from pipeline.audit.tiles import ENTRIES, WIDTH, parse_path
from pipeline.flow.timestamps import parse_time
from pipeline.receiver.auth import FORBIDDEN, Credential, Credentials

if TYPE_CHECKING:
    from pipeline.app.node import Node
    from pipeline.app.reading import Reader

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
MOST = 1000
"""Events of a page."""
_MOMENT = {"Cache-Control": "private, no-cache"}


class Proving:
    """Answers for one worker.

    Args:
        node: Settings and paths.
        reader: Records who read entries.
        credentials: Who may.
    """

    def __init__(self, node: Node, reader: Reader, credentials: Credentials) -> None:
        self._directory = node.paths.audit_log
        self._published = Published(self._directory)
        self._reader = reader
        self._credentials = credentials
        self._one_tenant = len({token.tenant for token in node.settings.tokens}) <= 1

    def _credential(self, request: Request) -> Credential:
        header = request.headers.get("authorization")
        return self._credentials.authorize(None if header is None else header.encode("latin-1"), "audit")

    async def checkpoint(self, request: Request) -> Response:
        """Answer the newest signed checkpoint."""
        self._credential(request)
        try:
            note = self._published.checkpoint()
        except FileNotFoundError:
            raise HTTPException(404) from None
        return Response(note, media_type="text/plain; charset=utf-8", headers=_MOMENT)

    async def tile(self, request: Request, path: str) -> Response:
        """Answer a tile. Hashes tell nothing; entries are those of all tenants."""
        credential = self._credential(request)
        tile = parse_path(f"tile/{path}")
        if tile is None:
            raise HTTPException(404)
        if tile.level == ENTRIES:
            if not self._one_tenant and "admin" not in credential.scopes:
                raise AuthError("reading entries of all tenants needs the scope 'admin'", reason=FORBIDDEN)
            await self._reader.record_read(credential, "audit_entries", {"tile": tile.path})
        try:
            data = await asyncio.to_thread(self._published.tile, tile)
        except FileNotFoundError:
            raise HTTPException(404) from None
        kept = _FOREVER if tile.width == WIDTH else _MOMENT
        return Response(data, media_type="application/octet-stream", headers=kept)

    async def events(self, request: Request) -> Response:
        """Answer a page of events of the caller's tenant, of all with the scope admin, in the log's order."""
        credential = self._credential(request)
        given = dict(request.query_params)
        await self._reader.record_read(credential, "audit_events", {"query": request.url.query})
        page = await asyncio.to_thread(search, self._directory, _question(given, self._tenant(credential)))
        found = [
            {
                "index": each.index,
                "recorded": str(each.ts_ns),
                "leaf": each.leaf_hash.hex(),
                "event": orjson.Fragment(each.leaf),
            }
            for each in page.found
        ]
        return _json({"events": found, "next": page.following})

    async def receipt(self, request: Request, event_id: str) -> Response:
        """Answer where an event of the caller's tenant lies, by its id."""
        credential = self._credential(request)
        found = await asyncio.to_thread(find_id, self._directory, credential.resource.tenant, event_id)
        if found is None:
            raise HTTPException(404)
        return _json({"index": found.index, "leaf": found.leaf_hash.hex(), "tree_size": found.index + 1})

    def _tenant(self, credential: Credential) -> str | None:
        return None if "admin" in credential.scopes else credential.resource.tenant

    async def proof(self, request: Request, index: int) -> Response:
        """Answer the proof of an event of the caller's tenant; the event itself with ``Accept: application/json``."""
        credential = self._credential(request)
        try:
            made, entry = await asyncio.to_thread(self._published.prove, index)
        except (ValueError, FileNotFoundError) as error:
            if isinstance(error, IntegrityError):
                raise
            raise HTTPException(404) from None
        tenant = self._tenant(credential)
        if tenant is not None and orjson.loads(entry).get("tenant") != tenant:
            raise HTTPException(404)
        await self._reader.record_read(credential, "audit_proof", {"index": index})
        if "application/json" in request.headers.get("accept", ""):
            return _json({"index": index, "leaf": entry.decode(), "proof": made.encode().decode()})
        return Response(made.encode(), media_type="text/plain; charset=utf-8", headers=_MOMENT)

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.get("/audit/checkpoint", summary="The signed checkpoint of the audit log")(self.checkpoint)
        app.get("/audit/tile/{path:path}", summary="A tile of the audit log (C2SP tlog-tiles)")(self.tile)
        app.get("/audit/events", summary="Audit events by time, actor, action, outcome, target, id; paged")(
            self.events
        )
        app.get("/audit/receipts/{event_id:path}", summary="Where an audit event lies in the log")(
            self.receipt
        )
        app.get("/audit/proof/{index}", summary="Proof that an event is in the audit log (C2SP tlog-proof)")(
            self.proof
        )


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers=_MOMENT)


def _question(given: dict[str, str], tenant: str | None) -> Question:
    """Read the parameters of ``/audit/events``; RejectedError names the one that is wrong."""
    known = {*FIELDS, "start", "end", "after", "limit"}
    if unknown := sorted(given.keys() - known):
        raise RejectedError(
            f"{unknown[0]}: there is no such parameter; known are {', '.join(sorted(known))}",
            reason="parameter",
        )
    return Question(
        tenant=tenant,
        fields={name: given[name] for name in FIELDS if name in given},
        start_ns=_time(given, "start"),
        end_ns=_time(given, "end"),
        first=_number(given, "after", 0, 2**63 - 1),
        limit=max(1, _number(given, "limit", 100, MOST)),
    )


def _number(given: dict[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) or int(text) > most:
        raise RejectedError(f"{name}: a number from 0 to {most}", reason="parameter")
    return int(text)


def _time(given: dict[str, str], name: str) -> int:
    if name not in given:
        return 0
    found = parse_time(given[name])
    if found is None or found[0] <= 0:
        raise RejectedError(f"{name}: a time in RFC 3339, or unix s, ms, us or ns", reason="parameter")
    return found[0]
