"""Reads the published resources of an audit log over HTTP."""

from __future__ import annotations

from typing import Self

import httpx
from headrig import ConfigError, SinkUnavailableError

_PREFIX = "/audit/"


class LogClient:
    """One headrig's audit log.

    Args:
        url: Base URL of the headrig.
        token: Has the scopes audit and, where there are several tenants, admin.
    """

    def __init__(self, url: str, token: str) -> None:
        self._base = url.rstrip("/").removesuffix("/audit")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self._http = httpx.Client(headers=headers, timeout=60.0, trust_env=False)

    def __enter__(self) -> Self:
        """Use the client as its own context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the connections."""
        self._http.close()

    def fetch(self, path: str) -> bytes:
        """Get a resource.

        Raises:
            FileNotFoundError: There is none.
            ConfigError: The token may not read it, or the address is none.
            SinkUnavailableError: There is no answer.
        """
        try:
            answer = self._http.get(self._base + _PREFIX + path)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigError(f"{self._base} is no address; write http://HOST:PORT") from None
        except httpx.HTTPError as error:
            raise SinkUnavailableError(f"{self._base} cannot be reached ({type(error).__name__})") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise FileNotFoundError(path)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ConfigError(
                f"the token may not read {path}: it needs the scope audit, and admin for all tenants"
            )
        if answer.status_code != httpx.codes.OK:
            raise SinkUnavailableError(f"{self._base} answers {answer.status_code} to {path}")
        return answer.content
