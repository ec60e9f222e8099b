"""From requests to raw batches: heads, times, batch ids; and the rows that cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from headrig._raw import RawBatch

from pipeline.flow.timestamps import Time, parse_micros, parse_time, parse_times
from pipeline.streams import UniqueTimes

if TYPE_CHECKING:
    from headrig import Resource, Verdict

    from pipeline.flow.head import HeadDecoder
    from pipeline.flow.inbound import Inbound
    from pipeline.flow.request import Request


@dataclass(slots=True)
class Columns:
    """The lines of one or more requests of one resource, side by side.

    Attributes:
        owner: Which request a row belongs to, as its place in ``requests``.
        row_of: Row within the request.
        unusable: Rows that got the time of receipt.
        bad: Rows that cannot go on, and why.
        held: Those of them that are quarantined.
    """

    requests: Sequence[Request]
    lines: list[bytes]
    buffer: bytes
    heads: list[Any]
    times: list[int]
    owner: list[int]
    row_of: Sequence[int]
    unusable: set[int]
    bad: dict[int, str]
    envelopes: list[bytes]
    envelope_of: list[int] | None
    held: dict[int, Verdict] = field(default_factory=dict)

    def refuse_bad(self) -> None:
        """Give each row that cannot go on its verdict."""
        for row, why in self.bad.items():
            verdict = self.requests[self.owner[row]].refuse(self.row_of[row], why)
            if verdict.kind == "quarantined":
                self.held[row] = verdict


class Preparer:
    """Decodes heads and settles times.

    Args:
        heads: The decoder.
        time_fields: JSON fields that may hold the time, the first that is usable wins.
        unique: Fills the unused digits of coarse times.
        clock: Current time, unix ns.
    """

    def __init__(
        self, heads: HeadDecoder, time_fields: Iterable[str], unique: UniqueTimes, clock: Callable[[], int]
    ) -> None:
        self._heads = heads
        self._time_getters = [attrgetter(heads.fields[name]) for name in time_fields]
        self._unique = unique
        self._clock = clock

    def now(self) -> int:
        """Return the time of receipt, unix ns."""
        return self._clock()

    def columns(self, requests: Sequence[Request], start: int = 0, stop: int | None = None) -> Columns:
        """Lay the lines of the requests side by side; ``start`` and ``stop`` cut one large request."""
        first = requests[0].inbound
        if len(requests) == 1:
            whole = start == 0 and stop is None
            lines = first.lines if whole else first.lines[start:stop]
            buffer = first.body if whole and first.body is not None else b"\n".join(lines)
            owner = [0] * len(lines)
            row_of: Sequence[int] = range(start, start + len(lines))
        else:
            lines = [line for request in requests for line in request.inbound.lines]
            buffer = b"\n".join(lines)
            owner = [n for n, request in enumerate(requests) for _ in request.inbound.lines]
            row_of = [row for request in requests for row in range(len(request.inbound.lines))]
        heads, bad = self._decode(first, lines, buffer)
        envelopes, envelope_of = _envelopes(requests, start, stop)
        columns = Columns(
            requests, lines, buffer, heads, [], owner, row_of, set(), bad, envelopes, envelope_of
        )
        self._set_times(columns)
        return columns

    def refuse_bad(self, request: Request, start: int, stop: int) -> None:
        """Give the bad ones among some lines their verdict, and do nothing else."""
        lines = request.inbound.lines[start:stop]
        _, bad = self._decode(request.inbound, lines, b"\n".join(lines))
        for row, why in bad.items():
            request.refuse(start + row, why)

    def _decode(
        self, inbound: Inbound, lines: list[bytes], buffer: bytes
    ) -> tuple[list[Any], dict[int, str]]:
        if inbound.text_ok:
            return self._heads.decode_mixed(lines)
        return self._heads.decode_lines(buffer, lines)

    def _set_times(self, columns: Columns) -> None:
        if all(request.inbound.times is None for request in columns.requests):
            values = self._own_times(columns.heads)
            micros = parse_micros(values)
            if micros is not None:
                columns.times = self._unique.fill_micros(micros)
                return
            parsed: Any = parse_times(values)
            if None in parsed:
                parsed = self._second_choice(columns, values, parsed)
        else:
            parsed = _envelope_times(columns)
        if None not in parsed:
            columns.times = self._unique.fill(parsed)
            return
        now = self._clock()
        columns.unusable = {row for row, time in enumerate(parsed) if time is None}
        # The time of receipt, a nanosecond apart so that order and count survive.
        columns.times = self._unique.fill([time or (now + row, 0) for row, time in enumerate(parsed)])

    def _own_times(self, heads: list[Any]) -> list[Any]:
        """Return for each head the value of the first time field it has, else None."""
        first, *others = self._time_getters
        if all(heads):
            values = list(map(first, heads))
        else:
            values = [None if head is None else first(head) for head in heads]
        if not all(values):
            for row, value in enumerate(values):
                if value is None and heads[row] is not None:
                    values[row] = next((v for get in others if (v := get(heads[row])) is not None), None)
        return values

    def _second_choice(
        self, columns: Columns, values: list[Any], parsed: Sequence[Time | None]
    ) -> list[Time | None]:
        """Return the times; where the first field that is there was unusable, that of a later one."""
        getters = self._time_getters
        return [
            next((found for get in getters if (found := parse_time(get(head))) is not None), None)
            if time is None and value is not None
            else time
            for time, value, head in zip(parsed, values, columns.heads, strict=True)
        ]


def _envelope_times(columns: Columns) -> list[tuple[int, int] | None]:
    times: list[tuple[int, int] | None] = []
    for owner, row in zip(columns.owner, columns.row_of, strict=True):
        inbound = columns.requests[owner].inbound
        ns = inbound.times[row] if inbound.times is not None else 0
        times.append((ns, inbound.coarse) if ns else None)
    return times


def identify(columns: Columns) -> None:
    """Give each request its batch id, now that it is known whether its records bring their time."""
    timeless = {columns.owner[row] for row in columns.unusable}
    for number, request in enumerate(columns.requests):
        request.identify(own_time=number not in timeless)


def raw_batch(columns: Columns, resource: Resource, without: set[int]) -> tuple[RawBatch, Sequence[int]]:
    """Make the raw batch of the rows that go on.

    Args:
        columns: All rows.
        resource: Who sent them.
        without: Places of requests that do not go on.

    Returns:
        The batch, and the row of ``columns`` for each of its rows.
    """
    if not columns.bad and not without:
        raw = RawBatch(
            resource,
            columns.lines,
            columns.buffer,
            columns.heads,
            columns.times,
            columns.envelopes,
            columns.envelope_of,
        )
        return raw, range(len(columns.lines))
    rows = [row for row, owner in enumerate(columns.owner) if row not in columns.bad and owner not in without]
    lines = [columns.lines[row] for row in rows]
    envelope_of = columns.envelope_of
    raw = RawBatch(
        resource,
        lines,
        b"\n".join(lines),
        [columns.heads[row] for row in rows],
        [columns.times[row] for row in rows],
        columns.envelopes,
        None if envelope_of is None else [envelope_of[row] for row in rows],
    )
    return raw, rows


def _envelopes(
    requests: Sequence[Request], start: int, stop: int | None
) -> tuple[list[bytes], list[int] | None]:
    if len(requests) == 1:
        inbound = requests[0].inbound
        return inbound.envelopes, None if inbound.envelope_of is None else inbound.envelope_of[start:stop]
    if all(request.inbound.envelope_of is None for request in requests):
        return [], None
    places: dict[bytes, int] = {}
    envelope_of: list[int] = []
    for request in requests:
        inbound = request.inbound
        here = [places.setdefault(envelope, len(places)) for envelope in inbound.envelopes]
        envelope_of += [here[number] for number in inbound.envelope_of or ()]
    return list(places), envelope_of
