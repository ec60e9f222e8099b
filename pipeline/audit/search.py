"""Finding entries in the write-ahead log itself, from any process: the answer is what is proven, not a copy."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from pipeline.audit.segments import LogReader, list_segments, read_frames, read_header, segment_first
from pipeline.audit.tlog import leaf_hash

FIELDS = ("actor", "action", "outcome", "target", "id", "rule")
"""Members of a leaf that can be asked for."""
SCANNED = 200_000
"""One search looks at so many entries, then says where to go on."""
_LATER = 2**63 - 1


@dataclass(slots=True)
class Found:
    """An entry that was asked for.

    Attributes:
        index: Its place in the log.
        ts_ns: When the log took it, unix ns.
        leaf: Its bytes, which are what is hashed.
    """

    index: int
    ts_ns: int
    leaf: bytes

    @property
    def leaf_hash(self) -> bytes:
        """Its hash, 32 bytes."""
        return leaf_hash(self.leaf)


@dataclass(slots=True)
class Page:
    """A part of an answer.

    Attributes:
        found: Entries in index order.
        following: Index to go on from, or None when there is nothing more.
    """

    found: list[Found] = field(default_factory=list)
    following: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for.

    Attributes:
        tenant: Whose entries; None for those of all.
        fields: Of `FIELDS`, the value each must have.
        start_ns, end_ns: When the log took them, unix ns, half open; 0 is an open end.
        first: Smallest index.
        limit: Most entries of a page.
    """

    tenant: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    start_ns: int = 0
    end_ns: int = 0
    first: int = 0
    limit: int = 100

    def wants(self, leaf: bytes) -> bool:
        """Tell whether an entry is asked for; most are told by a search for bytes alone."""
        asked = {**self.fields, **({} if self.tenant is None else {"tenant": self.tenant})}
        if not all(
            b'"%b":%b' % (name.encode(), orjson.dumps(value)) in leaf for name, value in asked.items()
        ):
            return False
        event = orjson.loads(leaf)
        return all(event.get(name) == value for name, value in asked.items())


def search(directory: Path, question: Question) -> Page:
    """Look through the log in index order.

    Args:
        directory: The log's, which may be in use.
        question: What is asked for.
    """
    page = Page()
    end_ns = question.end_ns or _LATER
    seen = 0
    first = max(question.first, _first_since(directory, question.start_ns))
    for frame in LogReader(directory).frames(first):
        skip = max(0, first - frame.first)
        for place, leaf in enumerate(frame.leaves()[skip:], skip):
            index, ts_ns = frame.first + place, frame.ts_ns + place
            if ts_ns >= end_ns:
                return page
            if len(page.found) == question.limit or seen == SCANNED:
                page.following = index
                return page
            seen += 1
            if ts_ns >= question.start_ns and question.wants(leaf):
                page.found.append(Found(index, ts_ns, leaf))
    return page


def _first_since(directory: Path, start_ns: int) -> int:
    """Return the first index of the last segment that begins before a time."""
    segments = list_segments(directory) if start_ns else []
    place = bisect_left(segments, start_ns, key=_begins)
    return (segment_first(segments[place - 1]) or 0) if place else 0


def _begins(segment: Path) -> int:
    frame = next(read_frames(segment, read_header(segment).length), None)
    return frame.ts_ns if frame else _LATER


def find_id(directory: Path, tenant: str, name: str) -> Found | None:
    """Find the entry of an event by its id; the newest segment first.

    Args:
        directory: The log's, which may be in use.
        tenant: Whose event.
        name: The id that its sender gave, else the one that its receipt or leaf has.
    """
    question = Question(tenant, {"id": name})
    needle = b'"id":' + orjson.dumps(name)
    for segment in reversed(list_segments(directory)):
        if needle not in segment.read_bytes():
            continue
        for frame in read_frames(segment, read_header(segment).length):
            if needle in frame.entries:
                for place, leaf in enumerate(frame.leaves()):
                    if question.wants(leaf):
                        return Found(frame.first + place, frame.ts_ns + place, leaf)
    return None
