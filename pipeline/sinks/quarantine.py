"""What could not go its way is kept here, bounded, for an operator to look at.

Two kinds. `Unscanned`: masking could not read the record completely, so only its size and keyed
digest are kept. `Refused`: the sink would not take the masked entry; it is kept whole, with the
reason, and can be sent again.

A directory holds segments ``<writer>-<number>.ndjson``, one JSON object a line, each written by one
process only. An item's id comes from its content, so what a crash made us quarantine twice is
one item. Removing is one more line, ``{"removed": id, "time_ns": its time}``, in the remover's own
segment: any process may read and remove while others write. An entry that is refused again later has
a later time, so it is there again. After a failed write the writer goes on in a new segment: what the
old one holds is unknown, and a second sync of it could lie.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from headrig import ConfigError

from pipeline import durable
from pipeline.sinks.delivery import UndeliveredError

_log = logging.getLogger("headrig.quarantine")

_NAME = re.compile(r"(?P<writer>[A-Za-z0-9_.-]+)-(?P<number>\d{8})\.ndjson\Z")
_WRITER = re.compile(r"[A-Za-z0-9_.-]+\Z")
_SEGMENTS = 8
_SEGMENT_MAX = 8 << 20
_ID = 16
"""Hex digits of an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscanned:
    """A record that was not completely scanned; never its text.

    Attributes:
        tenant: Whose record.
        time_ns: When it was received, unix ns.
        size: Bytes of the line as received.
        reason: A short word.
        digest: HMAC-SHA-256 of the line as received, hex.
        receipt: Index of its leaf in the audit log, or None.
    """

    tenant: str
    time_ns: int
    size: int
    reason: str
    digest: str
    receipt: int | None = None
    kind: str = field(default="unscanned", init=False)

    @property
    def identity(self) -> Any:
        """What makes it the same item."""
        return self.tenant, self.time_ns, self.size, self.digest, self.receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A masked entry that a sink would not take.

    Attributes:
        tenant: Whose record.
        time_ns: When it was refused, unix ns.
        reason: A short word.
        detail: What the sink said, at most 1 KiB; it may quote the entry.
        sink: Name of the sink.
        labels: The entry's stream.
        ts: Its time as sent, unix ns.
        line: The masked line.
        metadata: Structured metadata.
    """

    tenant: str
    time_ns: int
    reason: str
    detail: str
    sink: str
    labels: Mapping[str, str]
    ts: str
    line: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    kind: str = field(default="refused", init=False)

    @property
    def identity(self) -> Any:
        """What makes it the same item: the entry, not when or why it was refused."""
        return self.tenant, self.sink, dict(self.labels), self.ts, self.line, dict(self.metadata)


Item = Unscanned | Refused


def id_of(item: Item) -> str:
    """Return the item's id: 16 hex digits of SHA-256 over its identity."""
    return hashlib.sha256(orjson.dumps(item.identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_ID]


class Quarantine:
    """One writer's hold on the directory; reading covers all writers."""

    def __init__(
        self, directory: Path, writer: str, max_bytes: int, on_expired: Callable[[int], object]
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._max_bytes = max_bytes
        self._on_expired = on_expired
        self._segment_bytes = min(max(max_bytes // _SEGMENTS, 1), _SEGMENT_MAX)
        self._lock = Lock()
        self._fd: int | None = None
        self._path: Path | None = None
        self._size = 0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        writer: str,
        max_bytes: int,
        on_expired: Callable[[int], object] = lambda _items: None,
    ) -> Quarantine:
        """Open for one writer; it starts a segment of its own with its first item.

        Args:
            directory: Made if it is not there.
            writer: Unique among the processes that write at a time.
            max_bytes: Bound of this writer's segments together.
            on_expired: Told how many items went with the oldest segment, to make room.
        """
        if not _WRITER.match(writer):
            raise ConfigError(f"writer {writer!r} must be letters, digits, dots, dashes and underscores")
        durable.make_dir(directory, site="quarantine")
        return cls(directory, writer, max_bytes, on_expired)

    def append(self, items: Sequence[Item]) -> None:
        """Keep items; durable on return, with one sync. Blocks.

        Raises:
            UndeliveredError: A write or sync failed. Append the same again: an item is kept once.
        """
        if items:
            self._write([{"id": id_of(item), **asdict(item)} for item in items])

    def remove(self, items: Iterable[Item]) -> None:
        """Forget items of any writer, as they were read; durable on return. Blocks."""
        if lines := [{"removed": id_of(item), "time_ns": item.time_ns} for item in items]:
            self._write(lines)

    def items(self) -> dict[str, Item]:
        """Read all that is kept, by id, in the order of the segments."""
        removed = self._removed()
        found: dict[str, Item] = {}
        for path in _segments(self._directory):
            for line in _lines(path):
                if "id" in line and line["time_ns"] > removed.get(line["id"], -1):
                    item = _item(line)
                    known = found.setdefault(line["id"], item)
                    if item.time_ns > known.time_ns:
                        found[line["id"]] = item
        return found

    def _removed(self) -> dict[str, int]:
        """Return for each id up to which time its items are removed."""
        removed: dict[str, int] = {}
        for path in _segments(self._directory):
            for line in _lines(path):
                if "removed" in line:
                    removed[line["removed"]] = max(line["time_ns"], removed.get(line["removed"], -1))
        return removed

    def get(self, item_id: str) -> Item | None:
        """Return one item."""
        return self.items().get(item_id)

    def close(self) -> None:
        """Close the segment; nothing waits in memory."""
        with self._lock:
            self._end()

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        data = b"".join([orjson.dumps(line) + b"\n" for line in lines])
        with self._lock:
            try:
                self._append(data)
            except OSError as error:  # the outcome is unknown: the next write goes to a new segment
                self._abandon()
                raise UndeliveredError(
                    f"quarantine: write failed, errno {error.errno}", status="quarantine", sent=False
                ) from error

    def _append(self, data: bytes) -> None:
        if self._fd is not None and self._size + len(data) > self._segment_bytes:
            self._end()
        if self._fd is None:
            self._make_room(len(data))
            numbers = [number for number, _ in self._own()]
            self._path = self._directory / f"{self._writer}-{max(numbers, default=0) + 1:08d}.ndjson"
            self._size = 0
            self._fd = durable.create(self._path, b"", site="quarantine")
        durable.append(self._fd, data, site="quarantine.append")
        self._size += len(data)

    def _end(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            durable.files.close(fd)

    def _abandon(self) -> None:
        """Let go of a segment after a fault, and of its file when nothing acknowledged is in it."""
        with contextlib.suppress(OSError):
            self._end()
        if self._path is not None and self._size == 0:
            with contextlib.suppress(OSError):
                durable.files.unlink(self._path)
        self._path = None

    def _make_room(self, needed: int) -> None:
        """Remove own segments, oldest first, until a new one fits into the bound."""
        own = self._own()
        room = self._max_bytes - max(needed, self._segment_bytes)
        while own and sum(path.stat().st_size for _, path in own) > room:
            _, path = own.pop(0)
            # A line that removes another writer's item goes with its segment: the item, if it is
            # still kept, comes back. Sending it again is harmless, losing it would not be.
            removed = self._removed()
            kept = {
                line["id"]
                for line in _lines(path)
                if "id" in line and line["time_ns"] > removed.get(line["id"], -1)
            }
            durable.remove(path, site="quarantine")
            if kept:
                self._on_expired(len(kept))
                _log.warning("quarantine is full: %d items of the oldest segment are gone", len(kept))

    def _own(self) -> list[tuple[int, Path]]:
        found = [(match, path) for path in self._directory.iterdir() if (match := _NAME.match(path.name))]
        return sorted(
            (int(match["number"]), path) for match, path in found if match["writer"] == self._writer
        )


def _segments(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if _NAME.match(path.name))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read whole lines; the last may be torn by a crash, and then it was never acknowledged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # its writer made room meanwhile
        return
    for line in data.split(b"\n")[:-1]:
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(line)
            if isinstance(value, dict):
                yield value


def _item(line: dict[str, Any]) -> Item:
    values = {key: value for key, value in line.items() if key not in {"id", "kind"}}
    return Refused(**values) if line["kind"] == "refused" else Unscanned(**values)
