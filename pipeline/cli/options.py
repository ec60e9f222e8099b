"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from headrig import ConfigError

from pipeline.settings import Settings, load

PLACES = (Path("config/headrig.yaml"), Path("/etc/headrig/headrig.yaml"))
"""Where the configuration is looked for."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help=f"YAML file; default: {PLACES[0]}, else {PLACES[1]}.", show_default=False
    ),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory (setting `data`).", show_default=False)
]
LokiOption = Annotated[
    str | None,
    typer.Option("--loki", help="Loki to deliver to (setting `sinks.loki.url`).", show_default=False),
]
UrlOption = Annotated[str, typer.Option("--url", help="A running headrig, or a Loki.", envvar="HEADRIG_URL")]
TokenOption = Annotated[
    str | None, typer.Option("--token", help="Bearer token.", envvar="HEADRIG_TOKEN", show_default=False)
]
_OPTIONS = {"data": "--data", "listen": "--listen", "workers": "--workers", "sinks.loki.url": "--loki"}
DEFAULT_URL = "http://127.0.0.1:8080"


def settings_from(
    config: Path | None,
    *,
    data: Path | None = None,
    listen: str | None = None,
    workers: int | None = None,
    loki: str | None = None,
    packs: bool = False,
) -> Settings:
    """Load the settings; what the command line says wins.

    Args:
        config: The file; None looks for one.
        data, listen, workers, loki: Settings of the command line.
        packs: The command needs rule packs, which lie beside the configuration.

    Raises:
        ConfigError: A setting is wrong, or there are no rule packs because there is no configuration.
    """
    overrides: dict[str, Any] = {
        "data": str(data) if data else None,
        "listen": listen,
        "workers": workers,
        "sinks.loki.url": loki,
    }
    path = config or find_config()
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = load(path, os.environ, given, _OPTIONS)
    lost = path is None and "packs" not in settings.masking and not (settings.config_dir / "masking").exists()
    if packs and lost:
        raise ConfigError(
            f"there is no {PLACES[0]} here and no {PLACES[1]}: name the file with --config, or copy the folder "
            f"config of the source, which holds the rule packs, to {PLACES[1].parent}"
        )
    return settings


def find_config(places: Iterable[Path] = PLACES) -> Path | None:
    """Return the first configuration that is there; one that may not be read counts, so that loading it says so."""
    for path in places:
        try:
            if path.exists():
                return path
        except PermissionError:
            return path
    return None
