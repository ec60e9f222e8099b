"""A small client of Loki's read API: for passing queries through, and for ``headrig query``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
from headrig import ConfigError, RejectedError, SinkUnavailableError

_METHODS = frozenset(["GET", "POST"])
_ROOT = "/loki/api/v1/"
_TOKEN = re.compile(r"[!-~]*")
_MAX_PORT = 65_535
_MAX_ANSWER = 128 << 20


class LokiClient:
    """Reads from a Loki, or from whatever speaks its API.

    Args:
        url: Base URL; ``/loki/api/v1/…`` is added.
        username, password: For Basic, when given.
        token: For Bearer, when given.
        timeout: Seconds without a byte.
        transport: For tests.

    Raises:
        ConfigError: The token cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not _TOKEN.fullmatch(token):
            raise ConfigError("the token holds something else than visible ASCII characters")
        self._base = url.rstrip("/")
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"} if token else None,
            auth=(username, password) if username else None,
            timeout=httpx.Timeout(timeout, connect=5.0),
            limits=httpx.Limits(max_connections=32),
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """Use the client as its own context."""
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def forward(
        self,
        path: str,
        query: str,
        *,
        org: str = "",
        flags: str = "",
        method: str = "GET",
        body: bytes | None = None,
    ) -> tuple[int, str, bytes]:
        """Pass a read request through; nothing else of the client reaches Loki, least of all its credential.

        Args:
            path: As the client wrote it, ``/loki/api/v1/…``.
            query: The query string as it came.
            org: Our ``X-Scope-OrgID``; empty sends none.
            flags: The client's ``X-Loki-Response-Encoding-Flags``.
            method: GET, or POST with a form.
            body: The form.

        Returns:
            Loki's status, content type and body.

        Raises:
            SinkUnavailableError: Loki cannot be reached, or its answer is larger than 128 MiB.
            RejectedError: The path or method is none that is passed through.
        """
        parts = path.removeprefix(_ROOT).split("/")
        if (
            method not in _METHODS
            or not path.startswith(_ROOT)
            or any(part in {"", ".", ".."} for part in parts)
        ):
            raise RejectedError("only GET and POST below /loki/api/v1/ are passed through", reason="path")
        headers = {"X-Scope-OrgID": org} if org else {}
        if flags:
            headers["X-Loki-Response-Encoding-Flags"] = flags
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        target = self._base + quote(path, safe="/%") + (f"?{query}" if query else "")
        try:
            async with self._http.stream(method, target, headers=headers, content=body) as response:
                content = await _bounded(response)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SinkUnavailableError(f"Loki cannot be reached ({type(error).__name__})") from None
        return response.status_code, response.headers.get("content-type", "text/plain"), content

    async def get(self, path: str, parameters: Mapping[str, str]) -> Any:
        """Ask and decode, for ``headrig query``.

        Raises:
            ConfigError: The address is none, or the request was wrong; the text is then Loki's.
            SinkUnavailableError: There is no answer, or one that says to come again or go elsewhere.
        """
        try:
            if (httpx.URL(self._base).port or 0) > _MAX_PORT:
                raise httpx.InvalidURL("port")
            response = await self._http.get(self._base + _ROOT + path, params=dict(parameters))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigError(f"{self._base} is no address; write http://HOST:PORT") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise SinkUnavailableError(f"{self._base} cannot be reached ({type(error).__name__})") from None
        status = response.status_code
        if status != httpx.codes.OK:
            message = f"{status}: {_said(response)}"
            wrong = httpx.codes.is_client_error(status) and status != httpx.codes.TOO_MANY_REQUESTS
            raise ConfigError(message) if wrong else SinkUnavailableError(message)
        try:
            return orjson.loads(response.content)
        except ValueError:
            raise ConfigError(f"{self._base}{_ROOT}{path} does not answer in JSON; is it a Loki?") from None


def _said(response: httpx.Response) -> str:
    """Return what an error answer says, fit for a terminal."""
    text = response.text.strip()
    if "problem+json" in response.headers.get("content-type", ""):
        with suppress(ValueError, KeyError, TypeError):
            text = str(orjson.loads(response.content)["detail"])
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:2000])


async def _bounded(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_ANSWER:
            raise SinkUnavailableError(
                f"Loki's answer is larger than {_MAX_ANSWER >> 20} MiB; narrow the query"
            )
    return b"".join(chunks)
