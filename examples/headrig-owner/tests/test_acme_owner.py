"""The owner processor."""

import pytest
from acme_owner import SPEC, Owner, OwnerConfig
from headrig.testing import FakeHost, check_processor, make_record

CONFIG = OwnerConfig(owners={"checkout": "payments"})


def test_keeps_the_processor_contract() -> None:
    """Any record goes through without breaking the contract."""
    check_processor(SPEC, CONFIG)


@pytest.mark.parametrize(
    ("owners", "expected"),
    [({"checkout": "payments"}, "payments"), ({}, "unowned")],
    ids=["known service", "unknown service"],
)
def test_names_the_owner(owners: dict[str, str], expected: str) -> None:
    """The owner comes from the table, or is the fallback."""
    owner = Owner(OwnerConfig(owners=owners), FakeHost())

    record = owner.process(make_record("paid"))

    assert record.attributes == {"owner": expected}


@pytest.mark.parametrize(
    ("service", "expected"), [("checkout", "payments"), ("cart", "catalog team"), (7, "catalog team")]
)
def test_a_service_named_by_the_line_is_known_too(service: object, expected: str) -> None:
    """Without a service in the credential the line's own counts; what the catalog said is not overwritten by a guess."""
    owner = Owner(CONFIG, FakeHost())
    record = make_record({"message": "paid", "service": service}, service=None)
    record.attributes["owner"] = "catalog team"

    assert owner.process(record).attributes == {"owner": expected}
