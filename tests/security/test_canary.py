"""P1 and P8: a secret sent by every route and every failure is found nowhere, and errors quote nothing."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import canary_plugins
import pytest
from canary import CONTENT, MAIL, Search, report
from canary_sink import REFUSED, KeepingLoki
from canary_traffic import LOGS, Sending, bad, good, key, plugin_records, raw_requests
from running import Headrig, wait_until

TOKEN = "canary-token-that-is-known"
QUICK = {
    "drain": "2s",
    "tokens": [
        {"token": "env:CANARY_TOKEN", "tenant": "acme", "scopes": ["write", "read", "audit", "admin"]}
    ],
    "limits": {"body": "4MiB", "inflated": "8MiB", "line": "64KiB"},
    "idempotency": {"slots": 1024},
}


def both_sinks(loki: KeepingLoki) -> dict:
    """Settings with Loki and archive together."""
    archive = {"enabled": True, "linger": "200ms"}
    return {**QUICK, "sinks": {"loki": {"url": loki.url, "tenant": "{tenant}"}, "archive": archive}}


class Talk:
    """Sends, and keeps every byte of every answer."""

    def __init__(self, headrig: Headrig) -> None:
        self._headrig = headrig
        self.answers: list[bytes] = []

    def send(self, sending: Sending) -> int:
        """Send a request; return its status."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **sending.headers}
        try:
            answer = self._headrig.post(sending.body, sending.path, **headers)
        except OSError:
            assert sending.status == 413, sending.name  # refused, and closed, while we still send
            return 413
        self.answers.append(f"{sending.name}\n{answer.status}\n{answer.headers}\n".encode() + answer.body)
        assert not sending.status or answer.status == sending.status, (sending.name, self.answers[-1])
        return answer.status

    def get(self, path: str) -> bytes:
        """Fetch a path."""
        answer = self._headrig.get(path, Authorization=f"Bearer {TOKEN}")
        self.answers.append(f"GET {answer.status}\n{answer.headers}\n".encode() + answer.body)
        return answer.body

    def raw(self, name: str, request: bytes) -> None:
        """Send bytes as they are; keep what comes until the connection closes."""
        url = urlsplit(self._headrig.url)
        with socket.create_connection((url.hostname, url.port), timeout=3) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65_536):
                answer += chunk
        self.answers.append(name.encode() + b"\n" + answer)


def delivered(headrig: Headrig) -> bool:
    """Everything that was stored went to both sinks, the refused entry to quarantine, and the balance holds."""

    def records(term: str, **labels: str) -> float:
        return headrig.metric(f"headrig_records_{term}_total", **labels)

    refused = records("quarantined", reason="refused-too_large")
    left = records("rejected") + records("dropped") + records("duplicate") + records("quarantined") - refused
    stored = records("received") - left
    leaves = headrig.metric("headrig_audit_log_entries")
    samples = headrig.metrics()
    waiting = [
        value for name, value in samples.items() if name.startswith(("headrig_buffered", "headrig_conserv"))
    ]
    return (
        refused == 1
        and records("delivered", tenant="acme", sink="loki") + refused >= stored
        and records("delivered", tenant="acme", sink="archive") >= stored
        and min(records("delivered", tenant="audit", sink=sink) for sink in ("loki", "archive")) >= leaves > 0
        and not any(waiting)
    )


def everything(headrig: Headrig, talk: Talk, loki: KeepingLoki) -> list:
    """Search all there is."""
    search = Search()
    findings = list(search.in_tree(headrig.directory))
    findings += search.in_texts("answer", talk.answers)
    findings += search.in_texts("sink", loki.received)
    return findings


def environment(directory: Path) -> dict[str, str]:
    """The known token, the plugins, and a place for temporary files that is searched."""
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    return {"CANARY_TOKEN": TOKEN, "TMPDIR": str(directory / "tmp")}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A headrig that got every request, was killed in between, and stopped; with what it said and delivered."""
    directory = tmp_path_factory.mktemp("canary")
    plugins = canary_plugins.install(tmp_path_factory.mktemp("plugins"))
    with KeepingLoki() as loki:
        settings = {**both_sinks(loki), "plugins": canary_plugins.SECTION}
        headrig = Headrig(directory / "node", settings)
        path = (str(plugins), os.environ.get("PYTHONPATH"))
        env = {**environment(directory / "node"), "PYTHONPATH": os.pathsep.join(filter(None, path))}
        try:
            headrig.start(env=env)
            talk = Talk(headrig)
            statuses = play(headrig, talk, loki)
            wait_until(lambda: delivered(headrig), 30, "delivery to both sinks")
            talk.get("/metrics")
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        yield headrig, talk, loki, statuses


def play(headrig: Headrig, talk: Talk, loki: KeepingLoki) -> dict[str, int]:
    """Send everything; return statuses by name."""
    statuses = {sending.name: talk.send(sending) for sending in good()}
    loki.away = True
    statuses |= {sending.name: talk.send(sending) for sending in bad()}
    for name, record in plugin_records():
        statuses[f"plugin, {name}"] = talk.send(Sending(name, LOGS, json.dumps(record).encode(), status=200))
    loki.away = False
    refused = json.dumps({"message": f"{REFUSED} {CONTENT} {key()} {MAIL}"})
    statuses["refused"] = talk.send(Sending("refused", LOGS, refused.encode(), status=200))
    for name, request in raw_requests("localhost", TOKEN):
        talk.raw(name, request)
    for query in (f'{{a="{key()}"}}', key(), f'{{audit="true"}} |= "{key()}"'):
        talk.get(f"/loki/api/v1/query_range?query={quote(query)}&start={key()}")
    crash(headrig, talk)
    return statuses


def crash(headrig: Headrig, talk: Talk) -> None:
    """Let a worker die of a record, with the record in its memory."""
    before = headrig.metric("headrig_process_restarts_total", kind="worker")
    record = {"canary_do": "crash", "hidden": key()[::-1], "message": f"{CONTENT} {key()}"}
    with pytest.raises(OSError):
        headrig.post(json.dumps(record).encode(), LOGS, Authorization=f"Bearer {TOKEN}")
    wait_until(
        lambda: headrig.ready() and headrig.metric("headrig_process_restarts_total", kind="worker") > before
    )


def test_no_secret_is_found_anywhere(ran):
    """Buffer, audit log, archive, quarantine, cursors, keys, cache, run directory, own log, answers, sink."""
    headrig, talk, loki, _ = ran
    findings = everything(headrig, talk, loki)
    assert not findings, report(findings)


def test_everything_that_could_be_taken_was_taken(ran):
    """The search looked where something was: every place holds what was sent, masked."""
    headrig, _, loki, statuses = ran
    assert set(statuses.values()) >= {200, 204, 400, 401, 413, 415, 422}
    assert any(CONTENT in line and "[redacted:" in line for line in loki.lines)
    seen = Search({"content": (CONTENT,), "placeholder": ("[redacted:",)})
    places = {each.place.partition(" ")[0].rpartition("/")[0] for each in seen.in_tree(headrig.data)}
    for place in ("buffer", "audit", "archive", "quarantine"):
        assert any(found.startswith(place) for found in places), (place, places)


def test_errors_logs_and_metrics_quote_no_content(ran):
    """P8: even harmless words of a record are in no answer, no line of the own log and no metric."""
    headrig, talk, _, _ = ran
    search = Search({"content": (CONTENT,)})
    findings = [
        *search.in_texts("answer", talk.answers),
        *search.in_bytes("log", headrig.log().encode()),
        *(each for path in (headrig.data / "run").rglob("*") if path.is_file() for each in search.in_bytes(str(path), path.read_bytes())),
    ]  # fmt: skip
    assert not findings, report(findings)


def test_the_own_log_is_json_lines(ran):
    """What libraries and plugins say comes as lines of the own log, without their words."""
    headrig, _, _, _ = ran
    lines = headrig.log().splitlines()
    fault = [n for n, line in enumerate(lines) if line.startswith("Fatal Python error")]
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert fault, "the worker died without a trace"
    assert any(entry["logger"] == "acme" for entry in entries)
    assert any(entry.get("error") == "ValueError" for entry in entries)
    assert not [line for line in lines if "Traceback" in line or "Logging error" in line]


def test_what_a_plugin_brings_is_masked(ran):
    """New attributes, new names, new bodies and the words of a verdict are scanned like a line."""
    _, _, loki, statuses = ran
    told = [line for line in loki.lines if '"canary_do":"body"' in line]
    assert len(told) == 1
    assert told[0].count("[redacted:") >= 3
    assert any('"acme.judged"' in line and "[redacted:" in line for line in loki.lines)
    assert {statuses[f"plugin, {name}"] for name in ("raise", "overrun", "drop", "judge, raise")} == {200}


def test_a_refused_entry_is_kept_masked(ran):
    """Loki quotes the entry in its 400: quarantine keeps both, masked; the own log has neither."""
    headrig, _, _, _ = ran
    kept = b"".join(path.read_bytes() for path in (headrig.data / "quarantine").glob("*.ndjson"))
    refused = [item for line in kept.splitlines() if (item := json.loads(line)).get("kind") == "refused"]
    assert len(refused) == 1
    assert REFUSED in refused[0]["line"]
    assert "[redacted:" in refused[0]["line"]
    assert REFUSED not in headrig.log()


def test_no_process_leaves_a_core_file(tmp_path):
    """A core file would be memory on a disk: processes have a limit of 0 bytes for it."""
    headrig = Headrig(tmp_path, {**QUICK, "tokens": []}, workers=1)
    try:
        headrig.start()
        assert headrig.process is not None
        for pid in (headrig.process.pid, *headrig.children().values()):
            limits = Path(f"/proc/{pid}/limits").read_text()
            (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
            assert core[4:6] == ["0", "0"]
    finally:
        headrig.kill()
