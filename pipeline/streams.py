"""From rows to ready Loki stream fragments: labels, structured metadata and times that never collide.

Loki folds equal lines of one nanosecond in one stream. So an input coarser than a nanosecond gets,
in its unused digits, this writer's number and a counter, and equal (stream, ns, line) that are
left within one group move by 1 ns. What is sent again later comes from the frame, byte-identical.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter, lt
from typing import Any

import numpy as np
import orjson
from headrig import Attributes, Batch, ConfigError, Envelope, Resource
from numpy.typing import NDArray

from pipeline.labels import Budget, LabelSettings, shortened

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_CACHE = 4096
FRAME_BYTES = 1 << 20
"""A frame is at most this large, inflated, unless one record alone is longer."""
_MICROS = 3
"""Digits of a nanosecond that a clock of microseconds leaves unused."""
_SPREAD = 7
"""Digits that are filled at most."""


@dataclass(slots=True)
class _Stream:
    """A stream's labels; what could not be a label, for structured metadata; 64 bits that stand for the labels."""

    labels: dict[str, str]
    extra: dict[str, str]
    marks: frozenset[int]


_Row = tuple[Any, str, Attributes]
"""Time (ns, or its decimal form), line, attributes."""


_Fields = tuple[str, ...]
"""Label text of each body field that a label may come from; empty where the record has none."""


class _Enveloped:
    """Key of a row with an envelope. Rows share envelopes, so the object's identity will do within a batch."""

    __slots__ = ("envelope", "fields")

    def __init__(self, fields: Any, envelope: Envelope) -> None:
        self.fields = fields
        self.envelope = envelope

    def __hash__(self) -> int:
        return hash((self.fields, id(self.envelope)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Enveloped) and self.envelope is other.envelope and self.fields == other.fields
        )


@dataclass(frozen=True, slots=True)
class Fragment:
    """Encoded rows of one stream: ``data`` is one stream object, at most a frame large unless one row alone is.

    Attributes:
        data: The object.
        records: Rows in it.
        min_ns, max_ns: No row is earlier or later; those of the batch it comes from.
        marks: 64 bits that stand for the stream's labels, alone in a set.
    """

    data: bytes
    records: int
    min_ns: int
    max_ns: int
    marks: frozenset[int]


@dataclass(frozen=True, slots=True)
class Fragments:
    """An encoded batch."""

    pieces: list[Fragment]
    records: int
    min_ns: int
    max_ns: int

    @property
    def data(self) -> bytes:
        """All stream objects, joined by commas."""
        return b",".join([piece.data for piece in self.pieces])

    @property
    def marks(self) -> frozenset[int]:
        """What stands for each stream in it."""
        return frozenset().union(*(piece.marks for piece in self.pieces))


class Streams:
    """Turns batches into fragments.

    Args:
        settings: The labels.
        fields: JSON field name to attribute name of a head.
    """

    def __init__(self, settings: LabelSettings, fields: Mapping[str, str]) -> None:
        for name in (*settings.sources, *settings.keep, *settings.static):
            if not _LABEL.match(name):
                raise ConfigError(f'"{name}" is no label name: use letters, digits and _', path="labels")
        self._settings = settings
        self._body = list(dict.fromkeys(settings.fields()))
        self._fields = fields
        self._all = _getter([fields[name] for name in self._body])
        self._firsts: dict[Resource, tuple[Callable[[Any], Any], list[int]]] = {}
        self._cache: dict[Any, _Stream] = {}
        self._budget = Budget(settings)

    @property
    def demoted(self) -> int:
        """Label values that went to structured metadata; whoever counts them sets it back."""
        return self._budget.demoted

    @demoted.setter
    def demoted(self, number: int) -> None:
        self._budget.demoted = number

    def encode(self, batch: Batch) -> Fragments | None:
        """Encode all rows; None for an empty batch."""
        if not batch.lines:
            return None
        times = batch.time_ns
        # Times that differ over the whole batch need no look at lines; mostly they are in order.
        ordered = all(map(lt, times, islice(times, 1, None)))
        earliest, latest = (times[0], times[-1]) if ordered else (min(times), max(times))
        distinct = ordered or len(set(times)) == len(times)
        stamps: Sequence[Any] = orjson.dumps(times)[1:-1].decode().split(",") if distinct else times
        pieces = []
        for stream, rows in self._group(batch, stamps):
            values: list[_Row] = rows
            if stream.extra:
                values = [(ns, text, {**stream.extra, **attributes}) for ns, text, attributes in rows]
            if not distinct:
                values = [(str(ns), text, attributes) for ns, text, attributes in separated(values)]
            for data, records in _bounded(stream.labels, values):
                pieces.append(Fragment(data, records, earliest, latest, stream.marks))
        return Fragments(pieces, len(times), earliest, latest)

    def _group(self, batch: Batch, stamps: Sequence[Any]) -> list[tuple[_Stream, list[_Row]]]:
        """Sort rows into streams; one pass, with as little as can be in it.

        The first body field of each label decides nearly always, so rows are sorted by these alone; only those
        that lack one, or have something odd in it, are looked at again with all fields.
        """
        first, places = self._first_fields(batch.resource)
        none = ("",) * len(places)
        groups: dict[Any, list[_Row]] = defaultdict(list)
        named: dict[Any, list[_Row]] = defaultdict(list)
        try:
            for key, row in zip(_keys(batch, first, none), _rows(batch, stamps), strict=True):
                groups[key].append(row)
        except TypeError:  # a field holds an object or array
            for row, head, envelope in zip(_rows(batch, stamps), batch.heads, batch.envelopes, strict=True):
                named[_with(self._texts(head), envelope)].append(row)
            return self._streams(batch.resource, named)
        open_rows: dict[Any, Iterator[_Row]] = {}
        for key, members in groups.items():
            if all(type(value) is str and value for value in _fields(key)):
                named[self._wide(key, places)] += members
            else:
                open_rows[key] = iter(members)
        if open_rows:
            for key, head, envelope in zip(
                _keys(batch, first, none), batch.heads, batch.envelopes, strict=True
            ):
                if key in open_rows:
                    named[_with(self._texts(head), envelope)].append(next(open_rows[key]))
        return self._streams(batch.resource, named)

    def _streams(
        self, resource: Resource, named: Mapping[Any, list[_Row]]
    ) -> list[tuple[_Stream, list[_Row]]]:
        """Find the stream of each key; several keys may have the same."""
        streams: dict[int, tuple[_Stream, list[_Row]]] = {}
        for key, members in named.items():
            stream = self._stream(resource, key)
            known = streams.setdefault(id(stream), (stream, members))
            if known[1] is not members:
                known[1].extend(members)
        return list(streams.values())

    def _first_fields(self, resource: Resource) -> tuple[Callable[[Any], Any], list[int]]:
        """Return what reads the first body field of each label that the resource does not decide, and their places."""
        found = self._firsts.get(resource)
        if found is None:
            if len(self._firsts) >= _CACHE:
                self._firsts.clear()
            names = [name for places in self._settings.sources.values() if (name := _first(places, resource))]
            names = list(dict.fromkeys(names))
            found = (
                _getter([self._fields[name] for name in names]),
                [self._body.index(name) for name in names],
            )
            self._firsts[resource] = found
        return found

    def _wide(self, key: Any, places: list[int]) -> Any:
        """Return a key of first fields as a key of all fields, of which the others do not matter."""
        texts = [""] * len(self._body)
        for place, value in zip(places, _fields(key), strict=True):
            texts[place] = value
        return _with(tuple(texts), key.envelope if isinstance(key, _Enveloped) else None)

    def _texts(self, head: Any) -> _Fields:
        return ("",) * len(self._body) if head is None else tuple(map(_label_text, self._all(head)))

    def _stream(self, resource: Resource, key: Any) -> _Stream:
        envelope = key.envelope if isinstance(key, _Enveloped) else None
        fields = _fields(key)
        full: Any = (resource, fields)
        if envelope is not None:
            full = (resource, fields, _frozen(envelope.labels), _frozen(envelope.metadata))
        stream = self._cache.get(full)
        if stream is None:
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            stream = self._cache[full] = self._build(resource, fields, envelope)
        return stream

    def _build(self, resource: Resource, values: _Fields, envelope: Envelope | None) -> _Stream:
        sent = dict(envelope.labels) if envelope else {}
        extra = dict(envelope.metadata) if envelope else {}
        found: dict[str, str] = dict(self._settings.static)
        theirs: set[str] = set()
        for name, places in self._settings.sources.items():
            for place in places:
                if value := self._at(place, resource, values, sent):
                    found[name] = value
                    if not place.startswith("resource."):
                        theirs.add(name)
                    break
        for name, value in sent.items():
            if name in self._settings.keep and value:
                if found.setdefault(name, value) is value:
                    theirs.add(name)
            elif value and found.get(name) != value:
                extra.setdefault(name, shortened(value))
        labels, mark = self._budget.spend(resource.tenant, found, theirs, extra)
        return _Stream(labels, extra, frozenset((mark,)))

    def _at(self, place: str, resource: Resource, values: _Fields, sent: Mapping[str, str]) -> str:
        kind, _, name = place.partition(".")
        if kind == "body":
            return values[self._body.index(name)]
        if kind == "label":
            return sent.get(name, "")
        return getattr(resource, name) or ""


def _bounded(labels: Mapping[str, str], values: list[_Row]) -> Iterator[tuple[bytes, int]]:
    """Encode rows of one stream as objects of at most a frame, unless one row alone is larger."""
    data = orjson.dumps({"stream": labels, "values": values})
    if len(data) <= FRAME_BYTES or len(values) == 1:
        yield data, len(values)
        return
    step = max(len(values) * FRAME_BYTES // len(data), 1)
    for start in range(0, len(values), step):
        yield from _bounded(labels, values[start : start + step])


def _first(places: Iterable[str], resource: Resource) -> str:
    """Return the first body field of a label; empty when the resource decides before it, or there is none."""
    for place in places:
        kind, _, name = place.partition(".")
        if kind == "body":
            return name
        if kind == "resource" and getattr(resource, name):
            break
    return ""


def _getter(attributes: list[str]) -> Callable[[Any], Any]:
    """Return one native call that reads attributes of a head, always as a tuple."""
    if len(attributes) > 1:
        return attrgetter(*attributes)
    return lambda head: tuple(getattr(head, attribute) for attribute in attributes)


def _rows(batch: Batch, stamps: Sequence[Any]) -> Iterable[_Row]:
    return zip(stamps, map(bytes.decode, batch.lines), batch.attributes, strict=True)


def _keys(batch: Batch, read: Callable[[Any], Any], none: _Fields) -> Iterable[Any]:
    """Return for each row what its stream depends on: fields, and the envelope if there is one."""
    heads = batch.heads
    fields: Iterable[Any] = map(read, heads)
    if not all(heads):
        fields = [none if head is None else read(head) for head in heads]
    if batch.envelopes.count(None) == len(heads):
        return fields
    return map(_with, fields, batch.envelopes)


def _with(fields: Any, envelope: Envelope | None) -> Any:
    return fields if envelope is None else _Enveloped(fields, envelope)


def _fields(key: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = key.fields if isinstance(key, _Enveloped) else key
    return found


def _label_text(value: Any) -> str:
    """Return a JSON value as the text of a label; empty for what is none."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else ""


def _frozen(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    return tuple(attributes.items())


def separated(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Move equal (ns, line) apart by whole nanoseconds; the first keeps its time."""
    taken: set[tuple[int, str]] = set()
    last: dict[tuple[int, str], int] = {}
    for ns, text, attributes in rows:
        moved: int = ns
        if (ns, text) in taken:
            moved = last.get((ns, text), moved) + 1
            while (moved, text) in taken:
                moved += 1
            last[ns, text] = moved
        taken.add((moved, text))
        yield moved, text, attributes


class UniqueTimes:
    """Fills the unused digits of coarse times with the writer's number and a counter.

    Args:
        writer: This writer's number, 0 <= writer < writers.
        writers: How many writers share the streams.
        start: Where the counter begins; how many records this writer ever took, so that what comes after a
            restart does not get the digits again that went before it.
    """

    def __init__(self, writer: int, writers: int, start: int = 0) -> None:
        # Of a coarse second only the first 10 ms: a record must not lie ahead of who asks for it now.
        self._share = [max(10 ** min(digits, _SPREAD) // writers, 1) for digits in range(19)]
        self._base = [share * writer for share in self._share]
        self._float_share = max(256 // writers, 1)
        self._float_base = self._float_share * writer
        self._count = start

    def fill(self, times: Iterable[tuple[int, int]]) -> list[int]:
        """Fill the unused digits of (ns, number of unused decimal digits).

        A nanosecond that ends in zeros came from a coarser clock, whose unused digits are free. One that is a
        multiple of 256 came from a double (seconds since 1970 as float have that spacing): its low byte is free.
        """
        filled: list[int] = []
        add = filled.append
        count, base, share = self._count, self._base, self._share
        for ns, unused in times:
            digits = unused or (0 if ns % 1000 else 3 if ns % 1_000_000 else 6)
            if digits:
                count += 1
                add(ns + base[digits] + count % share[digits])
            elif ns & 0xFF:
                add(ns)
            else:
                count += 1
                add(ns + self._float_base + count % self._float_share)
        self._count = count
        return filled

    def fill_micros(self, times: NDArray[np.int64]) -> list[int]:
        """As `fill`, for a column of times in microseconds: three unused digits each."""
        counts = (np.arange(len(times)) + self._count + 1) % self._share[_MICROS]
        self._count += len(times)
        filled: list[int] = (times + counts + self._base[_MICROS]).tolist()
        return filled
