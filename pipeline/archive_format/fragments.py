"""Reading a frame's payload: one gzip member of Loki stream objects joined by commas.

Labels and structured metadata stay the JSON bytes they are, because they repeat: whoever needs them
decodes each distinct one once.
"""

from __future__ import annotations

import msgspec
from isal import igzip


class Row(msgspec.Struct, array_like=True, gc=False):
    """One record: time in unix ns, line, and structured metadata as JSON."""

    ts: int
    line: str
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class Fragment(msgspec.Struct, gc=False):
    """One stream object: labels as JSON, and its records in order."""

    stream: msgspec.Raw
    values: list[Row]


class _Labels(msgspec.Struct, gc=False):
    stream: msgspec.Raw


# Not strict: a time is an integer in a JSON string.
_FRAGMENTS = msgspec.json.Decoder(list[Fragment], strict=False)
_LABELS = msgspec.json.Decoder(list[_Labels])


def inflate(payload: bytes) -> bytes:
    """Return the stream objects of a payload, still joined by commas.

    Raises:
        ValueError: The payload is no gzip member.
    """
    try:
        return bytes(igzip.decompress(payload))  # type: ignore[no-untyped-call]
    except (OSError, EOFError) as error:
        raise ValueError(type(error).__name__) from None


def decode(text: bytes) -> list[Fragment]:
    """Decode inflated stream objects.

    Raises:
        ValueError: They are none.
    """
    try:
        return _FRAGMENTS.decode(b"[" + text + b"]")
    except msgspec.DecodeError as error:
        raise ValueError(type(error).__name__) from None


def labels(text: bytes) -> list[bytes]:
    """Return only the labels of inflated stream objects, as JSON.

    Raises:
        ValueError: They are none.
    """
    try:
        return [bytes(fragment.stream) for fragment in _LABELS.decode(b"[" + text + b"]")]
    except msgspec.DecodeError as error:
        raise ValueError(type(error).__name__) from None
