"""The badge detector."""

from acme_badge import SPEC, Badge, BadgeConfig
from headrig import Span
from headrig.testing import FakeHost, check_detector


def test_keeps_the_detector_contract() -> None:
    """Any text is searched without breaking the contract, and badges are found."""
    check_detector(SPEC, BadgeConfig(), examples=["BADGE-1234-70", "badge-9700-00"])


def test_wrong_check_group_is_no_badge() -> None:
    """Only a number whose check group is right is masked."""
    badge = Badge(BadgeConfig(), FakeHost())

    assert list(badge.find("seen BADGE-1234-71")) == []
    assert list(badge.find("seen BADGE-1234-70")) == [Span(5, 18, "badge")]
