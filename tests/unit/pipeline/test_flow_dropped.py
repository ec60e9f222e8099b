"""Records that the masking policy drops: counted, answered, and never an audit event lost with them."""

import json
from collections import Counter
from pathlib import Path

import pytest
from flow_place import Place, inbound, login, record

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.settings import load

ROOT = Path(__file__).resolve().parents[3]
CARD = "4111111111111111"


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    """The stages with a policy that drops cards and keeps addresses."""
    folder = tmp_path_factory.mktemp("dropping")
    policy = folder / "policy.yaml"
    policy.write_text("{version: 5, actions: {payment-card: drop, email: keep}}")
    paths = Paths(folder)
    paths.make()
    return Blueprint(load(ROOT / "config/headrig.yaml", {}, {"masking.policy": str(policy)}), paths)


async def test_a_dropped_record_is_counted_and_told(tmp_path, dropping):
    """The sender hears of it, the balance holds, its neighbours are stored."""
    async with Place(tmp_path, dropping) as place:
        outcome = await place.flow.submit(
            inbound(record(1), record(2, message=f"card {CARD}"), record(3, message="bob.k@example.org"))
        )
        rows = place.rows()

        assert outcome.accepted == 2
        assert [(v.origin, v.kind, v.reason) for v in outcome.verdicts] == [(1, "dropped", "payment-card")]
        assert outcome.receipts == []
        assert len(rows) == 2
        assert any("bob.k@example.org" in line for _, _, line in rows)
        assert place.balanced()
        assert place.wal.counters("shop")["dropped.payment-card"] == 1


async def test_a_dropped_audit_event_leaves_its_leaf(tmp_path, dropping):
    """Its line is not stored; the leaf has it with the finding redacted, and the sender has the receipt."""
    async with Place(tmp_path, dropping) as place:
        outcome = await place.flow.submit(inbound(record(1), login(2, card=CARD)))

        assert [(v.origin, v.kind) for v in outcome.verdicts] == [(1, "dropped")]
        assert [receipt.position for receipt in outcome.receipts] == [1]
        leaf = json.loads(place.audit.entries(0, 1 << 20)[0].leaf)
        assert "[redacted:payment-card]" in leaf["raw"]
        assert CARD not in json.dumps(leaf)
        assert leaf["policy"]["mask"] == dropping.made["mask"].digest
        assert len(place.rows()) == 1
        assert place.balanced()


async def test_what_is_kept_is_counted_apart(tmp_path, dropping):
    """The observer hears of replacements and of what was let stand."""
    async with Place(tmp_path, dropping) as place:
        await place.flow.submit(inbound(record(1, message="bob.k@example.org", password="x")))
        assert place.seen.groups[0][2] == Counter({"credential-field": 1})
        assert place.seen.kept == Counter({"email": 1})
