"""``POST /admin/pseudonym``: which pseudonym a value has, so that its records can be found.

Whoever may ask can tell whether a person is in the log, so nobody is answered before the audit log has who
asked. The value itself is in no answer, no log and no error.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from fastapi import Request, Response
from headrig import DecodeError, RejectedError, RetryableError, TooLargeError

from pipeline.flow.inbound import Inbound, Submit

if TYPE_CHECKING:
    from pipeline.receiver.auth import Credential

_MOST_BYTES = 64 << 10
_TENANT_CHARACTERS = 100
_NAMES = {"tenant", "detector", "value"}


class Masking(Protocol):
    """What of the masking stage is asked."""

    def pseudonyms(self, tenant: str, detector: str, value: str, /) -> list[tuple[str, str]]:
        """Return (key id, token) for every key, the active one first.

        Raises:
            RejectedError: There is no such detector.
        """
        ...


class PseudonymDesk:
    """Answers who asks for a pseudonym.

    Args:
        masking: Makes the tokens.
        submit: Takes the audit event that each use is.
    """

    def __init__(self, masking: Masking, submit: Submit) -> None:
        self._masking = masking
        self._submit = submit

    async def answer(self, request: Request, credential: Credential) -> Response:
        """Answer ``{"tenant"?, "detector", "value"}`` with the tokens of all keys.

        Args:
            request: With the body.
            credential: Has the scope admin; its tenant is meant where none is named.

        Raises:
            RejectedError: The body is not that, there is no such detector, or no key.
            RetryableError: The use could not be recorded, so it is not answered.
        """
        body = await _body(request)
        tenant = body.get("tenant", credential.resource.tenant)
        found = self._masking.pseudonyms(tenant, body["detector"], body["value"])
        if not found:
            raise RejectedError("there is no key: set pseudonyms.keys", reason="no_keys")
        receipt = await self._record(credential, tenant, body["detector"], [token for _, token in found])
        return Response(
            orjson.dumps(
                {
                    "tenant": tenant,
                    "detector": body["detector"],
                    "pseudonym": found[0][1],
                    "pseudonyms": [{"key": key, "pseudonym": token} for key, token in found],
                    "receipt": receipt,
                }
            ),
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    async def _record(
        self, credential: Credential, tenant: str, detector: str, tokens: list[str]
    ) -> dict[str, Any]:
        line = orjson.dumps(
            {
                "timestamp": str(time.time_ns()),
                "level": "info",
                "service": "headrig",
                "event": "pseudonym.looked_up",
                "user": f"tenant:{credential.resource.tenant}",
                **({"user_service": credential.resource.service} if credential.resource.service else {}),
                "of_tenant": tenant,
                "detector": detector,
                "pseudonym": tokens[0],
                **({"older": tokens[1:]} if tokens[1:] else {}),
                "outcome": "success",
            }
        )
        outcome = await self._submit(
            Inbound(credential.resource, [line], hashlib.sha256(line).digest(), body=line)
        )
        if not outcome.receipts:
            raise RetryableError("no rule of classification makes an audit event of pseudonym.looked_up")
        receipt = outcome.receipts[0]
        return {"index": receipt.index, "leaf": receipt.leaf}


async def _body(request: Request) -> dict[str, str]:
    """Read the body; FastAPI's own errors would quote it."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise TooLargeError(f"the body is longer than {_MOST_BYTES} bytes", reason="body")
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise DecodeError("the body is not JSON", reason="json") from None
    if not isinstance(body, dict) or not {"detector", "value"} <= body.keys() <= _NAMES:
        raise RejectedError(
            'write {"detector": "…", "value": "…"}, and "tenant" for another one', reason="body"
        )
    for name, value in body.items():
        if not isinstance(value, str) or not value:
            raise RejectedError(f'"{name}" is a text, and not empty; digits in quotes', reason="body")
    if len(body.get("tenant", "")) > _TENANT_CHARACTERS:
        raise RejectedError(f'"tenant" is longer than {_TENANT_CHARACTERS} characters', reason="body")
    return body
