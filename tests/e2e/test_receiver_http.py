"""What writers are told, over real HTTP: verdicts, refusals, back-pressure, retries."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import cramjam
import orjson
import pytest
from running import Entry, Headrig, HttpAnswer, Loki, bearer, http, wait_until
from senders import snappy_push

from pipeline.audit.segments import read_log
from pipeline.buffer import read_frames

WRITER, READER = "t-writer-1", "t-reader-1"
S = 10**9
LINE = '{"message":"x"}'
PUSH = orjson.dumps({"streams": [{"stream": {"app": "a"}, "values": [["1795422174853719501", LINE]]}]})
LEGACY = orjson.dumps(
    {"streams": [{"labels": '{app="a"}', "entries": [{"ts": "2026-11-23T08:18:57.53+00:00", "line": LINE}]}]}
)
WIRE = snappy_push([({"app": "a"}, [(1795422174853719502, LINE, {"k": "v"})])])
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
BODIES = {
    "json": (PUSH, JSON),
    "json, no content type": (PUSH, {"Content-Type": ""}),
    "json gzip": (gzip.compress(PUSH), {**JSON, "Content-Encoding": "gzip"}),
    "json zstd": (bytes(cramjam.zstd.compress(PUSH)), {**JSON, "Content-Encoding": "zstd"}),
    "json deflate": (zlib.compress(PUSH), {**JSON, "Content-Encoding": "deflate"}),
    "json raw deflate": (zlib.compress(PUSH, wbits=-15), {**JSON, "Content-Encoding": "deflate"}),
    "json snappy": (bytes(cramjam.snappy.compress_raw(PUSH)), {**JSON, "Content-Encoding": "snappy"}),
    "legacy": (LEGACY, JSON),
    "protobuf": (WIRE, PROTOBUF),
    "protobuf, snappy said": (WIRE, {**PROTOBUF, "Content-Encoding": "snappy"}),
}


@pytest.fixture(scope="module")
def headrig(programs: Callable[..., Headrig]) -> Iterator[Headrig]:
    """Two workers with small limits and two tokens."""
    started = programs(
        {"limits": {"body": "64KiB", "inflated": "256KiB", "line": "8KiB", "records": 2000}},
        workers=2,
        tokens={
            WRITER: {"tenant": "shop", "scopes": ["write"]},
            READER: {"tenant": "shop", "scopes": ["read"]},
        },
    ).start()
    yield started
    assert started.metric("headrig_conservation_imbalance_records") == 0


def lines_of(headrig: Headrig, service: str) -> list[Entry]:
    """What a reader finds of a service, over all times."""
    headrig.credential, before = bearer(READER), headrig.credential
    try:
        return headrig.entries(
            f'{{service_name="{service}"}}', time.time_ns() - 20 * S * 86400, time.time_ns() + S
        )
    finally:
        headrig.credential = before


def problem(answer: HttpAnswer, status: int) -> dict[str, object]:
    """Check that an answer is a problem document (RFC 9457) of this status."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize("path", ["/loki/api/v1/push", "/api/prom/push"])
@pytest.mark.parametrize("kind", BODIES)
def test_a_push_is_answered_204_and_nothing_else(headrig: Headrig, path: str, kind: str) -> None:
    """Every body on either path: exactly 204, no body; clients take anything else for a failure."""
    body, headers = BODIES[kind]
    answer = http(headrig.url + path, body, {**headers, **bearer(WRITER)})
    assert (answer.status, answer.body) == (204, b"")


def test_a_broken_entry_does_not_fail_a_push(headrig: Headrig) -> None:
    """The good entries of a push are stored, the number of bad ones is in a header."""
    now = str(time.time_ns())
    values = [[now, "one"], ["x"], [now, 7], [now, "two"]]
    body = orjson.dumps({"streams": [{"stream": {"service": "broken-push"}, "values": values}]})
    answer = headrig.post(body, "/loki/api/v1/push")
    assert answer.status == 204
    assert answer.headers["X-Headrig-Rejected"] == "2"
    assert sorted(entry.line for entry in lines_of(headrig, "broken-push")) == ["one", "two"]


def test_every_record_has_its_own_verdict(headrig: Headrig) -> None:
    """A line that is no JSON object, no UTF-8 or too long is rejected alone, by index, reason and limit."""
    good = b'{"service":"verdicts","message":"%d"}'
    lines = [good % 0, b"no json", good % 2, b"[1]", b'{"a":"\xff"}', b'{"a":"%s"}' % (b"x" * 9000), good % 6]
    answer = headrig.post(b"\n".join(lines))
    assert answer.status == 200
    document = answer.json()
    assert document["accepted"] == 3
    assert [verdict["index"] for verdict in document["rejected"]] == [1, 3, 4, 5]
    assert all(verdict["reason"] and verdict["detail"] for verdict in document["rejected"])
    assert "8192" in document["rejected"][3]["detail"]
    messages = sorted(json.loads(entry.line)["message"] for entry in lines_of(headrig, "verdicts"))
    assert messages == ["0", "2", "6"]


def test_an_object_an_array_and_lines_are_told_apart_by_content(headrig: Headrig) -> None:
    """The content type does not matter; a printed object of many lines is one record."""
    one = orjson.dumps({"service": "shapes", "n": 1}, option=orjson.OPT_INDENT_2)
    for body, count in (
        (one, 1),
        (b'[{"service":"shapes"},{"service":"shapes"}]', 2),
        (b'{"service":"shapes"}\n' * 3, 3),
    ):
        answer = headrig.post(body, Content_Type="text/plain")
        assert (answer.status, answer.json()["accepted"]) == (200, count)
    assert len(lines_of(headrig, "shapes")) == 6


def test_a_single_record_that_is_rejected_is_422(headrig: Headrig) -> None:
    """A sender of one record who looks only at the status sees that it was not taken."""
    document = problem(headrig.post(b'{"a":1'), 422)
    assert [verdict["index"] for verdict in document["rejected"]] == [0]


REFUSALS: dict[str, tuple[int, str, bytes | None, dict[str, str]]] = {
    "empty": (400, "/v1/logs", b" ", {}),
    "no gzip": (400, "/v1/logs", b"{}", {"Content-Encoding": "gzip"}),
    "no push": (400, "/loki/api/v1/push", b"{]", {}),
    "key with a space": (400, "/v1/logs", b"{}", {"Idempotency-Key": "a b"}),
    "no such route": (404, "/v1/nothing", b"{}", {}),
    "method": (405, "/v1/logs", None, {}),
    "method elsewhere": (405, "/healthz", b"{}", {}),
    "body": (413, "/v1/logs", b"x" * 70_000, {}),
    "inflated": (413, "/v1/logs", gzip.compress(b"x" * 300_000), {"Content-Encoding": "gzip"}),
    "records": (413, "/v1/logs", b"{}\n" * 2001, {}),
    "encoding": (415, "/v1/logs", b"{}", {"Content-Encoding": "br"}),
    "otlp": (415, "/v1/logs", b'{"resourceLogs":[]}', {}),
    "otlp in protobuf": (415, "/v1/logs", b"\x0a\x00", PROTOBUF),
    "no stream": (422, "/loki/api/v1/push", b'{"streams":[]}', {}),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_is_a_problem_document(headrig: Headrig, what: str) -> None:
    """Each way to be refused has its status, a reason for people, and stores nothing."""
    status, path, body, headers = REFUSALS[what]
    received = headrig.metric("headrig_records_received_total")
    problem(http(headrig.url + path, body, {**bearer(WRITER), **headers}), status)
    assert headrig.metric("headrig_records_received_total") == received


@pytest.mark.parametrize("path", ["/v1/logs", "/loki/api/v1/push", "/api/prom/push"])
def test_writers_need_a_token_with_the_scope(headrig: Headrig, path: str) -> None:
    """Without a known token 401 with a challenge; with one that may not write 403."""
    for headers in ({}, bearer("wrong"), {"Authorization": "Basic !"}, {"Authorization": "Digest x"}):
        answer = http(headrig.url + path, PUSH, headers)
        problem(answer, 401)
        assert any(value.startswith("Bearer") for value in answer.headers.get_all("WWW-Authenticate"))
    problem(http(headrig.url + path, PUSH, bearer(READER)), 403)


def test_readers_need_a_token_with_the_scope(headrig: Headrig) -> None:
    """Reading is a scope of its own, and the audit trail another."""
    url = headrig.url + "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D"
    answer = http(url)
    problem(answer, 401)
    challenges = answer.headers.get_all("WWW-Authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]
    problem(http(url, headers=bearer(WRITER)), 403)
    assert http(url, headers=bearer(READER)).status == 200
    problem(http(url.replace("a%3D%22b", "audit%3D%22true"), headers=bearer(READER)), 403)


def test_basic_with_the_token_as_password_is_a_credential(headrig: Headrig) -> None:
    """Clients that know only Basic can write."""
    value = b64encode(f"any:{WRITER}".encode()).decode()
    assert http(headrig.url + "/v1/logs", b"{}", {"Authorization": f"Basic {value}"}).status == 200


def test_the_credential_is_looked_at_before_the_body(headrig: Headrig) -> None:
    """A body that is far too large, without a token, is 401 and not 413."""
    problem(http(headrig.url + "/v1/logs", b"x" * 70_000), 401)


def event(number: int, service: str) -> bytes:
    return orjson.dumps(
        {"service": service, "event": "user.login", "user": f"u{number}", "outcome": "success"}
    )


def test_a_retry_with_the_same_key_stores_nothing_twice(headrig: Headrig) -> None:
    """On whichever worker: the same receipts again, marked as duplicates, and each line once."""
    body = b"\n".join(event(number, "keyed") for number in range(5))
    answers = [headrig.post(body, Idempotency_Key="k-1") for _ in range(8)]
    assert {answer.status for answer in answers} == {200}
    first, *others = [answer.json() for answer in answers]
    assert first["accepted"] == 5
    assert "duplicate" not in first
    for other in others:
        assert other["duplicate"] is True
        assert [one["index"] for one in other["receipts"]] == [one["index"] for one in first["receipts"]]
        assert [one["leaf"] for one in other["receipts"]] == [one["leaf"] for one in first["receipts"]]
        assert all(one["duplicate"] for one in other["receipts"])
    assert len(lines_of(headrig, "keyed")) == 5
    assert sum(b"keyed" in leaf.leaf for leaf in read_log(headrig.data / "audit")) == 5


def test_the_same_key_with_another_body_is_422(headrig: Headrig) -> None:
    """A key names one body; on whichever worker the other one comes, it is refused and not stored."""
    assert headrig.post(event(1, "conflict"), Idempotency_Key="k-2").status == 200
    for number in range(2, 8):
        problem(headrig.post(event(number, "conflict"), Idempotency_Key="k-2"), 422)
    assert len(lines_of(headrig, "conflict")) == 1


def test_a_key_belongs_to_its_route_less_than_to_its_tenant(headrig: Headrig) -> None:
    """A Loki push with a key that came before is a duplicate too, and answered 204."""
    now = str(time.time_ns())
    body = orjson.dumps({"streams": [{"stream": {"service": "pushed-twice"}, "values": [[now, "l"]]}]})
    assert [headrig.post(body, "/loki/api/v1/push", Idempotency_Key="k-3").status for _ in range(4)] == [
        204
    ] * 4
    assert len(lines_of(headrig, "pushed-twice")) == 1


def test_without_a_key_own_times_tell_a_retry(headrig: Headrig) -> None:
    """The same body whose records all bring their time is a duplicate; without times it is new data."""
    timed = b"\n".join(
        orjson.dumps({"service": "timed", "timestamp": time.time_ns() + number}) for number in range(3)
    )
    assert [headrig.post(timed).json().get("duplicate", False) for _ in range(5)] == [False] + [True] * 4
    assert len(lines_of(headrig, "timed")) == 3
    timeless = b'{"service":"timeless","n":1}\n{"service":"timeless","n":2}'
    assert [headrig.post(timeless).json().get("duplicate", False) for _ in range(3)] == [False] * 3
    assert len(lines_of(headrig, "timeless")) == 6


def test_a_full_buffer_is_503_and_stores_nothing(
    programs: Callable[..., Headrig], own_loki: Callable[..., Loki], tmp_path: Path
) -> None:
    """Full means told: 503 with Retry-After, no line, no leaf; once the sink is back the same data is taken."""
    loki = own_loki()
    headrig = programs(
        {
            "sinks": {"loki": {"url": loki.url}},
            "buffer": {"max_bytes": "512KiB", "segment": "64KiB"},
            "audit": {"origin": "e2e.example/full"},
        },
        workers=1,
    ).start()
    accepted = 0
    while (answer := headrig.post(noise(accepted))).status == 200:
        accepted += 1
        assert accepted < 500
    problem(answer, 503)
    assert int(answer.headers["Retry-After"]) >= 1
    before = stored(headrig)
    refused = noise(accepted)
    for _ in range(3):
        problem(headrig.post(refused, Idempotency_Key="later"), 503)
    assert stored(headrig) == before
    assert headrig.get("/readyz").status == 503
    loki.start()
    took = retry(headrig, refused)
    assert took["accepted"] == 20
    assert "duplicate" not in took
    assert len(took["receipts"]) == 1
    headrig.await_delivery("loki", 21 * (accepted + 1))
    found = loki.entries('{service_name="full"}', time.time_ns() - 3600 * S, time.time_ns() + S)
    assert len(found) == 20 * (accepted + 1)
    assert headrig.metric("headrig_conservation_imbalance_records") == 0


def noise(number: int) -> bytes:
    """Twenty records that do not compress, one of them an audit event."""
    import random

    rng = random.Random(number)
    texts = [rng.randbytes(600).hex() for _ in range(19)]
    lines = [orjson.dumps({"service": "full", "n": number, "noise": text}) for text in texts]
    return b"\n".join([*lines, event(number, "full")])


def stored(headrig: Headrig) -> tuple[int, int]:
    """Records in the buffer, and leaves in the audit log."""
    records = sum(frame.records for frame in read_frames(headrig.data / "buffer" / "w0"))
    return records, sum(1 for _ in read_log(headrig.data / "audit"))


def retry(headrig: Headrig, body: bytes) -> dict[str, object]:
    """Send as a polite client does, until it is taken."""

    def attempt() -> dict[str, object] | None:
        answer = headrig.post(body, Idempotency_Key="later")
        assert answer.status in (200, 503)
        return answer.json() if answer.status == 200 else None

    return wait_until(attempt, 60, "room in the buffer", pause=0.2)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_head_only(headrig: Headrig, path: str) -> None:
    """Some load balancers probe with HEAD."""
    answer = http(headrig.url + path, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_a_v0_body_on_the_v1_path_is_told_to_the_operator_once(headrig: Headrig) -> None:
    """Real Loki answers such a push with 204 and loses it, so whoever moves on to it should know."""
    for _ in range(10):
        assert headrig.post(LEGACY, "/loki/api/v1/push").status == 204
    told = [json.loads(line) for line in headrig.log().splitlines() if "v0 body" in line]
    assert {entry["tenant"] for entry in told} == {"shop"}
    assert len(told) == len({entry["process"] for entry in told}) <= 2


def test_more_than_may_be_in_memory_is_503(programs: Callable[..., Headrig]) -> None:
    """Bodies in flight are bounded: over the bound the sender is told to come again."""
    headrig = programs({"limits": {"body": "2KiB", "inflight": "2KiB"}}, workers=1).start()
    answer = headrig.post(gzip.compress(b'{"a":"%s"}' % (b"x" * 4096)), Content_Encoding="gzip")
    problem(answer, 503)
    assert int(answer.headers["Retry-After"]) >= 1
    assert headrig.post(b"{}").status == 200


def test_a_tenant_over_its_rate_is_429(programs: Callable[..., Headrig]) -> None:
    """The sender is told when to come again; what was refused is in no term of the balance but in the answers."""
    headrig = programs({"limits": {"rate": {"records": 1}}}, workers=1).start()
    assert headrig.post(b"{}\n" * 60).status == 200
    answer = headrig.post(b"{}")
    problem(answer, 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert headrig.metric("headrig_records_received_total") == 60
    assert headrig.metric("headrig_requests_total", status="429") == 1
    assert headrig.metric("headrig_conservation_imbalance_records") == 0
