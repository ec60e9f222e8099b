"""The words of a rule pack: what its ``fields.yaml`` says.

::

    aliases:                                # a name for several paths
      event_name: [event, event.action, action]
    names:                                  # aliases whose values are names of events
      event_name: {weak: [type], with: [event_user]}
    naming: [name, email, id]               # what names an object, where somebody is looked for
    outcomes:                               # fields that are made of others: how it ended
      event_result:
        field: [event_outcome]
        error: [event_error]
        success: [success, ok]
        failure: [failure, denied]

A rule that names an alias looks at all of its paths. The values of a *name* are compared with
separators folded: one in the rule's value (``.``, ``_``, ``-``, ``:``, ``/`` or a space) stands for
none or one of any of them, so ``user_created`` is ``user.created``, ``USER-CREATED`` and
``UserCreated``. Its ``weak`` paths are common words that often mean something else (a ``type``):
they count only in records in which one of the fields ``with`` is there and not null.

A field of ``outcomes`` is ``success``, ``failure`` or ``unknown``, or absent where the record says
nothing; see `processors.classification.outcome`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrig import ConfigError

from processors.classification.fields import MAX_SEGMENTS, presence_of, values_of
from processors.classification.outcome import Outcome, parse_words
from processors.classification.settings import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from processors.classification.fields import Values

_KEYS = ("aliases", "names", "naming", "outcomes")


class UnsupportedError(Exception):
    """A rule uses what this evaluator does not do; the message names field and modifier."""


@dataclass(frozen=True, slots=True)
class Weak:
    """Paths of a name that count only in records that have one of the paths ``needs``."""

    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Vocabulary:
    """What field names stand for."""

    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, Weak] = field(default_factory=dict)
    naming: tuple[str, ...] = ()
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def paths(self, name: str) -> tuple[str, ...]:
        """Return the paths a field name stands for, weak ones included; raises `UnsupportedError`."""
        outcome = self.outcomes.get(name)
        if outcome is not None:
            return outcome.paths
        weak = self.names.get(name)
        paths = self.aliases.get(name, (name,)) + (weak.paths if weak else ())
        for path in paths:
            if not path or path.count(".") >= MAX_SEGMENTS:
                raise UnsupportedError(f"field {path!r}: a path has 1 to {MAX_SEGMENTS} segments")
        return paths

    def values(self, name: str) -> Values:
        """Return what collects the values of a field."""
        outcome = self.outcomes.get(name)
        if outcome is not None:
            judge = outcome.judge
            return lambda record: [found] if (found := judge(record)) else []
        weak = self.names.get(name)
        if weak is None or not weak.paths:
            return values_of(self.paths(name))
        strong, more, needed = (values_of(paths) for paths in (self.aliases[name], weak.paths, weak.needs))

        def collect(record: Mapping[str, Any]) -> list[Any]:
            found = strong(record)
            doubtful = more(record)
            if doubtful and any(value is not None for value in needed(record)):
                return found + doubtful
            return found

        return collect

    def presence(self, name: str) -> Callable[[Mapping[str, Any]], bool]:
        """Return a test whether a field is there, with whatever value."""
        if name in self.outcomes or (name in self.names and self.names[name].paths):
            collect = self.values(name)
            return lambda record: bool(collect(record))
        return presence_of(self.paths(name))

    def add(self, document: Any, path: str) -> None:
        """Add a document of ``fields.yaml``; raises `ConfigError` that names the key."""
        if not isinstance(document, dict) or not all(
            isinstance(document.get(key, {}), dict) for key in _MAPS
        ):
            raise ConfigError("must be a mapping with the key 'aliases'", path=path)
        if not document.keys() & set(_KEYS):
            raise ConfigError("must be a mapping with the key 'aliases'", path=path)
        refuse_unknown(document, _KEYS, path)
        for name, paths in document.get("aliases", {}).items():
            self._add_alias(name, paths, f"{path}: aliases.{name}")
        for name, block in document.get("names", {}).items():
            self._add_name(name, block, f"{path}: names.{name}")
        for name, block in document.get("outcomes", {}).items():
            self._add_outcome(name, block, f"{path}: outcomes.{name}")
        if "naming" in document:
            self.naming = _texts(document["naming"], f"{path}: naming", "a list of keys")

    def expand(self, spec: Any, path: str) -> tuple[str, ...]:
        """Return the paths that field names stand for; raises `ConfigError`."""
        names = [spec] if isinstance(spec, str) else spec
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ConfigError("must be a field path or a list of field paths", path=path)
        try:
            return tuple(dict.fromkeys(one for name in names for one in self.paths(name)))
        except UnsupportedError as error:
            raise ConfigError(str(error), path=path) from None

    def _add_alias(self, name: Any, paths: Any, path: str) -> None:
        texts = _texts(paths, path, "a list of field paths")
        if name in self.aliases:
            raise ConfigError("the alias is defined twice", path=path)
        self.aliases[name] = texts
        self.expand([name], path)

    def _add_name(self, name: Any, block: Any, path: str) -> None:
        if name not in self.aliases:
            raise ConfigError("is no alias", path=path)
        if not isinstance(block, dict):
            raise ConfigError("must be a mapping with 'weak' and 'with', or empty", path=path)
        refuse_unknown(block, ("weak", "with"), path)
        if ("weak" in block) != ("with" in block):
            raise ConfigError("'weak' and 'with' go together", path=path)
        weak = [self.expand(block[key], f"{path}.{key}") if block else () for key in ("weak", "with")]
        self.names[name] = Weak(*weak)

    def _add_outcome(self, name: Any, block: Any, path: str) -> None:
        if not isinstance(block, dict):
            raise ConfigError("must be a mapping with 'field'", path=path)
        refuse_unknown(block, ("field", "error", "success", "failure"), path)
        self.outcomes[name] = self.outcome(block, path)

    def outcome(self, block: Mapping[str, Any], path: str) -> Outcome:
        """Compile ``field``, ``error`` and the words of a block; raises `ConfigError`."""
        errors = self.expand(block["error"], f"{path}.error") if "error" in block else ()
        fields = self.expand(block.get("field", []), f"{path}.field")
        return Outcome(fields, errors, parse_words(block, path))


_MAPS = ("aliases", "names", "outcomes")


def keys_of(paths: tuple[str, ...]) -> Iterator[str]:
    """Name the top-level keys at which paths may begin."""
    for path in paths:
        segments = path.split(".")
        yield from (".".join(segments[:cut]) for cut in range(1, len(segments) + 1))


def _texts(value: Any, path: str, wanted: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"must be {wanted}", path=path)
    return tuple(dict.fromkeys(value))
