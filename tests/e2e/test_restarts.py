"""Stopping, starting, dying: nothing acknowledged is lost, counters do not go back, the own log stays readable."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from running import Headrig, Loki, bearer, cli, connect, wait_until

S = 10**9
TOKEN = "t-load-1"
QUICK = {"sinks": {"archive": {"linger": "100ms"}}}


class Load:
    """Clients that send until they are refused or the connection breaks, and remember what was acknowledged."""

    def __init__(self, headrig: Headrig, clients: int) -> None:
        self.acknowledged: list[str] = []
        self._lock = threading.Lock()
        self._headrig = headrig
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self, client: int) -> None:
        connection = connect(self._headrig.url)
        number = 0
        while not self._end.is_set():
            names = [f"load-{client}-{number}-{row}" for row in range(1 if client % 2 else 20)]
            body = b"\n".join(orjson.dumps({"service": "load", "message": name}) for name in names)
            number += 1
            try:
                connection.request("POST", "/v1/logs", body, bearer(TOKEN))
                answer = connection.getresponse()
                answer.read()
            except OSError:
                break
            except Exception as error:  # http.client: the server closed between two requests
                assert type(error).__module__ == "http.client"
                break
            if answer.status != 200:
                break
            with self._lock:
                self.acknowledged += names
        connection.close()

    def stop(self) -> list[str]:
        """Wait for the clients; return what was acknowledged."""
        self._end.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        return self.acknowledged


@pytest.fixture(scope="module")
def headrig(programs: Callable[..., Headrig]) -> Headrig:
    """Two workers on the embedded store."""
    scopes = ["write", "read", "audit"]
    return programs(QUICK, workers=2, tokens={TOKEN: {"tenant": "shop", "scopes": scopes}}).start()


def found(headrig: Headrig, service: str) -> Counter[str]:
    now = time.time_ns()
    lines = headrig.entries(f'{{service_name="{service}"}}', now - 3600 * S, now + S)
    return Counter(json.loads(entry.line)["message"] for entry in lines)


def test_sigterm_under_load_loses_nothing_acknowledged(headrig: Headrig) -> None:
    """SIGTERM in the middle of requests: exit code 0, and after a restart every acknowledged record is found once."""
    load = Load(headrig, 6)
    wait_until(lambda: len(load.acknowledged) > 500, 20, "load")
    started = time.monotonic()
    assert headrig.stop() == 0
    assert time.monotonic() - started < 15
    acknowledged = load.stop()
    headrig.start()
    there = found(headrig, "load")
    assert not set(acknowledged) - set(there)
    assert max(there.values()) == 1


def test_the_own_log_is_json_lines_without_content(headrig: Headrig) -> None:
    """Each line of standard error is one JSON object with time, level, process and message; records are not quoted."""
    text = headrig.log()
    entries = [json.loads(line) for line in text.splitlines()]
    assert {"timestamp", "level", "logger", "message", "process"} <= set.intersection(*map(set, entries))
    assert "headrig starts" in {entry["message"] for entry in entries}
    assert "load-" not in text


def test_metrics_answer_for_the_whole_program(headrig: Headrig) -> None:
    """Whichever worker is asked tells what all of them counted."""
    connections = [connect(headrig.url), connect(headrig.url)]
    for number, connection in enumerate(connections):
        connection.request("POST", "/v1/logs", b'{"service":"m","message":"m-%d"}' % number, bearer(TOKEN))
        assert connection.getresponse().read()
    totals = []
    for connection in connections:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        totals.append([line for line in lines if line.startswith("headrig_records_received_total")])
        connection.close()
    assert totals[0] == totals[1]
    assert totals[0][0].endswith(" 2.0")


def test_counters_survive_a_killed_worker(headrig: Headrig) -> None:
    """SIGKILL of a worker: it comes back, readiness returns, no counter goes down, both workers serve."""
    for number in range(20):
        assert headrig.post(b'{"service":"k","message":"k-%d"}' % number).status == 200
    before = {name: value for name, value in headrig.metrics().items() if "_total" in name}
    victim = headrig.child("w0")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: headrig.child("w0") not in (0, victim), 20, "the successor")
    wait_until(headrig.ready, 20, "readiness")
    after = headrig.metrics()
    assert not {name for name, value in before.items() if after.get(name, 0) < value}
    assert headrig.metric("headrig_process_restarts_total", kind="worker") == 1
    assert headrig.post(b'{"service":"k","message":"k-20"}').status == 200
    assert found(headrig, "k") == Counter(f"k-{number}" for number in range(21))


def test_a_killed_audit_process_comes_back(headrig: Headrig) -> None:
    """While the audit process is away its events are told to come again; then the log goes on and verifies."""
    event = b'{"service":"a","event":"user.login","user":"u","message":"a-%d"}'
    assert len(headrig.post(event % 0).json()["receipts"]) == 1
    victim = headrig.child("audit")
    os.kill(victim, signal.SIGKILL)
    answer = wait_until(
        lambda: (a := headrig.post(event % 1, Idempotency_Key="audit-1")).status == 200 and a, 30, "an answer"
    )
    assert len(answer.json()["receipts"]) == 1
    assert headrig.child("audit") not in (0, victim)
    assert found(headrig, "a") == Counter(["a-0", "a-1"])
    done = cli("verify", "log", headrig.data / "audit")
    assert done.returncode == 0, done.stdout


def test_a_restart_remembers_what_it_acknowledged(headrig: Headrig) -> None:
    """A retry that comes after a restart, for another worker perhaps, is still a duplicate with the old receipts."""
    event = b'{"service":"again","event":"user.login","user":"u","message":"again-1"}'
    first = headrig.post(event, Idempotency_Key="again").json()
    assert headrig.stop() == 0
    headrig.start()
    for _ in range(4):
        again = headrig.post(event, Idempotency_Key="again").json()
        assert again["duplicate"] is True
        assert [one["index"] for one in again["receipts"]] == [one["index"] for one in first["receipts"]]
    assert found(headrig, "again") == Counter(["again-1"])


def test_an_audit_log_put_back_to_an_older_state_stops_the_program(
    programs: Callable[..., Headrig], tmp_path: Path
) -> None:
    """The cursors know better: exit code 3, a clear word, and no index is given out a second time."""
    headrig = programs(QUICK, workers=1).start()
    event = b'{"service":"r","event":"user.login","user":"u","message":"r-%d"}'
    headrig.post(event % 0)
    assert headrig.stop() == 0
    shutil.copytree(headrig.data / "audit", tmp_path / "copy")
    headrig.start()
    headrig.post(event % 1)
    assert headrig.stop() == 0
    saved = (headrig.data / "audit" / "checkpoint").read_bytes()
    (tmp_path / "saved").write_bytes(saved)
    shutil.rmtree(headrig.data / "audit")
    shutil.copytree(tmp_path / "copy", headrig.data / "audit")
    headrig.start(wait=False)
    assert headrig.process is not None
    assert headrig.process.wait(20) == 3
    assert "the log has 1 entries, but audit-cursors/archive remembers 2" in headrig.log()
    head = (headrig.data / "audit" / "head").read_bytes()
    assert head == (tmp_path / "copy" / "head").read_bytes()
    log = headrig.data / "audit"
    assert cli("verify", "log", log).returncode == 0
    assert cli("verify", "log", log, "--saved", tmp_path / "saved").returncode == 3


def test_a_damaged_audit_log_is_called_that_until_it_is_repaired(programs: Callable[..., Headrig]) -> None:
    """Own log, readiness and refusal say what is wrong, in no words of the program's own; then the log goes on."""
    headrig = programs(QUICK, workers=1).start()
    event = b'{"service":"d","event":"user.login","user":"u","message":"d-%d"}'
    assert [headrig.post(event % number).status for number in range(2)] == [200, 200]
    assert headrig.stop() == 0
    [segment] = (headrig.data / "audit" / "wal").iterdir()
    whole = segment.read_bytes()
    place = whole.index(b"user.login")  # of the first entry: damage of the last looks like a rollback
    segment.write_bytes(whole[:place] + b"U" + whole[place + 1 :])
    headrig.start(wait=False)
    said = "the audit log does not verify; its process"
    wait_until(lambda: said in headrig.log(), 20, "the own log")
    wait_until(lambda: b"does not verify" in headrig.get("/readyz").body, 20, "readiness")
    answer = headrig.post(event % 2)
    refusal = answer.json()
    ended = next(json.loads(line) for line in headrig.log().splitlines() if said in line)

    assert headrig.get("/readyz").status == 503
    assert (answer.status, refusal["reason"]) == (503, "unavailable")
    assert refusal["detail"] == "the audit process is away"
    assert ended["exit_code"] == 1

    segment.write_bytes(whole)
    wait_until(headrig.ready, 30, "readiness")

    assert headrig.post(event % 2).status == 200


def test_equal_lines_before_and_after_a_restart_keep_apart(programs: Callable[..., Headrig]) -> None:
    """Equal lines of one microsecond get other nanoseconds after a restart too, or Loki would fold them."""
    headrig = programs(QUICK, workers=1).start()
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = orjson.dumps({"timestamp": stamp, "service": "same", "message": "same"})
    for round_ in range(3):
        if round_:
            assert headrig.stop() == 0
            headrig.start()
        assert headrig.post(b"\n".join([line] * 5), Idempotency_Key=f"same-{round_}").json()["accepted"] == 5
    now = time.time_ns()
    times = [entry.ns for entry in headrig.entries('{service_name="same"}', now - 3600 * S, now + S)]
    assert len(times) == 15
    assert len(set(times)) == 15


def test_what_loki_refuses_waits_in_quarantine_and_can_be_sent_again(
    programs: Callable[..., Headrig], own_loki: Callable[..., Loki]
) -> None:
    """A line that is too long for this Loki holds nobody up; ``headrig quarantine`` lists, shows and redrives it."""
    loki = own_loki()
    loki.arguments = ("-distributor.max-line-size=1KB",)
    loki.start()
    settings = {"sinks": {"loki": {"url": loki.url}}, "audit": {"origin": "e2e.example/quarantine"}}
    headrig = programs(settings, workers=1).start()
    lines = [
        orjson.dumps(
            {"service": "big", "message": "x" * (2000 if number == 1 else 10), "n": number, "password": "pw"}
        )
        for number in range(3)
    ]
    assert headrig.post(b"\n".join(lines)).json()["accepted"] == 3
    headrig.await_delivery("loki", 2)
    wait_until(lambda: headrig.metric("headrig_records_quarantined_total") == 1, 20, "the quarantine")
    wait_until(lambda: headrig.metric("headrig_conservation_imbalance_records") == 0, 20, "the balance")
    listed = cli("quarantine", "list", "--config", headrig.config)
    assert listed.returncode == 0, listed.stderr
    [row] = [row.split() for row in listed.stdout.decode().splitlines()[1:]]
    assert row[2:4] == ["refused", "default"]
    shown = cli("quarantine", "show", row[0], "--config", headrig.config)
    item = json.loads(shown.stdout)
    assert item["labels"] == {"service_name": "big"}
    assert json.loads(item["line"])["n"] == 1
    assert json.loads(item["line"])["password"].startswith("[redacted:")
    again = cli("quarantine", "redrive", "--config", headrig.config)
    assert again.stdout == b"delivered 0, refused 1, unknown 0\n"
    loki.stop()
    loki.arguments = ()
    loki.start()
    again = cli("quarantine", "redrive", "--config", headrig.config)
    assert again.stdout == b"delivered 1, refused 0, unknown 0\n"
    assert cli("quarantine", "list", "--config", headrig.config).stdout == b"the quarantine is empty\n"
    now = time.time_ns()
    there = loki.entries('{service_name="big"}', now - 3600 * S, now + S)
    assert Counter(json.loads(entry.line)["n"] for entry in there) == Counter(range(3))
    assert headrig.stop() == 0
