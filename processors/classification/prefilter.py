"""One scan of a batch's bytes finds the rows that a rule may match.

All witnesses of all rules are one Hyperscan database in block mode. It is compiled once, kept in
the cache directory under the digest of its expressions, and scanned without start of match: a
match is (expression, end offset), and the end offset finds the row. A witness never spans a
newline of the joined text that matters: a match that crosses rows only adds a candidate.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from bisect import bisect_left
from importlib.metadata import version
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hyperscan

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL


class Prefilter:
    """Finds candidate rows.

    Args:
        witnesses: For each rule in order, the expressions of its witness; a rule whose set is
            empty is a candidate nowhere.
        cache_dir: Where the compiled database is kept.
    """

    def __init__(self, witnesses: Sequence[frozenset[str]], cache_dir: Path) -> None:
        expressions = sorted(frozenset().union(*witnesses))
        # Which rules an expression speaks for, as a bit mask over their numbers.
        self._masks = [
            sum(1 << number for number, witness in enumerate(witnesses) if expression in witness)
            for expression in expressions
        ]
        self._database = _load(expressions, cache_dir) if expressions else None
        self._owner = 0

    def rows(self, hits: list[tuple[int, int]], lines: list[bytes]) -> dict[int, int]:
        """Return row to bit mask of rules, in order of rows, for the rows that hold a witness.

        Args:
            hits: What `scan` found in the lines, joined by newlines.
            lines: The lines.
        """
        found: dict[int, int] = {}
        ends = list(accumulate(map(len, lines)))  # without the newlines: row i ends at ends[i] + i
        hits.sort(key=itemgetter(1))
        row = 0
        for expression, end in hits:
            low, row = row, bisect_left(ends, end - row, row)
            # As many newlines as rows were passed are not in the ends, so that this may be too far.
            while row > low and ends[row - 1] + row - 1 >= end:
                row -= 1
            found[row] = found.get(row, 0) | self._masks[expression]
        return found

    def scan(self, joined: bytes) -> list[tuple[int, int]]:
        """Return (expression, end) of every witness in a buffer."""
        database = self._database
        if database is None:
            return []
        if self._owner != os.getpid():
            # Scratch space belongs to one thread of one process: made anew after a fork.
            database.scratch = hyperscan.Scratch(database)
            self._owner = os.getpid()
        hits: list[tuple[int, int]] = []
        database.scan(joined, match_event_handler=_collect, context=hits)
        return hits


def _collect(expression: int, _start: int, end: int, _flags: int, hits: Any) -> None:
    hits.append((expression, end))


def _load(expressions: list[str], cache_dir: Path) -> hyperscan.Database:
    """Return the database from the cache, or compile it and put it there.

    The cached file starts with the SHA-256 of the rest, because a damaged database must not
    reach native code; a file that does not verify is made again.
    """
    build = f"{version('hyperscan')} {platform.machine()} {_FLAGS}"
    key = hashlib.sha256("\n".join([build, *expressions]).encode()).hexdigest()
    file = cache_dir / f"classification-{key[:32]}.hs"
    try:
        stored = file.read_bytes()
    except OSError:
        stored = b""
    if stored and hashlib.sha256(stored[32:]).digest() == stored[:32]:
        try:
            return hyperscan.loadb(stored[32:], hyperscan.HS_MODE_BLOCK)
        except hyperscan.error:  # made on a machine with other instructions
            pass
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression.encode() for expression in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=[_FLAGS] * len(expressions),
    )
    _store(file, hyperscan.dumpb(database))
    return database


def _store(file: Path, content: bytes) -> None:
    """Write a cache file whole or not at all; without it the next start is only slower."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".classification-")
        with os.fdopen(handle, "wb") as target:
            target.write(hashlib.sha256(content).digest() + content)
        Path(name).replace(file)
    except OSError:
        return
