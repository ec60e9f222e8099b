"""Finds in a buffer where patterns match: one call, whichever engine does it.

Scanner contract: for every tag and every place at which a pattern of it begins to match, the event
(end, tag) of the earliest end of those matches is reported. More events, of later ends, may be; nothing
that depends on them is allowed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from processors.scanning import fallback
from processors.scanning.patterns import Pattern

ENGINES = ("auto", "vectorscan", "re2")


class EngineError(Exception):
    """The engine that was asked for is not there."""


class Scanner:
    """Scans buffers against several databases.

    A scanner may be made before a fork.

    Args:
        groups: The patterns of each database.
        cache_dir: Where compiled databases are kept; made when it is missing.
        engine: ``vectorscan``, ``re2``, or ``auto`` for the first of them that is there.

    Attributes:
        engine: The one that is used.
        scan: Returns (end, tag) events in order of end; see the contract above.

    Raises:
        EngineError: The engine is not installed.
        PatternError: A pattern is not taken.
    """

    scan: Callable[[bytes], list[tuple[int, int]]]

    def __init__(self, groups: Sequence[Sequence[Pattern]], cache_dir: Path, engine: str = "auto") -> None:
        groups = [group for group in groups if group]
        vectorscan = _vectorscan() if engine != fallback.NAME else None
        if vectorscan is None and engine == "vectorscan":
            raise EngineError("the package hyperscan is not installed, or does not load here")
        backend: Any
        if vectorscan is not None:
            backend = vectorscan.Vectorscan(groups, cache_dir)
            self.engine = str(vectorscan.NAME)
        else:
            backend = fallback.Fallback(groups, cache_dir)
            self.engine = fallback.NAME
        self.scan = backend.scan


def _vectorscan() -> Any:
    """Return the module, or None where there is no wheel or the C library is too old for it."""
    try:
        return importlib.import_module("processors.scanning.vectorscan")
    except ImportError:
        return None
