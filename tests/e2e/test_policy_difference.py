"""``headrig mask --policy --against``: what a policy would change, by detector, before it is in force."""

import orjson
import pytest
from running import cli

LINES = [
    b'{"m":"from bob@example.org and eve@example.org"}',
    b'{"m":"card 4111 1111 1111 1111"}',
    b'{"m":"nothing"}',
    b"plain ghp_x9Qkx9Qkx9Qkx9Qkx9Qkx9Qkx9Qkx9Qkx9Qk text",
]


@pytest.fixture
def policies(tmp_path):
    (tmp_path / "old.yaml").write_text("version: 1\n")
    (tmp_path / "new.yaml").write_text(
        "version: 2\nactions: {email: keep, payment-card: partial}\ntenants: {acme: {actions: {email: redact, payment: drop}}}\n"
    )
    return tmp_path / "new.yaml", tmp_path / "old.yaml"


def difference(new, old, *more):
    done = cli("mask", "--policy", new, "--against", old, "--json", *more, stdin=b"\n".join(LINES) + b"\n")
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


def test_each_detector_is_told_with_its_counts(policies):
    """Two lines differ: one keeps its addresses, one shows the end of a card; the others do not."""
    found = difference(*policies)
    assert (found["lines"], found["differ"]) == (4, 2)
    assert {row["detector"]: (row["before"], row["after"], row["lines"]) for row in found["changes"]} == {
        "email": (2, 0, 1),
        "payment-card": (1, 1, 1),
    }


def test_a_tenant_has_its_own_difference(policies):
    """Of another tenant the addresses stay masked and the record with the card goes."""
    found = difference(*policies, "--tenant", "acme")
    assert found["differ"] == 1
    assert [row["detector"] for row in found["changes"]] == ["payment-card"]


def test_the_table_shows_no_content_and_equal_policies_do_not_differ(policies):
    """For people; and the same policy twice."""
    new, old = policies
    done = cli("mask", "--policy", new, "--against", old, stdin=b"\n".join(LINES))
    assert b"2 of 4 lines differ" in done.stdout
    assert b"example.org" not in done.stdout
    assert difference(old, old) == {"lines": 4, "differ": 0, "changes": []}


def test_a_policy_is_used_for_filtering(policies):
    """Without --against the lines come, masked by that policy."""
    done = cli("mask", "--policy", policies[0], stdin=b"to bob@example.org\n")
    assert done.stdout == b"to bob@example.org\n"
    assert cli("mask", stdin=b"to bob@example.org\n").stdout == b"to [redacted:email]\n"
