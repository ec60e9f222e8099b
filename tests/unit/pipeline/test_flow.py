"""A request through stages and logs: the real stages, the real logs, one process."""

import asyncio
import hashlib
import json
import os
from collections import Counter

import pytest
from flow_place import Place, inbound, login, record
from headrig import ConflictError, OverloadedError, Resource, RetryableError

from pipeline.archive_format import fragments
from pipeline.buffer import Claim
from pipeline.flow.flow import SLICE

TAKEN = "01982a5b-7c00-7def-8123-456789abcdef"


async def test_a_good_a_bad_and_an_audit_record_each_get_their_verdict(tmp_path, blueprint):
    """Neighbours of a bad line are stored masked; the audit event has its receipt."""
    async with Place(tmp_path, blueprint) as place:
        outcome = await place.flow.submit(
            inbound(record(1, password="hunter2"), b"{broken", login(2), b"[1]")
        )
        rows = place.rows()

        assert outcome.accepted == 2
        assert [(v.origin, v.kind, v.reason) for v in outcome.verdicts] == [
            (1, "rejected", "not_json"),
            (3, "rejected", "not_an_object"),
        ]
        assert [(r.position, r.index, r.tree_size) for r in outcome.receipts] == [(2, 0, 1)]
        assert {labels["service_name"] for labels, _, _ in rows} == {"checkout"}
        assert not any("hunter2" in line for _, _, line in rows)
        leaf = place.audit.entries(0, 1 << 20)[0]
        assert leaf.leaf_hash.hex() == outcome.receipts[0].leaf
        assert json.loads(leaf.leaf)["raw"] in {line for _, _, line in rows}
        assert place.balanced()


async def test_requests_that_wait_share_a_group_and_get_their_own_answers(tmp_path, blueprint):
    """Positions are those of each request, whatever else is in the group."""
    async with Place(tmp_path, blueprint) as place:
        requests = [
            inbound(record(n), b"nope" if n % 2 else record(n + 100), login(n + 200)) for n in range(20)
        ]
        outcomes = await asyncio.gather(*[place.flow.submit(one) for one in requests])

        assert [outcome.accepted for outcome in outcomes] == [3, 2] * 10
        assert all([r.position for r in outcome.receipts] == [2] for outcome in outcomes)
        assert sorted(outcome.receipts[0].index for outcome in outcomes) == list(range(20))
        assert len(place.seen.groups) < 20
        assert len(place.rows()) == 50
        assert place.balanced()


async def test_a_large_request_is_cut_into_slices_and_keeps_positions(tmp_path, blueprint):
    """More than one slice, with bad lines and events in several; with and without a key."""
    records = [login(n) if n % 100 == 7 else b"x" if n % 100 == 9 else record(n) for n in range(3 * SLICE)]
    async with Place(tmp_path, blueprint) as place:
        for key in ("k", None):
            outcome = await place.flow.submit(inbound(*records, key=key))
            assert [r.position for r in outcome.receipts] == list(range(7, 3 * SLICE, 100))
            assert [v.origin for v in outcome.verdicts] == list(range(9, 3 * SLICE, 100))
        assert len(place.rows()) == 2 * sum(one != b"x" for one in records)
        assert place.balanced()


async def test_equal_lines_of_one_time_are_all_kept_apart(tmp_path, blueprint):
    """Loki folds equal (stream, ns, line): no two stored records share all three."""
    async with Place(tmp_path, blueprint) as place:
        same = {"timestamp": "2026-11-24T10:00:00.123Z", "service": "a", "message": "same"}
        exact = {"timestamp": "2026-11-24T10:00:00.123456789Z", "service": "a", "message": "exact"}
        await place.flow.submit(inbound(*[same] * 1000, *[exact] * 500))
        await asyncio.gather(*[place.flow.submit(inbound(same, key=str(n))) for n in range(50)])
        rows = place.rows()

        assert len(rows) == 1550
        assert len({(ns, line) for _, ns, line in rows}) == 1550


async def test_a_retry_gets_the_same_receipts_and_stores_nothing(tmp_path, blueprint):
    """With a key; or without one, when all records bring their time."""
    async with Place(tmp_path, blueprint) as place:
        for request in (inbound(login(1), record(2), key="k"), inbound(login(3), record(4))):
            first = await place.flow.submit(request)
            again = await place.flow.submit(inbound(*map(json.loads, request.lines), key=request.key))
            assert (again.duplicate, again.accepted) == (True, 2)
            assert [(r.index, r.leaf, r.position) for r in again.receipts] == [
                (r.index, r.leaf, r.position) for r in first.receipts
            ]
        assert len(place.rows()) == 4
        assert place.seen.duplicate == 4
        with pytest.raises(ConflictError):
            await place.flow.submit(inbound(record(9), key="k"))
        await place.flow.write_counts()
        assert place.balanced()


async def test_an_event_id_that_is_taken_costs_no_event_its_leaf(tmp_path, blueprint):
    """Same id, same record: the old receipt. Same id, other record: an index of its own, also on a retry."""
    async with Place(tmp_path, blueprint) as place:
        first = await place.flow.submit(inbound(login(1, event_id=TAKEN), key="a"))
        other = await place.flow.submit(inbound(login(2, event_id=TAKEN), record(3), key="b"))
        same = await place.flow.submit(inbound(login(1, event_id=TAKEN), key="c"))
        again = await place.flow.submit(inbound(login(2, event_id=TAKEN), record(3), key="b"))
        anew = await place.flow.submit(inbound(login(2, event_id=TAKEN), key="d"))
        receipts = [outcome.receipts[0] for outcome in (first, other, same, again, anew)]

        assert [r.index for r in receipts] == [0, 1, 0, 1, 1]
        assert [r.conflict for r in receipts] == [False, True, False, True, True]
        assert [r.duplicate for r in receipts] == [False, False, True, True, True]
        leaf = place.audit.entries(1, 1 << 20)[0]
        assert leaf.leaf_hash.hex() == receipts[1].leaf
        assert json.loads(leaf.leaf)["conflict"] == TAKEN
        assert json.loads(leaf.leaf)["raw"] in {line for _, _, line in place.rows()}


async def test_records_without_time_are_never_taken_for_a_retry(tmp_path, blueprint):
    """The same body twice is two events; both are marked with the time of receipt."""
    async with Place(tmp_path, blueprint) as place:
        for _ in range(2):
            outcome = await place.flow.submit(inbound({"service": "a", "message": "m"}))
            assert not outcome.duplicate
        decoded = [
            one for frame in place.frames() for one in fragments.decode(fragments.inflate(frame.payload))
        ]
        marks = [json.loads(bytes(row.metadata))["headrig_time"] for one in decoded for row in one.values]
        assert marks == ["received", "received"]


async def test_a_retry_after_a_restart_is_known_from_the_log(tmp_path, blueprint):
    """The ids are in the frames; the table is made anew."""
    request = inbound(login(1), key="k")
    async with Place(tmp_path, blueprint) as place:
        first = await place.flow.submit(request)
    async with Place(tmp_path, blueprint) as place:
        again = await place.flow.submit(inbound(login(1), key="k"))
        assert again.duplicate
        assert [r.index for r in again.receipts] == [r.index for r in first.receipts]
        assert len(place.rows()) == 1
        assert place.balanced()


async def test_nothing_is_stored_while_the_audit_log_is_away_and_the_retry_succeeds(tmp_path, blueprint):
    """The claim is free again; the counts do not move."""
    async with Place(tmp_path, blueprint) as place:
        place.door.away = True
        with pytest.raises(RetryableError):
            await place.flow.submit(inbound(login(1), key="k"))
        assert place.rows() == []
        place.door.away = False
        outcome = await place.flow.submit(inbound(login(1), key="k"))
        assert (outcome.accepted, outcome.duplicate) == (1, False)
        assert place.balanced()


async def test_a_full_buffer_refuses_before_the_audit_log_has_anything(tmp_path, blueprint):
    """503 means that nothing was stored, in either log."""
    async with Place(tmp_path, blueprint, max_bytes=4096) as place:
        with pytest.raises(OverloadedError):
            await place.flow.submit(
                inbound(*[login(n, pad=os.urandom(50).hex()) for n in range(100)], key="k")
            )
        assert place.audit.committed.size == 0
        assert place.rows() == []
        assert place.ids.claim(hashlib.sha256(b"key\0shop\0k").digest()[:16], 1, 0) is Claim.CLAIMED


async def test_an_unscannable_record_leaves_a_leaf_and_its_neighbours_pass(tmp_path, blueprint):
    """Quarantine has metadata only; the record is counted; hiding by depth does not work."""
    deep = b'{"service":"a","x":"\\u0041","d":' + b"[" * 63 + b"1" + b"]" * 63 + b"}"
    deeper = json.dumps({"service": "a", "n": {"x": "\\" * 8 + '"' * 4}}).encode()
    async with Place(tmp_path, blueprint) as place:
        mask = place.blueprint.made["mask"]
        limit, mask._engine._max_depth = mask._engine._max_depth, 10
        try:
            outcome = await place.flow.submit(inbound(record(1), deep, deeper, key="k"))
        finally:
            mask._engine._max_depth = limit
        leaf = json.loads(place.audit.entries(0, 1 << 20)[0].leaf)

        assert [(v.origin, v.kind, v.reason) for v in outcome.verdicts] == [(1, "quarantined", "unscanned")]
        assert outcome.accepted == 2
        assert "raw" not in leaf
        assert leaf["tenant"] == "shop"
        (item,) = place.quarantine.items().values()
        assert (item.kind, item.size) == ("unscanned", len(deep))
        assert place.balanced()


async def test_tenants_never_share_a_frame(tmp_path, blueprint):
    """Groups are of one credential, frames of one tenant."""
    async with Place(tmp_path, blueprint) as place:
        requests = [inbound(record(n), resource=Resource(f"t{n % 3}")) for n in range(30)]
        await asyncio.gather(*[place.flow.submit(one) for one in requests])

        assert Counter(frame.tenant for frame in place.frames() for _ in range(frame.records)) == {
            "t0": 10,
            "t1": 10,
            "t2": 10,
        }
        assert all(place.balanced(f"t{n}") for n in range(3))
