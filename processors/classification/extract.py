"""The values of an ``audit:`` block, compiled: where in a record they are, and what they become."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from processors.classification.fields import Start, first_of, starts_of, texts_of

MAX_TEXT = 1024
MAX_MEMBERS = 64
_MAX_SEQ = (1 << 63) - 1

Bound = Callable[[Mapping[str, Any]], Any]
"""The value a mapping finds in a record of one shape, or None."""
Convert = Callable[[Any], Any]

# UUID, ULID (Crockford's base 32, up to 7zzz…), or a random number in hex.
_UNIQUE = re.compile(
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|[0-9A-Fa-f]{16,128}"
)
_DIGEST_MARK = "~sha256:"


class Extract:
    """A VALUE, compiled.

    Args:
        paths: Where to look.
        default: What stands for nothing, or the literal.
        pattern: Finds it in the texts of a record where no path has it: the first group.
        pick: Makes what is wanted of a found value; None where it is of no use.
    """

    __slots__ = ("_default", "_pattern", "_pick", "_starts")

    def __init__(
        self,
        paths: tuple[str, ...] = (),
        default: Any = None,
        *,
        pattern: Any = None,
        pick: Convert | None = None,
    ) -> None:
        self._starts = starts_of(paths) if paths else None
        self._default = default
        self._pattern = pattern
        self._pick = pick or scalar

    def bind(self, record: Mapping[str, Any], convert: Convert) -> tuple[Any, Bound | None]:
        """Prepare for records with the same top-level keys as this one, and values of the same types.

        Args:
            record: One of them.
            convert: Makes the final value of what was found; of a text that is no longer than
                `MAX_TEXT` it must make the text itself, unless it is `sequence`.

        Returns:
            The final value where no field is there, and what finds it where one is, else None.
        """
        fixed, pattern, pick = convert(self._default), self._pattern, self._pick
        starts = [
            start
            for start in (self._starts(record) if self._starts is not None else ())
            if record[start[1]] is not None
            and (start[2] is None or isinstance(record[start[1]], dict | list))
        ]
        if not starts and pattern is None:
            return fixed, None

        def search(record: Mapping[str, Any]) -> Any:
            found = first_of(record, starts, pick)
            if found:
                return convert(found[0] if len(found) == 1 else found[:MAX_MEMBERS])
            if pattern is not None:
                hits = (pattern.search(text) for text in texts_of(record))
                group = next((hit.group(1) for hit in hits if hit is not None), None)
                return fixed if group is None else convert(group)
            return fixed

        if len(starts) == 1 and starts[0][2] is not None and pattern is None:
            return fixed, _inside(starts[0], search, fixed)
        if not starts or starts[0][2] is not None or convert is sequence or pick is unique:
            return fixed, search
        key = starts[0][1]
        if type(record[key]) is not str:
            return fixed, search

        def plain(record: Mapping[str, Any]) -> Any:
            found = record[key]
            return found if 0 < len(found) <= MAX_TEXT else search(record)

        return fixed, plain


def _inside(start: Start, search: Bound, fixed: Any) -> Bound:
    """Search an object only if it has one of the keys by which the path may go on."""
    _, key, ways = start
    names = frozenset(name for name, _ in ways)

    def find(record: Mapping[str, Any]) -> Any:
        inner = record[key]
        return fixed if type(inner) is dict and names.isdisjoint(inner) else search(record)

    return find


def scalar(value: Any) -> Any:
    """Keep what is a text, a number or a boolean."""
    return value if isinstance(value, (str, int, float)) and value != "" else None


def somebody(naming: tuple[str, ...]) -> Convert:
    """Return what makes a name of somebody, of a text, a number, or an object with a key of ``naming``."""

    def pick(value: Any) -> Any:
        if isinstance(value, dict):
            named = (value.get(key) for key in naming)
            return next((one for one in named if _names(one)), None)
        return value if _names(value) else None

    return pick


def unique(value: Any) -> Any:
    """Keep what has the shape of an id that is given once: a UUID, a ULID, 16 or more hex digits."""
    if isinstance(value, str) and _UNIQUE.fullmatch(value) and len(set(value) - {"-"}) > 1:
        return value
    return None


def text(value: Any) -> str:
    """Make text of scalars and arrays, cut at its bound."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(text, value))[:MAX_TEXT]
    return str(value)


def identity(value: Any) -> str:
    """Make text that stays apart from any other: what is beyond the bound goes into a digest."""
    whole = ",".join(map(str, value)) if isinstance(value, list) else value
    if not isinstance(whole, str) or len(whole) <= MAX_TEXT:
        return text(whole)
    digest = _DIGEST_MARK + hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()
    return whole[: MAX_TEXT - len(digest)] + digest


def kept(value: Any) -> Any:
    """Keep scalars and arrays of scalars, texts cut at their bound."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [kept(member) for member in value]
    return value


def sequence(value: Any) -> int | None:
    """Keep a non-negative integer below 2^63, or its decimal form."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SEQ:
        return value
    return None


def _names(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != ""
