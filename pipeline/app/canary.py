"""Sends secrets of its own through the program on a schedule and looks for them where records go.

A test shows what masking does to texts that somebody thought of; a canary shows what it does here, now,
with this configuration: found downstream, it means that masking has a hole, so the node is not ready until an
operator has looked and started it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from headrig import HeadrigError, Resource

from pipeline.flow.inbound import Inbound, Submit

if TYPE_CHECKING:
    from pipeline.settings import CanarySection
    from pipeline.telemetry import Telemetry

log = logging.getLogger("headrig.canary")

SERVICE = "headrig-canary"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_POLL_SECONDS = 1.0
_NS = 1_000_000_000

Find = Callable[[str, str, int], Awaitable[bytes]]
"""``(tenant, query, start_ns) -> answer``: ask what is downstream, in LogQL; the answer as it came."""


class Canary:
    """One node's canary.

    Args:
        settings: Whose record it is, and where to look.
        submit: Takes the record, as it takes a client's.
        find: Asks the sink.
        found: This file is made when a secret was found; while it exists the node is not ready.
        telemetry: Counts.
    """

    def __init__(
        self, settings: CanarySection, submit: Submit, find: Find, found: Path, telemetry: Telemetry
    ) -> None:
        self._settings = settings
        self._submit = submit
        self._find = find
        self._found = found
        self._telemetry = telemetry

    async def run(self, every: float) -> None:
        """Send and look every so many seconds; an error of a round ends that round alone."""
        while True:
            try:
                await self.round()
            except HeadrigError as error:
                log.warning(
                    "a canary could not be sent or looked for",
                    extra={"data": {"error": type(error).__name__}},
                )
            except Exception as error:
                log.error("a canary's round failed", exc_info=(type(error), error, error.__traceback__))
            await asyncio.sleep(every)

    async def round(self) -> bool:
        """Send one record and look for it until it is there or patience ends; return whether it came masked."""
        number = secrets.token_hex(8)
        key = "AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16))
        word = secrets.token_urlsafe(18)
        started = time.time_ns()
        await self._submit(_inbound(self._settings.tenant, _line(number, key, word, started)))
        self._telemetry.canaries.labels("sent").inc()
        query = f'{self._settings.selector} |= "{number}"'
        deadline = time.monotonic() + self._settings.patience
        while time.monotonic() < deadline:
            answer = await self._find(self._settings.tenant, query, started - 60 * _NS)
            if key.encode() in answer or word.encode() in answer:
                self._alarm(number)
                return False
            if number.encode() in answer:
                self._telemetry.canaries.labels("masked").inc()
                return True
            await asyncio.sleep(_POLL_SECONDS)
        self._telemetry.canaries.labels("missing").inc()
        log.warning(
            "a canary did not arrive in time: the sink is slow or away, or canary.selector does not name its stream",
            extra={"data": {"canary": number}},
        )
        return False

    def _alarm(self, number: str) -> None:
        self._found.touch(mode=0o600)
        self._telemetry.canaries.labels("found").inc()
        log.error(
            "a canary secret was found downstream: masking has a hole; this node is not ready until it is started again",
            extra={"data": {"canary": number}},
        )


def _line(number: str, key: str, word: str, now_ns: int) -> bytes:
    """Make a record with a secret that has a shape and one that only its field's name gives away."""
    return orjson.dumps(
        {
            "timestamp": str(now_ns),
            "level": "debug",
            "service": SERVICE,
            "message": f"canary {number}: signed with {key}",
            "password": word,
        }
    )


def _inbound(tenant: str, line: bytes) -> Inbound:
    return Inbound(Resource(tenant, SERVICE), [line], hashlib.sha256(line).digest(), body=line)
