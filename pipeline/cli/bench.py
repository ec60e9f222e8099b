"""``headrig bench``: what the stages cost on this machine with this configuration."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from headrig import Resource
from headrig._raw import RawBatch
from isal import igzip
from rich.console import Console
from rich.table import Table

from pipeline.cli.inspect import blueprint_of
from pipeline.cli.options import ConfigOption
from pipeline.flow.flow import SLICE
from pipeline.samples import Sampler


def bench(
    config: ConfigOption = None,
    records: Annotated[int, typer.Option(help="Sample records.", min=SLICE)] = 30_000,
    rounds: Annotated[int, typer.Option(help="Best of so many.", min=1, max=20)] = 3,
) -> int:
    """Run sample records through the stages of one process and print what each costs.

    It needs no server and stores nothing. `make bench` in the repository measures the whole program.
    """
    lines = list(Sampler().lines(records, time.time_ns()))
    slices = [lines[start : start + SLICE] for start in range(0, len(lines), SLICE)]
    with blueprint_of(config) as blueprint:
        steps: dict[str, float] = {}
        for _ in range(rounds):
            for name, seconds in _round(blueprint, slices).items():
                steps[name] = min(steps.get(name, seconds), seconds)
    table = Table("step", "us per record", "records per CPU-second", box=None)
    for name, seconds in [*steps.items(), ("all", sum(steps.values()))]:
        table.add_row(name, f"{seconds / records * 1e6:.2f}", f"{records / seconds:,.0f}" if seconds else "-")
    Console().print(table)
    return 0


def _round(blueprint: Any, slices: list[list[bytes]]) -> dict[str, float]:
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        spent[name] = spent.get(name, 0.0) + time.process_time() - start
        return result

    streams = blueprint.streams()
    made = blueprint.made
    for lines in slices:
        buffer = b"\n".join(lines)
        heads, _ = timed("heads", lambda: blueprint.heads.decode_lines(buffer, lines))  # noqa: B023
        raw = RawBatch(Resource("default"), lines, buffer, heads, [time.time_ns()] * len(lines))
        batch = timed("mask", lambda: made["mask"].mask(raw))  # noqa: B023
        for row in batch.changed:
            batch.heads[row] = blueprint.heads.decode(batch.lines[row])
        batch.changed.clear()
        timed("enrich", lambda: made["enrich"].run(batch))  # noqa: B023
        timed("classify", lambda: made["classify"].run(batch))  # noqa: B023
        fragments = timed("encode", lambda: streams.encode(batch))  # noqa: B023
        timed("gzip", lambda: igzip.compress(fragments.data, 1))  # noqa: B023
    return spent
