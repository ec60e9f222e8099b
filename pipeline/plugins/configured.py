"""The operator's values for a plugin, checked against the dataclass of its spec."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from headrig import ConfigError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class PluginEntry(BaseModel):
    """One plugin the operator wants.

    Attributes:
        kind: Name of the entry point.
        config: Values for the dataclass of the spec.
        deadline_ms: CPU time a plugin may take for one record, milliseconds; ten times as much
            may pass on the clock, so that a busy machine does not condemn an innocent record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    config: dict[str, Any] = Field(default_factory=dict)
    deadline_ms: int = Field(default=50, ge=1, le=500)


class PluginsSection(BaseModel):
    """Section ``plugins``: each list in the order in which its plugins run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detectors: tuple[PluginEntry, ...] = ()
    processors: tuple[PluginEntry, ...] = ()
    classifiers: tuple[PluginEntry, ...] = ()


def read_section(section: Mapping[str, Any] | PluginsSection) -> PluginsSection:
    """Check the shape of the section, not yet the plugins' own values."""
    if isinstance(section, PluginsSection):
        return section
    try:
        return PluginsSection.model_validate(section)
    except ValidationError as error:
        raise _translate(error, "plugins") from None


def read_config(config: type[Any], values: Mapping[str, Any], *, path: str) -> Any:
    """Make the plugin's configuration.

    Args:
        config: The dataclass of the spec.
        values: What the operator wrote.
        path: Place of ``values``, e.g. ``plugins.processors[0].config``.

    Raises:
        ConfigError: A key is unknown or missing, or a value has the wrong type; names its place.
    """
    adapter = _adapter(config, path)
    _refuse_unknown(values, [field.name for field in dataclasses.fields(config)], path)
    try:
        made = adapter.validate_python(values)
    except ValidationError as error:
        raise _translate(error, path) from None
    except ConfigError as error:
        raise ConfigError(str(error), path=error.path or path) from error
    _refuse_unknown_inside(values, made, path)
    return made


def config_schema(config: type[Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a plugin's values; unknown keys are refused, as at start."""
    schema = _adapter(config, config.__name__).json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


def _adapter(config: type[Any], path: str) -> TypeAdapter[Any]:
    if not dataclasses.is_dataclass(config) or not config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ConfigError(f"the plugin's config {config.__name__} is not a frozen dataclass", path=path)
    try:
        return TypeAdapter(config)
    except Exception as error:  # pydantic has a dozen ways to say so
        raise ConfigError(
            f"the types of the plugin's {config.__name__} cannot be evaluated ({type(error).__name__})",
            path=path,
        ) from error


def _refuse_unknown(values: Mapping[str, Any], known: list[str], path: str) -> None:
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
            raise ConfigError(f"unknown key; {hint}", path=f"{path}.{key}")


def _refuse_unknown_inside(value: Any, made: Any, path: str) -> None:
    """Walk what was written beside what was made of it: nested dataclasses ignore unknown keys."""
    if isinstance(value, Mapping) and dataclasses.is_dataclass(made):
        _refuse_unknown(value, [field.name for field in dataclasses.fields(made)], path)
        for key, inner in value.items():
            _refuse_unknown_inside(inner, getattr(made, key), f"{path}.{key}")
    elif isinstance(value, Mapping) and isinstance(made, Mapping) and len(value) == len(made):
        for (key, inner), made_inner in zip(value.items(), made.values(), strict=True):
            _refuse_unknown_inside(inner, made_inner, f"{path}.{key}")
    elif isinstance(value, list) and isinstance(made, list | tuple) and len(value) == len(made):
        for index, (inner, made_inner) in enumerate(zip(value, made, strict=True)):
            _refuse_unknown_inside(inner, made_inner, f"{path}[{index}]")


def _translate(error: ValidationError, path: str) -> ConfigError:
    """Name the place and the rule; never the value, which may be a secret."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    first = details[0]
    place = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    message = first["msg"] if first["type"] != "value_error" else "the plugin refuses the value"
    return ConfigError(f"{message[:1].lower()}{message[1:]}{more}", path=place)
