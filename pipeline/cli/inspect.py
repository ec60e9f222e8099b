"""``headrig check``, ``test`` and ``explain``: what would happen, without a server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from headrig import Batch, Resource
from headrig._raw import RawBatch
from rich.console import Console

from pipeline.app.paths import Paths, check_places
from pipeline.app.wiring import Blueprint
from pipeline.cli.options import ConfigOption, settings_from
from pipeline.cli.output import json_text
from pipeline.flow.timestamps import parse_time
from pipeline.plugins import Running
from pipeline.telemetry import log_to_stderr


@contextmanager
def blueprint_of(config: Path | None, policy: Path | None = None) -> Iterator[Blueprint]:
    """Make the stages outside a node: with a key of its own, in a temporary data directory.

    Args:
        config: The configuration; None looks for one.
        policy: A masking policy in place of the configured one.
    """
    settings = settings_from(config, packs=True)
    if policy is not None:
        masking = {**settings.masking, "policy": str(policy.absolute())}
        settings = settings.model_copy(update={"masking": masking})
    with tempfile.TemporaryDirectory(prefix="headrig-") as directory:
        paths = Paths(Path(directory))
        _share_cache(paths.cache)
        paths.make()
        with _ending_on_interrupt(directory):
            yield Blueprint(settings, paths)


def _share_cache(place: Path) -> None:
    """Keep compiled patterns in the user's cache: compiling them takes longer than most commands.

    What lies there is trusted only if it is the user's alone; where there is no such place, nothing is kept.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headrig"
    with suppress(OSError, RuntimeError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.symlink_to(folder, target_is_directory=True)


@contextmanager
def _ending_on_interrupt(directory: str) -> Iterator[None]:
    """Let ^C end the command at once: raised in a plugin's call, it would count as the plugin's own."""

    def end(_number: int, _frame: object) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(130)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def running_of(blueprint: Blueprint) -> AsyncIterator[Running]:
    """Make and enter the configured plugins, as a worker does; leave them at the end."""
    log_to_stderr("command", "WARNING")  # what a plugin logs goes the way it goes in a worker
    async with blueprint.plugins.running(blueprint.host) as plugins:
        yield plugins


def check(config: ConfigOption = None) -> int:
    """Validate configuration, rule packs and plugins; say what is wrong and where."""
    with blueprint_of(config) as blueprint:
        asyncio.run(_start_once(blueprint))
        settings = blueprint.settings
        check_places(settings)
        sinks = [
            *(["loki"] if settings.sinks.loki else []),
            *(["archive"] if settings.sinks.archiving else []),
        ]
        print(f"ok: listens on {settings.listen}, {settings.workers} workers, data in {settings.data}")
        print(f"    sinks: {', '.join(sinks)}; tokens: {len(settings.tokens) or 'none, loopback only'}")
        for note in blueprint.made["mask"].notes:
            print(f"    masking: {note}")
    return 0


async def _start_once(blueprint: Blueprint) -> None:
    async with running_of(blueprint) as plugins:
        blueprint.stages(plugins)


def test(
    config: ConfigOption = None,
) -> int:
    """Run the tests that detectors and audit rules carry."""
    with blueprint_of(config) as blueprint:
        failed = blueprint.selftest()
    for sentence in failed:
        print(f"FAIL {sentence}")
    print("all tests of the rule packs pass" if not failed else f"{len(failed)} failed")
    return 1 if failed else 0


def explain(
    line: Annotated[
        str | None, typer.Argument(help="A log line; default: read lines from standard input.")
    ] = None,
    config: ConfigOption = None,
) -> int:
    """Show what each stage does to a line.

    Example: headrig explain '{"service":"checkout","event":"user.login","user":"alice","password":"hunter2"}'
    """
    with blueprint_of(config) as blueprint:
        lines = [line] if line is not None else (raw.rstrip("\n") for raw in sys.stdin)
        asyncio.run(_explain_lines(blueprint, lines))
    return 0


async def _explain_lines(blueprint: Blueprint, lines: Iterable[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)

    def show(stage: str, state: dict[str, Any]) -> None:
        console.print(f"[bold]{stage:<11}[/bold]", end=" ")
        console.print(json_text(state), markup=False)

    def observe(stage: str, batch: Batch) -> None:
        steps.append((stage, _state(batch)))

    steps: list[tuple[str, dict[str, Any]]] = []
    async with running_of(blueprint) as plugins:
        stages = blueprint.stages(plugins, observe)
        for line in lines:
            steps.clear()
            batch = stages.run(raw_line(blueprint, line.encode("utf-8", "replace")))
            for stage, state in steps:  # shown once all went well
                show(stage, state)
            batch.let_leave()
            fragments = blueprint.streams().encode(batch)
            if fragments is not None:
                stream = orjson.loads(fragments.data)
                show("loki", {"labels": stream["stream"], "time": stream["values"][0][0]})


def _state(batch: Batch) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if batch.lines:
        state["line"] = batch.lines[0].decode(errors="replace")
        if batch.attributes[0]:
            state["attributes"] = dict(batch.attributes[0])
    if batch.masked:
        state["masked"] = dict(batch.masked)
    if batch.kept:
        state["kept"] = dict(batch.kept)
    if batch.verdicts or batch.leaving:
        state["left"] = [
            f"{verdict.kind}: {verdict.reason} {verdict.detail}".strip()
            for verdict in (*batch.verdicts, *batch.leaving.values())
        ]
    if batch.events:
        event = batch.events[0]
        state["audit"] = {
            "rule": event.rule,
            "class_uid": event.class_uid,
            "activity_id": event.activity_id,
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "outcome": event.outcome,
        }
    return state


def raw_line(blueprint: Blueprint, line: bytes) -> RawBatch:
    """Make the raw batch of one line, timed by its own time or now."""
    heads, _ = blueprint.heads.decode_mixed([line])
    now = time.time_ns()
    if heads[0] is not None:
        for field in blueprint.settings.time.fields:
            value = getattr(heads[0], blueprint.heads.fields[field])
            parsed = None if value is None else parse_time(value)
            if parsed is not None:
                now = parsed[0]
                break
    return RawBatch(Resource("default"), [line], line, heads, [now])
