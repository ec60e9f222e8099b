"""The audit log over HTTP: C2SP tlog-tiles below ``/audit``, and proofs of single events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
from fastapi import FastAPI, Request, Response
from headrig import AuthError, IntegrityError
from starlette.exceptions import HTTPException

from pipeline.audit.published import Published
from pipeline.audit.tiles import ENTRIES, WIDTH, parse_path
from pipeline.receiver.auth import FORBIDDEN, Credential, Credentials

if TYPE_CHECKING:
    from pipeline.app.node import Node
    from pipeline.app.reading import Reader

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_MOMENT = {"Cache-Control": "private, no-cache"}


class Proving:
    """Answers for one worker.

    Args:
        node: Settings and paths.
        reader: Records who read entries.
        credentials: Who may.
    """

    def __init__(self, node: Node, reader: Reader, credentials: Credentials) -> None:
        self._published = Published(node.paths.audit_log)
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

    async def proof(self, request: Request, index: int) -> Response:
        """Answer the proof of an event of the caller's tenant; the event itself with ``Accept: application/json``."""
        credential = self._credential(request)
        try:
            made, entry = await asyncio.to_thread(self._published.prove, index)
        except (ValueError, FileNotFoundError) as error:
            if isinstance(error, IntegrityError):
                raise
            raise HTTPException(404) from None
        every = "admin" in credential.scopes
        if not every and orjson.loads(entry).get("tenant") != credential.resource.tenant:
            raise HTTPException(404)
        await self._reader.record_read(credential, "audit_proof", {"index": index})
        if "application/json" in request.headers.get("accept", ""):
            body = orjson.dumps({"index": index, "leaf": entry.decode(), "proof": made.encode().decode()})
            return Response(body, media_type="application/json", headers=_MOMENT)
        return Response(made.encode(), media_type="text/plain; charset=utf-8", headers=_MOMENT)

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.get("/audit/checkpoint", summary="The signed checkpoint of the audit log")(self.checkpoint)
        app.get("/audit/tile/{path:path}", summary="A tile of the audit log (C2SP tlog-tiles)")(self.tile)
        app.get("/audit/proof/{index}", summary="Proof that an event is in the audit log (C2SP tlog-proof)")(
            self.proof
        )
