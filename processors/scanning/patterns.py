"""What a scanner looks for, and what it says of a pattern that it cannot take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """One expression of a database.

    Attributes:
        expression: In the syntax that Vectorscan and RE2 share, of bytes; has a fixed or bounded end,
            so that one finding is one event.
        tag: Reported with the event.
        caseless: Match ASCII letters of either case.
        instead: Taken by Vectorscan when it cannot take ``expression``; empty for none.
    """

    expression: bytes
    tag: int
    caseless: bool = False
    instead: bytes = b""


class PatternError(Exception):
    """An engine cannot take a pattern.

    Args:
        tag: Of the pattern.
        engine: Who refuses it.
        said: Its reason.
    """

    def __init__(self, tag: int, engine: str, said: str) -> None:
        super().__init__(f"{engine} does not take the pattern: {said}")
        self.tag = tag
