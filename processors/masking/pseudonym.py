"""Keyed pseudonyms: ``[email:k1:Jx3…]``, the same for the same value of a tenant, and of no use without the key.

A token is the detector, the id of the key, and 20 characters: 12 bytes of HMAC-SHA-256 (RFC 2104) over
tenant, detector and value, and 3 bytes by which we know a token as ours, so that nobody can pass a secret off as one.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

SHORTEST_KEY = 32
"""Bytes."""
ID = r"[a-z0-9]{1,16}"
"""Pattern of the id of a key."""
SIZE = 20
"""Characters behind the id."""
_VALUE_BYTES = 12
_CHECK_BYTES = 3


class Pseudonyms:
    """Makes tokens and knows them again.

    Args:
        keys: (id, secret); the first makes tokens, the others made those that are about still.

    Raises:
        ValueError: An id comes twice, or a secret is too short.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._keys = dict(keys)
        if len(self._keys) != len(keys):
            raise ValueError("an id comes twice")
        if any(len(secret) < SHORTEST_KEY for secret in self._keys.values()):
            raise ValueError(f"a key has at least {SHORTEST_KEY} bytes; make one with: openssl rand -hex 32")
        self._active = next(iter(self._keys), "")

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def ids(self) -> list[str]:
        """The ids of the keys, the active one first."""
        return list(self._keys)

    def token(self, tenant: str, detector: str, value: bytes, key: str = "") -> bytes:
        """Return the token of a value.

        Args:
            tenant: The same value of two tenants has two tokens.
            detector: Whose finding it is.
            value: Decoded, UTF-8.
            key: Id of the key; empty for the active one.
        """
        key = key or self._active
        secret = self._keys[key]
        parts = (b"value", tenant.encode(), detector.encode(), value)
        digest = hmac.digest(secret, _joined(parts), "sha256")[:_VALUE_BYTES]
        tail = urlsafe_b64encode(digest + _check(secret, detector.encode(), digest))
        return b"[%b:%b:%b]" % (detector.encode(), key.encode(), tail)

    def tokens(self, tenant: str, detector: str, value: bytes) -> list[tuple[str, bytes]]:
        """Return (key id, token) of a value for every key, the active one first."""
        return [(key, self.token(tenant, detector, value, key)) for key in self._keys]

    def made(self, detector: bytes, key: bytes, tail: bytes) -> bool:
        """Tell whether a token is ours, from its three parts."""
        secret = self._keys.get(key.decode("ascii"))
        if secret is None:
            return False
        both = urlsafe_b64decode(tail)
        digest = both[:_VALUE_BYTES]
        return hmac.compare_digest(both[_VALUE_BYTES:], _check(secret, detector, digest))


def _check(secret: bytes, detector: bytes, digest: bytes) -> bytes:
    return hmac.digest(secret, _joined((b"check", detector, digest)), "sha256")[:_CHECK_BYTES]


def _joined(parts: Sequence[bytes]) -> bytes:
    """Join with lengths, so that no two lists of parts make the same text."""
    return b"".join(len(part).to_bytes(8) + part for part in parts)
