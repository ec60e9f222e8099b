"""What a verification found, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

import orjson

_MAX_FINDINGS = 1_000


class Kind(IntEnum):
    """What a finding means, as exit code."""

    TAMPERED = 1
    UNKNOWN = 2
    FORKED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        kind: What it means.
        file: Relative to the log's directory.
        message: What is wrong, after the file's name.
        offset: Byte offset in the file, where there is one.
        index: First index concerned, where there is one.
    """

    kind: Kind
    file: str
    message: str
    offset: int | None = None
    index: int | None = None

    @property
    def line(self) -> str:
        """The finding as a sentence."""
        place = self.file if self.offset is None else f"{self.file} at byte {self.offset}"
        return f"{self.kind.name} {place}: {self.message}"


@dataclass(slots=True)
class Report:
    """Result of a verification.

    Attributes:
        exit_code: 0 verified, 1 tampered, 2 cannot verify, 3 rollback or fork.
        origin: Name of the log.
        entries: Entries read.
        signed: Size of the newest checkpoint that verifies.
        keys: Name and key id of each key that was trusted.
        findings: What does not hold; at most 1,000, then counted in `more`.
        lines: All of it as sentences.
    """

    origin: str = ""
    entries: int = 0
    signed: int = 0
    keys: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Tampering weighs most, then a fork; "cannot verify" is never good news."""
        kinds = {finding.kind for finding in self.findings}
        return next((int(k) for k in (Kind.TAMPERED, Kind.FORKED, Kind.UNKNOWN) if k in kinds), 0)

    def add(self, finding: Finding) -> None:
        """Add what does not hold."""
        if len(self.findings) >= _MAX_FINDINGS:
            self.more += 1
            return
        self.findings.append(finding)
        self.lines.append(finding.line)

    def note(self, line: str) -> None:
        """Add what is worth knowing, and no fault."""
        self.lines.append(line)

    def conclude(self) -> None:
        """Add the closing sentences."""
        if self.more:
            self.note(f"{self.more} more findings are not shown")
        if self.exit_code:
            return
        self.note(f"verified: {self.signed} entries of {self.origin} are exactly those that were signed")
        if self.entries > self.signed:
            self.note(f"{self.entries - self.signed} newer entries are not yet signed")

    def to_json(self) -> bytes:
        """Return the report as one JSON object."""
        return orjson.dumps(
            {
                "exit_code": self.exit_code,
                "origin": self.origin,
                "entries": self.entries,
                "signed": self.signed,
                "keys": self.keys,
                "findings": [
                    {
                        "kind": f.kind.name.lower(),
                        "file": f.file,
                        "offset": f.offset,
                        "index": f.index,
                        "message": f.message,
                    }
                    for f in self.findings
                ],
                "lines": self.lines,
            }
        )


def window(after_ns: int, before_ns: int) -> str:
    """Return a time window as text; 0 is an open end."""
    if after_ns and before_ns:
        return f" (between {_iso(after_ns)} and {_iso(before_ns)})"
    if after_ns or before_ns:
        return f" (after {_iso(after_ns)})" if after_ns else f" (before {_iso(before_ns)})"
    return ""


def _iso(ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return "an impossible time"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000:09d}Z"
