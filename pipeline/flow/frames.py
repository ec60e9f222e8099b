"""Which encoded rows become one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import streams

if TYPE_CHECKING:
    from pipeline.streams import Fragment, Fragments

FRAME_BYTES = streams.FRAME_BYTES
_OWN_BYTES = 1 << 16
"""A stream that brings this much has frames of its own: the pump sends them as they are."""


def group_fragments(fragments: Sequence[Fragments]) -> list[list[Fragment]]:
    """Arrange what becomes one frame each: large streams alone, the small ones together."""
    pieces_of: dict[frozenset[int], list[Fragment]] = {}
    for batch in fragments:
        for piece in batch.pieces:
            pieces_of.setdefault(piece.marks, []).append(piece)
    groups: list[list[Fragment]] = []
    small: list[Fragment] = []
    for pieces in pieces_of.values():
        if sum(len(piece.data) for piece in pieces) < _OWN_BYTES:
            small += pieces
        else:
            groups += _cut(pieces)
    return groups + _cut(small)


def _cut(pieces: Sequence[Fragment]) -> list[list[Fragment]]:
    """Cut into frames; pieces in a frame are joined by commas."""
    groups: list[list[Fragment]] = []
    size = 0
    for piece in pieces:
        if not groups or size + len(piece.data) > FRAME_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(piece)
        size += len(piece.data) + 1
    return groups
