"""Asking over HTTP: one request a connection, and every entry of a time range from a Loki or a headrig."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit


def wait_until(condition: Any, seconds: float = 30.0, what: str = "condition", pause: float = 0.05) -> Any:
    """Return the first true value of ``condition()``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    gate = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        gate.wait(pause)


class HttpAnswer:
    """Status, headers and body of one answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


def http(
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30.0,
    method: str | None = None,
) -> HttpAnswer:
    """Send one request on a connection of its own: POST with a body, else GET, unless told otherwise."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return HttpAnswer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, error.headers, error.read())


class Entry(NamedTuple):
    """One log line as a query shows it."""

    labels: dict[str, str]
    ns: int
    line: str
    metadata: dict[str, str]


_PAGE = 5000


def entries(
    url: str,
    selector: str,
    start_ns: int,
    end_ns: int,
    *,
    filters: str = "",
    headers: dict[str, str] | None = None,
) -> list[Entry]:
    """Return every entry of a time range, stream by stream, none left out and none shown twice by paging.

    Args:
        url: A Loki, or a headrig.
        selector: Stream selector, ``{...}``.
        start_ns: Begin, unix ns, inclusive.
        end_ns: End, exclusive.
        filters: What follows the selector.
        headers: E.g. a credential.
    """
    bounds = {"start": str(start_ns), "end": str(end_ns)}
    series = _read(url, "series", {"match[]": selector, **bounds}, headers)["data"] or []
    return [
        entry
        for labels in series
        for entry in _stream_entries(url, labels, start_ns, end_ns, filters, headers)
    ]


def _stream_entries(
    url: str, labels: dict[str, str], start_ns: int, end_ns: int, filters: str, headers: dict[str, str] | None
) -> list[Entry]:
    selector = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    found: list[Entry] = []
    while True:
        parameters = {"start": str(start_ns), "end": str(end_ns), "limit": str(_PAGE), "direction": "forward"}
        parameters["query"] = f"{{{selector}}} {filters}"
        page = list(_page(_read(url, "query_range", parameters, headers)))
        found += [entry for entry in page if entry.labels == labels]  # others have more labels
        if len(page) < _PAGE:
            return found
        last = max(entry.ns for entry in page)
        assert last > start_ns, f"{_PAGE} entries of one nanosecond"
        # The page may end within a nanosecond: that one comes again, whole.
        found = [entry for entry in found if entry.ns < last]
        start_ns = last


def _page(answer: Any) -> Iterator[Entry]:
    for stream in answer["data"]["result"]:
        for ns, line, *rest in stream["values"]:
            yield Entry(
                stream["stream"], int(ns), line, rest[0].get("structuredMetadata", {}) if rest else {}
            )


def _read(url: str, route: str, parameters: dict[str, str], headers: dict[str, str] | None) -> Any:
    flags = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    answer = http(
        f"{url}/loki/api/v1/{route}?{urlencode(parameters)}", None, {**flags, **(headers or {})}, timeout=120
    )
    assert answer.status == 200, (answer.status, answer.body[:1000])
    return answer.json()


def bearer(token: str) -> dict[str, str]:
    """Make the header of a credential."""
    return {"Authorization": f"Bearer {token}"}


def connect(url: str) -> HTTPConnection:
    """Open a connection that stays with the worker that took it."""
    parts = urlsplit(url)
    return HTTPConnection(str(parts.hostname), parts.port, timeout=30)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
