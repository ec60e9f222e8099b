"""Logs, frames and stores for tests of the archive and of queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from push_frames import NOW, TestFrame, entry, frame

from pipeline.query.api import Api
from pipeline.query.recent import Caller, Log
from pipeline.query.store import Store
from pipeline.sinks.archive.columns import inflate

S = 1_000_000_000
ME = Caller("acme")


def lines(
    position: int, *texts: str, tenant: str = "acme", labels: dict[str, str] | None = None
) -> TestFrame:
    """A frame of one stream; its lines have the times NOW + position seconds, one ns apart."""
    entries = [entry(NOW + position * S + k, text, detected_level="info") for k, text in enumerate(texts)]
    return frame([(labels or {"service_name": "shop"}, entries)], position, tenant)


class Reading:
    """A store over an archive and some frames that a buffer still has."""

    def __init__(self, root: Path) -> None:
        self.archive = root / "archive"
        self.buffer = root / "w0"
        self.buffer.mkdir(parents=True, exist_ok=True)
        self.frames: list[TestFrame] = []
        self.leaves: list[TestFrame] = []
        self.audit = root / "audit"
        self.audit.mkdir(exist_ok=True)
        self.store = Store(self.archive, self.logs)
        self.api = Api(self.store, clock=lambda: NOW + 3600 * S)

    def logs(self) -> Sequence[Log]:
        """The buffer and the audit log."""
        return [
            Log(self.buffer, lambda after: [f for f in self.frames if f.position >= after]),
            Log(self.audit, lambda after: [f for f in self.leaves if f.end > after], audit=True),
        ]

    def answer(self, query: str, caller: Caller = ME, **parameters: Any) -> Any:
        """The data of ``query_range`` over a day."""
        given = {
            "start": str(NOW - 3600 * S),
            "end": str(NOW + 24 * 3600 * S),
            "limit": "5000",
            "query": query,
        }
        return self.api.query_range(caller, {**given, **parameters})["data"]

    def found(self, query: str, caller: Caller = ME, **parameters: Any) -> list[str]:
        """The lines a log query finds, oldest first unless told otherwise."""
        data = self.answer(query, caller, **{"direction": "forward", **parameters})
        rows = [(int(value[0]), value[1]) for stream in data["result"] for value in stream["values"]]
        return [line for _, line in sorted(rows)]


def entries_of(frames: Sequence[Any]) -> list[tuple[str, bytes, Any]]:
    """(labels, entry) of all entries of the frames, as JSON bytes."""
    return [
        (orjson.dumps(stream["stream"]), orjson.dumps(value))
        for each in frames
        for stream in orjson.loads(b"[" + inflate(each.payload) + b"]")
        for value in stream["values"]
    ]
