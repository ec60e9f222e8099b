"""``headrig`` with one thing wrong: run as a program, it breaks what the variable ``CANARY_FAULT`` names.

``unmasked``: masking finds nothing, so every line passes as it came. ``mask-raises``: masking raises on
lines that hold the word ``unmaskable``, and quotes them. ``stage-raises``: a whole group fails, and the error
quotes its lines. ``no-audit``: the audit process dies at its start with the key on its lips.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "CANARY_FAULT"
PROGRAM = [str(Path(__file__).resolve())]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from pipeline.flow.stages import Stages  # noqa: E402
from processors.masking.engine import Engine, Masked  # noqa: E402

WORD = b"unmaskable"


def _unmasked() -> None:
    def run(_self: Engine, _lines: Sequence[bytes], _buffer: bytes, *_more: Any) -> Masked:
        return Masked()

    setattr(Engine, "run", run)


def _mask_raises() -> None:
    whole = Engine.run

    def run(self: Engine, lines: Sequence[bytes], buffer: bytes, *more: Any) -> Masked:
        if WORD in buffer:
            raise ValueError(f"cannot scan {buffer!r}")
        return whole(self, lines, buffer, *more)

    setattr(Engine, "run", run)


def _stage_raises() -> None:
    whole = Stages.run

    def run(self: Stages, raw: Any, *arguments: Any) -> Any:
        if WORD in raw.buffer:
            raise ValueError(f"cannot process {raw.buffer!r}")
        return whole(self, raw, *arguments)

    setattr(Stages, "run", run)


def _no_audit() -> None:
    from pipeline.app import audit

    def run_audit(_node: Any) -> int:
        raise ValueError(os.environ["CANARY_WORDS"])

    setattr(audit, "run_audit", run_audit)


FAULTS = {
    "unmasked": _unmasked,
    "mask-raises": _mask_raises,
    "stage-raises": _stage_raises,
    "no-audit": _no_audit,
}

if __name__ == "__main__":
    FAULTS[os.environ[VARIABLE]]()
    from pipeline.cli import main

    main()
