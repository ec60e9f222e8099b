"""What a policy lets through although a detector found it: by exact value, pattern, path or service."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import re2
from headrig import ConfigError

from processors.masking.places import Path

_KEYS = ("value", "pattern", "path", "service", "detectors")


@dataclass(frozen=True)
class Allowance:
    """One entry of a list; every condition that it has must hold.

    Attributes:
        values: Exact, decoded.
        patterns: RE2 expressions of whole values.
        paths: Keys and indexes, ``*`` for any; what lies below is meant too.
        services: Bound to the credential.
        detectors: Detectors or categories; empty for all.
    """

    values: frozenset[bytes] = frozenset()
    patterns: tuple[Any, ...] = ()
    paths: tuple[Path, ...] = ()
    services: frozenset[str] = frozenset()
    detectors: frozenset[str] = frozenset()

    def holds(self, value: bytes | None, path: Path) -> bool:
        """Tell whether a finding is let through, its service and detector being right.

        Args:
            value: Decoded; None for what is no single value.
            path: Empty for plain text.
        """
        if self.values and value not in self.values:
            return False
        if self.patterns and (value is None or not any(each.fullmatch(value) for each in self.patterns)):
            return False
        return not self.paths or any(_leads(each, path) for each in self.paths)


def parse_allow(section: Any, known: Collection[str], place: str) -> tuple[Allowance, ...]:
    """Read a list of entries.

    Args:
        section: As YAML gave it.
        known: Names of detectors and categories.
        place: For errors.

    Raises:
        ConfigError: An entry is wrong; the message quotes no value.
    """
    if not isinstance(section, list):
        raise ConfigError(
            "write a list of entries such as `- {pattern: '…', detectors: [email]}`", path=place
        )
    return tuple(_entry(entry, known, f"{place}[{number}]") for number, entry in enumerate(section))


def _entry(entry: Any, known: Collection[str], place: str) -> Allowance:
    if not isinstance(entry, Mapping) or not entry:
        raise ConfigError(f"an entry has some of {', '.join(_KEYS)}", path=place)
    check_names(entry, _KEYS, place)
    check_names(_texts(entry, "detectors", place), known, f"{place}.detectors")
    allowance = Allowance(
        frozenset(text.encode() for text in _texts(entry, "value", place)),
        tuple(_compiled(text, place) for text in _texts(entry, "pattern", place)),
        tuple(_path(text) for text in _texts(entry, "path", place)),
        frozenset(_texts(entry, "service", place)),
        frozenset(_texts(entry, "detectors", place)),
    )
    if not (allowance.values or allowance.patterns or allowance.paths or allowance.detectors):
        raise ConfigError("a service alone would let everything through; name the detectors too", path=place)
    if not (allowance.values or allowance.patterns or allowance.paths or allowance.services):
        raise ConfigError(
            "it has no condition; to let a detector's findings through use the action keep", path=place
        )
    return allowance


def check_names(given: Collection[Any], known: Collection[str], place: str) -> None:
    """Raise `ConfigError` for the first name that is not known, with the nearest one that is."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known)[:12])}…"
            raise ConfigError(f"unknown name {str(name)[:64]!r}; {hint}", path=place)


def _texts(entry: Mapping[str, Any], key: str, place: str) -> list[str]:
    """Return one or more texts; a number is its decimal form."""
    given = entry.get(key, [])
    given = given if isinstance(given, list) else [given]
    for text in given:
        if isinstance(text, bool) or not isinstance(text, str | int) or text == "":
            raise ConfigError("write a text or a list of texts, in quotes", path=f"{place}.{key}")
    return [str(text) for text in given]


def _compiled(expression: str, place: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # values are bytes
    options.log_errors = False
    try:
        return re2.compile(expression.encode(), options)
    except re2.error as error:
        raise ConfigError(f"RE2 does not take the expression: {error}", path=f"{place}.pattern") from None


def _path(text: str) -> Path:
    """Read a JSON pointer (RFC 6901), or keys with dots between them."""
    if not text.startswith("/"):
        return tuple(text.split("."))
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def _leads(wanted: Path, path: Path) -> bool:
    return len(wanted) <= len(path) and all(
        want in ("*", name) for want, name in zip(wanted, path, strict=False)
    )
