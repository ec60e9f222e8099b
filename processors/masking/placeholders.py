"""What stands in place of a secret: ``[redacted:email]``, ``[redacted:payment-card:1111]`` or ``[email:k1:Jx3…]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from processors.masking.pseudonym import ID, SIZE, Pseudonyms

NAME = "credential-field"
"""Detector name of everything that is masked because of its field."""
NESTED = "nested-too-deep"
"""Detector name of what is escaped deeper than escapes are followed."""
SHOWN = 4
"""Characters that a partial placeholder shows; no more, or a secret could hide in what looks like one."""
_NAME = rb"([a-z0-9_\-]{1,64}+)"
_SHAPE = rb"\[(?:redacted:%b(?::[A-Za-z0-9._\-]{%d})?|%b:(%b):([A-Za-z0-9_\-]{%d}))\]" % (
    _NAME, SHOWN, _NAME, ID.encode(), SIZE,
)  # fmt: skip
_BEGINS = rb"(?:[A-Za-z0-9_/~+\-\[{(\x80-\xff]|[\"'](?![\s,;&)}\]]|\Z))"
"""How the value of a pair begins; what else follows an equals sign may be the padding of Base64."""
_BARE = re.compile(rb"[a-z][a-z_.]{0,40}+=(?=\s|\Z)")
"""A key without value."""
_TAIL = re.compile(rb"[A-Za-z0-9._\-]{%d}" % SHOWN)
_HIDDEN = 8
"""A value of which fewer characters would stay hidden is masked whole."""


def placeholder(name: str) -> bytes:
    """Return what replaces a finding of a detector."""
    return b"[redacted:%b]" % name.encode()


def partial(name: str, value: bytes) -> bytes:
    """Return a placeholder that shows the last four characters, if they are plain and at least eight more are hidden."""
    tail = value[-SHOWN:]
    if len(value.decode("utf-8", "replace")) < SHOWN + _HIDDEN or not _TAIL.fullmatch(tail):
        return placeholder(name)
    return b"[redacted:%b:%b]" % (name.encode(), tail)


class Placeholders:
    """Recognises our own placeholders; any other text between such brackets may be a secret.

    Args:
        detectors: Names of all detectors, also of those that are switched off.
        pseudonyms: Knows its tokens.
    """

    def __init__(self, detectors: Iterable[str], pseudonyms: Pseudonyms | None = None) -> None:
        self.detectors = frozenset({NAME, NESTED, *detectors})
        self._names = frozenset(name.encode() for name in self.detectors)
        self._pseudonyms = pseudonyms or Pseudonyms(())
        self._shape = re.compile(_SHAPE)
        self._pair = re.compile(
            rb"(?:[A-Za-z_]|%b)(?:[A-Za-z0-9_.\-]|%b){0,64}+=%b" % (_SHAPE, _SHAPE, _BEGINS)
        )

    def only(self, value: bytes) -> bool:
        """Tell whether a value holds nothing to mask: empty, asterisks, or only placeholders."""
        if b"[" not in value:
            return not value.strip(b"*")
        left = self._shape.sub(lambda found: b"" if self._ours(found) else found[0], value)
        return not left.strip(b"\"'")

    def behind(self, name: bytes) -> bytes:
        """Return what of a field's name stands behind the last placeholder, else the whole name.

        The name of a detector says nothing about a field; and what stands before it did not make the
        field sensitive while the secret was still there.
        """
        return name[max((end for _, end in self.spans(name)), default=0) :]

    def at(self, text: bytes, position: int, high: int) -> bool:
        """Tell whether a placeholder begins at ``position``."""
        found = self._shape.match(text, position, high)
        return found is not None and self._ours(found)

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Return where placeholders stand in a text, in order."""
        if b"[" not in text:
            return []
        return [found.span() for found in self._shape.finditer(text) if self._ours(found)]

    def pair(self, text: bytes, position: int, high: int) -> bool:
        """Tell whether ``key=value``, or a key and nothing, stands at ``position``, masked or not yet."""
        found = self._pair.match(text, position, high)
        if found and all(map(self._ours, self._shape.finditer(text, position, found.end()))):
            return True
        bare = _BARE.match(text, position, high)
        # A letter run and its padding, in whole groups of four, is Base64 unless it is too short for a secret.
        return bare is not None and (len(bare[0]) <= 4 or len(bare[0]) % 4 != 0)

    def _ours(self, found: re.Match[bytes]) -> bool:
        name, detector, key, tail = found.groups()
        if name is not None:
            return name in self._names
        return detector in self._names and self._pseudonyms.made(detector, key, tail)
