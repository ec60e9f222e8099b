"""The copy of the audit trail, in the real Loki and in the embedded store, against the log."""

import time

import orjson
from running import cli, http, wait_until

LOGIN = b'{"service":"shop","event":"user.login","user":"alice","outcome":"success","audit_id":"v-%d"}'
COUNT = 40


def filled(program, sink):
    answer = program.post(b"\n".join(LOGIN % n for n in range(COUNT)))
    assert len(answer.json()["receipts"]) == COUNT
    wait_until(
        lambda: program.metric("headrig_records_delivered_total", sink=sink, tenant="audit") >= COUNT, 60
    )
    return program


def verified(program, url, *more):
    done = cli("verify", "loki", "--url", url, "--log", program.data / "audit", "--to", "0s", *more)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_the_embedded_copy_is_the_log(programs):
    """headrig's own read face is a copy like Loki."""
    program = filled(programs().start(), "archive")
    code, text = verified(program, program.url)
    assert code == 0, text
    assert f"{COUNT} of the log's entries in the span are in Loki" in text


def test_forged_and_missing_lines_in_loki_are_found(programs, loki):
    """A clean copy is verified; a line that somebody pushed is not the log's; a span of another Loki lacks all."""
    origin, start = "e2e.example/copy", time.time_ns()
    program = filled(
        programs({"sinks": {"loki": {"url": loki.url}}, "audit": {"origin": origin}}).start(), "loki"
    )
    code, text = verified(program, loki.url)
    assert code == 0, text
    first = orjson.loads(
        cli(
            "verify", "loki", "--url", loki.url, "--log", program.data / "audit", "--to", "0s", "--json"
        ).stdout
    )
    assert first["exit_code"] == 0
    labels = {"audit": "true", "audit_log": origin}
    entry = program.entries(f'{{audit="true",audit_log="{origin}"}}', start, time.time_ns())[3]
    forged = orjson.dumps(
        {
            "streams": [
                {
                    "stream": labels,
                    "values": [[str(entry.ns + 1), entry.line.replace("alice", "mallory"), entry.metadata]],
                }
            ]
        }
    )
    assert http(f"{loki.url}/loki/api/v1/push", forged, {"Content-Type": "application/json"}).status == 204
    code, text = verified(program, loki.url)
    assert code == 1, text
    assert f"index {entry.metadata['audit_index']} " in text
    assert "was altered" in text or "was forged" in text


def test_a_copy_that_lacks_everything_is_told(programs):
    """Each run of indexes that is missing is one sentence; a sink that is away is no proof of anything."""
    program = filled(programs().start(), "archive")
    other = programs().start()
    code, text = verified(program, other.url)
    assert code == 1
    assert f"indexes 0 to {COUNT - 1}" in text
    assert "are missing" in text
    code, text = verified(program, "http://127.0.0.1:9")
    assert code == 2
    assert "cannot be reached" in text
