"""Confirmations by `regex`, which backtracks: only for rules that ask for it, and within a time.

RE2 has no look-around and no references back. A rule that needs them says ``engine: regex``; what it may
take is ``timeout_ms`` of processor time for one record, over all its candidates. Beyond that the record
counts as not scanned: it is never let through on a guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import regex

from processors.masking.finders import NOTHING, NUMBER, Found, standing

ENGINE = "regex"
DEFAULT_MS = 10
MOST_MS = 1000


class TimedOutError(Exception):
    """A rule's time for a record is used up."""


class Timed:
    """A `processors.masking.finders.Finder` with a stopwatch.

    Args:
        expression: Of the package ``regex``, on bytes; its group 1, if it has one, is what is masked.
        caseless: Match letters of either case.
        back: How far before the event's end a finding may begin.
        left, right: Bytes that may not stand beside a finding.
        accept: Judges the masked span, or None.
        limit: Seconds of processor time from one `begin` to the next.

    Raises:
        regex.error: The expression is wrong.
    """

    def __init__(
        self,
        expression: bytes,
        *,
        caseless: bool,
        back: int,
        left: frozenset[int],
        right: frozenset[int],
        accept: Callable[[bytes], bool] | None,
        limit: float,
    ) -> None:
        self._regex: Any = regex.compile(expression, regex.IGNORECASE if caseless else 0)
        self._group = min(self._regex.groups, 1)
        self._back, self._left, self._right, self._accept = back, left, right, accept
        self._limit = limit
        self._spent = 0.0

    def begin(self) -> None:
        """Begin a record, or a batch: the whole time is there again."""
        self._spent = 0.0

    def __call__(self, text: bytes, low: int, high: int, end: int) -> Found:
        """Confirm an event.

        Raises:
            TimedOutError: The time is used up.
        """
        position = max(low, end - self._back)
        while (found := self._search(text, position, high)) is not None:
            if found.end() >= end:
                return self._judged(text, low, high, *found.span(self._group))
            position = max(found.end(), position + 1)
        return NOTHING

    def _judged(self, text: bytes, low: int, high: int, start: int, stop: int) -> Found:
        right = self._right
        if (
            start < 0
            or (start > low and text[start - 1] in self._left)
            or (stop < high and text[stop] in right and not (right is NUMBER and standing(text, high, stop)))
            or (self._accept is not None and not self._accept(text[start:stop]))
        ):
            return -1, -1, max(stop, 0)
        return start, stop, stop

    def _search(self, text: bytes, position: int, high: int) -> Any:
        left = self._limit - self._spent
        if left <= 0:
            raise TimedOutError
        begun = time.thread_time()
        try:
            return self._regex.search(text, position, high, timeout=left)
        except TimeoutError:
            raise TimedOutError from None
        finally:
            self._spent += time.thread_time() - begun
