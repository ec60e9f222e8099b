"""Refusals as problem documents (RFC 9457); they name limits and offsets, never content."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from headrig import (
    AuthError,
    DecodeError,
    HeadrigError,
    IntegrityError,
    RejectedError,
    RetryableError,
    SinkUnavailableError,
    TooLargeError,
)

from pipeline.receiver.auth import FORBIDDEN

RawHeaders = list[tuple[bytes, bytes]]
CONTENT_TYPE = b"application/problem+json"
UNSUPPORTED = "unsupported"
SLOW = "slow_body"
_CHALLENGES: RawHeaders = [
    (b"www-authenticate", b'Bearer realm="headrig"'),
    (b"www-authenticate", b'Basic realm="headrig", charset="UTF-8"'),
]
_INTEGRITY_RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal.

    Attributes:
        status: HTTP status.
        detail: What failed and which limit; never content.
        reason: A short word, stable for machines.
        headers: Headers beside content type and length.
        extensions: Further members of the document.
    """

    status: int
    detail: str
    reason: str
    headers: RawHeaders = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the document."""
        title = HTTPStatus(self.status).phrase
        members = {"title": title, "status": self.status, "detail": self.detail, "reason": self.reason}
        return orjson.dumps({**members, **self.extensions})


def of_error(error: Exception) -> Problem:
    """Translate an error into the refusal that says what the sender must do."""
    if isinstance(error, RetryableError):
        away = "unavailable" if isinstance(error, SinkUnavailableError) else "overloaded"
        status, reason = (429, "throttled") if getattr(error, "throttled", False) else (503, away)
        return Problem(status, str(error), reason, _retry_after(error.retry_after))
    if isinstance(error, AuthError):
        if error.reason == FORBIDDEN:
            return Problem(403, str(error), error.reason)
        return Problem(401, str(error), error.reason, _CHALLENGES)
    if isinstance(error, RejectedError):
        return Problem(_rejected_status(error), str(error), error.reason)
    if isinstance(error, IntegrityError):
        # The text of an IntegrityError names files of the store: for the operator, not for senders.
        detail = "the store does not verify and takes nothing until it was repaired"
        return Problem(503, detail, "integrity", _retry_after(_INTEGRITY_RETRY_SECONDS))
    kind = type(error).__name__ if isinstance(error, HeadrigError) else "unexpected error"
    return Problem(500, f"internal error ({kind})", "internal")


def method_not_allowed(allow: bytes) -> Problem:
    """Return the 405 of a route that knows the methods in ``allow``."""
    return Problem(405, f"this route takes {allow.decode()}", "method", [(b"allow", allow)])


def _rejected_status(error: RejectedError) -> int:
    if error.reason == UNSUPPORTED:
        return 415
    if error.reason == SLOW:
        return 408
    if isinstance(error, TooLargeError):
        return 413
    if isinstance(error, DecodeError):
        return 400
    return 422  # ConflictError and every other refusal of data that could be read (RFC 9110 15.5.21)


def _retry_after(seconds: float) -> RawHeaders:
    """Whole seconds (RFC 9110 section 10.2.3), at least one."""
    return [(b"retry-after", b"%d" % max(1, math.ceil(seconds)))]
