"""How a command ends: the sentence on standard error and the exit code."""

from __future__ import annotations

import os
import sys

import typer
from headrig import ConfigError, HeadrigError, IntegrityError

from pipeline.telemetry import class_name, places

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""What every wrong use of the command line raises; typer does not export it by name."""


def report(error: Exception) -> int:
    """Say what went wrong; return the exit code: 64 usage or configuration, 1 and 2 verdicts, 70 crash."""
    if isinstance(error, _USAGE_ERROR):
        error.show()  # type: ignore[attr-defined]
        return 64
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, HeadrigError):
        print(f"headrig: {error}", file=sys.stderr)
        return 64 if isinstance(error, ConfigError) else 1 if isinstance(error, IntegrityError) else 2
    # P8: the class and the place; the message may quote the line that was being worked on.
    where = places(error.__traceback__)[-1:]
    print(f"headrig: internal error ({class_name(type(error))} at {''.join(where)})", file=sys.stderr)
    return 70
