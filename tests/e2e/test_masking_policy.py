"""A masking policy in the whole program: what is delivered, and who may ask for a pseudonym."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running import Headrig, HttpAnswer, bearer, http

from pipeline.audit.segments import read_log

WRITER, READER, ADMIN = "t-writer-1", "t-reader-1", "t-admin-1"
MAIL, CARD = "bob.k@example.org", "4111111111111111"
POLICY = """
version: 12
actions: {email: pseudonym, payment-card: drop, us-ssn: remove}
tenants: {other: {actions: {email: keep}}}
"""


@pytest.fixture(scope="module")
def headrig(programs: Callable[..., Headrig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headrig]:
    """A program with a policy and two keys."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "policy.yaml").write_text(POLICY)
    for name in ("k1", "k2"):
        (folder / name).write_text(f"{name}-" + "s3cr3t" * 6)
    started = programs(
        {
            "masking": {"policy": str(folder / "policy.yaml")},
            "pseudonyms": {"keys": [{"id": name, "key": f"file:{folder / name}"} for name in ("k2", "k1")]},
        },
        tokens={
            WRITER: {"tenant": "shop", "scopes": ["write"]},
            READER: {"tenant": "shop", "scopes": ["read", "audit"]},
            ADMIN: {"tenant": "ops", "scopes": ["admin"]},
        },
    ).start()
    yield started
    assert started.metric("headrig_conservation_imbalance_records") == 0
    assert MAIL not in started.log()
    assert "s3cr3t" not in started.log()


def ask(headrig: Headrig, body: Any, token: str = ADMIN) -> HttpAnswer:
    """Ask for a pseudonym."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http(headrig.url + "/admin/pseudonym", data, bearer(token))


def test_records_are_found_by_the_pseudonym_of_a_value(headrig: Headrig) -> None:
    """What the desk answers is what stands in the store; marks are structured metadata; the use is a leaf."""
    lines = [
        {"service": "policy", "message": f"mail to {MAIL}", "ssn_of": "219-09-9998"},
        {"service": "policy", "message": "clean"},
        {"service": "policy", "message": f"card {CARD}"},
    ]
    answer = headrig.post("\n".join(map(json.dumps, lines)).encode())
    assert answer.json()["accepted"] == 2
    assert answer.json()["dropped"] == [{"index": 2, "reason": "payment-card", "detail": "masking policy"}]
    assert headrig.metric("headrig_records_dropped_total", rule="payment-card") == 1

    asked = ask(headrig, {"tenant": "shop", "detector": "email", "value": MAIL})
    assert asked.status == 200
    document = asked.json()
    token = document["pseudonym"]
    assert [each["key"] for each in document["pseudonyms"]] == ["k2", "k1"]
    assert token.startswith("[email:k2:")
    assert MAIL not in asked.body.decode()

    headrig.credential, before = bearer(READER), headrig.credential
    found = headrig.entries('{service_name="policy"}', 0, time.time_ns() + 10**9)
    masked = headrig.entries(
        '{service_name="policy"}', 0, time.time_ns() + 10**9, filters='| masked=~".*email.*"'
    )
    headrig.credential = before
    assert [json.loads(entry.line)["message"] for entry in masked] == [f"mail to {token}"]
    by_message = {json.loads(entry.line)["message"]: entry for entry in found}
    assert set(by_message) == {f"mail to {token}", "clean"}
    marked = by_message[f"mail to {token}"]
    assert "ssn_of" not in json.loads(marked.line)
    assert marked.metadata["masked"] == "email:1,us-ssn:1"
    assert marked.metadata["masking_policy"] == "12"
    assert "masked" not in by_message["clean"].metadata

    leaf = next(
        entry.leaf
        for entry in read_log(headrig.data / "audit")
        if entry.index == document["receipt"]["index"]
    )
    event = json.loads(leaf)
    assert event["action"] == "look_up_pseudonym"
    assert event["tenant"] == "ops"
    assert event["actor"] == "tenant:ops"
    assert event["target"] == token
    assert json.loads(event["raw"])["detector"] == "email"
    assert MAIL.encode() not in leaf


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        ({"detector": "email", "value": MAIL}, WRITER, 403),
        ({"detector": "email", "value": MAIL}, READER, 403),
        ({"detector": "email", "value": MAIL}, "nobody", 401),
        ({"detector": "emial", "value": MAIL}, ADMIN, 422),
        ({"detector": "email"}, ADMIN, 422),
        ({"detector": "email", "value": MAIL, "more": 1}, ADMIN, 422),
        ({"detector": "email", "value": 4111111111111111}, ADMIN, 422),
        ({"detector": "email", "value": ""}, ADMIN, 422),
        ({"tenant": "x" * 101, "detector": "email", "value": MAIL}, ADMIN, 422),
        ([MAIL], ADMIN, 422),
        (b'{"value":"bob.k@example.org', ADMIN, 400),
        (b'{"value":"\xff"}', ADMIN, 400),
        (b"x" * 70_000, ADMIN, 413),
    ],
)
def test_who_may_not_ask_and_what_is_no_question(
    headrig: Headrig, body: Any, token: str, status: int
) -> None:
    """Every refusal is a problem document that quotes nothing, and leaves no leaf of a use."""
    before = sum(b"look_up_pseudonym" in entry.leaf for entry in read_log(headrig.data / "audit"))
    answer = ask(headrig, body, token)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    for part in (MAIL, "bob", "emial", "4111", "xxx"):
        assert part not in answer.body.decode()
    assert sum(b"look_up_pseudonym" in entry.leaf for entry in read_log(headrig.data / "audit")) == before


def test_the_route_is_described(headrig: Headrig) -> None:
    """It is in the API description and takes no other method."""
    assert "/admin/pseudonym" in headrig.get("/openapi.json").json()["paths"]
    assert headrig.get("/admin/pseudonym").status == 405
