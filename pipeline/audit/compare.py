"""Comparing the copy of the audit trail in Loki with the log: what was altered, is missing, was added or moved; pure.

A line of the copy is the leaf, byte for byte, at the leaf's own time, with its index and hash as metadata. No two
leaves share a time, so every line has one place, and what has none was put there by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.audit.entry import LoggedLeaf
from pipeline.audit.report import Finding, Kind, window

INDEX = "audit_index"
HASH = "audit_leaf"


class Line(NamedTuple):
    """One line of the copy.

    Attributes:
        ts_ns: Its time, unix ns.
        text: Its bytes.
        metadata: Its structured metadata.
    """

    ts_ns: int
    text: bytes
    metadata: Mapping[str, str]


@dataclass(slots=True)
class Copy:
    """What a comparison found so far.

    Attributes:
        place: What the copy is called in messages.
        lines: Lines that were read.
        held: Leaves that were found, whole and once.
        findings: What does not hold.
    """

    place: str
    lines: int = 0
    held: int = 0
    findings: list[Finding] = field(default_factory=list)

    def compare(
        self,
        leaves: Sequence[LoggedLeaf],
        lines: Iterable[Line],
        elsewhere: Callable[[int], LoggedLeaf | None],
    ) -> None:
        """Compare a span of time.

        Args:
            leaves: All leaves of the span.
            lines: All lines of the span.
            elsewhere: Returns the leaf at an index of the whole log, or None.
        """
        expected = {leaf.index: leaf for leaf in leaves}
        times = {leaf.ts_ns: leaf.index for leaf in leaves}
        seen: set[int] = set()
        for line in lines:
            self.lines += 1
            index = _index(line)
            # Without a usable index the time tells which leaf was meant.
            leaf = expected.get(times.get(line.ts_ns, -1) if index is None else index)
            if leaf is None:
                self._stray(line, index, None if index is None else elsewhere(index))
            elif line.text != leaf.leaf:
                self._add(leaf.index, "was altered: the line is not the leaf", line.ts_ns)
                seen.add(leaf.index)
            elif line.ts_ns != leaf.ts_ns:
                self._add(leaf.index, "was moved: the line has another time than the leaf", line.ts_ns)
                seen.add(leaf.index)
            elif leaf.index in seen:
                self._add(leaf.index, "is there twice", line.ts_ns)
            elif index is None or line.metadata.get(HASH) != leaf.leaf_hash.hex():
                self._add(leaf.index, f"was altered: {INDEX} or {HASH} is not that of the leaf", line.ts_ns)
                seen.add(leaf.index)
            else:
                seen.add(leaf.index)
                self.held += 1
        self._missing([leaf for leaf in leaves if leaf.index not in seen])

    def _stray(self, line: Line, index: int | None, leaf: LoggedLeaf | None) -> None:
        if leaf is not None and leaf.leaf == line.text:
            self._add(leaf.index, "was moved: the line has another time than the leaf", line.ts_ns)
        elif leaf is not None:
            self._add(leaf.index, "was forged: the line claims an index whose leaf is another", line.ts_ns)
        else:
            self._add(index, "was forged: the log has no such leaf", line.ts_ns)

    def _missing(self, gone: Sequence[LoggedLeaf]) -> None:
        """Report missing leaves, a run of indexes at a time."""
        start = 0
        for at in range(1, len(gone) + 1):
            if at == len(gone) or gone[at].index != gone[at - 1].index + 1:
                first, last = gone[start], gone[at - 1]
                many = f"indexes {first.index} to {last.index}{window(first.ts_ns, last.ts_ns)} are missing"
                one = f"index {first.index}{window(first.ts_ns, first.ts_ns)} is missing"
                self.findings.append(
                    Finding(Kind.TAMPERED, self.place, one if first is last else many, None, first.index)
                )
                start = at

    def _add(self, index: int | None, what: str, ts_ns: int) -> None:
        name = "a line" if index is None else f"index {index}"
        self.findings.append(
            Finding(Kind.TAMPERED, self.place, f"{name}{window(ts_ns, ts_ns)} {what}", None, index)
        )


def _index(line: Line) -> int | None:
    text = line.metadata.get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
