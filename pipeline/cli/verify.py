"""``headrig verify``: check what was stored, trusting nobody but a public key."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from headrig import ConfigError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipeline.audit.note import NoteError, UnknownKeyError, Verifier
from pipeline.audit.proof import Proof, verify_proof
from pipeline.audit.report import Kind, Report
from pipeline.audit.verify import verify_log
from pipeline.audit.verify_tiles import verify_tiles
from pipeline.cli.log_client import LogClient
from pipeline.cli.options import TokenOption
from pipeline.cli.output import json_text
from pipeline.cli.verify_loki import loki

app = typer.Typer(help="Check stored logs against their signatures.", no_args_is_help=True)
app.command("loki")(loki)


def _read(path: Path, what: str) -> bytes:
    """Read what an option names."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}; name another") from None


@app.command("log")
def log(
    directory: Annotated[
        str,
        typer.Argument(
            metavar="DIR|URL", help="The audit log, e.g. headrig-data/audit or http://headrig:8080."
        ),
    ],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            help="File with a verifier key (.vkey); default: ../keys/audit.vkey beside the log.",
            show_default=False,
        ),
    ] = None,
    saved: Annotated[
        list[Path] | None,
        typer.Option(
            "--saved",
            "--since",
            help="A checkpoint kept elsewhere, to find a rollback of the whole directory; may be repeated.",
            show_default=False,
        ),
    ] = None,
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> int:
    """Re-hash every entry and compare with the signed checkpoint; name what was edited, deleted or cut off.

    Exit codes: 0 verified, 1 tampered, 2 cannot verify, 3 rollback or fork; no verdict: 64 wrong usage, a directory
    that is no audit log, or a file of an option that cannot be read; 70 crash.
    """
    notes = [_read(path, "saved checkpoint") for path in saved or []]
    remote = directory.startswith(("http://", "https://"))
    place = Path(directory)
    if remote and not key:
        raise ConfigError("name the key that you trust with --key: a log must not bring its own")
    if not remote and not any(
        os.path.lexists(place / name) for name in ("log.json", "head", "checkpoint", "wal")
    ):
        raise ConfigError(f"{directory} is no audit log: it has no log.json")
    keys = key or [place.parent / "keys" / "audit.vkey"]
    # What is not text is no key, and the verifier says so.
    vkeys = [_read(path, "key file").decode("utf-8", "replace").strip() for path in keys]
    report = _verified(directory, token or "", vkeys, notes, remote=remote, quiet=as_json)
    if as_json:
        print(report.to_json().decode())
        return report.exit_code
    if not key and report.keys:
        print(f"trusted key: {report.keys[0]} of {keys[0]}, which lies beside the log; --key names another")
    for sentence in report.lines:
        print(sentence)
    return report.exit_code


def _verified(
    log: str, token: str, vkeys: list[str], notes: list[bytes], *, remote: bool, quiet: bool
) -> Report:
    """Verify a directory, or what a headrig publishes, with a bar that shows how far it is."""
    with Progress(
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("entries" if remote else "bytes"),
        transient=True,
        disable=quiet,
    ) as progress:
        task = progress.add_task("verify", total=None)

        def step(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        if remote:
            with LogClient(log, token) as client:
                return verify_tiles(client.fetch, vkeys=vkeys, saved=notes, progress=step)
        settle = partial(time.sleep, 0.05)
        return verify_log(Path(log), vkeys=vkeys, saved=notes, progress=step, settle=settle)


@app.command("proof")
def proof(
    file: Annotated[Path, typer.Argument(help="A .tlog-proof file.")],
    leaf: Annotated[Path, typer.Option("--leaf", help="The event, exactly as the log has it.")],
    key: Annotated[list[Path], typer.Option("--key", help="File with the log's key (.vkey).")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> int:
    """Check offline that an event is in the log whose key is given.

    Exit codes: 0 it is, 1 it is not, or the proof was changed, 2 no known key signed it; 64 a file cannot be read.
    """
    data, entry = _read(file, "proof"), _read(leaf, "event")
    code, sentence, index = 0, "", None
    try:
        verifiers = [Verifier.parse(_read(path, "key file").decode("utf-8", "replace")) for path in key]
        given = Proof.parse(data)
        index = given.index
        signed = verify_proof(given, entry, verifiers, verifiers[0].name)
        sentence = (
            f"verified: the event is index {given.index} of {signed.origin}, signed at {signed.size} entries"
        )
    except UnknownKeyError as error:
        code, sentence = Kind.UNKNOWN, f"UNKNOWN {file.name}: {error}"
    except NoteError as error:
        code, sentence = Kind.TAMPERED, f"TAMPERED {file.name}: {error}"
    if as_json:
        print(json_text({"exit_code": int(code), "index": index, "message": sentence}))
    else:
        print(sentence)
    return int(code)
