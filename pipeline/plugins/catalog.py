"""What is installed: entry points by group and kind, read without importing anything.

An entry point is a line of a distribution's metadata (packaging.python.org, "Entry points
specification"), so two distributions that claim one name are found before either runs.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import TypeVar

from headrig import ConfigError
from headrig._limits import KIND

STAGES = "headrig.stages"
DETECTORS = "headrig.detectors"
PROCESSORS = "headrig.processors"
CLASSIFIERS = "headrig.classifiers"

_OURS = "headrig"
_PRIVATE = re.compile(r"^(pipeline|processors)(?:/|\.py\b|$)", re.MULTILINE)

S = TypeVar("S")


class Catalog:
    """The plugins that are installed.

    Args:
        installed: Distributions in the order of the import path; a second one of the same name is
            shadowed by the first.

    Raises:
        ConfigError: A distribution other than ours brings a top-level ``pipeline`` or ``processors``.
    """

    def __init__(self, installed: Iterable[Distribution]) -> None:
        self._claims: dict[tuple[str, str], list[tuple[str, EntryPoint]]] = defaultdict(list)
        seen: set[str] = set()
        for distribution in installed:
            name = _normal(distribution.name or "")
            if name in seen:
                continue
            seen.add(name)
            if name != _OURS:
                _refuse_private_names(name, distribution)
            for point in distribution.entry_points:
                if point.group.startswith("headrig."):
                    self._claims[point.group, point.name].append((name, point))

    @classmethod
    def installed(cls, path: list[str] | None = None) -> Catalog:
        """Read the metadata of what lies on ``path``, by default `sys.path`."""
        return cls(distributions() if path is None else distributions(path=path))

    def kinds(self, group: str) -> list[str]:
        """Kinds that some distribution offers, sorted."""
        return sorted(kind for found, kind in self._claims if found == group)

    def load(self, group: str, kind: str, spec_type: type[S], *, path: str = "") -> S:
        """Import one plugin's spec.

        Args:
            group: Entry-point group, e.g. ``headrig.processors``.
            kind: What the operator wrote.
            spec_type: What the entry point must name.
            path: Place in the configuration, for messages.

        Raises:
            ConfigError: Not installed, claimed twice, not importable, or not a spec of that kind.
        """
        claims = self._claims.get((group, kind), [])
        if not claims:
            raise ConfigError(self._unknown(group, kind), path=path)
        if len(claims) > 1:
            names = " and ".join(sorted(name for name, _ in claims))
            raise ConfigError(f"kind {kind!r} is claimed by {names}; uninstall one of them", path=path)
        name, point = claims[0]
        try:
            spec = point.load()
        except Exception as error:
            raise ConfigError(
                f"{point.value} of distribution {name} cannot be imported ({type(error).__name__})", path=path
            ) from error
        if not isinstance(spec, spec_type):
            raise ConfigError(
                f"{point.value} of distribution {name} is not a {spec_type.__name__}", path=path
            )
        declared = getattr(spec, "kind", None)
        if declared != kind or not re.fullmatch(KIND, kind):
            raise ConfigError(
                f"{point.value} of distribution {name} declares kind {declared!r}; the entry point's name and "
                "the spec's kind must be the same lower_snake word of at most 41 characters",
                path=path,
            )
        return spec

    def _unknown(self, group: str, kind: str) -> str:
        kinds = self.kinds(group)
        close = difflib.get_close_matches(kind, kinds, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ";"
        return f"no installed plugin of {group} has the kind {kind!r}{hint} installed: {', '.join(kinds) or 'none'}"


def _normal(name: str) -> str:
    """Normalise a distribution name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _refuse_private_names(name: str, distribution: Distribution) -> None:
    """Our two packages have generic names: whoever else installs them would replace our code."""
    for listing in ("top_level.txt", "RECORD"):
        taken = _PRIVATE.search(distribution.read_text(listing) or "")
        if taken:
            raise ConfigError(
                f"distribution {name} installs a top-level package {taken[1]!r}, which is part of headrig; "
                "uninstall it or run headrig in a virtual environment of its own"
            )
