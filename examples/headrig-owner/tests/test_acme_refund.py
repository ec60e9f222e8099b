"""The refund classifier."""

from acme_refund import SPEC, Refund, RefundConfig, is_refund
from headrig.testing import FakeHost, check_classifier, make_record


def test_keeps_the_classifier_contract() -> None:
    """Any record is judged without breaking the contract."""
    check_classifier(
        SPEC, RefundConfig(), examples=[{"action": "refund", "amount": 250, "user": "alice", "order": "o-1"}]
    )


def test_large_refund_is_an_event() -> None:
    """From the limit on, a refund is an audit event that names user and order."""
    refund = Refund(RefundConfig(limit=100), FakeHost())

    verdict = refund.classify(
        make_record({"action": "refund", "amount": 100, "user": "alice", "order": "o-1"})
    )

    assert verdict is not None
    assert (verdict.actor, verdict.target, verdict.action) == ("alice", "o-1", "refund")
    assert refund.classify(make_record({"action": "refund", "amount": 99})) is None


def test_only_refunds_are_parsed() -> None:
    """Records without the action are not wanted."""
    resource = make_record().resource

    assert is_refund(resource, {"action": "refund"})
    assert not is_refund(resource, {})
