"""Names of labels and structured metadata as Loki wants them: ``[a-zA-Z_][a-zA-Z0-9_]*``.

This comes after masking. A sender can use a secret as a name, and once its dashes, dots and at signs
are underscores no detector knows it any more, though a reader still would.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from headrig import Envelope

if TYPE_CHECKING:
    from headrig import Attributes, Batch

_MEMO_SIZE: Final = 4096
_MEMO_NAME: Final = 256
_BAD = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)

_names: dict[str, str] = {}


def label_name(name: str) -> str:
    """Return the name with everything but ``[a-zA-Z_][a-zA-Z0-9_]*`` replaced by an underscore."""
    known = _names.get(name)
    if known is not None:
        return known
    clean = _BAD.sub("_", name) or "_"
    if clean[0].isdigit():
        clean = "_" + clean
    if len(name) <= _MEMO_NAME:
        if len(_names) >= _MEMO_SIZE:
            _names.clear()
        _names[name] = clean
    return clean


def clean_names(pairs: Attributes) -> Attributes:
    """Return the same object when all names are right; two names that become one are both kept."""
    if all(label_name(name) == name for name in pairs):
        return pairs
    cleaned: dict[str, str] = {}
    for name, value in pairs.items():
        clean = label_name(name)
        while clean in cleaned:
            clean += "_"
        cleaned[clean] = value
    return cleaned


def clean_envelopes(batch: Batch) -> None:
    """Give the labels and metadata that came around the lines names that Loki takes."""
    odd: dict[int, Envelope] = {}
    for number, envelope in {id(each): each for each in batch.envelopes if each is not None}.items():
        labels, metadata = clean_names(envelope.labels), clean_names(envelope.metadata)
        if labels is not envelope.labels or metadata is not envelope.metadata:
            odd[number] = Envelope(labels, metadata)
    if odd:
        batch.envelopes = [odd.get(id(envelope), envelope) for envelope in batch.envelopes]
