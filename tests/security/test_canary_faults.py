"""What fails inside headrig quotes nothing: masking that raises, groups that fail, an audit process that is away."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest
from canary import CONTENT, MAIL, PASSWORD, Search, report
from canary_program import PROGRAM, VARIABLE, WORD
from canary_sink import KeepingLoki
from canary_traffic import escaped, key
from running import Headrig, wait_until

SMALL = {"idempotency": {"slots": 1024}, "sinks": {"archive": {"linger": "200ms"}}, "drain": "2s"}
GOOD = json.dumps({"message": f"{CONTENT} a good neighbour"}).encode()
LOGIN = {"event": "user.login", "outcome": "success", "user": "eve"}


def bad_line(**extra: object) -> bytes:
    """Return a line on which the faulty program's masking fails."""
    return json.dumps(
        {"message": f"{WORD.decode()} {CONTENT} {key()}", "password": PASSWORD, **extra}
    ).encode()


def searched(headrig: Headrig, answers: list[bytes]) -> list:
    """Search files and answers for secrets, log and answers for content."""
    secrets, content = Search(), Search({"content": (CONTENT,)})
    return [
        *secrets.in_tree(headrig.directory),
        *secrets.in_texts("answer", answers),
        *content.in_bytes("log", headrig.log().encode()),
        *content.in_texts("answer", answers),
    ]


@pytest.fixture
def headrig(tmp_path, request):
    """A headrig with the fault of the test's parameter."""
    made = Headrig(tmp_path, SMALL, workers=1, program=PROGRAM)
    words = f"the audit log holds {key()} {CONTENT}"
    try:
        yield made.start(
            wait=request.param != "no-audit", env={VARIABLE: request.param, "CANARY_WORDS": words}
        )
    finally:
        made.kill()


@pytest.mark.parametrize("headrig", ["mask-raises"], indirect=True)
def test_a_record_that_cannot_be_scanned_leaves_metadata_only(headrig):
    """Quarantine and audit log get tenant, size, reason and HMAC; neighbours are stored, the balance holds."""
    lines = [GOOD, bad_line(), GOOD, bad_line(**LOGIN), json.dumps(LOGIN).encode()]
    answer = headrig.post(b"\n".join(lines))
    said = answer.json()
    assert (answer.status, said["accepted"], said["rejected"]) == (200, 3, [])
    assert [(one["index"], one["reason"]) for one in said["quarantined"]] == [
        (1, "unscanned"),
        (3, "unscanned"),
    ]
    assert [receipt["record"] for receipt in said["receipts"]] == [1, 3, 4]

    stored = b"".join(path.read_bytes() for path in (headrig.data / "quarantine").glob("*.ndjson"))
    items = [json.loads(line) for line in stored.splitlines()]
    assert [(item["kind"], item["tenant"], item["size"], item["reason"]) for item in items] == [
        ("unscanned", "default", len(lines[1]), "unscanned"),
        ("unscanned", "default", len(lines[3]), "unscanned"),
    ]
    assert all(
        set(item) <= {"id", "kind", "tenant", "time_ns", "size", "reason", "digest", "receipt"}
        for item in items
    )
    assert len({item["digest"] for item in items}) == 2

    wait_until(
        lambda: headrig.metric("headrig_records_delivered_total", tenant="default") == 3, 20, "delivery"
    )
    assert headrig.metric("headrig_records_received_total", tenant="default") == 5
    assert headrig.metric("headrig_records_quarantined_total", reason="unscanned") == 2
    balances = wait_until(
        lambda: [value for name, value in headrig.metrics().items() if "conservation_imbalance" in name]
    )
    assert not any(balances)

    # Reading them leaves a leaf and a record of its own.
    leaves = wait_until(
        lambda: len(found := _leaves(headrig)) >= 3 and found, 20, "the leaves in the archive"
    )
    unscanned = [leaf["unscanned"] for leaf in leaves if leaf["rule"] == "headrig.unscanned"]
    assert [(one["size"], one["hmac"]) for one in unscanned] == [
        (item["size"], item["digest"]) for item in items
    ]
    assert all("raw" not in leaf for leaf in leaves if leaf["rule"] == "headrig.unscanned")
    assert len([leaf for leaf in leaves if "raw" in leaf]) == 1
    findings = searched(headrig, [answer.body])
    assert not findings, report(findings)


def _leaves(headrig: Headrig) -> list[dict]:
    path = "/loki/api/v1/query_range?direction=forward&limit=1000&query=" + quote('{audit="true"}')
    result = headrig.get(path).json()["data"]["result"]
    values = sorted((ns, line) for stream in result for ns, line, *_ in stream["values"])
    return [leaf for _, line in values if (leaf := json.loads(line))["action"] != "read_audit"]


@pytest.mark.parametrize("headrig", ["stage-raises"], indirect=True)
def test_a_group_that_fails_is_refused_without_its_words(headrig):
    """An error that quotes lines: the answer and the log name its class, nothing is stored."""
    answers = [
        headrig.post(bad_line()),
        headrig.post(b"\n".join([GOOD, bad_line(**LOGIN)] * 500)),
        headrig.post(
            json.dumps({"streams": [{"stream": {}, "values": [["1", bad_line().decode()]]}]}).encode(),
            "/loki/api/v1/push",
        ),
        # The embedded store quotes no query.
        headrig.get("/loki/api/v1/query_range?query=" + quote(f"{{a={key()}}}")),
        headrig.get("/loki/api/v1/query_range?query=" + quote(f'{{a=~"({key()}"}}')),
        headrig.get("/loki/api/v1/query_range?query=" + quote(f'sum by ({key()}) rate({{a="{key()}"}}[5m])')),
        headrig.get(f"/loki/api/v1/query_range?query={quote('{a=%22b%22}')}&limit={key()}&start={key()}"),
        headrig.get(f"/loki/api/v1/{key()}"),
        headrig.get(f"/loki/api/v1/labels/?query={key()}"),
    ]
    assert [answer.status for answer in answers] == [500, 500, 500, 400, 400, 400, 400, 404, 404]
    log = headrig.log()
    assert log.count('"error": "ValueError"') >= 3
    findings = searched(headrig, [str(answer.headers).encode() + answer.body for answer in answers])
    assert not findings, report(findings)


@pytest.mark.parametrize("headrig", ["stage-raises"], indirect=True)
def test_a_query_of_the_audit_trail_is_itself_masked(headrig):
    """Who reads the audit trail leaves a leaf with the query, in which a secret is masked."""
    secret = key()
    query = f'{{audit="true"}} |= "{secret}" or "{escaped(secret)}" or "{MAIL}"'
    answer = headrig.get("/loki/api/v1/query_range?query=" + quote(query))
    assert answer.status == 200
    result = headrig.get("/loki/api/v1/query_range?query=" + quote('{audit="true"}')).json()["data"]["result"]
    lines = [line for stream in result for _, line, *_ in stream["values"] if "audit.read" in line]
    assert any("[redacted:" in line for line in lines)
    findings = searched(headrig, [json.dumps(lines).encode()])
    assert not findings, report(findings)


@pytest.mark.parametrize("headrig", ["no-audit"], indirect=True)
def test_without_the_audit_process_nothing_is_acknowledged_or_quoted(headrig):
    """An audit event is refused with 503 and stored nowhere; the crash of the process names its class."""
    wait_until(lambda: "a process crashed" in headrig.log(), 20, "the crash of the audit process")
    line = json.dumps({**LOGIN, "message": f"{CONTENT} {key()}", "password": PASSWORD}).encode()
    wait_until(lambda: headrig.get("/healthz").status == 200, 20, "a worker that answers")
    answer = headrig.post(line)
    assert (answer.status, bool(answer.headers["Retry-After"])) == (503, True)
    assert headrig.get("/readyz").status == 503
    findings = searched(headrig, [answer.body])
    assert not findings, report(findings)


def test_a_full_buffer_refuses_without_a_word(tmp_path):
    """Loki is away and the buffer is full: 503 with Retry-After, and nothing of the request is kept or quoted."""
    with KeepingLoki(away=True) as loki:
        settings = {
            "sinks": {"loki": {"url": loki.url}},
            "buffer": {"max_bytes": "1MiB", "segment": "256KiB"},
            "idempotency": {"slots": 1024},
            "drain": "1s",
        }
        headrig = Headrig(tmp_path, settings, workers=1)
        try:
            headrig.start(wait=False)
            wait_until(lambda: headrig.get("/healthz").status == 200, 20, "a worker that answers")
            noise = random.Random(1)
            body = b"\n".join(
                json.dumps(
                    {"message": f"{CONTENT} {key()} {noise.randbytes(400).hex()}", "password": PASSWORD}
                ).encode()
                for _ in range(600)
            )
            answers = [headrig.post(body) for _ in range(12)]
            assert {answer.status for answer in answers} <= {200, 503}
            assert answers[-1].status == 503
            assert int(answers[-1].headers["Retry-After"]) >= 1
            wait_until(lambda: loki.received, 20, "a push")
            findings = searched(headrig, [answer.body for answer in answers])
            findings += Search().in_texts("sink", loki.received)
            assert not findings, report(findings)
        finally:
            headrig.kill()
