"""What stands in place of a secret: ``[redacted:<detector>]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAME = "credential-field"
"""Detector name of everything that is masked because of its field."""
NESTED = "nested-too-deep"
"""Detector name of what is escaped deeper than escapes are followed."""
_OPENING = b"[redacted:"
_BEGINS = rb"(?:[A-Za-z0-9_/~+\-\[{(\x80-\xff]|[\"'](?![\s,;&)}\]]|\Z))"
"""How the value of a pair begins; what else follows an equals sign may be the padding of Base64."""
_BARE = re.compile(rb"[a-z][a-z_.]{0,40}+=(?=\s|\Z)")
"""A key without value."""


def placeholder(name: str) -> bytes:
    """Return what replaces a finding of a detector."""
    return b"[redacted:%b]" % name.encode()


class Placeholders:
    """Recognises our own placeholders; any other text between such brackets may be a secret.

    Args:
        detectors: Names of all detectors, also of those that are switched off.
    """

    def __init__(self, detectors: Iterable[str]) -> None:
        names = sorted({NAME, NESTED, *detectors})
        known = re.escape(_OPENING) + b"(?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")\]"
        self._known = re.compile(known)
        self._pair = re.compile(
            rb"(?:[A-Za-z_]|%b)(?:[A-Za-z0-9_.\-]|%b){0,64}+=%b" % (known, known, _BEGINS)
        )

    def only(self, value: bytes) -> bool:
        """Tell whether a value holds nothing to mask: empty, asterisks, or only placeholders."""
        if _OPENING not in value:
            return not value.strip(b"*")
        return not self._known.sub(b"", value).strip(b"\"'")

    def behind(self, name: bytes) -> bytes:
        """Return what of a field's name stands behind the last placeholder, else the whole name.

        The name of a detector says nothing about a field; and what stands before it did not make the
        field sensitive while the secret was still there.
        """
        if _OPENING in name:
            return self._known.split(name)[-1]
        return name

    def at(self, text: bytes, position: int, high: int) -> bool:
        """Tell whether a placeholder begins at ``position``."""
        return self._known.match(text, position, high) is not None

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Return where placeholders stand in a text, in order."""
        return [found.span() for found in self._known.finditer(text)] if _OPENING in text else []

    def pair(self, text: bytes, position: int, high: int) -> bool:
        """Tell whether ``key=value``, or a key and nothing, stands at ``position``, masked or not yet."""
        if self._pair.match(text, position, high):
            return True
        bare = _BARE.match(text, position, high)
        # A letter run and its padding, in whole groups of four, is Base64 unless it is too short for a secret.
        return bare is not None and (len(bare[0]) <= 4 or len(bare[0]) % 4 != 0)
