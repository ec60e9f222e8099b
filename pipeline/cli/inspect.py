"""``headrig check``, ``test``, ``explain`` and ``mask``: what would happen, without a server."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from headrig import Batch, Resource
from headrig._raw import RawBatch
from rich.console import Console

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.cli.options import ConfigOption, settings_from
from pipeline.flow.timestamps import parse_time

_BLOCK = 1000


@contextmanager
def blueprint_of(config: Path | None) -> Iterator[Blueprint]:
    """Make the stages outside a node: with a key of its own, in a temporary data directory."""
    settings = settings_from(config)
    with tempfile.TemporaryDirectory(prefix="headrig-") as directory:
        paths = Paths(Path(directory))
        paths.make()
        yield Blueprint(settings, paths)


def check(config: ConfigOption = None) -> int:
    """Validate configuration, rule packs and plugins; say what is wrong and where."""
    with blueprint_of(config) as blueprint:
        settings = blueprint.settings
        sinks = [
            *(["loki"] if settings.sinks.loki else []),
            *(["archive"] if settings.sinks.archiving else []),
        ]
        print(f"ok: listens on {settings.listen}, {settings.workers} workers, data in {settings.data}")
        print(f"    sinks: {', '.join(sinks)}; tokens: {len(settings.tokens) or 'none, loopback only'}")
    return 0


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
    console = Console(highlight=False, soft_wrap=True)
    with blueprint_of(config) as blueprint:
        for text in [line] if line is not None else (raw.rstrip("\n") for raw in sys.stdin):
            _explain_line(console, blueprint, text)
    return 0


def _explain_line(console: Console, blueprint: Blueprint, text: str) -> None:
    steps: list[tuple[str, dict[str, Any]]] = []

    def observe(stage: str, batch: Batch) -> None:
        steps.append((stage, _state(batch)))

    batch = blueprint.stages(observe=observe).run(raw_line(blueprint, text.encode("utf-8", "replace")))
    for stage, state in steps:
        console.print(f"[bold]{stage:<9}[/bold]", end=" ")
        console.print(orjson.dumps(state).decode(), markup=False)
    fragments = blueprint.streams().encode(batch)
    if fragments is not None:
        stream = orjson.loads(fragments.data)
        console.print("[bold]loki     [/bold]", end=" ")
        console.print(
            orjson.dumps({"labels": stream["stream"], "time": stream["values"][0][0]}).decode(), markup=False
        )


def _state(batch: Batch) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if batch.lines:
        state["line"] = batch.lines[0].decode(errors="replace")
        if batch.attributes[0]:
            state["attributes"] = dict(batch.attributes[0])
    if batch.masked:
        state["masked"] = dict(batch.masked)
    if batch.verdicts:
        state["left"] = [
            f"{verdict.kind}: {verdict.reason} {verdict.detail}".strip() for verdict in batch.verdicts
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


def mask(
    config: ConfigOption = None,
    json_strings: Annotated[
        bool,
        typer.Option(
            "--json-strings",
            help="Read and write one JSON string per line, so that a line may hold newlines.",
        ),
    ] = False,
) -> int:
    """Mask standard input to standard output, a line at a time: plain text or JSON.

    Example: journalctl -o cat | headrig mask
    """
    refused = 0
    out = sys.stdout.buffer
    with blueprint_of(config) as blueprint:
        masker = blueprint.made["mask"]
        for block in _blocks(sys.stdin.buffer):
            lines = [_unwrap(line) if json_strings else line for line in block]
            for masked in _mask_block(masker, blueprint, lines):
                refused += masked is None
                text = b"[headrig: not scanned]" if masked is None else masked
                out.write((orjson.dumps(text.decode()) if json_strings else text) + b"\n")
            out.flush()
    if refused:
        print(f"headrig: {refused} lines could not be scanned completely and were withheld", file=sys.stderr)
    return 0


def _mask_block(masker: Any, blueprint: Blueprint, lines: list[bytes]) -> list[bytes | None]:
    good = [row for row, line in enumerate(lines) if _is_utf8(line)]
    texts = [lines[row] for row in good]
    heads, bad = blueprint.heads.decode_mixed(texts)
    raw = RawBatch(Resource("default"), texts, b"\n".join(texts), heads, [0] * len(texts))
    batch: Batch = masker.mask(raw)
    result: list[bytes | None] = [None] * len(lines)
    for row, origin in enumerate(batch.origin):
        if origin not in bad:
            result[good[origin]] = batch.lines[row]
    return result


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unwrap(line: bytes) -> bytes:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return b"\xff"  # not UTF-8: is withheld
    return value.encode() if isinstance(value, str) else b"\xff"


def _blocks(stream: Any) -> Iterator[list[bytes]]:
    """Yield lines as they come: what is there, up to a thousand at a time."""
    rest = b""
    while chunk := stream.read1(1 << 18):
        *lines, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(lines), _BLOCK):
            yield lines[start : start + _BLOCK]
    if rest:
        yield [rest]
