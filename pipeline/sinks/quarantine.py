"""What could not go its way is kept here, bounded, for an operator to look at.

Two kinds. `Unscanned`: masking could not read the record completely, so only its size and keyed
digest are kept. `Refused`: the sink would not take the masked entry; it is kept whole, with the
reason, and can be sent again.

A directory holds segments ``<writer>-<number>.ndjson``, one JSON object a line, each written by one
process only. An item's id comes from its content, so what a crash made us quarantine twice is
one item. Removing is one more line, ``{"removed": id}``, in the remover's own segment: any process
may read and remove while others write.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from headrig import ConfigError, IntegrityError

from pipeline import durable

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
    """One writer's hold on the directory; reading covers all writers.

    Attributes:
        expired: Items that went with the oldest segments since this process opened it.
    """

    def __init__(self, directory: Path, writer: str, max_bytes: int) -> None:
        self._directory = directory
        self._writer = writer
        self._max_bytes = max_bytes
        self._segment_bytes = min(max(max_bytes // _SEGMENTS, 1), _SEGMENT_MAX)
        self._lock = Lock()
        self._fd: int | None = None
        self._size = 0
        self._poisoned = False
        self.expired = 0

    @classmethod
    def open(cls, directory: Path, *, writer: str, max_bytes: int) -> Quarantine:
        """Open for one writer; it starts a segment of its own with its first item.

        Args:
            directory: Made if it is not there.
            writer: Unique among the processes that write at a time.
            max_bytes: Bound of this writer's segments together.
        """
        if not _WRITER.match(writer):
            raise ConfigError(f"writer {writer!r} must be letters, digits, dots, dashes and underscores")
        durable.make_dir(directory, site="quarantine")
        return cls(directory, writer, max_bytes)

    def append(self, items: Sequence[Item]) -> None:
        """Keep items; durable on return, with one sync. Blocks.

        Raises:
            IntegrityError: A write or sync failed, now or before: what lies on disk is unknown.
        """
        if items:
            self._write([{"id": id_of(item), **asdict(item)} for item in items])

    def remove(self, ids: Iterable[str]) -> None:
        """Forget items of any writer; durable on return. Blocks."""
        if lines := [{"removed": each} for each in ids]:
            self._write(lines)

    def items(self) -> dict[str, Item]:
        """Read all that is kept, by id, in the order of the segments."""
        removed: set[str] = set()
        found: dict[str, Item] = {}
        for path in _segments(self._directory):
            for line in _lines(path):
                if "removed" in line:
                    removed.add(line["removed"])
                elif "id" in line:
                    found[line["id"]] = _item(line)
        return {key: item for key, item in found.items() if key not in removed}

    def get(self, item_id: str) -> Item | None:
        """Return one item."""
        return self.items().get(item_id)

    def close(self) -> None:
        """Close the segment; nothing waits in memory."""
        with self._lock:
            if self._fd is not None:
                durable.files.close(self._fd)
                self._fd = None

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        data = b"".join([orjson.dumps(line) + b"\n" for line in lines])
        with self._lock:
            if self._poisoned:
                raise IntegrityError("quarantine: an earlier write failed; restart to go on")
            try:
                self._append(data)
            except OSError as error:  # the outcome is unknown: a second sync could lie (see durable)
                self._poisoned = True
                raise IntegrityError(f"quarantine: write failed, errno {error.errno}") from error

    def _append(self, data: bytes) -> None:
        if self._fd is not None and self._size + len(data) > self._segment_bytes:
            durable.files.close(self._fd)
            self._fd = None
        if self._fd is None:
            self._make_room(len(data))
            numbers = [number for number, _ in self._own()]
            name = f"{self._writer}-{max(numbers, default=0) + 1:08d}.ndjson"
            self._fd = durable.create(self._directory / name, b"", site="quarantine")
            self._size = 0
        durable.append(self._fd, data, site="quarantine.append")
        self._size += len(data)

    def _make_room(self, needed: int) -> None:
        """Remove own segments, oldest first, until a new one fits into the bound."""
        own = self._own()
        room = self._max_bytes - max(needed, self._segment_bytes)
        while own and sum(path.stat().st_size for _, path in own) > room:
            _, path = own.pop(0)
            # A line that removes another writer's item goes with its segment: the item, if it is
            # still kept, comes back. Sending it again is harmless, losing it would not be.
            self.expired += sum("id" in line for line in _lines(path))
            durable.remove(path, site="quarantine")

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
