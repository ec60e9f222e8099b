"""``headrig proof``: make the proof that one audit event is in the log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from headrig import ConfigError, IntegrityError
from rich.console import Console

from pipeline.audit.published import Published, read_checkpoint
from pipeline.audit.segments import read_log


def proof(
    event: Annotated[
        str, typer.Argument(metavar="INDEX|ID", help="Index of the event in the log, or its id.")
    ],
    log: Annotated[Path, typer.Option("--log", help="The audit log's directory.")] = Path(
        "headrig-data/audit"
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File for the proof; default: standard output.", show_default=False
        ),
    ] = None,
    leaf: Annotated[
        Path | None, typer.Option("--leaf", help="File for the event itself.", show_default=False)
    ] = None,
) -> int:
    """Prove that an event is in the log, for somebody who has nothing but the event and the log's public key.

    Example: headrig proof 4711 -o event.tlog-proof --leaf event.json
    and there: headrig verify proof event.tlog-proof --leaf event.json --key audit.vkey
    """
    published = Published(log)
    try:
        size = read_checkpoint(published.checkpoint()).size
    except FileNotFoundError:
        raise ConfigError(f"{log} is no audit log that was published; name another with --log") from None
    index = int(event) if event.isascii() and event.isdigit() else _find(log, event, size)
    if not 0 <= index < size:
        raise ConfigError(f"the signed checkpoint covers indexes 0 to {size - 1}, not {event}")
    try:
        made, entry = published.prove(index)
    except FileNotFoundError as error:
        raise IntegrityError(
            f"{Path(error.filename or '').name}: the tile is missing; start headrig, which makes it again"
        ) from None
    if leaf is not None:
        leaf.write_bytes(entry)
    if output is not None:
        output.write_bytes(made.encode())
    else:
        sys.stdout.buffer.write(made.encode())
        sys.stdout.flush()
    return 0


def _find(log: Path, name: str, size: int) -> int:
    """Return the index of the event that has an id."""
    needle = b'"id":' + orjson.dumps(name)
    with Console(stderr=True).status("looking for the id") as status:
        for found in read_log(log):
            if found.index >= size:
                break
            if found.index % 10_000 == 0:
                status.update(f"looking for the id: index {found.index} of {size}")
            if needle in found.leaf and orjson.loads(found.leaf).get("id") == name:
                return found.index
    raise ConfigError(f"no event under the signed checkpoint has the id {name!r}")
