"""Third-party detectors: the only plugins that see unmasked text, and they may only point at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from headrig import Detector, Span
from headrig._limits import LABEL_CHARACTERS

from pipeline.plugins.guard import PluginError

if TYPE_CHECKING:
    from pipeline.plugins.guard import Guard


class GuardedDetector:
    """A detector whose failure is the failure of one line; itself a `headrig.Detector`.

    Masking treats the error as "not completely scanned", so the line is quarantined unscanned:
    a detector that breaks never lets its line through.
    """

    def __init__(self, detector: Detector, guard: Guard) -> None:
        self._guard = guard
        self._find = _listing(detector.find)

    def find(self, text: str, /) -> list[Span]:
        """Return the detector's findings.

        Raises:
            ProcessorError: It raised, overran, or a span is not one of this text.
        """
        guard = self._guard
        guard.start()
        try:
            spans = guard.call_dropless(guard.digest(text.encode("utf-8", "surrogatepass")), self._find, text)
        finally:
            guard.stop()
        for span in spans:
            rule = _broken(span, len(text))
            if rule:
                raise PluginError(guard.kind, rule)
        return spans


def _broken(span: Any, size: int) -> str:
    """Name the rule that a finding breaks; empty when it breaks none."""
    if type(span) is not Span:
        return "not-a-span"
    try:
        start, end, label = span.start, span.end, span.label
    except AttributeError:
        return "not-a-span"
    if type(start) is not int or type(end) is not int:
        return "not-a-span"
    if not 0 <= start < end <= size:
        return "span-out-of-range"
    return "" if type(label) is str and len(label) <= LABEL_CHARACTERS else "bad-label"


def _listing(find: Callable[[str], Iterable[Span]]) -> Callable[[str], list[Span]]:
    """A generator does its work when it is read, which must happen under the guard."""
    return lambda text: list(find(text))
