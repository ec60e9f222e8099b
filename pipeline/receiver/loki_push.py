"""The entries of a Loki push as columns; what is broken is rejected alone, what can be repaired is.

An entry's position in the request counts rejected ones too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from headrig import Resource, Verdict

from pipeline.flow.inbound import Held, Inbound
from pipeline.flow.timestamps import MAX_NS, Time, parse_time
from pipeline.receiver.body import inflated_too_large
from pipeline.receiver.dialect_json import LINE_TOO_LONG, is_complete, too_many
from pipeline.receiver.limits import Limits
from pipeline.receiver.loki_envelope import Excess, excess
from pipeline.receiver.loki_labels import Labels, label_texts, parse_labels
from pipeline.receiver.loki_protobuf import WireStream

BAD_ENTRY = "bad_entry"
INVALID_LABELS = "invalid_labels"
"""Metadata name under which a label text that cannot be parsed is kept."""

_SPACE = b" \t\r\n"
_SMALLEST_NS = 10**17
_NO_TIME = 10
_PAIR, _TRIPLE = 2, 3


@dataclass(slots=True)
class LegacyPush(Inbound):
    """A push in the v0 shape, which real Loki loses on the v1 path: worth telling the operator."""


class PushColumns:
    """Collects entries as columns; an entry's position counts rejected ones too."""

    def __init__(self, resource: Resource, digest: bytes, limits: Limits) -> None:
        self._resource = resource
        self._digest = digest
        self._limits = limits
        self._lines: list[bytes] = []
        self._rejected: list[Verdict] = []
        self._held: list[Held] = []
        self._legacy = False
        self._times: list[int] = []
        self._envelope_of: list[int] = []
        self._positions: list[int] | None = None
        self._coarse = _NO_TIME
        self._envelopes: dict[bytes, int] = {}
        self._sizes: list[int] = []
        self._carried = 0

    def finish(self) -> Inbound:
        """Return the columns; lines that are too long are held, for their sender is told 204 and no more."""
        if self._lines and max(map(len, self._lines)) > self._limits.line_bytes:
            self._hold_long()
        lines = self._lines
        for row in [row for row, line in enumerate(lines) if b"\n" in line]:
            lines[row] = _one_line(lines[row])
        kind = LegacyPush if self._legacy else Inbound
        return kind(
            self._resource,
            lines,
            self._digest,
            text_ok=True,
            times=self._times,
            coarse=self._coarse % _NO_TIME,
            envelopes=list(self._envelopes),
            envelope_of=self._envelope_of,
            rejected=self._rejected,
            held=self._held,
            positions=self._positions,
            own_time=bool(lines) and all(self._times),
            envelope_bytes=self._carried,
        )

    def add_json(self, streams: list[Any]) -> None:
        """Add the streams of a JSON push, v1 and v0 even mixed."""
        for stream in streams:
            if type(stream) is not dict:
                self._reject(BAD_ENTRY, "a stream is no object")
                continue
            labels = stream.get("stream", stream.get("labels"))
            values = stream.get("values")
            entries = stream.get("entries")
            if values is not None:
                self._add_values(labels, values)
            if entries is not None:
                self._add_entries(labels, entries)

    def add_wire(self, streams: list[WireStream]) -> None:
        """Add the streams of a protobuf push."""
        for stream in streams:
            if not stream.entries:
                continue
            labels, note = _labels(_repaired(stream.labels))
            plain = self._envelope(labels, note)
            for entry in stream.entries:
                envelope = plain
                if entry.metadata and isinstance(plain, int):
                    pairs = {_repaired(name): _repaired(value) for name, value in entry.metadata}
                    envelope = self._envelope(labels, note | pairs)
                line = entry.line
                if not line.isascii():
                    line = _repaired(line).encode()
                ns = entry.ns if 0 < entry.ns <= MAX_NS else 0
                self._add(line, (ns, 0) if ns else None, envelope)

    def _add_values(self, raw_labels: object, values: object) -> None:
        if type(values) is not list:
            self._reject(BAD_ENTRY, "values is no array")
            return
        labels, note = _labels(raw_labels)
        plain = self._envelope(labels, note)
        if not isinstance(plain, int) or not self._add_fast(values, plain):
            for value in values:
                self._add_value(value, labels, note, plain)

    def _add_fast(self, values: list[Any], envelope: int) -> bool:
        """Add ``["<ns>", "<line>"]`` pairs as a whole; False, and nothing added, if one is not that."""
        if {*map(type, values)} != {list} or {*map(len, values)} != {_PAIR}:
            return False
        stamps, texts = zip(*values, strict=True)
        if {*map(type, stamps)} != {str} or {*map(type, texts)} != {str}:
            return False
        try:
            times = list(map(int, stamps))
        except ValueError:
            return False
        if min(times) < _SMALLEST_NS or max(times) > MAX_NS:
            return False
        self._room(len(times))
        if self._positions is not None:
            start = len(self._lines) + len(self._rejected)
            self._positions.extend(range(start, start + len(times)))
        self._lines += [text.encode() for text in texts]
        self._times += times
        self._envelope_of += [envelope] * len(times)
        self._carry(envelope, len(times))
        self._coarse = 0
        return True

    def _add_value(self, value: object, labels: Labels, note: Labels, plain: int | Excess) -> None:
        if type(value) is not list or len(value) not in (_PAIR, _TRIPLE):
            self._reject(BAD_ENTRY, "an entry is no array of time, line and metadata")
        elif type(value[1]) is not str:
            self._reject(BAD_ENTRY, "a line is no string")
        elif len(value) == _PAIR or not value[2] or not isinstance(plain, int):
            self._add(value[1].encode(), parse_time(value[0]), plain)
        elif type(value[2]) is not dict:
            self._reject(BAD_ENTRY, "structured metadata is no object")
        else:
            envelope = self._envelope(labels, note | label_texts(value[2]))
            self._add(value[1].encode(), parse_time(value[0]), envelope)

    def _add_entries(self, raw_labels: object, entries: object) -> None:
        """Add the entries of a v0 stream."""
        self._legacy = True
        if type(entries) is not list:
            self._reject(BAD_ENTRY, "entries is no array")
            return
        labels, note = _labels(raw_labels)
        plain = self._envelope(labels, note)
        for entry in entries:
            if type(entry) is not dict or type(entry.get("line")) is not str:
                self._reject(BAD_ENTRY, "an entry is no object with a line that is a string")
            else:
                time = parse_time(entry.get("ts", entry.get("timestamp")))
                self._add(entry["line"].encode(), time, plain)

    def _add(self, line: bytes, time: Time | None, envelope: int | Excess) -> None:
        if not isinstance(envelope, int):
            self._reject(*envelope, len(line))
            return
        self._carry(envelope, 1)
        self._room(1)
        if self._positions is not None:
            self._positions.append(len(self._lines) + len(self._rejected))
        self._lines.append(line)
        self._envelope_of.append(envelope)
        if time is None:
            self._times.append(0)
            return
        self._times.append(time[0])
        # The digits that no entry uses: the only ones a counter may be put into.
        self._coarse = min(self._coarse, time[1])

    def _room(self, size: int) -> None:
        if len(self._lines) + len(self._rejected) + size > self._limits.records:
            raise too_many(self._limits)

    def _carry(self, envelope: int, rows: int) -> None:
        """Count what is around the lines once for each: a few bytes of body could ask for gigabytes."""
        self._carried += self._sizes[envelope] * rows
        if self._carried > self._limits.inflated_bytes:
            raise inflated_too_large(self._limits.inflated_bytes)

    def _reject(self, reason: str, detail: str, size: int = 0) -> None:
        self._room(1)
        if self._positions is None:
            self._positions = list(range(len(self._lines)))
        position = len(self._lines) + len(self._rejected)
        self._rejected.append(Verdict(position, "rejected", reason, detail, size))

    def _envelope(self, labels: Labels, metadata: Labels) -> int | Excess:
        """Return the place of an envelope, or which limit it passes."""
        text = orjson.dumps({"labels": labels, "metadata": metadata})
        number = self._envelopes.get(text)
        if number is None:
            if (beyond := excess(len(text), labels, metadata, self._limits)) is not None:
                return beyond
            number = self._envelopes[text] = len(self._sizes)
            self._sizes.append(len(text))
        return number

    def _hold_long(self) -> None:
        limit = self._limits.line_bytes
        positions = self._positions or list(range(len(self._lines)))
        keep: list[int] = []
        for row, line in enumerate(self._lines):
            if len(line) <= limit:
                keep.append(row)
                continue
            detail = f"longer than the limit of {limit} bytes"
            verdict = Verdict(positions[row], "quarantined", LINE_TOO_LONG, detail, len(line))
            self._rejected.append(verdict)
            self._held.append(Held(verdict, line, self._times[row]))
        self._lines = [self._lines[row] for row in keep]
        self._times = [self._times[row] for row in keep]
        self._envelope_of = [self._envelope_of[row] for row in keep]
        self._positions = [positions[row] for row in keep]


def _labels(raw: object) -> tuple[Labels, Labels]:
    """Return labels, and metadata that notes what could not be read as labels."""
    if type(raw) is dict:
        return label_texts(raw), {}
    if raw is None or raw == "":
        return {}, {}
    labels = parse_labels(raw) if type(raw) is str else None
    if labels is not None:
        return labels, {}
    text = raw if type(raw) is str else orjson.dumps(raw).decode()
    return {}, {INVALID_LABELS: text}


def _one_line(line: bytes) -> bytes:
    """Return a JSON object printed over several lines as one line; leave plain text alone."""
    if line.lstrip(_SPACE)[:1] == b"{" and is_complete(line):
        return line.replace(b"\n", b" ")
    return line


def _repaired(text: bytes) -> str:
    return text.decode("utf-8", "replace")
