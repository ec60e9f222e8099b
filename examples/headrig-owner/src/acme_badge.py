"""Find the numbers of staff badges, such as ``BADGE-1234-56``, so that they are masked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrig import DetectorSpec, Host, Span


@dataclass(frozen=True, kw_only=True)
class BadgeConfig:
    """Values from the operator.

    Attributes:
        longest: Most digits in the first group.
    """

    longest: int = 8


class Badge:
    """Point at badge numbers; the check group keeps ordinary words from being masked."""

    def __init__(self, config: BadgeConfig, _host: Host) -> None:
        # Bounded repetitions only: the time must stay linear on any text.
        self._pattern = re.compile(
            rf"\bBADGE-([0-9]{{4,{config.longest}}})-([0-9]{{2}})\b", re.IGNORECASE | re.ASCII
        )

    def find(self, text: str) -> Iterator[Span]:
        """Yield every badge number whose check group is right."""
        for match in self._pattern.finditer(text):
            if int(match[1]) % 97 == int(match[2]):
                yield Span(match.start(), match.end(), "badge")


SPEC = DetectorSpec(kind="acme_badge", config=BadgeConfig, factory=Badge, literals=("badge-",))
