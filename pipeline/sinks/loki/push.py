"""What one push holds, and how its body is made.

A frame's payload is one gzip member of stream objects joined by commas. Gzip members concatenate
(RFC 1952 section 2.2), so frames become a push without being inflated: an opening member, the
payloads with a comma member between them, a closing member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from headrig import CorruptionError
from isal import igzip

if TYPE_CHECKING:
    from pipeline.sinks.delivery import StoredFrame

HOUR_NS = 3_600_000_000_000
LATE = "late"


def member(data: bytes) -> bytes:
    """Return one gzip member; the same bytes for the same data, always."""
    return igzip.compress(data, 1, mtime=0)


def inflate(payload: bytes) -> bytes:
    """Return what a frame's payload holds, its checksum verified."""
    data: bytes = igzip.decompress(payload)  # type: ignore[no-untyped-call]
    return data


_OPEN = member(b'{"streams":[')
_COMMA = member(b",")
_CLOSE = member(b"]}")
_STREAM = b'{"stream":{'
_VALUES = b'},"values":['
_END = b"]}"


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream's entries, oldest first.

    Attributes:
        labels: The stream's labels.
        values: ``[ns as decimal string, line]`` or ``[…, …, structured metadata]``.
    """

    labels: dict[str, str]
    values: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Push:
    """One request to Loki.

    Attributes:
        payloads: Gzip members of stream objects.
        inflated: Their bytes once inflated.
        stream: The only stream in it, where that is known and its entries are in order of time:
            then Loki's verdict can be believed entry by entry.
        late: The entries carry the label ``late`` already.
        names: The only stream in it, as `name_of` says; empty when there are several, or nobody looked.
        oldest_ns: No entry is older.
        maybe: An earlier try may have stored entries of it: they must stay in their streams.
        doubted: How many pushes of the plan Loki had taken when it refused this for an unknown reason.
    """

    payloads: tuple[bytes, ...]
    inflated: int
    stream: Stream | None = None
    late: bool = False
    names: tuple[bytes, ...] = ()
    oldest_ns: int = 0
    maybe: bool = False
    doubted: int | None = None

    def body(self) -> bytes:
        """Return the request body; a second call returns the same bytes."""
        return _OPEN + _COMMA.join(self.payloads) + _CLOSE

    def streams(self) -> list[Stream]:
        """Decode; each stream once, its entries in order of time."""
        if self.stream is not None:
            return [self.stream]
        return decode(b",".join(map(inflate, self.payloads)))

    def apart(self) -> list[Push]:
        """Cut a push that was tried into its streams."""
        return [self._part(stream) for stream in self.streams()]

    def halves(self) -> list[Push]:
        """Cut a push that was tried in two, oldest first; one of one entry comes back alone."""
        if len(self.payloads) > 1:
            middle = len(self.payloads) // 2
            parts = (self.payloads[:middle], self.payloads[middle:])
            return [
                replace(self, payloads=part, inflated=sum(len(inflate(each)) for each in part), maybe=True)
                for part in parts
            ]
        streams = self.streams()
        if len(streams) > 1:
            return [self._part(stream) for stream in streams]
        values = streams[0].values
        middle = len(values) // 2
        halves = [half for half in (values[:middle], values[middle:]) if half]
        return [self._part(Stream(streams[0].labels, half)) for half in halves]

    def _part(self, stream: Stream) -> Push:
        return replace(of_stream(stream), late=self.late, maybe=True)


def of_frames(frames: Sequence[StoredFrame], names: tuple[bytes, ...] = ()) -> Push:
    """Send frames as they are."""
    payloads = tuple(frame.payload for frame in frames)
    oldest = min(frame.min_ns for frame in frames)
    return Push(payloads, sum(frame.inflated for frame in frames), names=names, oldest_ns=oldest)


def of_text(name: bytes, values: Sequence[bytes], oldest_ns: int, *, late: bool = False) -> Push:
    """Send one stream alone, from texts of its values as `parts_of` gives them."""
    text = _STREAM + name + _VALUES + b",".join(values) + _END
    return Push((member(text),), len(text), late=late, names=(name,), oldest_ns=oldest_ns)


def of_texts(streams: Mapping[bytes, Sequence[bytes]], oldest_ns: int) -> Push:
    """Send several streams together, from texts of their values."""
    text = b",".join(
        [_STREAM + name + _VALUES + b",".join(values) + _END for name, values in streams.items()]
    )
    return Push((member(text),), len(text), oldest_ns=oldest_ns)


def of_stream(stream: Stream, *, late: bool = False) -> Push:
    """Send one decoded stream alone."""
    name = name_of(stream.labels)
    text = orjson.dumps({"stream": stream.labels, "values": stream.values})
    return Push((member(text),), len(text), stream, late, (name,), int(stream.values[0][0]))


def of_late(stream: Stream) -> list[Push]:
    """Send entries as streams of their UTC hour.

    Such a stream spans less than an hour, so nothing in it is ever too far behind, in whatever order
    and from however many senders it comes.
    """
    hours: dict[int, list[list[Any]]] = {}
    for value in stream.values:
        hours.setdefault(int(value[0]) // HOUR_NS, []).append(value)
    return [
        of_stream(Stream({**stream.labels, LATE: hour_of(hour)}, values), late=True)
        for hour, values in sorted(hours.items())
    ]


def hour_of(hour: int) -> str:
    """Write an hour, counted since 1970, as the value of the label ``late``."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H")


def decode(text: bytes) -> list[Stream]:
    """Parse stream objects joined by commas; each stream once, entries in order of time.

    Raises:
        CorruptionError: It is not that; a frame with a good checksum never holds such.
    """
    try:
        found: dict[bytes, Stream] = {}
        for item in orjson.loads(b"[" + text + b"]"):
            stream = found.setdefault(name_of(item["stream"]), Stream(item["stream"], []))
            stream.values.extend(item["values"])
        for stream in found.values():
            stream.values.sort(key=lambda value: int(value[0]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError("frame", 0, "its payload is not stream objects") from error
    return list(found.values())


def name_of(labels: dict[str, str]) -> bytes:
    """Name a stream: the inside of its labels as JSON, in the order in which they are written."""
    return orjson.dumps(labels)[1:-1]


def late_name(name: bytes, hour: int) -> bytes:
    """Name the stream of that hour beside a stream."""
    label = f'"{LATE}":"{hour_of(hour)}"'.encode()
    return b",".join((name, label)) if name else label


def names_in(text: bytes) -> Iterator[bytes]:
    """Name the streams in stream objects joined by commas, without parsing them.

    The markers cannot occur inside a JSON string: there, a quote has a backslash before it.
    """
    start = text.find(_STREAM)
    while start >= 0:
        middle = text.find(_VALUES, start)
        if middle < 0:
            raise CorruptionError("frame", start, "its payload is not stream objects")
        yield text[start + len(_STREAM) : middle]
        start = text.find(_STREAM, middle)


def parts_of(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Cut stream objects joined by commas into (name, text of the values), without parsing them."""
    start = text.find(_STREAM)
    while start >= 0:
        middle = text.find(_VALUES, start)
        following = text.find(_STREAM, middle)
        end = (len(text) if following < 0 else following - 1) - len(_END)
        if middle < 0 or text[end : end + len(_END)] != _END:
            raise CorruptionError("frame", start, "its payload is not stream objects")
        yield text[start + len(_STREAM) : middle], text[middle + len(_VALUES) : end]
        start = following
