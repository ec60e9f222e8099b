"""``headrig mask``: filter lines, or say what another policy would change."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from headrig import Batch, Resource
from headrig._raw import RawBatch
from rich.console import Console
from rich.table import Table

from pipeline.app.wiring import Blueprint
from pipeline.cli.inspect import blueprint_of, running_of
from pipeline.cli.options import ConfigOption
from pipeline.cli.output import json_text

_BLOCK = 1000
_DROPPED = b"[headrig: dropped]"
_MASKED = "masked"
"""Attribute with a record's detectors and counts."""
Result = tuple[bytes | None, Counter[str]]
"""A line as it would be stored, None when it would not; and what was found in it."""


def mask(
    config: ConfigOption = None,
    json_strings: Annotated[
        bool,
        typer.Option(
            "--json-strings",
            help="Read and write one JSON string per line, so that a line may hold newlines.",
        ),
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Masking policy; default: the configured one.", show_default=False),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Print what --policy changes compared with this one, and no line.",
            show_default=False,
        ),
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose policy.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="With --against: for machines.")] = False,
) -> int:
    """Mask standard input to standard output, a line at a time: plain text or JSON.

    Examples: journalctl -o cat | headrig mask
    headrig mask --policy new.yaml --against old.yaml < sample.ndjson
    """
    if against is not None:
        with blueprint_of(config, against) as before, blueprint_of(config, policy) as after:
            difference = asyncio.run(_compare(before, after, tenant, json_strings=json_strings))
        difference.show(as_json=as_json)
        return 0
    with blueprint_of(config, policy) as blueprint:
        refused = asyncio.run(_mask_lines(blueprint, tenant, json_strings=json_strings))
    if refused:
        print(f"headrig: {refused} lines could not be scanned completely and were withheld", file=sys.stderr)
    return 0


async def _mask_lines(blueprint: Blueprint, tenant: str, *, json_strings: bool) -> int:
    """Filter standard input with our detectors and the configured ones; return how many lines were withheld."""
    refused = 0
    out = sys.stdout.buffer
    async with running_of(blueprint) as plugins:
        blueprint.stages(plugins)  # gives masking the detectors
        for lines in _lines(json_strings=json_strings):
            for masked, _ in _results(blueprint, tenant, lines):
                refused += masked is None
                text = b"[headrig: not scanned]" if masked is None else masked
                out.write((orjson.dumps(text.decode()) if json_strings else text) + b"\n")
            out.flush()
    return refused


@dataclass(slots=True)
class Difference:
    """What two policies make of the same lines.

    Attributes:
        lines: All lines.
        differ: Lines that become another text, or that only one of the policies lets pass.
        before, after: Findings by detector.
        touched: By detector, the lines that differ and in which it found something under either policy.
    """

    lines: int = 0
    differ: int = 0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    touched: Counter[str] = field(default_factory=Counter)

    def add(self, old: Result, new: Result) -> None:
        """Count one line."""
        self.lines += 1
        self.before.update(old[1])
        self.after.update(new[1])
        if old[0] != new[0]:
            self.differ += 1
            self.touched.update({*old[1], *new[1]})

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Return (detector, findings before, findings after, lines that differ) where anything does."""
        names = sorted({*self.before, *self.after})
        rows = [(name, self.before[name], self.after[name], self.touched[name]) for name in names]
        return [row for row in rows if row[1] != row[2] or row[3]]

    def show(self, *, as_json: bool) -> None:
        """Print it; never a line's content."""
        if as_json:
            keys = ("detector", "before", "after", "lines")
            changes = [dict(zip(keys, row, strict=True)) for row in self.rows()]
            print(json_text({"lines": self.lines, "differ": self.differ, "changes": changes}))
            return
        table = Table("detector", "before", "after", "lines that differ", box=None, pad_edge=False)
        for row in self.rows():
            table.add_row(*map(str, row))
        if table.row_count:
            Console(highlight=False, soft_wrap=True).print(table)
        print(f"{self.differ} of {self.lines} lines differ")


async def _compare(before: Blueprint, after: Blueprint, tenant: str, *, json_strings: bool) -> Difference:
    """Mask standard input by both and count what differs."""
    difference = Difference()
    async with running_of(before) as first, running_of(after) as second:
        before.stages(first)
        after.stages(second)
        for lines in _lines(json_strings=json_strings):
            pairs = zip(_results(before, tenant, lines), _results(after, tenant, lines), strict=True)
            for old, new in pairs:
                difference.add(old, new)
    return difference


def _results(blueprint: Blueprint, tenant: str, lines: list[bytes]) -> list[Result]:
    good = [row for row, line in enumerate(lines) if _is_utf8(line)]
    texts = [lines[row] for row in good]
    heads, bad = blueprint.heads.decode_mixed(texts)
    raw = RawBatch(Resource(tenant), texts, b"\n".join(texts), heads, [0] * len(texts))
    batch: Batch = blueprint.made["mask"].mask(raw)
    results: list[Result] = [(None, Counter()) for _ in lines]
    for row, origin in enumerate(batch.origin):
        if origin not in bad:
            line = _DROPPED if origin in batch.leaving else batch.lines[row]
            results[good[origin]] = line, _counts(batch.attributes[row].get(_MASKED, ""))
    return results


def _counts(text: str) -> Counter[str]:
    """Read ``email:2,jwt:1``."""
    pairs = (part.rpartition(":") for part in text.split(",") if part)
    return Counter({name: int(number) for name, _, number in pairs})


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(*, json_strings: bool) -> Iterator[list[bytes]]:
    for block in _blocks(sys.stdin.buffer):
        yield [_unwrap(line) for line in block] if json_strings else block


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
