"""The command line.

Exit codes: 0 done or verified, 1 tampered or not held, 2 cannot verify, 3 rollback or fork, 64 usage or
configuration, 70 crash.
"""

from __future__ import annotations

import sys

import typer

from pipeline.cli import bench, demo, evidence, inspect, masking, proof, quarantine, reading, serve, verify
from pipeline.cli.outcome import report

app = typer.Typer(
    name="headrig",
    help="The first thing a company's logs pass: masks, enriches, classifies, forwards to Loki, and proves audit events.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("serve")(serve.serve)
app.command("check")(inspect.check)
app.command("test")(inspect.test)
app.command("demo")(demo.demo)
app.command("query")(reading.query)
app.add_typer(verify.app, name="verify")
app.command("proof")(proof.proof)
app.command("evidence")(evidence.evidence)
app.command("explain")(inspect.explain)
app.command("mask")(masking.mask)
app.command("replay")(reading.replay)
app.add_typer(quarantine.app, name="quarantine")
app.command("bench")(bench.bench)


def main() -> None:
    """Run a command and exit with its code."""
    try:
        code = app(prog_name="headrig", standalone_mode=False)
    except Exception as error:
        code = report(error)
    sys.exit(code if isinstance(code, int) else 0)
