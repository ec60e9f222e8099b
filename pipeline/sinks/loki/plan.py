"""Which pushes frames become.

Loki's 204 cannot be believed for every stream in a push. Its ingester keeps only the error of the
*last* stream of a request (`pkg/ingester/instance.go`, `Push`, 3.7.8): an entry too far behind, a
stream over the limit of streams or a stream over its rate is dropped, and the answer is 204 when a
stream that follows is taken. Three rules keep records from getting lost that way:

* What is so old that it could be too far behind goes to streams of its UTC hour (`push.of_late`),
  which cannot refuse it. Newer records cannot be too far behind: the newest entry that Loki takes is
  ten minutes ahead of its clock, and the window reaches an hour back from there.
* A stream that Loki has not taken lately goes alone, so that "too many streams" is heard.
* A busy stream goes alone, so that "over its rate" is heard, and what Loki dropped of it is sent again.
  Only quiet streams share a push: what they get that way stays below 64 KiB at once and 16 KiB/s for
  each process (`known.Known`), where Loki grants a stream 15 MB and 3 MB/s by default. Who has set Loki's
  `per_stream_rate_limit` as low as that chooses ``alone: always``: each stream in pushes of its own.

Frames that hold one stream only, as large batches make them, go as they are; of others what is busy is
cut out. The plan for given frames is made once and kept until they are delivered: another one, made
later, could put a record that is stored already into another stream. `Planner.renew` looks after plans
that grow old. What remains: a push that Loki stored, whose answer was lost, and that is then
interrupted by a crash for so long that its records become late, is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import orjson

from pipeline.sinks.loki.known import Known, Names
from pipeline.sinks.loki.push import (
    HOUR_NS,
    LATE,
    Push,
    Stream,
    decode,
    inflate,
    late_name,
    name_of,
    of_frames,
    of_late,
    of_stream,
    of_text,
    of_texts,
    parts_of,
)

if TYPE_CHECKING:
    from pipeline.sinks.delivery import StoredFrame
    from pipeline.sinks.loki.settings import LokiSettings

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Plan:
    """What is left to do for some frames of one tenant.

    Attributes:
        key: Position of the first frame and end of the last.
        records: Records in all the frames.
        todo: Pushes, the next one last.
        refused: Records in quarantine, by reason.
        taken: How many pushes Loki took.
        doubted: That number when Loki last refused a single entry for an unknown reason; -1 for never.
    """

    key: tuple[int, int]
    records: int
    todo: list[Push]
    refused: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    doubted: int = -1

    @property
    def delivered(self) -> int:
        """Records that Loki holds, once nothing is left to do."""
        return self.records - sum(self.refused.values())


class Planner:
    """Makes plans.

    Args:
        settings: The sink's.
        clock: Unix time in ns.
    """

    def __init__(self, settings: LokiSettings, clock: Callable[[], int]) -> None:
        self._late_ns = settings.late_after_s * _SECOND_NS
        self._alone: Literal["busy", "always", "never"] = settings.alone
        self._push_bytes = settings.push_bytes
        self._clock = clock
        self._known = Known(settings.introduced_s * _SECOND_NS)
        self._names = Names()

    def plan(self, frames: Sequence[StoredFrame]) -> Plan:
        """Plan the delivery of frames of one tenant."""
        horizon = self._horizon()
        old = [frame for frame in frames if frame.min_ns < horizon]
        new = [frame for frame in frames if frame.min_ns >= horizon] if old else frames
        todo: list[Push] = []
        for group in _grouped(old, self._push_bytes):
            todo += _apart(group, horizon)
        if self._alone == "never":
            todo += map(of_frames, _grouped(new, self._push_bytes))
        else:
            todo += self._sorted_out(new)
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
        """Learn from a push that Loki took. Only of a stream that went alone it says anything."""
        if len(push.names) == 1:
            self._known.add(tenant, push.names[0], push.inflated, self._clock())

    def _quiet(self, tenant: str, name: bytes, size: int) -> bool:
        return self._alone != "always" and self._known.quiet(tenant, name, size, self._clock())

    def _sorted_out(self, frames: Sequence[StoredFrame]) -> list[Push]:
        """Send each stream that is new or busy alone, the others together."""
        own: dict[bytes, list[StoredFrame]] = {}
        mixed: list[StoredFrame] = []
        for frame in frames:
            name = self._names.only(frame)
            (mixed if name is None else own.setdefault(name, [])).append(frame)
        pushes: list[Push] = []
        shared: list[StoredFrame] = []
        for name, run in own.items():
            if self._quiet(run[0].tenant, name, sum(frame.inflated for frame in run)):
                shared += run
            else:
                pushes += [of_frames(group, (name,)) for group in _grouped(run, self._push_bytes)]
        for group in _grouped(mixed, self._push_bytes):
            pushes += self._cut_out(group, shared)
        return pushes + list(map(of_frames, _grouped(shared, self._push_bytes)))

    def _cut_out(self, frames: Sequence[StoredFrame], shared: list[StoredFrame]) -> list[Push]:
        """Cut new and busy streams out of frames; frames without any are added to those that go as they are."""
        streams: dict[bytes, list[bytes]] = {}
        for frame in frames:
            for name, values in parts_of(inflate(frame.payload)):
                streams.setdefault(name, []).append(values)
        quiet = {
            name: values
            for name, values in streams.items()
            if self._quiet(frames[0].tenant, name, sum(map(len, values)))
        }
        if len(quiet) == len(streams):
            shared += frames
            return []
        oldest = min(frame.min_ns for frame in frames)
        pushes = [of_text(name, values, oldest) for name, values in streams.items() if name not in quiet]
        return pushes + ([of_texts(quiet, oldest)] if quiet else [])


def _apart(frames: Sequence[StoredFrame], horizon: int) -> list[Push]:
    """Send each stream alone, and what is older than ``horizon`` as late."""
    streams: dict[bytes, list[bytes]] = {}
    late: dict[bytes, list[bytes]] = {}
    for frame in frames:
        text = inflate(frame.payload)
        hour = frame.max_ns // HOUR_NS
        if frame.max_ns < horizon and frame.min_ns // HOUR_NS == hour and _LATE_LABEL not in text:
            for name, values in parts_of(text):
                late.setdefault(late_name(name, hour), []).append(values)
        else:
            _by_entry(text, horizon, streams, late)
    pushes = [of_text(name, values, 0, late=True) for name, values in sorted(late.items(), key=_hour)]
    return pushes + [of_text(name, values, horizon) for name, values in streams.items()]


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
    if frames:
        yield frames[start:]
