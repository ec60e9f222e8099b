"""``headrig evidence``: audit events with proofs, for somebody who has nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from headrig import ConfigError
from rich.console import Console

from pipeline.audit.evidence import write_evidence
from pipeline.audit.search import Found, Question, search
from pipeline.cli.reading import moment

_Text = Annotated[str | None, typer.Option(show_default=False)]


def evidence(
    output: Annotated[Path, typer.Option("--output", "-o", help="The tar archive to write.")],
    log: Annotated[Path, typer.Option("--log", help="The audit log's directory.")] = Path(
        "headrig-data/audit"
    ),
    since: Annotated[
        str, typer.Option("--from", help="Recorded since: 1h, 30m, 7d ago, or an RFC 3339 time.")
    ] = "1d",
    until: Annotated[
        str | None, typer.Option("--to", help="And before; default: now.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="The log's .vkey; default: ../keys/audit.vkey beside the log.", show_default=False
        ),
    ] = None,
    tenant: _Text = None,
    actor: _Text = None,
    action: _Text = None,
    outcome: _Text = None,
    target: _Text = None,
) -> int:
    """Write audit events with their proofs, the key and a verifier that needs only Python, as a tar archive.

    Example: headrig evidence --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --actor alice -o alice.tar
    and there: tar xf alice.tar && python3 evidence/verify.py --key audit.vkey
    """
    now = time.time_ns()
    given = {"actor": actor, "action": action, "outcome": outcome, "target": target}
    fields = {name: value for name, value in given.items() if value is not None}
    question = Question(tenant, fields, moment(since, now), moment(until, now) if until else now, limit=1_000)
    key = key or log.parent / "keys" / "audit.vkey"
    try:
        vkey = key.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"cannot read the key file {key}: {error.strerror}; name it with --key") from None
    about = {"from": str(question.start_ns), "to": str(question.end_ns), **fields}
    if tenant is not None:
        about["tenant"] = tenant
    try:
        with output.open("xb") as file, Console(stderr=True).status("looking through the log") as status:
            written = write_evidence(
                file, log, vkey, _pages(log, question), about, lambda done: status.update(f"{done} events")
            )
    except FileExistsError:
        raise ConfigError(f"{output} is there already; name another file with --output") from None
    except FileNotFoundError as error:
        output.unlink(missing_ok=True)
        place = Path(error.filename or "")
        raise ConfigError(f"{place} is missing; is {log} an audit log that was published?") from None
    print(f"{written} events in {output}; unpack it and run: python3 evidence/verify.py --key KEY")
    return 0


def _pages(log: Path, question: Question) -> Iterator[Found]:
    following: int | None = 0
    while following is not None:
        page = search(log, replace(question, first=following))
        yield from page.found
        following = page.following
