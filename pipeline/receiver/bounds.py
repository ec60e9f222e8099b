"""Cheap checks that decoding a JSON body cannot take memory out of proportion.

A parsed value costs some 60 bytes, and two bytes of JSON (``1,``) can ask for one. So the number of
values is bounded before a body is parsed.
"""

from __future__ import annotations

from headrig import TooLargeError

_VALUES_PER_RECORD = 32
_WINDOW = 1 << 20


def check_values(data: bytes, records: int) -> None:
    """Refuse a JSON body that holds more than 32 values (members, elements) for each allowed record.

    Bodies below 64 bytes a record, nearly all there are, are not even looked at.

    Raises:
        TooLargeError: The limit was passed; reason ``values``.
    """
    limit = _VALUES_PER_RECORD * records
    if len(data) <= 2 * limit or _count(data) <= limit:
        return
    if structural_count(data) > limit:
        raise TooLargeError(f"more than {limit} JSON values in one body", reason="values")


def structural_count(data: bytes) -> int:
    """Return how many commas and opening brackets stand outside strings in a well-formed JSON text.

    It works on windows of 1 MiB, so the memory it takes is bounded too.
    """
    total = 0
    inside = False
    start = 0
    while start < len(data):
        end = min(start + _WINDOW, len(data))
        while end < len(data) and data[end - 1] == 0x5C:
            end += 1
        pieces = data[start:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        total += sum(_count(piece) for piece in pieces[inside::2])
        inside ^= len(pieces) % 2 == 0
        start = end
    return total


def _count(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
