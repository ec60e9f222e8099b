"""One scan of a batch's bytes finds the rows that a rule may match.

All witnesses of all rules are one database of a `processors.scanning.Scanner`. An event is (end offset,
expression), and the end offset finds the row. A witness never spans a newline of the joined text that
matters: a match that crosses rows only adds a candidate.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from processors.scanning import Pattern, Scanner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Prefilter:
    """Finds candidate rows.

    Args:
        witnesses: For each rule in order, the expressions of its witness; a rule whose set is
            empty is a candidate nowhere.
        cache_dir: Where the compiled database is kept.
        engine: Of the scanner.
    """

    def __init__(self, witnesses: Sequence[frozenset[str]], cache_dir: Path, engine: str = "auto") -> None:
        expressions = sorted(frozenset().union(*witnesses))
        # Which rules an expression speaks for, as a bit mask over their numbers.
        self._masks = [
            sum(1 << number for number, witness in enumerate(witnesses) if expression in witness)
            for expression in expressions
        ]
        patterns = [
            Pattern(b"(?s:" + expression.encode() + b")", number, caseless=True)
            for number, expression in enumerate(expressions)
        ]
        self.scan = Scanner([patterns], cache_dir, engine).scan
        """Returns (end, expression) of every witness in a buffer, in order of end."""

    def rows(self, hits: list[tuple[int, int]], lines: list[bytes]) -> dict[int, int]:
        """Return row to bit mask of rules, in order of rows, for the rows that hold a witness.

        Args:
            hits: What `scan` found in the lines, joined by newlines.
            lines: The lines.
        """
        found: dict[int, int] = {}
        ends = list(accumulate(map(len, lines)))  # without the newlines: row i ends at ends[i] + i
        row = 0
        for end, expression in hits:
            low, row = row, bisect_left(ends, end - row, row)
            # As many newlines as rows were passed are not in the ends, so that this may be too far.
            while row > low and ends[row - 1] + row - 1 >= end:
                row -= 1
            found[row] = found.get(row, 0) | self._masks[expression]
        return found
