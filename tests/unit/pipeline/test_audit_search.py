"""Finding entries in the log: every filter against a plain loop over all of them."""

import asyncio

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.audit.entry import Entry
from pipeline.audit.note import Signer
from pipeline.audit.search import Question, find_id, search
from pipeline.audit.segments import list_segments, read_log
from pipeline.audit.server import open_log

SIGNER = Signer("audit.example.com/search", bytes(32))
COUNT = 60


def event(number):
    return {
        "action": ("login", "export", "delete")[number % 3],
        "actor": f"user {number % 5}",
        "id": f'e"{number}',
        "outcome": ("success", "failure")[number % 2],
        "raw": '{"actor":"user 4","id":"e-1"}',
        "tenant": f"t{number % 4}",
    }


async def fill(directory):
    log, _ = open_log(directory, SIGNER, segment_bytes=2_000)
    for start in range(0, COUNT, 4):
        leaves = [orjson.dumps(event(n), option=orjson.OPT_SORT_KEYS) for n in range(start, start + 4)]
        entries = [
            Entry(b"b" * 16, n, (start + n).to_bytes(16), b"m" * 16, leaf) for n, leaf in enumerate(leaves)
        ]
        await log.append(entries)
    await log.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Sixty entries of four tenants in several segments, and how they read back."""
    directory = tmp_path_factory.mktemp("search") / "log"
    asyncio.run(fill(directory))
    assert len(list_segments(directory)) > 3
    return directory, list(read_log(directory))


VALUES = {
    "action": ["login", "export", "none"],
    "actor": ["user 4", "user 0"],
    "outcome": ["success", "failure"],
    "id": ['e"7', "e-1"],
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.none() | st.sampled_from(["t0", "t3", "t9"]),
    st.sets(st.sampled_from(sorted(VALUES)), max_size=2),
    st.integers(0, COUNT),
    st.integers(0, COUNT),
    st.integers(0, COUNT),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_a_search_is_the_plain_loop(log, tenant, names, start, end, first, limit, chance):
    """All pages together hold each entry that is asked for once, in order."""
    directory, entries = log
    fields = {name: chance.choice(VALUES[name]) for name in names}
    times = [entry.ts_ns for entry in entries]
    start_ns = times[start] if start < COUNT else times[-1] + 1
    end_ns = times[end] if 0 < end < COUNT else 0
    wanted = [
        entry.index
        for entry in entries
        if entry.index >= first
        and entry.ts_ns >= start_ns
        and (not end_ns or entry.ts_ns < end_ns)
        and (tenant is None or orjson.loads(entry.leaf)["tenant"] == tenant)
        and all(orjson.loads(entry.leaf)[name] == value for name, value in fields.items())
    ]
    found, following = [], first
    while following is not None:
        page = search(directory, Question(tenant, fields, start_ns, end_ns, following, limit))
        assert len(page.found) <= limit
        found += page.found
        assert page.following is None or page.following > following
        following = page.following
    assert [each.index for each in found] == wanted
    assert all(each.leaf_hash == entries[each.index].leaf_hash for each in found)


@pytest.mark.parametrize("number", [0, 3, 59])
def test_an_id_is_found_for_its_tenant_only(log, number):
    """An id in a line is none, nor is that of another tenant."""
    directory, entries = log
    found = find_id(directory, f"t{number % 4}", f'e"{number}')
    assert (found.index, found.leaf) == (number, entries[number].leaf)
    assert find_id(directory, f"t{(number + 1) % 4}", f'e"{number}') is None
    assert find_id(directory, f"t{number % 4}", "e-1") is None
