"""The configuration section of enrichment, and the head fields it needs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrig import ConfigError

from processors.enrichment.levels import LEVEL_FIELDS
from processors.enrichment.trace import SPAN_FIELDS, TRACE_FIELDS, TRACEPARENT_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "enrichment"
SERVICE_FIELDS = ("service", "service_name", "service.name", "application", "app")
"""Where a record names its service, the first one that does wins; each may be ``{"name": ...}``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated section.

    Attributes:
        catalog: Path of the service catalog, relative to the configuration; None: no catalog.
        static: Attributes that every record gets.
        levels: Whether to set ``detected_level``.
        trace_context: Whether to set ``trace_id`` and ``span_id``.
    """

    catalog: str | None = None
    static: dict[str, str] = field(default_factory=dict)
    levels: bool = True
    trace_context: bool = True


def parse_settings(section: Mapping[str, Any]) -> Settings:
    """Validate the section; raises `ConfigError` that names the key."""
    refuse_unknown(section, ("catalog", "static", "levels", "trace_context"), PATH)
    catalog = section.get("catalog")
    if catalog is not None and (not isinstance(catalog, str) or not catalog):
        raise ConfigError("must be the path of a YAML file, or null", path=f"{PATH}.catalog")
    return Settings(
        catalog=catalog,
        static=_static(section.get("static") or {}),
        levels=_switch(section, "levels"),
        trace_context=_switch(section, "trace_context"),
    )


def wanted_fields(section: Mapping[str, Any]) -> Iterable[str]:
    """Return the top-level JSON fields that this section needs on every head."""
    settings = parse_settings(section)
    fields: list[str] = []
    if settings.catalog is not None:
        fields += SERVICE_FIELDS
    if settings.levels:
        fields += LEVEL_FIELDS
    if settings.trace_context:
        fields += (TRACEPARENT_FIELD, *TRACE_FIELDS, *SPAN_FIELDS)
    return fields


def refuse_unknown(section: Mapping[str, Any], known: tuple[str, ...], path: str) -> None:
    """Raise `ConfigError` for a key that is not ``known``, with the nearest one that is."""
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key; {hint}", path=f"{path}.{key}")


def attribute_text(value: object, path: str) -> str:
    """Return a configured scalar as an attribute value; raises `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise ConfigError("must be a non-empty string or a number", path=path)
    return str(value)


def _static(section: object) -> dict[str, str]:
    path = f"{PATH}.static"
    if not isinstance(section, dict):
        raise ConfigError("must map attribute names to values", path=path)
    for name in section:
        if not isinstance(name, str) or not name:
            raise ConfigError("an attribute name must be a non-empty string", path=path)
    return {name: attribute_text(value, f"{path}.{name}") for name, value in section.items()}


def _switch(section: Mapping[str, Any], key: str) -> bool:
    value = section.get(key, True)
    if not isinstance(value, bool):
        raise ConfigError("must be true or false", path=f"{PATH}.{key}")
    return value
