"""The corpus of harmless lines."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.draw import Draw
from tests.corpus.harmless_code import code
from tests.corpus.harmless_edge import EDGE
from tests.corpus.harmless_lines import LINES
from tests.corpus.harmless_machines import MACHINES
from tests.corpus.harmless_systems import SYSTEMS
from tests.corpus.harmless_traces import any_trace


def lines(seed: int, count: int) -> Iterator[bytes]:
    """Yield harmless lines, of every kind alike many."""
    draw = Draw(seed)
    kinds = (*LINES, *SYSTEMS, *MACHINES, *EDGE, any_trace, code)
    for number in range(count):
        yield kinds[number % len(kinds)](draw).encode()
