"""What makes two requests one: the tenant's key, or the same body with its times from the same sender."""

import hashlib

from headrig import Resource

from pipeline.flow.inbound import Inbound
from pipeline.flow.request import Request

BODY = hashlib.sha256(b'{"ts":"2026-11-25T16:00:00Z","m":"tick"}').digest()


def bid(*resource, key=None, digest=BODY, own_time=True):
    """Batch id of a request from a credential."""
    request = Request(Inbound(Resource(*resource), [], digest, key=key), None)
    request.identify(own_time=own_time)
    return request.bid


def test_the_same_line_of_two_services_of_a_tenant_is_two_records():
    """A heartbeat of the same second is no retry when another credential sent it."""
    senders = [
        ("t",),
        ("t", "a"),
        ("t", "b"),
        ("t", "a", "prod"),
        ("t", None, "a"),
        ("t", "a', 'prod"),
        ("u", "a"),
    ]

    assert len({bid(*sender) for sender in senders}) == len(senders)
    assert bid("t", "a", "prod") == bid("t", "a", "prod")
    assert bid("t", "a") != bid("t", "a", digest=hashlib.sha256(b"other").digest())


def test_a_key_is_the_tenants():
    """Whichever service of the tenant brings it, and whatever body: the body is checked apart."""
    assert bid("t", "a", key="k") == bid("t", "b", key="k", digest=b"1234", own_time=False)
    assert bid("t", "a", key="k") != bid("u", "a", key="k")
    assert bid("t", "a", key="k") != bid("t", "a", key="l")


def test_without_key_and_times_there_is_no_identity():
    """Nobody can tell such a retry from new data."""
    assert bid("t", own_time=False) is None
