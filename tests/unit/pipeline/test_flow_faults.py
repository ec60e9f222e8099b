"""What the flow does when something has no room, no usable time, no usable form, or came before."""

import asyncio
import hashlib
import hmac
import json
import os
from collections import Counter

import pytest
from flow_place import SHOP, Place, inbound, login, record
from headrig import DecodeError, OverloadedError, Resource, RetryableError, Verdict

from pipeline.buffer import Claim
from pipeline.flow.flow import QUIET_SECONDS, SLICE, WIDE
from pipeline.flow.inbound import Held, Inbound
from pipeline.flow.timestamps import MAX_NS

DEEP = b'{"event":"user.login","user":"alice","outcome":"success","x":' + b"[" * 64 + b"]" * 64 + b"}"


def noisy(number, count, **fields):
    """A large request that does not compress, with audit events."""
    lines = [login(n, pad=os.urandom(150).hex(), request=number, **fields) for n in range(count)]
    return inbound(*lines, DEEP, key=f"k{number}")


async def test_requests_that_do_not_fit_together_leave_nothing_of_those_refused(tmp_path, blueprint):
    """Room is set aside before the first leaf: no leaf, no quarantine, no count of a request that got 503."""
    async with Place(tmp_path, blueprint, max_bytes=250_000) as place:
        answers = await asyncio.gather(
            *[place.flow.submit(noisy(n, SLICE + 50)) for n in range(6)], return_exceptions=True
        )
        good = [answer for answer in answers if not isinstance(answer, Exception)]
        assert 0 < len(good) < 6
        assert all(isinstance(answer, OverloadedError) for answer in answers if answer not in good)
        assert len(place.leaves()) == sum(len(answer.receipts) for answer in good)
        assert len(place.held()) == len(good)
        assert len(place.rows()) == sum(answer.accepted for answer in good)
        await place.flow.write_counts()
        assert place.balanced()
        assert place.wal.counters("shop")["received"] == len(good) * (SLICE + 51)


@pytest.mark.parametrize(
    "stamp", [(1 << 63) - 1, MAX_NS + 1, (1 << 63) // 1000, "2262-04-11T23:47:16.854775Z"]
)
@pytest.mark.parametrize("count", [2, 300])
async def test_a_time_that_has_no_room_for_more_digits_is_unusable(tmp_path, blueprint, stamp, count):
    """It gets the time of receipt; nothing overflows, and the neighbours are stored."""
    async with Place(tmp_path, blueprint) as place:
        outcome = await place.flow.submit(inbound(*[{"ts": stamp, "n": 1}] * count, record(1)))
        assert outcome.accepted == count + 1
        assert all(int(ns) < MAX_NS for _, ns, _ in place.rows())
        assert place.balanced()


async def test_the_last_usable_times_are_kept_and_fit(tmp_path, blueprint):
    """Many equal ones are moved apart, and still fit into 63 bits."""
    async with Place(tmp_path, blueprint) as place:
        for stamp in (MAX_NS, MAX_NS // 1000, "2262-04-11T23:47:06Z"):
            outcome = await place.flow.submit(inbound(*[{"ts": stamp}] * 600))
            assert outcome.accepted == 600
        assert len({ns for _, ns, _ in place.rows()}) == 1800
        assert all(MAX_NS - 2 * 10**9 < int(ns) < 1 << 63 for _, ns, _ in place.rows())


async def test_a_group_that_the_log_does_not_take_is_not_counted(tmp_path, blueprint):
    """Whatever the reason: the books balance, and the counts can be written."""
    async with Place(tmp_path, blueprint) as place:
        tenant = "t" * 1100  # longer than a frame allows
        for count in (1, 3):
            with pytest.raises(ValueError, match="1,024"):
                await place.flow.submit(inbound(*map(record, range(count)), resource=Resource(tenant)))
        await place.flow.write_counts()
        assert place.wal.counters(tenant) == {}
        assert (await place.flow.submit(inbound(record(1)))).accepted == 1
        assert place.balanced()


@pytest.mark.parametrize("count", [1, SLICE + 10])
@pytest.mark.parametrize("key", ["k", None])
async def test_a_record_that_is_too_deep_is_held_and_leaves_a_leaf(tmp_path, blueprint, count, key):
    """Depth does not hide an event: size and digest are kept, by any way through the flow."""
    async with Place(tmp_path, blueprint) as place:
        outcome = await place.flow.submit(inbound(*map(record, range(count)), DEEP, key=key))
        digest = hmac.digest(blueprint.host.key, DEEP, "sha256").hex()

        assert outcome.accepted == count
        assert [(v.origin, v.kind, v.reason) for v in outcome.verdicts] == [(count, "quarantined", "depth")]
        assert place.held() == [("depth", len(DEEP), digest)]
        (leaf,) = place.leaves()
        assert leaf["unscanned"] == {"hmac": digest, "reason": "depth", "size": len(DEEP)}
        assert [r.position for r in outcome.receipts] == [count]
        assert place.wal.counters("shop")["quarantined.depth"] == 1
        assert place.balanced()


def push(*lines, limit=100):
    """A request as a Loki route makes it: what is longer than the limit is held."""
    rest = [(position, line) for position, line in enumerate(lines) if len(line) <= limit]
    held = [
        Held(Verdict(n, "quarantined", "line_bytes", "", len(line)), line, 10**18)
        for n, line in enumerate(lines)
        if len(line) > limit
    ]
    return Inbound(
        SHOP,
        [line for _, line in rest],
        hashlib.sha256(b"\n".join(lines)).digest(),
        text_ok=True,
        times=[10**18] * len(rest),
        rejected=[one.verdict for one in held],
        held=held,
        positions=[position for position, _ in rest],
    )


@pytest.mark.parametrize("others", [[], [b"a", b"b"], [b"x%d" % n for n in range(600)]])
async def test_a_line_that_the_receiver_held_leaves_a_leaf(tmp_path, blueprint, others):
    """With neighbours, without any, and beside a large request; a retry makes no second leaf."""
    async with Place(tmp_path, blueprint) as place:
        long = b"y" * 200
        for _ in range(2):
            outcome = await place.flow.submit(push(long, *others))
            assert [(v.origin, v.kind, v.reason) for v in outcome.verdicts] == [
                (0, "quarantined", "line_bytes")
            ]
            assert outcome.accepted == len(others)
            (leaf,) = place.leaves()
            assert leaf["unscanned"]["reason"] == "line_bytes"
            assert place.held()[0] == ("line_bytes", 200, leaf["unscanned"]["hmac"])
        assert len(place.rows()) == len(others)
        await place.flow.write_counts()
        assert place.balanced()


@pytest.mark.parametrize("count", [3, SLICE + 10])
async def test_a_duplicate_is_told_of_the_lines_that_have_no_form(tmp_path, blueprint, count):
    """Small or large: a retry hears of what was rejected, and nothing is stored or held again."""
    async with Place(tmp_path, blueprint) as place:
        request = [*map(record, range(count)), b"garbage", b"[]", DEEP]
        first, again = [await place.flow.submit(inbound(*request, key="k")) for _ in range(2)]

        assert (first.duplicate, again.duplicate) == (False, True)
        assert first.accepted == again.accepted == count
        assert [(v.origin, v.kind, v.reason) for v in again.verdicts] == [
            (v.origin, v.kind, v.reason) for v in first.verdicts
        ]
        assert [r.index for r in again.receipts] == [r.index for r in first.receipts]
        assert (len(place.leaves()), len(place.held())) == (1, 1)
        await place.flow.write_counts()
        assert place.balanced()


async def test_a_duplicate_beside_an_audit_log_that_stopped_is_told_to_come_again(tmp_path, blueprint):
    """Nothing of this worker is in doubt: it goes on."""
    async with Place(tmp_path, blueprint) as place:
        await place.flow.submit(inbound(record(1), key="k"))
        place.door.broken = True
        with pytest.raises(RetryableError):
            await place.flow.submit(inbound(record(1), key="k"))
        place.door.broken = False
        assert (await place.flow.submit(inbound(record(1), key="k"))).duplicate


async def test_the_first_usable_time_field_counts(tmp_path, blueprint):
    """A word in one field does not hide the time in another."""
    async with Place(tmp_path, blueprint) as place:
        await place.flow.submit(
            inbound(
                {"timestamp": "yesterday", "ts": 1795622400123},
                {"timestamp": {"a": 1}, "time": "?", "t": "2026-11-25T16:00:01.000000Z"},
                record(5),
            )
        )
        found = sorted(int(ns) // 10**6 for _, ns, _ in place.rows())
        assert found == [1795514400000, 1795622400123, 1795622401000]


async def test_counts_that_find_no_room_are_written_later(tmp_path, blueprint):
    """A full buffer forgets no count, also when the flow ends meanwhile."""
    async with Place(tmp_path, blueprint) as place:
        await place.flow.submit(inbound(record(1)))
        await place.flow.submit(inbound(b"garbage"))
        most, place.wal._space.max_bytes = place.wal._space.max_bytes, 0
        with pytest.raises(OverloadedError):
            await place.flow.write_counts()
        await place.flow.stop()
        assert "rejected.not_json" not in place.wal.counters("shop")
        place.wal._space.max_bytes = most
        await place.flow.write_counts()
        assert place.wal.counters("shop")["rejected.not_json"] == 1
        assert place.balanced()


def claimed(place, number, worker):
    """Claim the id of a key for a worker."""
    bid = hashlib.sha256(b"key\0shop\0k%d" % number).digest()[:16]
    request = inbound(record(number), key=f"k{number}")
    body = int.from_bytes(request.digest[:4], "little")
    return bid, body, place.ids.claim(bid, body, worker)


async def test_a_failed_group_frees_its_own_claims_only(tmp_path, blueprint):
    """Those of another worker stay, and one without a slot does not fail the others."""
    async with Place(tmp_path, blueprint, slots=32) as place:
        theirs = [claimed(place, number, 1)[:2] for number in range(31)]
        answers = await asyncio.gather(
            *[place.flow.submit(inbound(record(n), key=f"k{n}")) for n in (30, 31, 32, 33)],
            return_exceptions=True,
        )
        kinds = Counter(type(answer).__name__ for answer in answers)
        assert kinds == {"RetryableError": 1, "OverloadedError": 2, "Outcome": 1}
        place.door.broken = True
        with pytest.raises(DecodeError):
            await place.flow.submit(inbound(login(40), key="k31x"))
        assert all(place.ids.claim(bid, body, 0) is Claim.IN_FLIGHT for bid, body in theirs)


async def test_a_claim_that_fails_in_the_middle_leaves_other_workers_alone(tmp_path, blueprint):
    """A group fails as a whole: of its ids only those that it claimed are free again."""
    async with Place(tmp_path, blueprint) as place:
        bid, body, _ = claimed(place, 1, 1)
        place.door.broken = True
        answers = await asyncio.gather(
            *[place.flow.submit(one) for one in (inbound(record(1), key="k1"), inbound(login(2), key="k2"))],
            return_exceptions=True,
        )
        assert [type(answer).__name__ for answer in answers] == ["RetryableError", "DecodeError"]
        assert place.ids.claim(bid, body, 0) is Claim.IN_FLIGHT
        place.door.broken = False
        assert (await place.flow.submit(inbound(login(2), key="k2"))).accepted == 1
        assert json.loads(place.rows()[0][2])["n"] == 2


async def test_slices_are_wide_only_while_nobody_waits_for_a_turn(tmp_path, blueprint):
    """A small request keeps them small for a while; several large ones share the time of a turn."""
    async with Place(tmp_path, blueprint) as place:
        flow = place.flow
        assert flow._width() == WIDE
        flow._large_ones = 4
        assert flow._width() == WIDE // 2
        flow._large_ones = 100
        assert flow._width() == SLICE
        flow._large_ones = 0
        await flow.submit(inbound(record(1)))
        assert flow._width() == SLICE
        flow._small_at -= QUIET_SECONDS
        assert flow._width() == WIDE


async def test_a_request_of_several_wide_slices_keeps_positions(tmp_path, blueprint):
    """Verdicts and receipts point at the right records, as with small slices."""
    count = 2 * WIDE + 7
    records = [login(n) if n % 500 == 7 else b"x" if n % 500 == 9 else record(n) for n in range(count)]
    async with Place(tmp_path, blueprint) as place:
        outcome = await place.flow.submit(inbound(*records, key="k"))
        assert [r.position for r in outcome.receipts] == list(range(7, count - 1, 500))
        assert [v.origin for v in outcome.verdicts] == list(range(9, count, 500))
        assert len(place.rows()) == outcome.accepted == count - len(outcome.verdicts)
        assert place.balanced()
