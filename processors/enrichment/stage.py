"""The enrich stage: columns in, shared attribute objects out.

Per-record Python work is what costs, so the stage works column by column: one pass reads the
column that usually has the answer, and only rows it left open are asked for the next field.
The pair (level, service) then finds its attributes in a bounded memo, one object for all rows
that are alike. Only a record with a trace id gets an object of its own.
"""

from __future__ import annotations

from itertools import repeat
from operator import attrgetter
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
        traces = (TRACEPARENT_FIELD, *TRACE_FIELDS) if settings.trace_context else ()
        level = LEVEL_FIELDS[0] if settings.levels else None
        service = SERVICE_FIELDS[0] if catalog else None
        self._quick = _quick_reader(fields, level, service, traces)
        self._untraced: list[None] = [None] * len(traces)
        self._known: dict[Any, Attributes] = {}

    def run(self, batch: Batch) -> None:
        """Replace the attributes of every row; attributes of an earlier stage are kept."""
        keys = self._keys(batch)
        found = self._look_up(keys)
        open_rows = [row for row, attributes in enumerate(found) if attributes is None]
        if open_rows:
            heads = [batch.heads[row] or _NO_HEAD for row in open_rows]
            envelopes = [batch.envelopes[row] for row in open_rows]
            new = self._add_traces(heads, self._shared(batch.resource, heads, envelopes))
            for row, attributes in zip(open_rows, new, strict=True):
                found[row] = attributes
                self._remember(keys[row], attributes)
        if any(batch.attributes):
            found = [{**new, **old} if old else new for new, old in zip(found, batch.attributes, strict=True)]
        batch.attributes = found

    def _keys(self, batch: Batch) -> list[Any]:
        """Return what decides about a row when its first level and service field have a value."""
        if None in batch.heads:
            return [None] * len(batch.heads)
        keys = map(self._quick, batch.heads)
        resource = batch.resource
        return list(zip(keys, repeat(resource.service), repeat(resource.environment), strict=False))

    def _look_up(self, keys: list[Any]) -> list[Any]:
        try:
            return list(map(self._known.get, keys))
        except TypeError:  # a field that is an array or object
            return [None] * len(keys)

    def _remember(self, key: Any, attributes: Attributes) -> None:
        """Keep what was found for a row without trace, whose level and service need no second field."""
        if key is None:
            return
        level, service, *traces = key[0]
        if type(level) is str and type(service) is str and level and service and traces == self._untraced:
            if len(level) + len(service) > _MEMO_TEXT:
                return
            if len(self._known) >= _MEMO_LIMIT:
                self._known.clear()
            self._known[key] = attributes

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
        level = level if isinstance(level, (str, int, float, tuple)) else None
        key = (level, service, environment)
        try:
            attributes = self._memo.get(key)
        except TypeError:  # an array inside a numbered level
            return self._attributes(None, service, environment)
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
        """Return what each row says about its level; a pair (field, value) where the field matters."""
        if not self._levels:
            return [None] * len(heads)
        levels = list(map(self._levels[0][1], heads))
        if all(levels):
            return levels
        open_rows = [row for row, value in enumerate(levels) if value is None or value == ""]
        for name, read in self._levels[1:]:
            if not open_rows:
                break
            for row in open_rows:
                value = read(heads[row])
                if value is not None:
                    levels[row] = (name, value) if name in _NUMBERED else value
            open_rows = [row for row in open_rows if levels[row] is None or levels[row] == ""]
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

    def _add_traces(self, heads: list[Any], found: list[Attributes]) -> list[Attributes]:
        """Give rows with a valid trace context an object of their own; ``traceparent`` wins."""
        traces = _identifiers(heads, self._traces, 32)
        if traces is not None:
            spans = _identifiers(heads, self._spans, 16) or repeat(None)
            found = [
                {**old, "trace_id": trace, "span_id": span}
                if trace and span
                else ({**old, "trace_id": trace} if trace else old)
                for old, trace, span in zip(found, traces, spans, strict=False)
            ]
        for read in self._parents:
            for row, value in enumerate(map(read, heads)):
                pair = parse_traceparent(value) if value else None
                if pair is not None:
                    found[row] = {**found[row], "trace_id": pair[0], "span_id": pair[1]}
        return found


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


def _quick_reader(
    fields: Mapping[str, str], level: str | None, service: str | None, traces: tuple[str, ...]
) -> Callable[[Any], tuple[Any, ...]]:
    """Return one native call that reads level, service and the fields of a trace."""
    names = [name for name in (level, service, *traces) if name is not None]
    if level is not None and service is not None:
        return attrgetter(*[fields[name] for name in names])
    # What the configuration switched off needs no field: a constant that counts as a value stands for it.
    getters = [attrgetter(fields[name]) if name else None for name in (level, service, *traces)]
    return lambda head: tuple("-" if read is None else read(head) for read in getters)


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
