"""The configuration section of classification."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrig import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "classification"
SERVICE_FIELDS = ("service", "service_name", "service.name", "application", "app")
"""Where a record names its service, which selects a log source."""

LogSource = dict[str, str]
"""Any of ``category``, ``product``, ``service``, as in a Sigma rule."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated section.

    Attributes:
        rules: Rule files and directories, relative to the configuration.
        logsources: Service name to the Sigma log source that its records are.
    """

    rules: tuple[str, ...] = ()
    logsources: dict[str, LogSource] = field(default_factory=dict)


def parse_settings(section: Mapping[str, Any]) -> Settings:
    """Validate the section; raises `ConfigError` that names the key."""
    refuse_unknown(section, ("rules", "logsources"), PATH)
    rules = section.get("rules") or []
    if not isinstance(rules, (list, tuple)) or not all(isinstance(entry, str) and entry for entry in rules):
        raise ConfigError("must be a list of rule files or directories", path=f"{PATH}.rules")
    sources = section.get("logsources") or {}
    if not isinstance(sources, dict):
        raise ConfigError("must map service names to log sources", path=f"{PATH}.logsources")
    return Settings(
        rules=tuple(rules),
        logsources={str(name): _source(source, str(name)) for name, source in sources.items()},
    )


def wanted_fields(section: Mapping[str, Any]) -> Iterable[str]:
    """Return the head fields needed: those that name the service, when log sources are configured."""
    return SERVICE_FIELDS if parse_settings(section).logsources else ()


def refuse_unknown(section: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    """Raise `ConfigError` for a key that is not ``known``, with the nearest one that is."""
    names = tuple(known)
    for key in section:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
            raise ConfigError(f"unknown key; {hint}", path=f"{path}.{key}")


def _source(source: object, name: str) -> LogSource:
    path = f"{PATH}.logsources.{name}"
    if not isinstance(source, dict) or not source:
        raise ConfigError("must have at least one of category, product, service", path=path)
    refuse_unknown(source, ("category", "product", "service"), path)
    for key, value in source.items():
        if not isinstance(value, str) or not value:
            raise ConfigError("must be a non-empty string", path=f"{path}.{key}")
    return dict(source)
