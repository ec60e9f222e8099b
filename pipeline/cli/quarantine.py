"""``headrig quarantine``: what was held back, and sending it again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from headrig import ConfigError
from rich.console import Console
from rich.table import Table

from pipeline.app.paths import Paths
from pipeline.app.sinks import loki_settings
from pipeline.cli.options import ConfigOption, DataOption, LokiOption, settings_from
from pipeline.cli.output import json_text
from pipeline.settings import Settings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.quarantine import Item, Quarantine, Refused
from pipeline.sinks.redrive import redrive as send_again

app = typer.Typer(
    help="What was held back: unscanned records (metadata only) and entries that Loki refused.",
    no_args_is_help=True,
)


@app.command("list")
def list_items(config: ConfigOption = None, data: DataOption = None) -> int:
    """List what is in quarantine, oldest first."""
    items = _open(settings_from(config, data=data)).items()
    if not items:
        print("the quarantine is empty")
        return 0
    table = Table("id", "time", "kind", "tenant", "reason", "bytes", box=None)
    for item_id, item in items.items():
        size = item.size if not isinstance(item, Refused) else len(item.line.encode())
        table.add_row(item_id, _time(item), item.kind, item.tenant, item.reason, str(size))
    Console().print(table)
    return 0


@app.command()
def show(
    item_id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Show one item: for an unscanned record never its text, for a refused entry the masked one."""
    item = _open(settings_from(config, data=data)).get(item_id)
    if item is None:
        raise ConfigError(f"there is no {item_id} in quarantine; headrig quarantine list names what there is")
    values: Mapping[str, Any] = asdict(item)
    print(json_text(values, indent=True))
    return 0


@app.command()
def redrive(
    item_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Default: every refused entry.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    loki: LokiOption = None,
) -> int:
    """Send refused entries to Loki again; what it takes leaves the quarantine."""
    settings = settings_from(config, data=data, loki=loki)
    if settings.sinks.loki is None:
        raise ConfigError("there is no Loki to send to; give --loki URL", path="sinks.loki.url")
    quarantine = _open(settings)
    wanted = item_ids or [name for name, item in quarantine.items().items() if isinstance(item, Refused)]
    sink = LokiSink(loki_settings(settings.sinks.loki), quarantine)

    async def work() -> Any:
        try:
            return await send_again(quarantine, sink, wanted)
        finally:
            await sink.close()

    done = asyncio.run(work())
    print(", ".join(f"{name} {number}" for name, number in asdict(done).items()))
    return 0


def _open(settings: Settings) -> Quarantine:
    paths = Paths(settings.data.absolute())
    if not paths.quarantine.is_dir():
        raise ConfigError(f"{paths.root} is no data directory of headrig; name it with --data", path="data")
    return Quarantine.open(paths.quarantine, writer="cli", max_bytes=settings.quarantine.max_bytes)


def _time(item: Item) -> str:
    return datetime.fromtimestamp(item.time_ns / 1e9, UTC).isoformat(timespec="seconds")
