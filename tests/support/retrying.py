"""Clients that send until they are told 200, and what they were told."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

SERVICES = ("cart", "checkout", "search", "stock")
_PAUSE_SECONDS = 0.03
_TIMEOUT_SECONDS = 20.0
_AGAIN = (429, 503)
_GIVE_UP = 0.03
_HANG_UP = 0.05
_KEYLESS = 0.3


@dataclass
class Body:
    """One request, the same bytes at every try.

    Attributes:
        names: The id in each record's line.
        audits: Positions of the audit events.
        key: ``Idempotency-Key``; without one every record has its own time.
        stubborn: It is sent until there is an answer.
        answer: The document of the 200.
    """

    data: bytes
    names: list[str]
    audits: list[int]
    key: str | None
    stubborn: bool = True
    tries: int = 0
    answer: dict[str, Any] | None = None


def make_body(random_: random.Random, name: str, size: int) -> Body:
    """Make a body of ``size`` records, of which 5 to 20% are audit events."""
    key = None if random_.random() < _KEYLESS else f"key-{name}"
    share = random_.uniform(0.05, 0.2)
    names, audits, lines = [], [], []
    now = time.time_ns()
    for position in range(size):
        record: dict[str, Any] = {"uid": f"{name}r{position:04d}", "service": random_.choice(SERVICES)}
        if key is None or random_.random() < 0.9:
            record["timestamp"] = _time(now + random_.randrange(1_000_000_000), random_)
        if random_.random() < share:
            audits.append(position)
            record |= {"event": "user.login", "user": f"u{random_.randrange(50)}", "outcome": "success"}
        else:
            record |= {"level": "info", "message": "the order is on its way " + "x" * random_.randrange(200)}
        names.append(record["uid"])
        lines.append(json.dumps(record))
    return Body("\n".join(lines).encode(), names, audits, key)


def _time(ns: int, random_: random.Random) -> Any:
    """Write a time in one of the ways that clients do."""
    kind = random_.randrange(4)
    if kind == 0:
        return ns
    if kind == 1:
        return ns // 1_000_000
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ns % 1_000_000_000 // 1_000_000:03d}Z" if kind == 2 else f"{moment}Z"


class Client(threading.Thread):
    """Sends bodies one after the other, over one connection while it lasts."""

    def __init__(self, fleet: Fleet, number: int, seed: int) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._fleet = fleet
        self._number = number
        self._random = random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None
        self.bodies: list[Body] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Send until the fleet is stopped; the last body is finished."""
        try:
            while not self._fleet.stopped.wait(self._random.uniform(0, self._fleet.pause)):
                size = self._random.choice((1, 1, 1, 5, 30, self._random.randrange(1, 401)))
                body = make_body(self._random, f"c{self._number:02d}b{len(self.bodies):04d}", size)
                body.stubborn = self._random.random() >= _GIVE_UP
                self.bodies.append(body)
                self.deliver(body)
        except BaseException as error:
            self.error = error
        finally:
            self.hang_up()

    def deliver(self, body: Body) -> None:
        """Send until there is a 200."""
        deadline = time.monotonic() + self._fleet.patience
        while body.answer is None:
            assert time.monotonic() < deadline, f"no 200 in {self._fleet.patience} s after {body.tries} tries"
            body.tries += 1
            try:
                self._send(body)
            except (OSError, http.client.HTTPException):
                self.hang_up()
            if body.answer is None:
                if not body.stubborn:
                    return
                self._fleet.resting.wait(_PAUSE_SECONDS)

    def _send(self, body: Body) -> None:
        if self._connection is None:
            place = urlsplit(self._fleet.url)
            self._connection = http.client.HTTPConnection(
                place.hostname or "", place.port, timeout=_TIMEOUT_SECONDS
            )
        headers = {"Content-Type": "application/x-ndjson"}
        if body.key is not None:
            headers["Idempotency-Key"] = body.key
        self._connection.request("POST", "/v1/logs", body.data, headers)
        if self._random.random() < self._fleet.hang_up:
            self.hang_up()  # the answer is lost on its way
            return
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200 or answer.status in _AGAIN, (answer.status, text)
        if answer.status == 200:
            body.answer = json.loads(text)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


@dataclass
class Fleet:
    """Several clients at work; a context manager.

    Attributes:
        url: Of headrig; it may come and go, but not move.
        seed: Makes bodies and pauses repeatable.
        clients: How many.
        pause: Longest pause between two bodies of a client, seconds.
        patience: A body must be acknowledged within so many seconds.
        hang_up: How often a client does not wait for the answer; the retry is then told of a duplicate.
    """

    url: str
    seed: int
    clients: int = 6
    pause: float = 0.02
    patience: float = 60.0
    hang_up: float = _HANG_UP
    stopped: threading.Event = field(default_factory=threading.Event)
    resting: threading.Event = field(default_factory=threading.Event)
    threads: list[Client] = field(default_factory=list)

    def __enter__(self) -> Fleet:
        self.threads = [Client(self, number, self.seed + number) for number in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every client finish its body."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(self.patience + _TIMEOUT_SECONDS)
            assert not thread.is_alive(), thread.name

    def errors(self) -> list[BaseException]:
        """Return what went wrong in clients."""
        return [thread.error for thread in self.threads if thread.error is not None]

    def bodies(self) -> list[Body]:
        """Return all bodies."""
        return [body for thread in self.threads for body in thread.bodies]

    def acknowledged(self) -> int:
        """Count the bodies with a 200 so far."""
        return sum(body.answer is not None for body in self.bodies())
