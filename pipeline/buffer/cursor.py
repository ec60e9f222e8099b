"""How far one sink is with one tenant: two slots written in turn, so that one is always whole.

A slot is 512 bytes: turn (u64), position (u64), delivered (u64), length of the rest (u32), CRC-32C of all of these and the rest
(u32), then a JSON object of refused records by reason. A crash while a slot is written leaves the other, older one: what was
delivered since is sent again, byte-identical, and folded by the sink.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import orjson
from google_crc32c import value as crc32c
from headrig import CorruptionError

from pipeline import durable

SLOT = 512
_NAME_BYTES = 85
_FIELDS = struct.Struct("<QQQII")


class Cursor:
    """One cursor; `commit` blocks and belongs into a thread.

    Args:
        path: Made when it is missing.
        start: Where a new cursor begins.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self._turn = 0
        self.position = start
        self.delivered = 0
        self.refused: dict[str, int] = {}
        if path.exists():
            self._load(path.read_bytes())
        else:
            slot, _ = _encode(0, start, 0, {})
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
        if position < self.position:
            raise ValueError(f"a cursor does not go back from {self.position} to {position}")
        totals = {**self.refused, **{why: self.refused.get(why, 0) + count for why, count in refused.items()}}
        turn, sum_delivered = self._turn + 1, self.delivered + delivered
        slot, totals = _encode(turn, position, sum_delivered, totals)
        durable.overwrite(self._path, slot, turn % 2 * SLOT, site="buffer.cursor-slot")
        # A write that failed leaves all as it was: the next one goes to the same slot.
        self._turn, self.position, self.delivered, self.refused = turn, position, sum_delivered, totals

    def _load(self, data: bytes) -> None:
        slots = [slot for slot in (_decode(data[:SLOT]), _decode(data[SLOT:])) if slot is not None]
        if not slots:
            raise CorruptionError(self._path.name, 0, "neither slot of the cursor is whole")
        self._turn, self.position, self.delivered, self.refused = max(slots, key=lambda slot: slot[0])


def _encode(
    turn: int, position: int, delivered: int, refused: dict[str, int]
) -> tuple[bytes, dict[str, int]]:
    rest = orjson.dumps(refused)
    if (
        len(rest) > SLOT - _FIELDS.size
    ):  # reasons come from a short list; should there be more, they share a name
        refused = {"other": sum(refused.values())}
        rest = orjson.dumps(refused)
    head = struct.pack("<QQQI", turn, position, delivered, len(rest))
    return head + crc32c(head + rest).to_bytes(4, "little") + rest, refused


def _decode(slot: bytes) -> tuple[int, int, int, dict[str, int]] | None:
    if len(slot) < _FIELDS.size:
        return None
    turn, position, delivered, length, crc = _FIELDS.unpack_from(slot)
    rest = slot[_FIELDS.size : _FIELDS.size + length]
    if length > SLOT - _FIELDS.size or crc32c(slot[: _FIELDS.size - 4] + rest) != crc:
        return None
    return turn, position, delivered, orjson.loads(rest)


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
