"""Ten thousand records through every client and two workers into a real Loki, and found again."""

from __future__ import annotations

import json
import re
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import logging_loki
import orjson
import pytest
from running import Entry, Headrig, Loki, cli, loki_binary, wait_until
from senders import snappy_push, through_curl, through_handler

from pipeline.audit.segments import read_log
from pipeline.samples import canary

TOKEN = "t-shop-7f3a"
ORIGIN = "e2e.example/delivery"
SERVICES = ("h0", "h1", "curl", "wire")
COUNTS = {"h0": 600, "h1": 600, "curl": 4000, "wire": 2000}
TWINS = 1000
TOTAL = sum(COUNTS.values()) + 3 * TWINS
BODY = 500
PUSH = 400
_ID = re.compile(r"rec-(\w+)-(\d{5})")
MS = 1_000_000


def secret_of(service: str, number: int) -> str:
    """A secret that stands in one record only."""
    return canary(SERVICES.index(service) * 10_000 + number)


def has_secret(number: int) -> bool:
    return number % 10 in (3, 7)


def is_audit(number: int) -> bool:
    return number % 20 == 5


def line_of(service: str, number: int, ns: int) -> str:
    """One record: every tenth has a key in its text, another tenth a password, every twentieth is a login."""
    record: dict[str, object] = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9))
        + f".{ns // 1000 % 10**6:06d}Z",
        "service": f"e2e-{service}",
        "level": "warn" if number % 4 == 0 else "info",
        "message": f"rec-{service}-{number:05d} served",
    }
    if number % 10 == 3:
        record["message"] = f"{record['message']} with {secret_of(service, number)} in hand"
    if number % 10 == 7:
        record["password"] = secret_of(service, number)
    if is_audit(number):
        record |= {"event": "user.login", "user": "alice", "outcome": "success"}
    return orjson.dumps(record).decode()


@dataclass
class Sent:
    """The programs, and what was sent through them."""

    headrig: Headrig
    loki: Loki
    start: int
    found: dict[str, list[Entry]] = field(default_factory=dict)

    def entries(self, selector: str) -> list[Entry]:
        """All that Loki holds of a selector, asked once."""
        if selector not in self.found:
            now = time.time_ns()
            self.found[selector] = self.loki.entries(selector, self.start - 10**10, now + 10**9)
        return self.found[selector]

    def of(self, service: str) -> list[Entry]:
        return self.entries(f'{{service_name="e2e-{service}"}}')

    @property
    def leaves(self) -> list[Entry]:
        return self.entries(f'{{audit_log="{ORIGIN}"}}')


@pytest.fixture(scope="module")
def sent(loki: Loki, programs, tmp_path_factory) -> Iterator[Sent]:
    """Everything is sent, acknowledged and delivered."""
    start = time.time_ns() - 60 * 10**9
    headrig = programs(
        {"sinks": {"loki": {"url": loki.url}}, "audit": {"origin": ORIGIN}},
        workers=2,
        tokens={TOKEN: {"tenant": "shop", "scopes": ["write", "read", "audit"]}},
    ).start()
    with ThreadPoolExecutor(4) as pool:
        tasks = [
            pool.submit(_handler, headrig, "h0", "0", start),
            pool.submit(_handler, headrig, "h1", "1", start),
            pool.submit(_curl, headrig, tmp_path_factory.mktemp("curl"), start),
            pool.submit(_wire, headrig, start),
        ]
        for task in tasks:
            task.result()
    _twins(headrig, start)
    audits = sum(is_audit(n) for count in COUNTS.values() for n in range(count))
    headrig.await_delivery("loki", TOTAL + audits)
    yield Sent(headrig, loki, start)
    assert headrig.stop() == 0


def _handler(headrig: Headrig, service: str, version: str, start: int) -> None:
    lines = [line_of(service, number, start + number * MS) for number in range(COUNTS[service])]
    path = "/api/prom/push" if version == "0" else "/loki/api/v1/push"
    failures = through_handler(headrig.url + path, TOKEN, version, {"service": f"e2e-{service}"}, lines)
    assert not failures


def _curl(headrig: Headrig, directory: Path, start: int) -> None:
    for first in range(0, COUNTS["curl"], BODY):
        lines = [line_of("curl", number, start + number * MS) for number in range(first, first + BODY)]
        status, answer = through_curl(
            headrig.url + "/v1/logs", TOKEN, "\n".join(lines).encode(), directory, "-H", "Expect:"
        )
        assert (status, json.loads(answer)["accepted"]) == (200, BODY)


def _wire(headrig: Headrig, start: int) -> None:
    for first in range(0, COUNTS["wire"], PUSH):
        rows = [
            (
                start // MS * MS + number * MS + 1,
                line_of("wire", number, start + number * MS),
                {"request_id": f"q{number}"},
            )
            for number in range(first, first + PUSH)
        ]
        body = snappy_push([({"service_name": "e2e-wire", "region": "eu"}, rows)])
        answer = headrig.post(body, "/loki/api/v1/push", Content_Type="application/x-protobuf")
        assert (answer.status, answer.body) == (204, b"")


def _twins(headrig: Headrig, start: int) -> None:
    """A thousand equal lines of one millisecond as NDJSON and as a Loki push, and of one nanosecond."""
    ns = start // MS * MS
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns // MS % 1000:03d}Z"
    line = orjson.dumps({"timestamp": stamp, "service": "e2e-twins", "message": "the same"})
    answer = headrig.post(b"\n".join([line] * TWINS))
    assert (answer.status, answer.json()["accepted"]) == (200, TWINS)
    for service, at in (("pushed", ns), ("exact", ns + 123_457)):
        values = [[str(at), "the same"]] * TWINS
        push = {"streams": [{"stream": {"service_name": f"e2e-{service}"}, "values": values}]}
        assert headrig.post(orjson.dumps(push), "/loki/api/v1/push").status == 204


@pytest.mark.parametrize("service", SERVICES)
def test_every_line_is_found_exactly_once(sent: Sent, service: str) -> None:
    """What a client sent and headrig acknowledged is in Loki once: none missing, none doubled."""
    numbers = Counter(int(_ID.search(entry.line)[2]) for entry in sent.of(service))
    assert numbers == Counter(range(COUNTS[service]))


@pytest.mark.parametrize("service", ["twins", "pushed", "exact"])
def test_a_thousand_equal_lines_of_one_millisecond_stay_a_thousand(sent: Sent, service: str) -> None:
    """Loki folds equal lines of one nanosecond; headrig gives each a nanosecond of its own within the millisecond."""
    found = sent.of(service)
    assert len(found) == TWINS
    assert len({entry.line for entry in found}) == 1
    assert len({entry.ns for entry in found}) == TWINS
    assert {entry.ns // MS for entry in found} == {sent.start // MS}


@pytest.mark.parametrize("service", SERVICES)
def test_no_planted_secret_is_in_loki_and_its_place_is_marked(sent: Sent, service: str) -> None:
    """Each planted key and password is replaced by a placeholder, and nothing else is."""
    for entry in sent.of(service):
        number = int(_ID.search(entry.line)[2])
        assert secret_of(service, number) not in entry.line
        assert ("[redacted:" in entry.line) == has_secret(number)
        assert not any(secret_of(service, number) in value for value in entry.metadata.values())


@pytest.mark.parametrize("service", SERVICES)
def test_lines_without_a_secret_are_byte_for_byte_what_was_sent(sent: Sent, service: str) -> None:
    """Enrichment and classification never edit a line."""
    for entry in sent.of(service):
        number = int(_ID.search(entry.line)[2])
        if not has_secret(number):
            assert entry.line == line_of(service, number, sent.start + number * MS)


def test_labels_are_few_and_metadata_is_kept(sent: Sent) -> None:
    """Only configured labels make streams; what else a client said is structured metadata."""
    assert {tuple(entry.labels) for entry in sent.of("curl")} == {("service_name",)}
    for entry in sent.of("wire"):
        assert entry.labels == {"service_name": "e2e-wire", "region": "eu"}
        assert entry.metadata["request_id"] == f"q{int(_ID.search(entry.line)[2])}"
        assert entry.ns % MS == 1
    levels = {entry.metadata["detected_level"] for entry in sent.of("curl")}
    assert levels == {"info", "warn"}


def test_every_audit_event_is_in_the_audit_log_once(sent: Sent) -> None:
    """The log holds one leaf for each login, with the masked line as it went to Loki."""
    leaves = [orjson.loads(entry.leaf) for entry in read_log(sent.headrig.data / "audit")]
    raws = Counter(leaf["raw"] for leaf in leaves if leaf["action"] == "login")
    lines = Counter(
        entry.line
        for service in SERVICES
        for entry in sent.of(service)
        if is_audit(int(_ID.search(entry.line)[2]))
    )
    assert raws == lines
    assert lines.total() == sum(COUNTS.values()) // 20
    assert {leaf["tenant"] for leaf in leaves} == {"shop"}


def test_the_audit_log_verifies(sent: Sent) -> None:
    """``headrig verify log`` re-hashes everything and finds exactly what was signed."""
    done = cli("verify", "log", sent.headrig.data / "audit")
    assert done.returncode == 0, done.stdout
    assert b"verified" in done.stdout


def test_loki_holds_the_leaves_byte_for_byte(sent: Sent) -> None:
    """The audit stream is the log: same bytes, same index, same leaf hash, in order."""
    log = list(read_log(sent.headrig.data / "audit"))
    found = sorted(sent.leaves, key=lambda entry: int(entry.metadata["audit_index"]))
    assert [entry.line.encode() for entry in found] == [leaf.leaf for leaf in log[: len(found)]]
    assert [entry.metadata["audit_leaf"] for entry in found] == [
        leaf.leaf_hash.hex() for leaf in log[: len(found)]
    ]
    assert [int(entry.metadata["audit_index"]) for entry in found] == list(range(len(found)))
    assert len(found) >= sum(COUNTS.values()) // 20


def test_the_audit_stream_has_exactly_two_labels_of_ours(sent: Sent) -> None:
    """Loki adds ``service_name`` to any stream without it; everything else is what the design says."""
    assert {tuple(sorted(entry.labels.items())) for entry in sent.leaves} == {
        (("audit", "true"), ("audit_log", ORIGIN), ("service_name", "unknown_service"))
    }
    assert {entry.metadata["actor"] for entry in sent.leaves} == {"alice"}


def test_headrig_query_finds_the_audit_events(sent: Sent) -> None:
    """``headrig query`` through headrig finds one event by its text, and all of a service."""
    ask = ("--url", sent.headrig.url, "--token", TOKEN, "--json", "--limit", "5000")
    one = cli("query", f'{{audit="true", audit_log="{ORIGIN}"}} |= "rec-curl-00025"', *ask)
    assert one.returncode == 0, one.stderr
    [stream] = json.loads(one.stdout)["data"]["result"]
    assert json.loads(stream["values"][0][1])["actor"] == "alice"
    everything = cli("query", f'{{audit="true", audit_log="{ORIGIN}"}} |= "rec-curl-"', *ask)
    leaves = [
        json.loads(value[1])
        for stream in json.loads(everything.stdout)["data"]["result"]
        for value in stream["values"]
    ]
    # A query is an event itself, and names what it looks for.
    assert sum(leaf["action"] == "login" for leaf in leaves) == COUNTS["curl"] // 20
    assert {leaf["action"] for leaf in leaves} <= {"login", "read_audit"}


def test_headrig_query_prints_a_table(sent: Sent) -> None:
    """Without ``--json`` people get who did what, one row an event."""
    done = cli(
        "query", f'{{audit="true", audit_log="{ORIGIN}"}} |= "rec-wire-00045"',
        "--url", sent.headrig.url, "--token", TOKEN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"alice" in done.stdout
    assert b"login" in done.stdout


@pytest.mark.parametrize("through", ["loki", "headrig"])
def test_logcli_finds_the_audit_events(sent: Sent, through: str) -> None:
    """Loki's own command line finds every login, asked directly and through headrig."""
    address = sent.loki.url if through == "loki" else sent.headrig.url
    done = subprocess.run(
        [
            str(loki_binary("logcli")), "query", f'{{audit="true", audit_log="{ORIGIN}"}} |= "rec-"',
            "--quiet", "--output=raw", "--limit=5000", "--batch=5000", "--since=1h", f"--addr={address}",
            f"--bearer-token={TOKEN}",
        ],
        capture_output=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    leaves = [json.loads(line) for line in done.stdout.splitlines()]
    found = Counter(_ID.search(leaf["raw"])[0] for leaf in leaves if leaf["action"] == "login")
    expected = {
        f"rec-{service}-{number:05d}"
        for service in SERVICES
        for number in range(COUNTS[service])
        if is_audit(number)
    }
    assert found == Counter(expected)


def test_the_default_version_of_the_handler_warns_and_works(sent: Sent) -> None:
    """``LokiHandler`` without a version says that it is the legacy one, and its record arrives."""
    with pytest.warns(DeprecationWarning, match="/api/prom/push"):
        handler = logging_loki.LokiHandler(
            url=sent.headrig.url + "/loki/api/v1/push",
            tags={"service": "e2e-default"},
            auth=("any", TOKEN),
        )
    assert isinstance(handler.emitter, logging_loki.emitter.LokiEmitterV0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failures = through_handler(
            sent.headrig.url + "/loki/api/v1/push", TOKEN, "0", {"service": "e2e-default"}, ["v0 on v1"], 1
        )
    assert not failures
    now = time.time_ns()
    found = wait_until(
        lambda: sent.loki.entries('{service_name="e2e-default"}', now - 10**11, now + 10**10), 20, "the line"
    )
    assert [entry.line for entry in found] == ["v0 on v1"]


def test_the_balance_holds(sent: Sent) -> None:
    """Nothing received is in no term of the balance, nothing was rejected or held back."""
    metrics = sent.headrig
    assert metrics.metric("headrig_conservation_imbalance_records") == 0
    assert metrics.metric("headrig_records_quarantined_total") == 0
    assert metrics.metric("headrig_records_rejected_total") == 0
    assert metrics.metric("headrig_records_received_total", tenant="shop") >= TOTAL
