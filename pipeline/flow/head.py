"""Heads: the few fields of a line that anything asks for, decoded by one native call a batch.

The struct is made at start from the configuration (DESIGN: bytes until someone needs a field).
Every field is `Any` with the default None, so that no value, however odd, fails a line; only a
line that is not a JSON object has no head.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import repeat
from math import isfinite
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

_WINDOW = 4096
_PIECE = 128 << 10
_CELL = 64
_LONGEST_INTEGER = 4300

NOT_JSON = "not_json"
NOT_OBJECT = "not_an_object"
TOO_DEEP = "too_deep"


class HeadDecoder:
    """Decodes heads.

    Args:
        fields: Top-level JSON field names; dots are part of the name (``"service.name"``).
        max_depth: Deepest nesting of objects and arrays in a line.
    """

    def __init__(self, fields: Iterable[str], *, max_depth: int = 64) -> None:
        names = list(dict.fromkeys(fields))
        attributes: dict[str, str] = {}
        for number, name in enumerate(names):
            attributes[name] = f"f{number}_" + re.sub(r"\W", "_", name)
        self.fields: Mapping[str, str] = attributes
        struct = msgspec.defstruct(
            "Head",
            [(attribute, Any, None) for attribute in attributes.values()],
            rename={attribute: name for name, attribute in attributes.items()},
            gc=False,
        )
        self.empty = struct()
        self._decoder = msgspec.json.Decoder(struct)
        self._any = msgspec.json.Decoder()
        self._max_depth = max_depth

    def decode(self, line: bytes) -> Any:
        """Decode the head of one line; None when it is not a JSON object."""
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return self._decode_odd(line)

    def _decode_odd(self, line: bytes) -> Any:
        """Decode what RFC 8259 allows and the quick decoder does not: huge numbers, halves of surrogate pairs."""
        if line.lstrip()[:1] != b"{" or depth_over(line, self._max_depth):
            return None
        try:
            body = json.loads(line.decode(), parse_constant=_refuse, parse_int=_integer)
        except (ValueError, RecursionError):
            return None
        names = self.fields
        return type(self.empty)(**{names[name]: _plain(body[name]) for name in names.keys() & body.keys()})

    def decode_lines(self, buffer: bytes, lines: list[bytes]) -> tuple[list[Any], dict[int, str]]:
        """Decode the heads of a batch.

        Args:
            buffer: The lines joined by newlines.
            lines: The lines themselves.

        Returns:
            A head or None for each line, and for the rows that cannot be used one of
            ``not_json``, ``not_an_object`` and ``too_deep``.
        """
        heads: list[Any]
        try:
            heads = self._decoder.decode_lines(buffer)
        except (msgspec.DecodeError, RecursionError):
            heads = []
        if len(heads) != len(lines) or not _each_is_one(lines):
            heads = [self.decode(line) for line in lines]
        bad: dict[int, str] = {}
        if not all(heads):
            bad = {row: self._why(lines[row]) for row, head in enumerate(heads) if head is None}
        if self._may_be_deep(lines, buffer):
            for row, line in enumerate(lines):
                if row not in bad and depth_over(line, self._max_depth):
                    bad[row] = TOO_DEEP
        return heads, bad

    def decode_mixed(self, lines: list[bytes]) -> tuple[list[Any], dict[int, str]]:
        """Decode lines that may be plain text, of which only the JSON objects have heads."""
        heads = [self.decode(line) if line[:1] == b"{" else None for line in lines]
        bad: dict[int, str] = {}
        if self._may_be_deep(lines, b"".join(lines)):
            bad = {
                row: TOO_DEEP
                for row, line in enumerate(lines)
                if line[:1] in b"{[" and depth_over(line, self._max_depth)
            }
        return heads, bad

    def _may_be_deep(self, lines: list[bytes], buffer: bytes) -> bool:
        """Tell, from above, whether a line could pass the depth; counts lines only when the batch could."""
        if not lines:
            return False
        if most_brackets(buffer, max(map(len, lines))) <= self._max_depth:
            return False
        curly = max(map(bytes.count, lines, repeat(b"{")))
        square = max(map(bytes.count, lines, repeat(b"[")))
        return curly + square > self._max_depth

    def _why(self, line: bytes) -> str:
        try:
            self._any.decode(line)
        except RecursionError:
            return TOO_DEEP
        except msgspec.DecodeError:
            return TOO_DEEP if depth_over(line, self._max_depth) else NOT_JSON
        return NOT_OBJECT


def _each_is_one(lines: list[bytes]) -> bool:
    """Tell whether as many values as there are lines must be one in each line.

    The decoder takes a newline for any other space, so two objects in one line could make up for one in two. A line
    from brace to brace begins and ends a value: no brace can follow another's end inside an object.
    """
    if b"" in lines:
        return False
    first, last = set(map(itemgetter(0), lines)), set(map(itemgetter(-1), lines))
    return first == {ord("{")} and last == {ord("}")}


def _refuse(_constant: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _plain(value: Any) -> Any:
    """Return a value that can be shown to anybody: text without halves of pairs, numbers that are finite."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not isfinite(value):
        return None
    return None if isinstance(value, dict | list) else value


def most_brackets(buffer: bytes, span: int) -> int:
    """Return at least as many as any ``span`` bytes of a buffer have of ``{`` and ``[``, and hardly more."""
    if len(buffer) <= _WINDOW:
        return buffer.count(b"{") + buffer.count(b"[")
    counts = np.concatenate([_brackets(buffer, at) for at in range(0, len(buffer), _PIECE)]).astype(np.uint32)
    width = span // _CELL + 2  # so many cells hold any stretch of that length
    return int(_sums(counts, width).max() if width < len(counts) else counts.sum())


def _brackets(buffer: bytes, start: int) -> NDArray[np.uint8]:
    """Count ``{`` and ``[`` in each cell of a piece; a piece is so small that all of this stays in the caches."""
    piece = np.frombuffer(buffer, np.uint8, min(_PIECE, len(buffer) - start), start)
    openers = np.packbits((piece & 0xDF) == ord("["))  # the two differ in one bit
    if rest := -len(openers) % 8:
        openers = np.append(openers, np.zeros(rest, np.uint8))
    return np.bitwise_count(openers.view(np.uint64))


def _sums(counts: NDArray[np.uint32], width: int) -> NDArray[np.uint32]:
    """Return the sum of each ``width`` neighbours, in about as many steps as the width has bits."""
    sums, size = counts, 1
    for bit in f"{width:b}"[1:]:
        sums, size = sums[size:] + sums[:-size], 2 * size
        if bit == "1":
            sums, size = sums[:-1] + counts[size:], size + 1
    return sums


# Possessive, and a string that does not end is one token too: linear on any input.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+\\?"?|[\[{]|[\]}]', re.DOTALL)


def depth_over(line: bytes, limit: int) -> bool:
    """Tell whether brackets outside strings nest deeper than ``limit``; linear in the line."""
    if line.count(b"{") + line.count(b"[") <= limit:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(line):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            if depth > limit:
                return True
        elif token in (b"}", b"]"):
            depth -= 1
    return False
