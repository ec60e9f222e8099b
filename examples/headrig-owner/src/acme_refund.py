"""Judge refunds above a limit to be audit events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrig import Classification, ClassifierSpec, Host, Record, Resource

API_ACTIVITY = 6003
UPDATE = 3


@dataclass(frozen=True, kw_only=True)
class RefundConfig:
    """Values from the operator.

    Attributes:
        limit: Smallest amount that is an audit event.
    """

    limit: float = 100.0


class Refund:
    """Judge ``{"action": "refund", "amount": …}``."""

    def __init__(self, config: RefundConfig, _host: Host) -> None:
        self._limit = config.limit

    def classify(self, record: Record) -> Classification | None:
        """Return an event for a large refund; amounts that are not numbers are none."""
        amount = record.body.get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < self._limit:
            return None
        return Classification(
            rule="acme.refund",
            class_uid=API_ACTIVITY,
            activity_id=UPDATE,
            actor=str(record.body.get("user", "")),
            target=str(record.body.get("order", "")),
            action="refund",
            outcome="success",
        )


def is_refund(_resource: Resource, fields: Mapping[str, Any]) -> bool:
    """Ask for refunds only; the others are never parsed."""
    return fields.get("action") == "refund"


SPEC = ClassifierSpec(
    kind="acme_refund", config=RefundConfig, factory=Refund, reads=("action", "amount"), when=is_refund
)
