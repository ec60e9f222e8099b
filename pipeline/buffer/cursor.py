"""How far one sink is with one tenant: two slots written in turn, so that one is always whole.

A slot is 512 bytes: turn (u64), position (u64), delivered (u64), length of the rest (u32), CRC-32C of all of these and the rest
(u32), then a JSON object of refused records by reason, and of those that went before the sink came. A crash while a slot is written leaves the other, older one: what was
delivered since is sent again, byte-identical, and folded by the sink.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import orjson
from google_crc32c import value as crc32c
from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer.segment import Segment

SLOT = 512
_NAME_BYTES = 85
_BEFORE = "before this sink"
_FIELDS = struct.Struct("<QQQII")


class State(NamedTuple):
    """What a cursor knows at one time.

    Attributes:
        position: Everything before it is delivered or refused, or went before the sink came.
        delivered, refused: Records, ever; refused ones by reason.
        before: Records that went before the sink came: it will never see them.
    """

    turn: int
    position: int
    delivered: int
    refused: dict[str, int]
    before: int

    @property
    def gone(self) -> int:
        """Records that wait no more."""
        return self.delivered + sum(self.refused.values()) + self.before


class Cursor:
    """One cursor; `commit` blocks and belongs into a thread.

    Args:
        path: Made when it is missing.
        start: Where a new cursor begins.

    Attributes:
        state: Replaced as a whole.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self.state = State(0, start, 0, {}, 0)
        if path.exists():
            self._load(path.read_bytes())
            self._make_durable()
        else:
            slot, _ = _encode(self.state)
            durable.replace(path, slot.ljust(SLOT, b"\0") + bytes(SLOT), site="buffer.cursor")

    def commit(self, position: int, delivered: int, refused: Mapping[str, int]) -> None:
        """Move to ``position``; durable on return.

        Args:
            position: Everything before it is delivered or refused.
            delivered: Records delivered since the last commit.
            refused: Records refused since, by reason.

        Raises:
            ValueError: The position lies before the last one.
        """
        now = self.state
        if position < now.position:
            raise ValueError(f"a cursor does not go back from {now.position} to {position}")
        totals = {**now.refused, **{why: now.refused.get(why, 0) + count for why, count in refused.items()}}
        self._write(State(now.turn + 1, position, now.delivered + delivered, totals, now.before))

    def excuse(self, records: int) -> None:
        """Count records that went before the sink came; durable on return."""
        now = self.state
        self._write(now._replace(turn=now.turn + 1, before=now.before + records))

    def _write(self, state: State) -> None:
        slot, state = _encode(state)
        durable.overwrite(self._path, slot, state.turn % 2 * SLOT, site="buffer.cursor-slot")
        # A write that failed leaves all as it was: the next one goes to the same slot.
        self.state = state

    @property
    def position(self) -> int:
        """Everything before it is with the sink."""
        return self.state.position

    @property
    def delivered(self) -> int:
        """Records delivered, ever."""
        return self.state.delivered

    @property
    def refused(self) -> dict[str, int]:
        """Records refused, ever, by reason."""
        return self.state.refused

    def _make_durable(self) -> None:
        """A dead process may have left its last move in the page cache only, and segments go by what is read here."""
        fd = durable.files.open(self._path)
        try:
            durable.files.sync(fd, "buffer.reopen-cursor")
        finally:
            durable.files.close(fd)

    def _load(self, data: bytes) -> None:
        slots = [slot for slot in (_decode(data[:SLOT]), _decode(data[SLOT:])) if slot is not None]
        if not slots:
            raise CorruptionError(self._path.name, 0, "neither slot of the cursor is whole")
        self.state = max(slots, key=lambda slot: slot.turn)


def _encode(state: State) -> tuple[bytes, State]:
    before = {_BEFORE: state.before} if state.before else {}
    rest = orjson.dumps(state.refused | before)
    if len(rest) > SLOT - _FIELDS.size:
        # Reasons come from a short list; should there be more, they share a name.
        state = state._replace(refused={"other": sum(state.refused.values())})
        rest = orjson.dumps(state.refused | before)
    head = struct.pack("<QQQI", state.turn, state.position, state.delivered, len(rest))
    return head + crc32c(head + rest).to_bytes(4, "little") + rest, state


def _decode(slot: bytes) -> State | None:
    if len(slot) < _FIELDS.size:
        return None
    turn, position, delivered, length, crc = _FIELDS.unpack_from(slot)
    rest = slot[_FIELDS.size : _FIELDS.size + length]
    if length > SLOT - _FIELDS.size or crc32c(slot[: _FIELDS.size - 4] + rest) != crc:
        return None
    refused = orjson.loads(rest)
    before = refused.pop(_BEFORE, 0)
    return State(turn, position, delivered, refused, before)


class Cursors:
    """The cursors of one log; they are opened when they are first asked for, which may read and write the disk.

    Args:
        directory: The log.
        sinks: Which must be past a segment before it goes.
        segments: Of the log, shared with it.
    """

    def __init__(self, directory: Path, sinks: Sequence[str], segments: Sequence[Segment]) -> None:
        self.sinks = tuple(sinks)
        self._directory = directory
        self._segments = segments
        self._open: dict[tuple[str, str], Cursor] = {}
        self._opening = threading.Lock()  # held during a sync, so never by the loop

    def get(self, tenant: str, sink: str) -> Cursor:
        """Return the cursor of one sink and tenant; a new one begins at the oldest frame."""
        with self._opening:
            found = self._open.get((tenant, sink))
            if found is None:
                path, oldest = cursor_path(self._directory, tenant, sink), self._segments[0].first
                found = self._open[tenant, sink] = Cursor(path, oldest)
            return found

    def are_past(self, segment: Segment) -> bool:
        """Tell whether every sink is past a segment for every tenant."""
        return all(
            self.get(tenant, sink).position >= end
            for tenant, end in tuple(segment.ends.items())
            for sink in self.sinks
        )


def cursor_path(directory: Path, tenant: str, sink: str) -> Path:
    """Name the cursor's file; safe for any tenant, and none ends like a temporary file."""
    return directory / "cursors" / f"{_quote(sink)}@{_quote(tenant)}"


def furthest(directory: Path, sinks: Sequence[str]) -> int:
    """Return the greatest position of any cursor of these sinks; 0 when there is none.

    Raises:
        CorruptionError: A cursor is damaged.
    """
    known = {_quote(sink) for sink in sinks}
    paths = [path for path in (directory / "cursors").iterdir() if not path.name.endswith(".tmp")]
    return max((Cursor(path).position for path in paths if path.name.partition("@")[0] in known), default=0)


def _quote(name: str) -> str:
    quoted = quote(name, safe="").replace(".", "%2E")
    if len(quoted) <= _NAME_BYTES:
        return quoted
    return (
        f"{quoted[:_NAME_BYTES]}%~{hashlib.sha256(name.encode()).hexdigest()[:32]}"  # a file's name has 255
    )
