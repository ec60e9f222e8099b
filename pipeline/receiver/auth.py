"""Credentials of writers and readers: a token names a tenant and what its holder may do."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrig import AuthError, ConfigError, Resource

SCOPES = frozenset({"write", "read", "audit", "admin"})
ANONYMOUS_TENANT = "default"
UNAUTHENTICATED = "unauthenticated"
FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token stands for.

    Attributes:
        resource: Tenant, service and environment that everything sent with it belongs to.
        scopes: Subset of `SCOPES`.
        org: Tenant of the Loki behind (``X-Scope-OrgID``), or None for the tenant's own name.
    """

    resource: Resource
    scopes: frozenset[str] = SCOPES
    org: str | None = None


class Credentials:
    """All known tokens, kept only as SHA-256 digests.

    The look-up compares digests: what its time tells about a stored digest is no help in finding a
    token, because nobody can choose the digest of what he sends.

    Args:
        digests: SHA-256 of the UTF-8 token to credential. Empty: every request is anonymous, tenant
            ``default`` with all scopes; that such a headrig listens on loopback only is checked elsewhere.
    """

    def __init__(self, digests: Mapping[bytes, Credential]) -> None:
        for credential in digests.values():
            if unknown := credential.scopes - SCOPES:
                raise ConfigError(f"unknown scope {min(unknown)!r}; known are {', '.join(sorted(SCOPES))}")
        self._digests = dict(digests)
        self._anonymous = None if digests else Credential(Resource(ANONYMOUS_TENANT))

    @classmethod
    def from_tokens(cls, tokens: Iterable[tuple[str, Credential]]) -> Credentials:
        """Build from clear tokens; ConfigError for an empty token or one given twice."""
        digests: dict[bytes, Credential] = {}
        for token, credential in tokens:
            digest = hashlib.sha256(token.encode()).digest()
            if not token or digest in digests:
                raise ConfigError(
                    "a token is empty or given twice", path=f"tenant {credential.resource.tenant}"
                )
            digests[digest] = credential
        return cls(digests)

    @property
    def anonymous(self) -> bool:
        """True when no token is configured."""
        return self._anonymous is not None

    def authorize(self, authorization: bytes | None, scope: str) -> Credential:
        """Return the credential behind an ``Authorization`` header that has ``scope``.

        Raises:
            AuthError: reason `UNAUTHENTICATED` (401) or `FORBIDDEN` (403).
        """
        if self._anonymous is not None:
            return self._anonymous
        if authorization is None:
            raise AuthError("no Authorization header", reason=UNAUTHENTICATED)
        credential = self._digests.get(hashlib.sha256(_token(authorization)).digest())
        if credential is None:
            raise AuthError("unknown token", reason=UNAUTHENTICATED)
        if scope not in credential.scopes:
            raise AuthError(f"the token lacks the scope {scope!r}", reason=FORBIDDEN)
        return credential


def _token(authorization: bytes) -> bytes:
    """Return the token of a Bearer (RFC 6750) or Basic (RFC 7617) header; Basic: the password."""
    scheme, _, value = authorization.strip().partition(b" ")
    scheme = scheme.lower()
    value = value.strip()
    if scheme == b"bearer" and value:
        return value
    if scheme == b"basic":
        try:
            _, colon, password = base64.b64decode(value, validate=True).partition(b":")
        except binascii.Error:
            raise AuthError("Basic credentials are not base64", reason=UNAUTHENTICATED) from None
        if colon and password:
            return password
    raise AuthError("neither Bearer nor Basic credentials with a token", reason=UNAUTHENTICATED)
