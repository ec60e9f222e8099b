"""How something ended, read from whatever a record says about it.

Every field that may say it is looked at, and the worst word wins: ``failure`` where any value means
failure or an error is there, else ``success`` where any value means success, else ``unknown``. A
value means what the lists of the rule or pack say of it as a whole; else failure if any of its words
is listed as failure (``FAILED_MFA``, ``AccessDenied``), or success if all are (``200 OK``). A number
that no list names means failure from 400 on, success from 200 to 399.

An error counts where one is there that is not empty: not null, false, 0, ``""``, ``none`` or the
like, and no object or array of only such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrig import ConfigError

from processors.classification.fields import gather, starts_of
from processors.classification.strings import fold

FAILURE, SUCCESS, UNKNOWN = "failure", "success", "unknown"

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
_STATUS = re.compile(r"[1-9][0-9]{2}")
_NO_ERROR = frozenset({"", "none", "null", "nil", "no", "false", "0", "-", "ok", "no error"})
_FIRST_SUCCESS, _FIRST_FAILURE = 200, 400
_MAX_TEXT = 1024
_MEMO = 4096
_MEMO_TEXT = 64


class Outcome:
    """Judges records.

    Args:
        fields: Paths that say how it ended.
        errors: Paths of errors.
        words: Folded words, separated by single spaces, to ``success`` or ``failure``.

    Attributes:
        paths: All of the paths.
    """

    __slots__ = ("_error_starts", "_known", "_starts", "_words", "paths")

    def __init__(self, fields: tuple[str, ...], errors: tuple[str, ...], words: Mapping[str, str]) -> None:
        self.paths = fields + errors
        self._starts = starts_of(fields)
        self._error_starts = starts_of(errors)
        self._words = words
        self._known: dict[tuple[type, Any], str] = {}

    def judge(self, record: Mapping[str, Any]) -> str:
        """Return ``success``, ``failure`` or ``unknown``; empty where the record says nothing."""
        starts = self._starts(record)
        meanings = {self._meaning(value) for value in gather(record, starts)} if starts else set()
        errors = self._error_starts(record)
        if FAILURE in meanings or (errors and any(_is_error(value) for value in gather(record, errors))):
            return FAILURE
        return SUCCESS if SUCCESS in meanings else UNKNOWN if UNKNOWN in meanings else ""

    def _meaning(self, value: Any) -> str:
        if value is None or value == "" or isinstance(value, dict):
            return ""
        key = (type(value), value)
        known = self._known.get(key)
        if known is None:
            known = self._read(value)
            if not isinstance(value, str) or len(value) <= _MEMO_TEXT:
                if len(self._known) >= _MEMO:
                    self._known.clear()
                self._known[key] = known
        return known

    def _read(self, value: Any) -> str:
        if not isinstance(value, str):
            listed = self._words.get(fold(str(value)))
            return listed or (UNKNOWN if isinstance(value, bool) else _number(value))
        words = _split(value[:_MAX_TEXT])
        listed = self._words.get(" ".join(words))
        if listed or not words:
            return listed or UNKNOWN
        meanings = [self._words.get(word) for word in words]
        if _STATUS.fullmatch(words[0]):
            meanings[0] = meanings[0] or _number(int(words[0]))
        if FAILURE in meanings:
            return FAILURE
        return SUCCESS if set(meanings) == {SUCCESS} else UNKNOWN


def parse_words(block: Mapping[str, Any], path: str) -> dict[str, str]:
    """Read the lists ``success`` and ``failure`` of a block; raises `ConfigError`."""
    words: dict[str, str] = {}
    for outcome in (SUCCESS, FAILURE):
        listed = block.get(outcome) or []
        if not isinstance(listed, list) or not all(isinstance(word, (str, int)) for word in listed):
            raise ConfigError("must be a list of strings, numbers or booleans", path=f"{path}.{outcome}")
        words.update((" ".join(_split(str(word))), outcome) for word in listed)
    return words


def _split(text: str) -> list[str]:
    """Return the folded words of a text, taken apart at separators and at capitals."""
    return _WORD.findall(fold(_CAMEL.sub(" ", text)))


def _number(value: float) -> str:
    if value >= _FIRST_FAILURE:
        return FAILURE
    return SUCCESS if value >= _FIRST_SUCCESS else UNKNOWN


def _is_error(value: Any) -> bool:
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if fold(value.strip()) not in _NO_ERROR:
                return True
        elif isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif value:
            return True
    return False
