"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.settings import Settings, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="YAML file; default: config/headrig.yaml if there is one.", show_default=False
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
DEFAULT_URL = "http://127.0.0.1:8080"


def settings_from(
    config: Path | None,
    *,
    data: Path | None = None,
    listen: str | None = None,
    workers: int | None = None,
    loki: str | None = None,
) -> Settings:
    """Load the settings; what the command line says wins."""
    overrides: dict[str, Any] = {
        "data": str(data) if data else None,
        "listen": listen,
        "workers": workers,
        "sinks.loki.url": loki,
    }
    default = Path("config/headrig.yaml")
    path = config or (default if default.exists() else None)
    return load(path, os.environ, {name: value for name, value in overrides.items() if value is not None})
