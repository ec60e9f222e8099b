"""What a plugin sees: one row of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrig._batch import Resource


@dataclass(slots=True)
class Record:
    """One masked record.

    Attributes:
        body: The decoded JSON object; ``{"message": line}`` for a plain-text line.
        attributes: String to string; may be changed in place.
        resource: Who sent it; must not be changed.
        time_ns: Unix nanoseconds; must not be changed.
    """

    body: dict[str, Any]
    attributes: dict[str, str]
    resource: Resource
    time_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where a detector found something: ``text[start:end]``, half open, in characters."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Classification:
    """A classifier's verdict: this record is an audit event."""

    rule: str
    class_uid: int
    activity_id: int
    actor: str = ""
    target: str = ""
    action: str = ""
    outcome: str = "unknown"
    ocsf: dict[str, Any] = field(default_factory=dict)
