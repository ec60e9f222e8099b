"""Sample traffic: what ten services of a shop log, with planted secrets and audit events.

The demo sends it and the benchmark measures on it. Nothing in it belongs to anybody: the secrets
are random in the shape of their format, the people and hosts are invented.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson

SERVICES = (
    "checkout",
    "cart",
    "catalog",
    "payments",
    "identity",
    "search",
    "shipping",
    "gateway",
    "mailer",
    "ledger",
)
_PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
_HARMLESS = (
    "request served from cache",
    "order line reserved in the warehouse",
    "slow query on replica, plan unchanged",
    "retrying call to upstream after a timeout",
    "basket recalculated with the current prices",
    "worker picked a job from the queue",
    "response compressed and sent to the client",
)
_AUDIT = (
    ("user.login", "success"),
    ("user.login", "failure"),
    ("user.created", "success"),
    ("role.changed", "success"),
    ("data.export", "success"),
    ("config.changed", "success"),
    ("user.deleted", "success"),
)
_ALNUM = string.ascii_letters + string.digits


class Sampler:
    """Makes log lines; the same seed makes the same lines.

    Args:
        seed: For the random numbers.
        secrets: Share of lines with a secret.
        audits: Share of lines that are audit events.
    """

    def __init__(self, seed: int = 1, *, secrets: float = 0.05, audits: float = 0.05) -> None:
        self._random = random.Random(seed)  # noqa: S311 - sample data
        self._secrets = secrets
        self._audits = audits

    def lines(self, count: int, start_ns: int, step_ns: int = 1_000_000) -> Iterator[bytes]:
        """Yield ``count`` JSON lines of about 330 bytes, ``step_ns`` apart."""
        for number in range(count):
            yield self.line(start_ns + number * step_ns)

    def line(self, time_ns: int) -> bytes:
        """Return one line."""
        rng = self._random
        moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
        record: dict[str, object] = {
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1000 % 1_000_000:06d}Z",
            "level": rng.choices(("info", "warn", "error", "debug"), (80, 8, 4, 8))[0],
            "service": rng.choice(SERVICES),
            "env": "production",
            "host": f"node-{rng.randrange(20):02d}",
            "version": f"2026.11.{rng.randrange(30)}",
            "region": "eu-central-1",
            "message": rng.choice(_HARMLESS),
            "http": {
                "method": rng.choice(("GET", "POST", "PUT")),
                "path": f"/api/v1/orders/{rng.randrange(10**6)}",
            },
            "status": rng.choice((200, 200, 200, 201, 304, 404)),
            "duration_ms": rng.randrange(1, 90_000) / 100,
            "request_id": f"{rng.getrandbits(64):016x}",
        }
        draw = rng.random()
        if draw < self._secrets:
            record["message"] = self._secret_message()
        elif draw < self._secrets + self._audits:
            del record["status"]  # an event says its outcome itself
            record |= self._audit_fields()
        if rng.random() < 0.1:
            record["trace_id"] = f"{rng.getrandbits(128):032x}"
        return orjson.dumps(record)

    def _secret_message(self) -> str:
        rng = self._random
        kind = rng.randrange(6)
        if kind == 0:
            return "assumed role with key AKIA" + "".join(
                rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16)
            )
        if kind == 1:
            return f"mail sent to {rng.choice(_PEOPLE)}.{rng.randrange(1000)}@shop.example.com"
        if kind == 2:
            return f"card {self._card()} was declined"
        if kind == 3:
            return "upstream called with Authorization: Bearer " + self._token(40)
        if kind == 4:
            return f"connecting to postgres://orders:{self._token(18)}@db.internal:5432/orders"
        return "push to the mirror with ghp_" + self._token(36) + " failed"

    def _token(self, length: int) -> str:
        return "".join(self._random.choices(_ALNUM, k=length))

    def _card(self) -> str:
        digits = [4] + [self._random.randrange(10) for _ in range(14)]
        doubled = [d if n % 2 else (2 * d - 9 if d > 4 else 2 * d) for n, d in enumerate(digits)]
        digits.append(-sum(doubled) % 10)
        return "".join(map(str, digits))

    def _audit_fields(self) -> dict[str, object]:
        rng = self._random
        event, outcome = rng.choice(_AUDIT)
        return {
            "event": event,
            "outcome": outcome,
            "user": rng.choice(_PEOPLE),
            "target": f"account-{rng.randrange(500)}",
            "message": f"{event} {outcome}",
        }


def canary(number: int = 0) -> str:
    """Return a secret that exists nowhere else, for searches: an access key in the format's shape."""
    seed = base64.b32encode(number.to_bytes(4, "big") + b"headri").decode()
    return "AKIA" + seed[:16]
