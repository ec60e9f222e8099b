"""``headrig query`` and ``headrig replay``."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from headrig import ConfigError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipeline.app.paths import Paths
from pipeline.app.sinks import loki_settings
from pipeline.cli.options import (
    DEFAULT_URL,
    ConfigOption,
    DataOption,
    LokiOption,
    TokenOption,
    UrlOption,
    settings_from,
)
from pipeline.cli.output import json_text
from pipeline.query.loki_client import LokiClient
from pipeline.query.table import sheet

_AGO = re.compile(r"(\d+)(s|m|h|d)\Z")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def query(
    text: Annotated[
        str, typer.Argument(metavar="QUERY", help="""LogQL, e.g. '{audit="true"} |= "alice"'.""")
    ],
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    since: Annotated[str, typer.Option(help="Begin: 1h, 30m, 7d ago, or an RFC 3339 time.")] = "1h",
    until: Annotated[
        str | None, typer.Option(help="End, in the same form; default: now.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="Most lines.", min=1, max=5000)] = 100,
    forward: Annotated[bool, typer.Option("--forward", help="Oldest first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as it came.")] = False,
) -> int:
    """Ask headrig, or a Loki, and print a table.

    Examples: headrig query '{service_name="checkout"} |= "timeout"'
    headrig query 'sum by (level) (count_over_time({env="production"} | json [5m]))'
    """
    now = time.time_ns()
    parameters = {
        "query": text,
        "start": str(moment(since, now)),
        "end": str(moment(until, now) if until else now),
        "limit": str(limit),
        "direction": "forward" if forward else "backward",
    }

    async def ask() -> Any:
        async with LokiClient(url, token=token or "") as client:
            return await client.get("query_range", parameters)

    answer = asyncio.run(ask())
    if as_json:
        print(json_text(answer))
        return 0
    try:
        made = sheet(answer, forward=forward)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise ConfigError(f"{url} does not answer as a Loki does; is it one?", path="--url") from None
    if not made.rows:
        print(
            "no results; widen --since, or look at the labels there are: GET /loki/api/v1/labels",
            file=sys.stderr,
        )
        return 0
    if sys.stdout.isatty():
        Console().print(made.table())
    else:
        sys.stdout.writelines(f"{line}\n" for line in made.lines())
    return 0


def replay(
    config: ConfigOption = None,
    data: DataOption = None,
    loki: LokiOption = None,
    start: Annotated[str, typer.Option("--from", help="Begin: 1h, 7d ago, or an RFC 3339 time.")] = "1d",
    end: Annotated[str | None, typer.Option("--to", help="End; default: now.", show_default=False)] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Only this tenant's records.", show_default=False)
    ] = None,
) -> int:
    """Send what the archive holds to a Loki: the same bytes, lines and audit leaves.

    It can be run again: Loki shows equal entries once.
    """
    from pipeline.sinks.archive import replay as send
    from pipeline.sinks.loki.sink import LokiSink
    from pipeline.sinks.quarantine import Quarantine

    settings = settings_from(config, data=data, loki=loki)
    if settings.sinks.loki is None:
        raise ConfigError("there is no Loki to send to; give --loki URL", path="sinks.loki.url")
    paths = Paths(settings.data.absolute())
    if not paths.archive.is_dir():
        raise ConfigError(
            f"there is no archive in {paths.root}; name the data directory with --data", path="data"
        )
    now = time.time_ns()
    quarantine = Quarantine.open(paths.quarantine, writer="replay", max_bytes=settings.quarantine.max_bytes)
    sink = LokiSink(loki_settings(settings.sinks.loki), quarantine)
    with Progress(
        TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"), transient=True
    ) as bar:
        task = bar.add_task("replay", total=None)

        async def work() -> Any:
            try:
                return await send(
                    paths.archive,
                    sink,
                    from_ns=moment(start, now),
                    to_ns=moment(end, now) if end else now,
                    tenant=tenant,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            finally:
                await sink.close()

        done = asyncio.run(work())
    print(f"delivered {done.delivered}" + "".join(f", refused {why} {n}" for why, n in done.refused.items()))
    return 0


def moment(text: str, now_ns: int) -> int:
    """Read "1h" as an hour ago, or an RFC 3339 time."""
    match = _AGO.match(text)
    if match:
        return now_ns - int(match[1]) * _UNIT[match[2]] * 1_000_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'"{text}" is no time: write 1h, 7d or 2026-11-24T10:00:00Z') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) * 1000
