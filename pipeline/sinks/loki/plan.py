"""Which pushes frames become.

Loki's 204 cannot be believed for every stream in a push. Its ingester keeps only the error of the
*last* stream of a request (`pkg/ingester/instance.go`, `Push`, 3.7.8): an entry too far behind, a
stream over the limit of streams or a stream over its rate is dropped, and the answer is 204 when a
stream that follows is taken. Three rules keep records from getting lost that way:

* What is so old that it could be too far behind goes to streams of its UTC hour (`push.of_late`),
  which cannot refuse it. Newer records cannot be too far behind: the newest entry that Loki takes is
  ten minutes ahead of its clock, and the window reaches an hour back from there.
* A stream that is new to this process goes alone first, so that "too many streams" is heard.
* ``alone: always`` sends each stream alone; choose it where one stream can pass Loki's rate per
  stream (3 MB/s, and Loki cuts streams above 1.5 MB/s into shards before that).

The plan for given frames is made once and kept until they are delivered: another one, made later,
could put a record that is stored already into another stream. `Planner.renew` looks after plans
that grow old. What remains: a push that Loki stored, whose answer was lost, and that is then
interrupted by a crash for so long that its records become late, is stored twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import orjson

from pipeline.sinks.loki.push import (
    HOUR_NS,
    LATE,
    Push,
    Stream,
    decode,
    inflate,
    late_name,
    name_of,
    names_in,
    of_frames,
    of_late,
    of_stream,
    of_text,
    parts_of,
)

if TYPE_CHECKING:
    from pipeline.sinks.delivery import StoredFrame
    from pipeline.sinks.loki.settings import LokiSettings

_SECOND_NS = 1_000_000_000
_KNOWN = 100_000


@dataclass(slots=True)
class Plan:
    """What is left to do for some frames of one tenant.

    Attributes:
        key: Position of the first frame and end of the last.
        records: Records in all the frames.
        todo: Pushes, the next one last.
        refused: Records in quarantine, by reason.
    """

    key: tuple[int, int]
    records: int
    todo: list[Push]
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def delivered(self) -> int:
        """Records that Loki holds, once nothing is left to do."""
        return self.records - sum(self.refused.values())


class Known:
    """The streams that Loki took lately, per tenant; bounded."""

    def __init__(self, lasts_ns: int) -> None:
        self._lasts = lasts_ns
        self._seen: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    def new(self, tenant: str, names: Iterable[bytes], now: int) -> set[bytes]:
        """Return those that are not known, or not any more."""
        horizon = now - self._lasts
        seen = self._seen
        return {name for name in set(names) if seen.get((tenant, name), horizon) <= horizon}

    def add(self, tenant: str, names: Iterable[bytes], now: int) -> None:
        """Remember streams that Loki took."""
        for name in names:
            self._seen[tenant, name] = now
            self._seen.move_to_end((tenant, name))
        while len(self._seen) > _KNOWN:
            self._seen.popitem(last=False)


class Planner:
    """Makes plans.

    Args:
        settings: The sink's.
        clock: Unix time in ns.
    """

    def __init__(self, settings: LokiSettings, clock: Callable[[], int]) -> None:
        self._late_ns = settings.late_after_s * _SECOND_NS
        self._alone: Literal["new", "always", "never"] = settings.alone
        self._push_bytes = settings.push_bytes
        self._clock = clock
        self._known = Known(settings.introduced_s * _SECOND_NS)
        self._named: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def plan(self, frames: Sequence[StoredFrame]) -> Plan:
        """Plan the delivery of frames of one tenant."""
        horizon = self._horizon()
        todo: list[Push] = []
        for group in _grouped(frames, self._push_bytes):
            if self._alone == "always" or any(frame.min_ns < horizon for frame in group):
                todo += self._apart(group, horizon)
            elif self._alone == "new":
                todo += self._introduced(group)
            else:
                todo.append(of_frames(group))
        todo.reverse()
        return Plan((frames[0].position, frames[-1].end), sum(frame.records for frame in frames), todo)

    def aged(self, push: Push) -> bool:
        """Tell whether a push has become old since it was planned, because Loki was away."""
        return not push.late and push.oldest_ns < self._horizon() and not (push.maybe and push.stream)

    def renew(self, plan: Plan) -> None:
        """Plan the next push, which has aged, again.

        What was never sent goes late, as if planned now. What may be stored keeps its streams, so that
        Loki folds it, but each goes alone, so that Loki's verdict can be believed.
        """
        push = plan.todo[-1]
        plan.todo[-1:] = reversed(push.apart() if push.maybe else _late_of(push, self._horizon()))

    def _horizon(self) -> int:
        return self._clock() - self._late_ns if self._late_ns else -(1 << 63)

    def took(self, tenant: str, push: Push) -> None:
        """Learn from a push that Loki took."""
        self._known.add(tenant, push.names, self._clock())

    def _introduced(self, frames: Sequence[StoredFrame]) -> list[Push]:
        """Send frames as they are, unless a stream is new: then all of them apart, once."""
        names = {name for frame in frames for name in self._names(frame)}
        if len(names) == 1 or not self._known.new(frames[0].tenant, names, self._clock()):
            return [of_frames(frames, tuple(names))]
        streams: dict[bytes, list[bytes]] = {}
        for frame in frames:
            for name, values in parts_of(inflate(frame.payload)):
                streams.setdefault(name, []).append(values)
        oldest = min(frame.min_ns for frame in frames)
        return [of_text(name, values, oldest) for name, values in streams.items()]

    def _names(self, frame: StoredFrame) -> tuple[bytes, ...]:
        """Name a frame's streams; those with the same mark have the same streams and are inflated once."""
        mark: int = getattr(frame, "streams", 0)
        names = self._named.get((frame.tenant, mark)) if mark else None
        if names is None:
            names = tuple(set(names_in(inflate(frame.payload))))
            if mark:
                if len(self._named) >= _KNOWN:
                    self._named.clear()
                self._named[frame.tenant, mark] = names
        return names

    def _apart(self, frames: Sequence[StoredFrame], horizon: int) -> list[Push]:
        """Send each stream alone, and what is older than ``horizon`` as late."""
        streams: dict[bytes, list[bytes]] = {}
        late: dict[bytes, list[bytes]] = {}
        for frame in frames:
            text = inflate(frame.payload)
            hour = frame.max_ns // HOUR_NS
            if frame.min_ns >= horizon:
                for name, values in parts_of(text):
                    streams.setdefault(name, []).append(values)
            elif frame.max_ns < horizon and frame.min_ns // HOUR_NS == hour and _LATE_LABEL not in text:
                for name, values in parts_of(text):
                    late.setdefault(late_name(name, hour), []).append(values)
            else:
                _by_entry(text, horizon, streams, late)
        pushes = [of_text(name, values, 0, late=True) for name, values in sorted(late.items(), key=_hour)]
        oldest = max(min(frame.min_ns for frame in frames), horizon)
        return pushes + [of_text(name, values, oldest) for name, values in streams.items()]


_LATE_LABEL = f'"{LATE}":'.encode()


def _hour(item: tuple[bytes, list[bytes]]) -> bytes:
    """Return the hour in the name of a late stream, for sorting: oldest first."""
    return item[0].rpartition(_LATE_LABEL)[2]


def _late_of(push: Push, horizon: int) -> list[Push]:
    pushes = []
    for stream in push.streams():
        cut = sum(int(value[0]) < horizon for value in stream.values)
        pushes += of_late(Stream(stream.labels, stream.values[:cut]))
        if rest := stream.values[cut:]:
            pushes.append(of_stream(Stream(stream.labels, rest)))
    return pushes


def _by_entry(
    text: bytes, horizon: int, streams: dict[bytes, list[bytes]], late: dict[bytes, list[bytes]]
) -> None:
    """Sort the entries of a frame that spans hours, or the horizon."""
    for stream in decode(text):
        labels = {name: value for name, value in stream.labels.items() if name != LATE}
        for value in stream.values:
            ns = int(value[0])
            if ns < horizon:
                late.setdefault(late_name(name_of(labels), ns // HOUR_NS), []).append(orjson.dumps(value))
            else:
                streams.setdefault(name_of(stream.labels), []).append(orjson.dumps(value))


def _grouped(frames: Sequence[StoredFrame], limit: int) -> Iterable[Sequence[StoredFrame]]:
    """Cut into runs of at most ``limit`` inflated bytes; a larger frame goes alone."""
    start, size = 0, 0
    for position, frame in enumerate(frames):
        if position > start and size + frame.inflated > limit:
            yield frames[start:position]
            start, size = position, 0
        size += frame.inflated
    yield frames[start:]
