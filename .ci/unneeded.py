"""Print what is installed beside headrig and is not needed to run it: what only tests and builds use.

pip is kept, because operators install plugins with it.
"""

from __future__ import annotations

import re
from importlib.metadata import distribution, distributions

from packaging.requirements import Requirement

KEPT = {"headrig", "pip"}


def normal(name: str) -> str:
    """Normalise a distribution name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed() -> set[str]:
    """Return what headrig requires, and what that requires, with the extras that are asked for."""
    seen: set[tuple[str, str]] = set()
    waiting = [("headrig", "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(normal(requirement.name), wanted) for wanted in ("", *requirement.extras)]
    return {name for name, _ in seen}


if __name__ == "__main__":
    installed = {normal(found.name) for found in distributions()}
    print("\n".join(sorted(installed - needed() - KEPT)))
