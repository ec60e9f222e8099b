"""The embedded store: DuckDB over the archive's files, and the frames that are newer.

Each query takes a snapshot, so it sees every acknowledged record once. When files or segments go
while it reads (merged, expired, reclaimed), it starts again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.archive_format import ArchiveFile, fragments
from pipeline.query.errors import QueryError
from pipeline.query.files import Files
from pipeline.query.hits import Best, Hit, has_visible, waiting_hits
from pipeline.query.push import Where, decided, where
from pipeline.query.recent import Caller, Log, Snapshot, snapshot
from pipeline.query.rows import Found, label_set, line_test, metadata_of, selector, steps
from pipeline.query.series import Grid, Series
from pipeline.query.syntax import Json, Logs, Matcher, Metric

T = TypeVar("T")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Archived:
    file: ArchiveFile
    writer: str
    audit: bool
    sets: frozenset[str]
    """Label sets that the selector takes, as JSON."""
    every: bool
    """They are all the file has."""


class Store:
    """Answers queries; its methods block, for at most ``seconds``, and belong into a thread.

    Args:
        archive: The archive's directory.
        logs: Names, at each query, the places where newer frames lie.
        gone: Errors that say that a segment went while it was read.
        memory: Bytes DuckDB may use.
        seconds: Longest time for one query.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        archive: Path,
        logs: Callable[[], Iterable[Log]],
        *,
        gone: tuple[type[Exception], ...] = (),
        memory: int = 256 << 20,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._logs = logs
        self._gone: tuple[type[Exception], ...] = (FileNotFoundError, *gone)
        self._files = Files(archive, memory=memory)
        self._seconds = seconds
        self._clock = clock

    def close(self) -> None:
        """Let go of DuckDB."""
        self._files.close()

    def find(
        self, caller: Caller, logs: Logs, low: int, high: int, *, limit: int, backward: bool
    ) -> list[Hit]:
        """Find records with low <= time < high, unix ns; the newest or oldest ``limit``, in that order."""
        return self._consistent(
            lambda deadline: self._find(
                caller, logs, (low, high - 1), Best(limit, backward=backward), deadline
            )
        )

    def count(self, caller: Caller, metric: Metric, grid: Grid) -> Series:
        """Count records for a metric query."""
        return self._consistent(lambda deadline: self._count(caller, metric, grid, deadline))

    def label_sets(
        self, caller: Caller, low: int, high: int, selectors: Sequence[tuple[Matcher, ...]] = ()
    ) -> list[Mapping[str, str]]:
        """Return the distinct streams that may have records between two times, unix ns, both inclusive."""
        texts = self._consistent(lambda _deadline: self._label_sets(caller, low, high))
        takes = [selector(matchers) for matchers in selectors]
        sets = {tuple(sorted(label_set(text).items())) for text in texts}
        return [dict(one) for one in sorted(sets) if not takes or any(take(dict(one)) for take in takes)]

    def _consistent(self, run: Callable[[float], T]) -> T:
        deadline = self._clock() + self._seconds
        for _ in range(_TRIES):
            try:
                return run(deadline)
            except self._gone:  # merged, expired or reclaimed meanwhile
                continue
        raise QueryError(503, f"the archive's files changed {_TRIES} times while they were read; try again")

    def _check(self, deadline: float) -> None:
        if self._clock() > deadline:
            raise QueryError(504, f"the query took longer than {self._seconds:g} s; narrow it")

    # Log queries

    def _find(
        self, caller: Caller, logs: Logs, span: tuple[int, int], best: Best, deadline: float
    ) -> list[Hit]:
        shot = snapshot(self._archive, self._logs(), caller, *span)
        limit, backward = best.limit, best.backward
        for hit in waiting_hits(shot.waiting, caller, logs, span):
            best.add(hit)
        files = self._chosen(shot, caller, logs, span)
        files.sort(key=lambda one: -one.file.max_ns if backward else one.file.min_ns)
        run = steps(logs.steps)
        for one in files:
            if best.better_than(one.file.max_ns if backward else one.file.min_ns):
                break
            self._check(deadline)
            condition = self._where(one, caller, logs, span)
            test = line_test(condition.left)
            top = limit if decided(logs) and test is None else None
            rows = self._files.records(one.file, condition, backward=backward, limit=top)
            for place, (ts, labels, metadata, line) in enumerate(rows):
                found = Found(label_set(labels), metadata_of(metadata, labels))
                if (test is None or test(line)) and run(found, line):
                    # With a limit rows come newest first when backward: their place counts down.
                    order = -place if backward and top is not None else place
                    best.add(Hit((ts, one.writer, one.file.start, order), line, found))
                if place % 4096 == 4095:
                    self._check(deadline)
        return best.sorted()

    # Metric queries

    def _count(self, caller: Caller, metric: Metric, grid: Grid, deadline: float) -> Series:
        series = Series(metric, grid)
        logs = series.inner.logs
        span = (grid.start - series.inner.range_ns + 1, grid.start + (grid.steps - 1) * grid.step)
        shot = snapshot(self._archive, self._logs(), caller, *span)
        for hit in waiting_hits(shot.waiting, caller, logs, span):
            series.record(hit.order[0], hit.found)
        whole = not any(isinstance(step, Json) for step in logs.steps) and decided(logs)
        run = steps(logs.steps)
        for one in self._chosen(shot, caller, logs, span):
            self._check(deadline)
            condition = self._where(one, caller, logs, span)
            test = line_test(condition.left)
            renamed = any(name.endswith("_extracted") for name in series.names or ())
            if whole and test is None and not renamed:
                self._sum(one, condition, series)
                continue
            rows = self._files.records(one.file, condition, backward=False, limit=None)
            for ts, labels, metadata, line in rows:
                found = Found(label_set(labels), metadata_of(metadata, labels))
                if (test is None or test(line)) and run(found, line):
                    series.record(ts, found)
        return series

    def _sum(self, one: _Archived, condition: Where, series: Series) -> None:
        """Let DuckDB count: nothing needs the line."""
        grid = series.grid
        in_all = set.intersection(*(set(label_set(text)) for text in one.sets))
        names = None if series.names is None else [name for name in series.names if name not in in_all]
        bins = (grid.start, grid.step, series.inner.range_ns, grid.steps)
        for row in self._files.counts(one.file, condition, names, bins):
            labels = label_set(row[0])
            low, high, count = row[-3:]
            if names is None:
                series.add({**labels, **metadata_of(row[1], row[0])}, low, high, count)
                continue
            values = {name: value or "" for name, value in zip(names, row[1:-3], strict=True)}
            wanted = {
                name: labels[name] if name in labels else values.get(name, "") for name in series.names or ()
            }
            series.add(wanted, low, high, count)

    # What both need

    def _label_sets(self, caller: Caller, low: int, high: int) -> set[str]:
        shot = snapshot(self._archive, self._logs(), caller, low, high)
        texts: set[str] = set()
        for one in shot.waiting:
            if one.audit and not caller.every_tenant and not has_visible(one, caller):
                continue
            texts.update(labels.decode() for labels in fragments.labels(fragments.inflate(one.frame.payload)))
        for chosen in self._chosen(shot, caller, Logs(()), (low, high)):
            texts.update(chosen.sets)
        return texts

    def _chosen(self, shot: Snapshot, caller: Caller, logs: Logs, span: tuple[int, int]) -> list[_Archived]:
        take = selector(logs.matchers)
        chosen = []
        for manifest in shot.manifests:
            if manifest.audit and not caller.audit:
                continue
            for file in manifest.files:
                if file.max_ns < span[0] or file.min_ns > span[1]:
                    continue
                if not manifest.audit and file.tenant != caller.tenant:
                    continue
                every = self._files.label_sets(file)
                sets = frozenset(text for text in every if take(label_set(text)))
                if sets:
                    chosen.append(
                        _Archived(file, manifest.writer, manifest.audit, sets, len(sets) == len(every))
                    )
        return chosen

    def _where(self, one: _Archived, caller: Caller, logs: Logs, span: tuple[int, int]) -> Where:
        names = frozenset(name for text in one.sets for name in label_set(text))
        condition = where(logs, names, self._files.takes)
        condition.add("ts BETWEEN ? AND ?", *span)
        if not one.every:
            condition.add(f"labels IN ({', '.join('?' * len(one.sets))})", *sorted(one.sets))
        if one.audit and not caller.every_tenant:
            condition.add("json_extract_string(line, '$.tenant') = ?", caller.tenant)
        return condition
