"""Digests that tell records apart."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.part import hmac_sha256


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_keyed_digest_is_hmac(key: bytes, data: bytes) -> None:
    """It is stored, so it must be what everybody understands by HMAC-SHA-256."""
    assert hmac_sha256(key)(data) == hmac.digest(key, data, "sha256")


def test_a_longer_key_is_refused() -> None:
    """RFC 2104 hashes a longer one first; nobody has one here."""
    with pytest.raises(ValueError, match="64 bytes, not 65"):
        hmac_sha256(bytes(65))
