"""What may be around a record: how long names and values are, and how many.

What is no label for us becomes structured metadata of every record of its stream, so a few bytes that are
sent once are stored as often as there are records. A value over a limit is never cut: the half of a
secret that is left is one that no detector knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.receiver.limits import Limits
    from pipeline.receiver.loki_labels import Labels

LABEL_BYTES = "label_bytes"
METADATA_BYTES = "metadata_bytes"
METADATA_ENTRIES = "metadata_entries"

Excess = tuple[str, str]
"""Reason and detail: the limit that was passed."""


def excess(size: int, labels: Labels, metadata: Labels, limits: Limits) -> Excess | None:
    """Return the limit that an envelope passes, or None.

    Args:
        size: Bytes of its JSON text; no part of it is longer.
        labels: As the client named them.
        metadata: As the client named it, without what is in ``labels``.
        limits: Those of labels and metadata are used.
    """
    if len(labels) + len(metadata) > limits.metadata_entries:
        limit = f"{limits.metadata_entries} labels and pairs of structured metadata"
        return METADATA_ENTRIES, f"more than the limit of {limit}"
    if size <= min(limits.label_name_bytes, limits.label_value_bytes, limits.metadata_bytes):
        return None
    if max(map(_bytes, (*labels, *metadata)), default=0) > limits.label_name_bytes:
        return LABEL_BYTES, f"a name is longer than the limit of {limits.label_name_bytes} bytes"
    if max(map(_bytes, labels.values()), default=0) > limits.label_value_bytes:
        return LABEL_BYTES, f"a label value is longer than the limit of {limits.label_value_bytes} bytes"
    if sum(map(_bytes, (*labels, *metadata, *labels.values(), *metadata.values()))) > limits.metadata_bytes:
        limit = f"{limits.metadata_bytes} bytes"
        return METADATA_BYTES, f"labels and structured metadata together pass the limit of {limit}"
    return None


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
