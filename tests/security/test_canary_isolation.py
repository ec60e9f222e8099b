"""P4: on every dialect bad records are named, and their good neighbours are stored and found, masked."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from canary import MAIL, Search, report
from canary_traffic import LOGS, PUSH, PUSH_V0, key
from running import Headrig, wait_until
from senders import snappy_push

SMALL = {
    "idempotency": {"slots": 1024},
    "sinks": {"archive": {"linger": "200ms"}},
    "limits": {"line": "64KiB"},
    "drain": "2s",
}


@pytest.fixture(scope="module")
def headrig(tmp_path_factory):
    """A headrig with the embedded store."""
    made = Headrig(tmp_path_factory.mktemp("isolation"), SMALL, workers=1)
    try:
        yield made.start()
    finally:
        made.kill()


def line(mark: str) -> str:
    """Return a good record with a secret."""
    return json.dumps({"service": "isolation", "mark": mark, "message": f"{key()} of {MAIL}"})


def found(headrig: Headrig, mark: str) -> list[str]:
    """Return the stored lines with this mark."""
    query = quote(f'{{service_name=~".+"}} |= "{mark}"')
    answer = headrig.get(f"/loki/api/v1/query_range?limit=1000&query={query}&since=24h")
    assert answer.status == 200, answer.body
    return [value[1] for stream in answer.json()["data"]["result"] for value in stream["values"]]


BROKEN = {
    "cut": '{"message":"' + key(),
    "a bare word": f'{{"message": {key()} }}',
    "no object": f'"{key()}"',
    "too deep": '{"a":' * 70 + f'"{key()}"' + "}" * 70,
    "too long": '{"message":"' + "x" * 70_000 + key() + '"}',
}

KIND = {"too deep": "quarantined"}
"""What becomes of it, if it is not rejected: a record that is too deep to scan leaves a leaf."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_of_ndjson_is_refused_alone(headrig, name):
    """The answer names the place of the broken line; the lines before and after are stored."""
    mark = f"ndjson {name}"
    answer = headrig.post("\n".join([line(mark), BROKEN[name], line(mark)]).encode())
    said = answer.json()
    assert (answer.status, said["accepted"]) == (200, 2)
    assert [one["index"] for one in said[KIND.get(name, "rejected")]] == [1]
    assert_masked(headrig, mark, 2)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "cut"])
def test_a_broken_element_of_an_array_is_refused_alone(headrig, name):
    """As long as quotes and brackets match, an array's elements are judged one by one."""
    mark = f"array {name}"
    answer = headrig.post(f"[{line(mark)},\n{BROKEN[name]} , {line(mark)}]".encode(), LOGS)
    said = answer.json()
    assert (answer.status, said["accepted"]) == (200, 2)
    assert [one["index"] for one in said[KIND.get(name, "rejected")]] == [1]
    assert_masked(headrig, mark, 2)


def test_a_line_that_is_not_utf8_is_rejected_alone(headrig):
    """In NDJSON; its neighbours are stored."""
    mark = "not utf8"
    body = b"\n".join([line(mark).encode(), b'{"m":"\xff' + key().encode() + b'"}', line(mark).encode()])
    said = headrig.post(body).json()
    assert (said["accepted"], [one["reason"] for one in said["rejected"]]) == (2, ["not_utf8"])
    assert_masked(headrig, mark, 2)


@pytest.mark.parametrize("path", [PUSH, PUSH_V0])
def test_broken_entries_of_a_json_push_are_rejected_alone(headrig, path):
    """Wrong shapes, wrong times and lines that are too long, in v1 and v0 form, beside good entries."""
    mark = f"push {path}"
    now = time.time_ns()
    values = [
        [str(now), line(mark)],
        [str(now)],
        [str(now), 7],
        key(),
        [str(now), "x" * 70_000 + key()],
        [str(now + 1), line(mark)],
        [key(), line(mark)],
        [str(now), '{"a":' * 70 + f'"{key()}"' + "}" * 70],
    ]
    entries = [{"ts": key(), "line": line(mark)}, {"ts": 1}, {"line": 7}, key()]
    streams = [
        {"stream": {"app": "a"}, "values": values},
        {"labels": '{app="b"}', "entries": entries},
        {"stream": {"app": "c"}, "values": key()},
        key(),
    ]
    answer = headrig.post(json.dumps({"streams": streams}).encode(), path)
    assert answer.status == 204
    assert int(answer.headers["X-Headrig-Rejected"]) == 8
    assert int(answer.headers["X-Headrig-Quarantined"]) == 2
    assert_masked(headrig, mark, 4)


def test_broken_entries_of_a_protobuf_push_are_rejected_alone(headrig):
    """A line that is too long, one too deep, and odd labels beside good entries."""
    mark = "wire"
    now = time.time_ns()
    rows = [
        (now, line(mark), {}),
        (now, "x" * 70_000 + key(), {}),
        (now, '{"a":' * 70 + f'"{key()}"' + "}" * 70, {}),
        (now + 1, line(mark), {"x": key()}),
    ]
    body = snappy_push([({"app": "w"}, rows), ({key(): key()}, [(now, line(mark), {})])])
    answer = headrig.post(body, PUSH, Content_Type="application/x-protobuf")
    assert answer.status == 204
    assert int(answer.headers["X-Headrig-Quarantined"]) == 2
    assert_masked(headrig, mark, 3)


def test_a_line_that_masking_refuses_is_quarantined_alone(headrig):
    """JSON in a string that nests too deep passes the receiver and is refused by masking."""
    mark = "nested"
    deep = json.dumps({"service": "isolation", "body": '{"a":' * 70 + f'"\\"{key()}"' + "}" * 70})
    said = headrig.post("\n".join([line(mark), deep, line(mark)]).encode()).json()
    assert (said["accepted"], [one["index"] for one in said["quarantined"]]) == (2, [1])
    assert len(said["receipts"]) == 1
    assert_masked(headrig, mark, 2)


def assert_masked(headrig: Headrig, mark: str, number: int) -> None:
    """So many good records are there at once, all masked."""
    lines = found(headrig, mark)
    assert len(lines) == number
    assert all(text.count("[redacted:") == 2 for text in lines)


def test_nothing_of_it_is_found_in_the_clear(headrig):
    """After all of the above, in files and own log; and the balance holds."""
    wait_until(lambda: _settled(headrig), 20, "the balance")
    findings = list(Search().in_tree(headrig.directory))
    assert not findings, report(findings)


def _settled(headrig: Headrig) -> bool:
    samples = headrig.metrics()
    names = ("headrig_buffered_records", "headrig_conservation_imbalance_records")
    return not any(value for name, value in samples.items() if name.startswith(names))
