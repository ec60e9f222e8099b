"""Loki's query API, answered by the embedded store: parameters in, JSON-able answers out, no framework.

Parameters are the query string's (the last value of each name); the functions block and belong into
a thread. Errors are `QueryError`; its message is the plain-text body, as Loki's errors are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.query import parameters as read
from pipeline.query.errors import QueryError, unsupported
from pipeline.query.hits import Hit
from pipeline.query.logql import parse, parse_selector, require_selection
from pipeline.query.parameters import NS, Parameters
from pipeline.query.recent import Caller
from pipeline.query.rows import format_number
from pipeline.query.series import Grid
from pipeline.query.store import Store
from pipeline.query.syntax import Logs, Metric, Vector

Answer = dict[str, Any]
CATEGORIZE = "categorize-labels"
_ENCODING_FLAGS = "x-loki-response-encoding-flags"


def categorized(headers: Mapping[str, str]) -> bool:
    """Tell whether the client asks for labels by category; ``headers`` have lower-case names."""
    return CATEGORIZE in [flag.strip() for flag in headers.get(_ENCODING_FLAGS, "").split(",")]


class Api:
    """Answers the read routes.

    Args:
        store: Where the records are.
        clock: Unix ns, for default ranges.
    """

    def __init__(self, store: Store, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def labels(self, caller: Caller, parameters: Parameters) -> Answer:
        """Answer ``/labels``: the names of labels."""
        names = {name for one in self._label_sets(caller, parameters) for name in one}
        return {"status": "success", "data": sorted(names)}

    def label_values(self, caller: Caller, name: str, parameters: Parameters) -> Answer:
        """Answer ``/label/{name}/values``; as Loki, without ``data`` when there is none."""
        values = {one[name] for one in self._label_sets(caller, parameters) if one.get(name)}
        return {"status": "success", "data": sorted(values)} if values else {"status": "success"}

    def series(self, caller: Caller, matches: Sequence[str], parameters: Parameters) -> Answer:
        """Answer ``/series``; ``matches`` are the values of ``match[]`` and ``match``, none or ``{}`` means all."""
        low, high = read.span(parameters, self._clock())
        selectors = [parse_selector(match) for match in matches]
        for matchers in selectors:
            if matchers:
                require_selection(matchers)
        return {
            "status": "success",
            "data": [dict(one) for one in self._store.label_sets(caller, low, high, selectors)],
        }

    def query_range(self, caller: Caller, parameters: Parameters, *, categorize: bool = False) -> Answer:
        """Answer ``/query_range``: streams for a log query, a matrix for a metric query."""
        tree = parse(parameters.get("query", ""))
        start, end = read.span(parameters, self._clock())
        if isinstance(tree, Logs):
            if parameters.get("interval") not in {None, "", "0", "0s"}:
                raise unsupported("the parameter interval")
            count, backward = read.limit(parameters), read.backward(parameters)
            hits = self._store.find(caller, tree, start, end, limit=count, backward=backward)
            return _streams(hits, categorize=categorize)
        step = read.step_ns(parameters, start, end)
        # As Loki splits queries: the start is rounded down to a step, the end up.
        first = start - start % step
        grid = Grid(first, step, (end - first + step - 1) // step + 1)
        if isinstance(tree, Vector):
            value = format_number(sum(tree.numbers))
            return _success(
                "matrix", [{"metric": {}, "values": [[_seconds(ns), value] for ns in grid.times()]}]
            )
        results = self._store.count(caller, tree, grid).results()
        return _success(
            "matrix",
            [
                {"metric": labels, "values": [[_seconds(ns), value] for ns, value in samples]}
                for labels, samples in results
            ],
        )

    def query(self, caller: Caller, parameters: Parameters) -> Answer:
        """Answer ``/query``: a vector of a metric query at one time."""
        tree = parse(parameters.get("query", ""))
        now = read.time_ns(parameters["time"], "time") if parameters.get("time") else self._clock()
        if isinstance(tree, Logs):
            raise QueryError(
                400,
                "log queries are not supported as an instant query type, please change your query to a range query type",
            )
        if isinstance(tree, Vector):
            return _success(
                "vector", [{"metric": {}, "value": [_seconds(now), format_number(sum(tree.numbers))]}]
            )
        return _success("vector", self._instant(caller, tree, now))

    def _instant(self, caller: Caller, tree: Metric, now: int) -> list[Answer]:
        results = self._store.count(caller, tree, Grid(now, NS, 1)).results()
        return [{"metric": labels, "value": [_seconds(now), samples[0][1]]} for labels, samples in results]

    def _label_sets(self, caller: Caller, parameters: Parameters) -> Iterable[Mapping[str, str]]:
        low, high = read.span(parameters, self._clock())
        query = parameters.get("query")
        return self._store.label_sets(caller, low, high, [parse_selector(query, need=True)] if query else [])


def _streams(hits: Iterable[Hit], *, categorize: bool) -> Answer:
    """Group hits, already in order, by their labels."""
    streams: dict[tuple[tuple[str, str], ...], Answer] = {}
    for hit in hits:
        labels = hit.found.base if categorize else hit.found.all()
        key = tuple(sorted(labels.items()))
        stream = streams.setdefault(key, {"stream": dict(key), "values": []})
        entry: list[Any] = [str(hit.order[0]), hit.line]
        if categorize:
            entry.append(hit.found.categories())
        stream["values"].append(entry)
    answer = _success("streams", [streams[key] for key in sorted(streams)])
    if categorize:
        answer["data"]["encodingFlags"] = [CATEGORIZE]
    return answer


def _success(kind: str, result: list[Answer]) -> Answer:
    return {"status": "success", "data": {"resultType": kind, "result": result, "stats": {}}}


def _seconds(ns: int) -> int | float:
    """Write a sample's time: seconds, with milliseconds where it has some."""
    milliseconds = ns // 1_000_000
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
