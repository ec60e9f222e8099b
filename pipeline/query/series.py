"""Metric queries: counts per series and evaluation step.

A record of time ts counts for every step t with t - range < ts <= t. Those are neighbours, so it is
kept as +1 at the first and -1 behind the last one, and summed up once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from pipeline.query.errors import QueryError
from pipeline.query.rows import ERROR, Found, format_number
from pipeline.query.syntax import Metric, Range, Sum

MAX_SERIES = 500
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Evaluation times: ``start + k * step`` for k in 0..steps-1, unix ns."""

    start: int
    step: int
    steps: int

    def times(self) -> Iterator[int]:
        """Give all times."""
        return (self.start + k * self.step for k in range(self.steps))


@dataclass(slots=True)
class Series:
    """Counts that grow while records come.

    Args:
        metric: The query.
        grid: When it is evaluated.
    """

    metric: Metric
    grid: Grid
    _counts: dict[tuple[tuple[str, str], ...], dict[int, int]] = field(default_factory=dict)

    @property
    def inner(self) -> Range:
        """The range function."""
        return self.metric.inner if isinstance(self.metric, Sum) else self.metric

    @property
    def names(self) -> tuple[str, ...] | None:
        """The labels that make a series; None for all."""
        return (self.metric.by or ()) if isinstance(self.metric, Sum) else None

    def bin(self, ts: int) -> tuple[int, int]:
        """Return the first and last step that a record counts for."""
        grid = self.grid
        low = -(-max(ts - grid.start, 0) // grid.step)
        high = -(-(ts - grid.start + self.inner.range_ns) // grid.step) - 1
        return low, min(high, grid.steps - 1)

    def record(self, ts: int, found: Found) -> None:
        """Count one record.

        Raises:
            QueryError: It has an error, or there are too many series.
        """
        if found.error:
            error = found.error
            raise QueryError(
                400,
                f"pipeline error: '{error}' for a record in the range ({found.details}).\n"
                f'Use a label filter to skip it on purpose, e.g. | __error__!="{error}", or | __error__="" for all errors.',
            )
        if ERROR in found.parsed and (self.names is None or ERROR in self.names):
            raise QueryError(
                400, f"pipeline error: a line has a field {ERROR} of its own; use sum by other labels"
            )
        low, high = self.bin(ts)
        if low <= high:
            names = self.names
            labels = found.all() if names is None else {name: found.get(name) or "" for name in names}
            self.add(labels, low, high, 1)

    def add(self, labels: Mapping[str, str], low: int, high: int, count: int) -> None:
        """Count ``count`` records of one series in the steps low..high."""
        key = tuple(sorted((name, value) for name, value in labels.items() if value))
        counts = self._counts.get(key)
        if counts is None:
            if len(self._counts) >= MAX_SERIES:
                raise QueryError(
                    400,
                    f"maximum of series ({MAX_SERIES}) reached for a single query; add stream selectors, shorten the "
                    "range, or aggregate with sum by",
                )
            counts = self._counts[key] = {}
        counts[low] = counts.get(low, 0) + count
        counts[high + 1] = counts.get(high + 1, 0) - count

    def results(self) -> list[tuple[dict[str, str], list[tuple[int, str]]]]:
        """Return each series' labels and its samples (time in ns, value), ordered by labels."""
        seconds = self.inner.range_ns / _NS if self.inner.function == "rate" else 1.0
        out = []
        for key, counts in sorted(self._counts.items()):
            running = accumulate(counts.get(k, 0) for k in range(self.grid.steps))
            samples = [
                (time, format_number(count / seconds) if seconds != 1.0 else str(count))
                for time, count in zip(self.grid.times(), running, strict=True)
                if count
            ]
            if samples:
                out.append((dict(key), samples))
        return out
