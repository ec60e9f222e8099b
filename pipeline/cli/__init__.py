"""The command line.

Exit codes: 0 done or verified, 1 tampered or not held, 2 cannot verify, 3 rollback or fork, 64 usage or
configuration, 70 crash.
"""

from __future__ import annotations

import os
import sys

import typer
from headrig import ConfigError, HeadrigError, IntegrityError

from pipeline.cli import bench, demo, inspect, quarantine, reading, serve, verify
from pipeline.telemetry import class_name, places

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
app.command("explain")(inspect.explain)
app.command("mask")(inspect.mask)
app.command("replay")(reading.replay)
app.add_typer(quarantine.app, name="quarantine")
app.command("bench")(bench.bench)

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""What every wrong use of the command line raises; typer does not export it by name."""


def main() -> None:
    """Run a command and exit with its code."""
    try:
        code = app(prog_name="headrig", standalone_mode=False)
    except _USAGE_ERROR as error:
        error.show()  # type: ignore[attr-defined]
        code = 64
    except typer.Abort:
        code = 130
    except ConfigError as error:
        print(f"headrig: {error}", file=sys.stderr)
        code = 64
    except IntegrityError as error:
        print(f"headrig: {error}", file=sys.stderr)
        code = 1
    except HeadrigError as error:
        print(f"headrig: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        # P8: the class and the place; the message may quote the line that was being worked on.
        where = places(error.__traceback__)[-1:]
        print(f"headrig: internal error ({class_name(type(error))} at {''.join(where)})", file=sys.stderr)
        code = 70
    sys.exit(code if isinstance(code, int) else 0)
