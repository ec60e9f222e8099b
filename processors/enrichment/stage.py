"""The enrich stage: columns in, shared attribute objects out.

Per-record Python work is what costs, so the stage works column by column: one pass reads the
column that usually has the answer, and only rows it left open are asked for the next field.
The pair (level, service) then finds its attributes in a bounded memo, one object for all rows
that are alike. Only a record with a trace id gets an object of its own.
"""

from __future__ import annotations

from itertools import compress, repeat
from operator import attrgetter, ne
from typing import TYPE_CHECKING, Any

from headrig import Attributes, ConfigError, Host

from processors.enrichment.catalog import Catalog, load_catalog
from processors.enrichment.levels import LEVEL_FIELDS, detect_level
from processors.enrichment.settings import PATH, SERVICE_FIELDS, Settings, parse_settings
from processors.enrichment.trace import (
    SPAN_FIELDS,
    TRACE_FIELDS,
    TRACEPARENT_FIELD,
    identifiers,
    parse_traceparent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from headrig import Batch, Envelope, Resource

_MEMO_LIMIT = 4096
_MEMO_TEXT = 256
_SCALAR = {str, int, float, type(None)}
_NUMBERED = ("severity_number", "levelno")
_ENVELOPE_SERVICE = ("service_name", "service", "app", "application", "job")
_ENVELOPE_LEVEL = ("level", "severity")


class _NoHead:
    """Stands for the head of a plain-text line: every field is absent."""

    def __getattr__(self, _name: str) -> None:
        return None


_NO_HEAD = _NoHead()


def make_enricher(section: Mapping[str, Any], host: Host) -> Enricher:
    """Make the stage from its configuration section; raises `ConfigError`."""
    settings = parse_settings(section)
    catalog: Catalog = {}
    if settings.catalog is not None:
        catalog = load_catalog(host.config_dir / settings.catalog)
    return Enricher(settings, catalog, host.fields)


class Enricher:
    """Sets the attributes of a batch; see the package for which."""

    def __init__(self, settings: Settings, catalog: Catalog, fields: Mapping[str, str]) -> None:
        self._static = settings.static
        self._catalog = catalog
        self._memo: dict[Any, dict[str, str]] = {}
        levels = LEVEL_FIELDS if settings.levels else ()
        self._levels = [(name, read) for name in levels for read in _readers((name,), fields)]
        self._services = _readers(SERVICE_FIELDS, fields) if catalog else []
        self._parents = _readers((TRACEPARENT_FIELD,), fields) if settings.trace_context else []
        self._traces = _readers(TRACE_FIELDS, fields) if settings.trace_context else []
        self._spans = _readers(SPAN_FIELDS, fields) if settings.trace_context else []
        self._pair = _reader(
            fields, LEVEL_FIELDS[0] if settings.levels else None, SERVICE_FIELDS[0] if catalog else None
        )
        traced = [fields[name] for name in (TRACEPARENT_FIELD, *TRACE_FIELDS)]
        self._traced = attrgetter(*traced) if settings.trace_context else None
        self._untraced = (None,) * len(traced)
        self._known: dict[tuple[str | None, str | None], dict[Any, Attributes]] = {}

    def run(self, batch: Batch) -> None:
        """Replace the attributes of every row; attributes of an earlier stage are kept."""
        heads: list[Any] = batch.heads
        if not all(heads):
            heads = [_NO_HEAD if head is None else head for head in heads]
        found = self._look_up(batch, heads)
        if self._traced is not None:
            self._add_traces(heads, found)
        if any(batch.attributes):
            found = [{**new, **old} if old else new for new, old in zip(found, batch.attributes, strict=True)]
        batch.attributes = found

    def _look_up(self, batch: Batch, heads: list[Any]) -> list[Any]:
        """Return the shared attributes of each row, before traces.

        The first level field and the first service field decide alone where one is a level and both have a text, so their pair is
        remembered with what came of it; the other rows are asked field by field.
        """
        resource = batch.resource
        known = self._known.setdefault((resource.service, resource.environment), {})
        try:  # one pass, in which nothing but what is found is kept
            found: list[Any] = list(map(known.get, map(self._pair, heads)))
        except TypeError:  # a field that is an array or object
            found = [None] * len(heads)
        if not all(found):
            open_rows = [row for row, attributes in enumerate(found) if attributes is None]
            envelopes = [batch.envelopes[row] for row in open_rows]
            new = self._shared(resource, [heads[row] for row in open_rows], envelopes)
            for row, attributes in zip(open_rows, new, strict=True):
                found[row] = attributes
                self._remember(known, self._pair(heads[row]), attributes)
        return found

    def _remember(self, known: dict[Any, Attributes], pair: tuple[Any, Any], attributes: Attributes) -> None:
        level, service = pair
        if type(level) is str and type(service) is str and level and service:
            if len(level) + len(service) > _MEMO_TEXT or (self._levels and detect_level(level) is None):
                return
            if sum(map(len, self._known.values())) >= _MEMO_LIMIT:
                for memo in self._known.values():
                    memo.clear()
            known[pair] = attributes

    def _shared(
        self, resource: Resource, heads: list[Any], envelopes: list[Envelope | None]
    ) -> list[Attributes]:
        levels = self._level_column(heads, envelopes)
        services: Iterable[Any]
        if not self._catalog:
            services = repeat(None)
        elif resource.service is not None:
            services = repeat(resource.service)
        else:
            services = self._service_column(heads, envelopes)
        keys = zip(levels, services, repeat(resource.environment), strict=False)
        return [self._attributes(*key) for key in keys]

    def _attributes(self, level: Any, service: Any, environment: str | None) -> dict[str, str]:
        """Return the shared object of rows that are alike, made when it is the first of them."""
        service = _service_name(service)
        key = (level, service, environment)
        attributes = self._memo.get(key)
        if attributes is not None:
            return attributes
        attributes = {**self._static, **self._catalog.get(service or "", {})}
        if environment is not None:
            attributes["environment"] = environment
        word = detect_level(level[1], level[0]) if isinstance(level, tuple) else detect_level(level)
        if word is not None:
            attributes["detected_level"] = word
        if len(str(level)) + len(service or "") <= _MEMO_TEXT:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            self._memo[key] = attributes
        return attributes

    def _level_column(self, heads: list[Any], envelopes: list[Envelope | None]) -> list[Any]:
        """Return what each row says about its level; a pair (field, value) where the field matters.

        What means no level is None: as a key of the memo true, for one, would be 1.
        """
        if not self._levels:
            return [None] * len(heads)
        levels = list(map(self._levels[0][1], heads))
        open_rows = _without_level(levels)
        if not open_rows:
            return levels
        for row in open_rows:
            levels[row] = None
        for name, read in self._levels[1:]:
            if not open_rows:
                break
            for row in open_rows:
                value = read(heads[row])
                if value is not None and detect_level(value, name) is not None:
                    levels[row] = (name, value) if name in _NUMBERED else value
            open_rows = [row for row in open_rows if levels[row] is None]
        _ask_envelopes(levels, open_rows, envelopes, _ENVELOPE_LEVEL)
        return levels

    def _service_column(self, heads: list[Any], envelopes: list[Envelope | None]) -> list[Any]:
        services = list(map(self._services[0], heads)) if self._services else [None] * len(heads)
        if all(services):
            return services
        open_rows = [row for row, value in enumerate(services) if not value]
        for read in self._services[1:]:
            if not open_rows:
                break
            for row in open_rows:
                services[row] = read(heads[row])
            open_rows = [row for row in open_rows if not services[row]]
        _ask_envelopes(services, open_rows, envelopes, _ENVELOPE_SERVICE)
        return services

    def _add_traces(self, heads: list[Any], found: list[Attributes]) -> None:
        """Give rows with a valid trace context an object of their own; ``traceparent`` wins."""
        if self._traced is None:
            return
        traced = map(ne, map(self._traced, heads), repeat(self._untraced))
        rows = list(compress(range(len(heads)), traced))
        if not rows:
            return
        some = [heads[row] for row in rows]
        traces = _identifiers(some, self._traces, 32)
        if traces is not None:
            spans = _identifiers(some, self._spans, 16) or [None] * len(rows)
            for row, trace, span in zip(rows, traces, spans, strict=True):
                if trace and span:
                    found[row] = {**found[row], "trace_id": trace, "span_id": span}
                elif trace:
                    found[row] = {**found[row], "trace_id": trace}
        for read in self._parents:
            for row, value in zip(rows, map(read, some), strict=True):
                pair = parse_traceparent(value) if value else None
                if pair is not None:
                    found[row] = {**found[row], "trace_id": pair[0], "span_id": pair[1]}


def _without_level(values: list[Any]) -> list[int]:
    """Return the rows whose value is no level; equal values are asked about once."""
    if not set(map(type, values)) <= _SCALAR:  # true is not among them, or it would be 1
        return [row for row, value in enumerate(values) if detect_level(value) is None]
    distinct = set(values)
    usable = {value for value in distinct if detect_level(value) is not None}
    if len(usable) == len(distinct):
        return []
    return [row for row, value in enumerate(values) if value not in usable]


def _identifiers(heads: list[Any], reads: list[Callable[[Any], Any]], digits: int) -> list[str | None] | None:
    """Return the valid id of each row, of the first field that has one; None when no row has any."""
    merged: list[str | None] | None = None
    for read in reads:
        column = list(map(read, heads))
        if any(column):
            ids = identifiers(column, digits)
            merged = ids if merged is None else [old or new for old, new in zip(merged, ids, strict=True)]
    return merged


def _readers(names: tuple[str, ...], fields: Mapping[str, str]) -> list[Callable[[Any], Any]]:
    missing = [name for name in names if name not in fields]
    if missing:
        raise ConfigError(f"the head lacks the fields {', '.join(missing)}", path=PATH)
    return [attrgetter(fields[name]) for name in names]


def _reader(
    fields: Mapping[str, str], level: str | None, service: str | None
) -> Callable[[Any], tuple[Any, Any]]:
    """Return one native call that reads level and service."""
    if level is not None and service is not None:
        return attrgetter(fields[level], fields[service])
    # What the configuration switched off needs no field: a constant that counts as a value stands for it.
    getters = [attrgetter(fields[name]) if name else None for name in (level, service)]
    return lambda head: (
        "-" if getters[0] is None else getters[0](head),
        "-" if getters[1] is None else getters[1](head),
    )


def _service_name(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name")
    return value if isinstance(value, str) else None


def _ask_envelopes(
    column: list[Any], rows: list[int], envelopes: list[Envelope | None], names: tuple[str, ...]
) -> None:
    """Fill open rows from what the client sent beside the line: labels first, then metadata."""
    for row in rows:
        envelope = envelopes[row]
        if envelope is None:
            continue
        for name in names:
            value = envelope.labels.get(name) or envelope.metadata.get(name)
            if value:
                column[row] = value
                break
