"""The service catalog: a YAML file that says who owns a service.

::

    services:
      checkout:
        team: payments
        tier: 1
        owner: payments-oncall@example.com
        environment: production

Each entry has at least one of the four keys. Service names are compared as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from headrig import ConfigError

from processors.enrichment.settings import attribute_text, refuse_unknown

if TYPE_CHECKING:
    from pathlib import Path

ENTRY_KEYS = ("team", "tier", "owner", "environment")

Catalog = dict[str, dict[str, str]]
"""Service name to its attributes."""


def load_catalog(file: Path) -> Catalog:
    """Read and validate a catalog; raises `ConfigError` that names the file and the entry."""
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the service catalog: {error.strerror}", path=str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"the service catalog is not valid YAML{place}", path=str(file)) from None
    if not isinstance(document, dict):
        raise ConfigError("the service catalog must be a mapping with the key 'services'", path=str(file))
    refuse_unknown(document, ("services",), str(file))
    services = document.get("services")
    if not isinstance(services, dict):
        raise ConfigError("must map service names to entries", path=f"{file}: services")
    return {_name(name, file): _entry(entry, f"{file}: services.{name}") for name, entry in services.items()}


def _name(name: object, file: Path) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError(
            f"a service name must be a non-empty string, not {name!r}", path=f"{file}: services"
        )
    return name


def _entry(entry: Any, path: str) -> dict[str, str]:
    if not isinstance(entry, dict) or not entry:
        raise ConfigError(f"must have at least one of {', '.join(ENTRY_KEYS)}", path=path)
    refuse_unknown(entry, ENTRY_KEYS, path)
    return {key: attribute_text(value, f"{path}.{key}") for key, value in entry.items()}
