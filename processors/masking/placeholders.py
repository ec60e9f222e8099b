"""What stands in place of a secret: ``[redacted:<detector>]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAME = "credential-field"
"""Detector name of everything that is masked because of its field."""
NESTED = "nested-too-deep"
"""Detector name of what is escaped deeper than escapes are followed."""
_OPENING = b"[redacted:"


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
        self._known = re.compile(
            re.escape(_OPENING) + b"(?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")\]"
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
