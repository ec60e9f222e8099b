"""Records that a query found, and how they are found in frames that are not archived yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

import orjson

from pipeline.archive_format import fragments
from pipeline.query.errors import QueryError
from pipeline.query.recent import Caller, Waiting
from pipeline.query.rows import Found, label_set, line_test, metadata_of, selector, steps
from pipeline.query.syntax import LineFilter, Logs

_MAX_CHARACTERS = 512 << 20


@dataclass(slots=True)
class Hit:
    """A record that a query found.

    Attributes:
        order: Time in unix ns, then writer, position and place: the order of arrival.
        line: The record's line.
        found: Its labels.
    """

    order: tuple[int, str, int, int]
    line: str
    found: Found


class Best:
    """The newest (``backward``) or oldest hits; holds about twice the limit at most.

    Raises:
        QueryError: The lines to return are longer than 256 Mi characters.
    """

    def __init__(self, limit: int, *, backward: bool) -> None:
        self.limit = limit
        self.backward = backward
        self._hits: list[Hit] = []
        self._size = 0

    def add(self, hit: Hit) -> None:
        """Take one more hit."""
        self._hits.append(hit)
        self._size += len(hit.line)
        if len(self._hits) > 2 * self.limit + 1024 or self._size > _MAX_CHARACTERS:
            self.sorted()
            if self._size > _MAX_CHARACTERS // 2:
                raise QueryError(
                    400, f"the answer is longer than {_MAX_CHARACTERS >> 21} Mi characters; lower the limit"
                )

    def better_than(self, ns: int) -> bool:
        """Tell whether the limit is reached by hits that are all newer (or older) than ``ns``."""
        hits = self.sorted()
        if len(hits) < self.limit:
            return False
        worst = hits[-1].order[0]
        return worst > ns if self.backward else worst < ns

    def sorted(self) -> list[Hit]:
        """Return the hits, newest (or oldest) first."""
        self._hits.sort(key=attrgetter("order"), reverse=self.backward)
        del self._hits[self.limit :]
        self._size = sum([len(hit.line) for hit in self._hits])
        return self._hits


def waiting_hits(
    waiting: Iterable[Waiting], caller: Caller, logs: Logs, span: tuple[int, int]
) -> Iterator[Hit]:
    """Find records in frames: inflate, look for the literals, decode only frames that have them.

    Args:
        waiting: The frames.
        caller: Whose audit leaves to show.
        logs: The query.
        span: Earliest and latest time, unix ns, both inclusive.
    """
    take, run = selector(logs.matchers), steps(logs.steps)
    filters = [step for step in logs.steps if isinstance(step, LineFilter)]
    test, needles = line_test(filters), _needles(filters)
    low, high = span
    for one in waiting:
        text = fragments.inflate(one.frame.payload)
        if not all(needle in text for needle in needles):
            continue
        place = -1 - one.skip
        for fragment in fragments.decode(text):
            labels = bytes(fragment.stream).decode()
            base = label_set(labels)
            taken = take(base)
            for row in fragment.values:
                place += 1
                if (
                    place < 0
                    or not taken
                    or not low <= row.ts <= high
                    or (test is not None and not test(row.line))
                ):
                    continue
                if one.audit and not _may_see(caller, row.line):
                    continue
                found = Found(base, metadata_of(bytes(row.metadata).decode(), labels))
                if run(found, row.line):
                    yield Hit((row.ts, one.writer, one.frame.position, place), row.line, found)


def has_visible(one: Waiting, caller: Caller) -> bool:
    """Tell whether a frame of audit leaves has one that the caller may see."""
    rows = (
        row for fragment in fragments.decode(fragments.inflate(one.frame.payload)) for row in fragment.values
    )
    return any(_may_see(caller, row.line) for row in rows)


def _needles(filters: Iterable[LineFilter]) -> list[bytes]:
    """Return bytes that an inflated frame holds for any hit: literals as orjson, which wrote it, escapes them."""
    single = [one.values[0] for one in filters if one.op == "|=" and len(one.values) == 1]
    return [orjson.dumps(value)[1:-1] for value in single]


def _may_see(caller: Caller, leaf: str) -> bool:
    if caller.every_tenant:
        return True
    try:
        return bool(orjson.loads(leaf).get("tenant") == caller.tenant)
    except (ValueError, AttributeError):
        return False
