"""Which file, variable or option a setting came from, so that an error names what the operator must change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrig import ConfigError


class Sources:
    """Values laid over each other, and who laid them.

    Args:
        values: Those of the file.
        file: Its name; empty when there is none.
    """

    def __init__(self, values: dict[str, Any], file: str) -> None:
        self.values = values
        self._file = file
        self._names: dict[tuple[str, ...], str] = {}

    def put(self, place: Sequence[str], value: Any, name: str) -> None:
        """Lay one value over what is there.

        Args:
            place: Where, section by section.
            value: What.
            name: The variable or option that it came from.

        Raises:
            ConfigError: There is a value where a section must be.
        """
        values = self.values
        for part in place[:-1]:
            values = values.setdefault(part, {})
            if not isinstance(values, dict):
                raise ConfigError(f'"{part}" is a value, not a section', path=name)
        values[place[-1]] = value
        within = tuple(place)
        self._names = {known: at for known, at in self._names.items() if known[: len(within)] != within}
        self._names[within] = name

    def blame(self, problems: Sequence[str]) -> str:
        """Put before each problem the name of its source; problems begin with their place and a colon."""
        blamed: dict[str, list[str]] = {}
        for problem in problems:
            place, _, message = problem.partition(": ")
            name, same = self._source(tuple(place.split(".")))
            blamed.setdefault(name, []).append(message if same else problem)
        return "; ".join(
            f"{name}: {'; '.join(sentences)}" if name else "; ".join(sentences)
            for name, sentences in blamed.items()
        )

    def _source(self, place: tuple[str, ...]) -> tuple[str, bool]:
        """Return who gave the setting at a place, and whether that gives nothing else.

        A section is wrong as a whole when its settings contradict each other: who gave some is named beside the file.
        """
        for length in range(len(place), 0, -1):
            if name := self._names.get(place[:length]):
                return name, length == len(place)
        inside = [name for known, name in self._names.items() if known[: len(place)] == place]
        return " and ".join([self._file, *inside] if self._file else inside), False
