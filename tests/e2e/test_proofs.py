"""An audit event is proven to somebody who has the event, a proof file and the log's key."""

import re

from running import cli, wait_until

TOKENS = {
    "w": {"tenant": "shop", "scopes": ["write", "read", "audit"]},
    "o": {"tenant": "other", "scopes": ["write", "audit"]},
    "a": {"tenant": "ops", "scopes": ["audit", "admin"]},
}
LOGIN = b'{"service":"shop","event":"user.login","user":"alice","outcome":"success","audit_id":"e-%d"}'


def started(programs):
    program = programs(tokens=TOKENS).start()
    receipts = program.post(b"\n".join(LOGIN % n for n in range(300))).json()["receipts"]
    assert [receipt["index"] for receipt in receipts] == list(range(300))
    wait_until(lambda: int(program.get("/audit/checkpoint").body.split(b"\n")[1]) >= 300)
    return program


def test_the_log_is_read_and_proven_over_http_and_offline(programs, tmp_path):
    """Checkpoint, tiles and proofs come over HTTP as the formats say; the command line makes and checks the same."""
    program = started(programs)
    key = program.data / "keys/audit.vkey"
    assert len(program.get("/audit/tile/0/000").body) == 8192
    answer = program.get("/audit/proof/7", Accept="application/json").json()
    assert answer["index"] == 7
    proof, leaf = tmp_path / "7.tlog-proof", tmp_path / "7.json"
    proof.write_text(answer["proof"])
    leaf.write_text(answer["leaf"])
    assert '"e-7"' in answer["leaf"]
    good = cli("verify", "proof", proof, "--leaf", leaf, "--key", key)
    assert (good.returncode, good.stdout[:31]) == (0, b"verified: the event is index 7 ")
    leaf.write_text(answer["leaf"].replace("alice", "mallory"))
    bad = cli("verify", "proof", proof, "--leaf", leaf, "--key", key)
    assert (bad.returncode, bad.stdout[:8]) == (1, b"TAMPERED")
    made = cli("proof", "e-299", "--log", program.data / "audit", "-o", proof, "--leaf", leaf)
    assert made.returncode == 0, made.stderr
    assert cli("verify", "proof", proof, "--leaf", leaf, "--key", key).returncode == 0
    assert re.search(rb"\nindex 299\n", proof.read_bytes())
    missing = cli("proof", "999999", "--log", program.data / "audit")
    assert missing.returncode == 64
    assert b"the signed checkpoint covers indexes 0 to" in missing.stderr


def test_entries_are_shown_to_their_tenant_only_and_every_look_is_recorded(programs):
    """Hashes are for all auditors; another tenant's proof is not there; entries of all tenants need admin."""
    program = started(programs)
    other, admin = ({"Authorization": f"Bearer {token}"} for token in "oa")
    assert program.get("/audit/checkpoint", **other).status == 200
    assert program.get("/audit/tile/0/000", **other).status == 200
    assert program.get("/audit/proof/7", **other).status == 404
    assert program.get("/audit/tile/entries/000", **other).status == 403
    assert program.get("/audit/tile/entries/000", **admin).status == 200
    assert program.get("/audit/checkpoint", Authorization="Bearer nobody").status == 401
    for path in ("tile/0/999", "tile/0/../../log.json", "tile/7/x", "proof/9999", "tile/head"):
        assert program.get(f"/audit/{path}").status in (404, 422), path
    newest = int(program.get("/audit/checkpoint").body.split(b"\n")[1])
    wait_until(lambda: int(program.get("/audit/checkpoint").body.split(b"\n")[1]) >= 301)
    assert newest >= 300
    leaf = program.get("/audit/proof/300", Accept="application/json", **admin).json()["leaf"]
    assert "audit_entries" in leaf
    assert "tenant:ops" in leaf


def test_events_are_listed_and_found_by_id(programs):
    """By actor and time, a page after the other, of the own tenant; a wrong parameter is named."""
    program = started(programs)
    other, admin = ({"Authorization": f"Bearer {token}"} for token in "oa")
    first = program.get("/audit/events?actor=alice&limit=200").json()
    assert [each["index"] for each in first["events"]] == list(range(200))
    rest = program.get(f"/audit/events?actor=alice&limit=200&after={first['next']}").json()
    assert [each["index"] for each in rest["events"]] == list(range(200, 300))
    assert rest["next"] is None
    shown = first["events"][7]
    assert shown["event"]["id"] == "e-7"
    assert program.get("/audit/receipts/e-7").json() == {"index": 7, "leaf": shown["leaf"], "tree_size": 8}
    since = program.get(f"/audit/events?action=login&start={rest['events'][0]['recorded']}").json()["events"]
    assert since[0]["index"] == 200
    assert program.get("/audit/events?actor=alice", **other).json()["events"] == []
    assert program.get("/audit/receipts/e-7", **other).status == 404
    everyone = program.get("/audit/events?after=300&limit=1000", **admin).json()["events"]
    assert {each["event"]["tenant"] for each in everyone} >= {"shop", "other"}
    for wrong, name in (
        ("color=red", "color"),
        ("limit=x", "limit"),
        ("start=never", "start"),
        ("limit=1001", "limit"),
    ):
        refused = program.get(f"/audit/events?{wrong}")
        assert refused.status == 422
        assert refused.json()["detail"].startswith(f"{name}: ")


def test_a_log_is_verified_over_http(programs):
    """With the key that the auditor has; a token without the scopes is told which it needs."""
    program = started(programs)
    key = program.data / "keys/audit.vkey"
    good = cli("verify", "log", program.url, "--key", key, "--token", "a")
    assert good.returncode == 0, good.stderr
    assert b"verified: " in good.stdout
    refused = cli("verify", "log", program.url, "--key", key, "--token", "o")
    assert (refused.returncode, b"admin" in refused.stderr) == (64, True)
    assert cli("verify", "log", program.url, "--token", "a").returncode == 64
    assert cli("verify", "log", "http://127.0.0.1:9", "--key", key).returncode == 2
