"""The commands as people run them: output, exit codes, help."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from running import ROOT, Headrig, cli, wait_until

from pipeline.audit.segments import list_segments
from pipeline.samples import canary

KEY = canary(9)
COMMANDS = [
    [], ["serve"], ["check"], ["test"], ["demo"], ["query"], ["verify"], ["verify", "log"], ["explain"], ["mask"],
    ["replay"], ["quarantine"], ["quarantine", "list"], ["quarantine", "show"], ["quarantine", "redrive"], ["bench"],
]  # fmt: skip


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that answers every GET with this JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def helped() -> dict[str, subprocess.CompletedProcess[bytes]]:
    """What ``--help`` of each command says."""
    with ThreadPoolExecutor(3) as pool:
        said = pool.map(lambda command: cli(*command, "--help"), COMMANDS)
        return dict(zip(map(" ".join, COMMANDS), said, strict=True))


@pytest.mark.parametrize("command", [" ".join(command) for command in COMMANDS])
def test_every_command_explains_itself(
    helped: dict[str, subprocess.CompletedProcess[bytes]], command: str
) -> None:
    """``--help`` exits 0, says what the command does in a sentence, and lists its options."""
    done = helped[command]
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode()
    assert f"headrig {command}".strip() in text
    assert "--help" in text
    assert re.search(r"\w+ [^\n]{20,}[.:]", text)


def test_the_help_of_verify_names_every_exit_code(
    helped: dict[str, subprocess.CompletedProcess[bytes]],
) -> None:
    """A script that calls it can tell a verdict from a wrong call and from a crash."""
    text = helped["verify log"].stdout.decode()
    sentence = text[text.index("Exit codes:") : text.index("Arguments")]

    assert re.findall(r"\b\d+\b", sentence) == ["0", "1", "2", "3", "64", "70"]


def test_the_help_names_every_command(helped: dict[str, subprocess.CompletedProcess[bytes]]) -> None:
    """What the README's table lists is in the help, and the other way round."""
    text = helped[""].stdout.decode()
    listed = set(re.findall(r"^│ ([a-z]+) ", text, re.MULTILINE))
    readme = set(re.findall(r"`headrig ([a-z]+)", (ROOT / "README.md").read_text()))
    assert listed == readme


def test_mask_filters_plain_text_and_json() -> None:
    """A line in, a line out: secrets replaced, the rest untouched, JSON still JSON, order kept."""
    lines = [f"plain {KEY} text", json.dumps({"user": "a", "password": "hunter2"}), "nothing here", ""]
    done = cli("mask", stdin="\n".join([*lines, ""]).encode())
    assert done.returncode == 0
    first, second, third, fourth = done.stdout.decode().split("\n")[:4]
    assert re.fullmatch(r"plain \[redacted:[a-z-]+\] text", first)
    assert json.loads(second)["user"] == "a"
    assert json.loads(second)["password"].startswith("[redacted:")
    assert (third, fourth) == ("nothing here", "")


def test_mask_with_json_strings_keeps_newlines_inside() -> None:
    """``--json-strings``: a text of several lines is one string in and one string out."""
    texts = [f"first\nsecond {KEY}\nthird", json.dumps({"token": "abc123"}), "plain"]
    done = cli("mask", "--json-strings", stdin=b"".join(json.dumps(text).encode() + b"\n" for text in texts))
    assert done.returncode == 0
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"first\nsecond \[redacted:[a-z-]+\]\nthird", out[0])
    assert json.loads(out[1])["token"].startswith("[redacted:")
    assert out[2] == "plain"


def test_mask_answers_line_by_line() -> None:
    """A pipe that stays open gets each line back without waiting for the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "mask"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"one\n", b"two\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == text
        process.stdin.close()
        assert process.wait(20) == 0


def test_mask_withholds_what_it_cannot_scan() -> None:
    """A line that is not text comes out as a note, never as it was; standard error counts them."""
    done = cli("mask", stdin=b"\xff\xfe" + KEY.encode() + b"\nfine\n")
    assert done.stdout == b"[headrig: not scanned]\nfine\n"
    assert b"1 line" in done.stderr
    assert KEY.encode() not in done.stderr


def test_explain_shows_what_each_stage_does() -> None:
    """Masked text, attributes, the audit verdict and the labels, without the secret."""
    line = json.dumps({"service": "checkout", "event": "user.login", "user": "alice", "password": "hunter2"})
    done = cli("explain", line)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    steps = {row.split()[0]: json.loads(row.split(None, 1)[1]) for row in text.splitlines()}
    assert list(steps) == ["mask", "enrich", "classify", "loki"]
    assert steps["mask"]["masked"] == {"credential-field": 1}
    assert steps["enrich"]["attributes"]["team"]
    assert steps["classify"]["audit"]["action"] == "login"
    assert steps["loki"]["labels"]["service_name"] == "checkout"
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("setting", "place", "meant"),
    [
        ({"sinks": {"lokii": {}}}, "sinks.lokii", "loki"),
        ({"limits": {"bodies": 1}}, "limits.bodies", "body"),
        ({"masking": {"pack": []}}, "masking.pack", "packs"),
        ({"enrichment": {"catalogue": None}}, "enrichment.catalogue", "catalog"),
        ({"classification": {"rule": []}}, "classification.rule", "rules"),
        ({"plugins": {"processor": []}}, "plugins.processor", "processors"),
    ],
)
def test_check_names_the_key_and_what_was_meant(
    tmp_path: Path, setting: dict[str, object], place: str, meant: str
) -> None:
    """A misspelt setting, in any section, is a usage error that names its place and the nearest one there is."""
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump({"config_dir": str(ROOT / "config"), **setting}))
    done = cli("check", "--config", path)
    assert done.returncode == 64
    assert place in done.stderr.decode()
    assert re.search(rf"did you mean ['\"]{meant}['\"]\?", done.stderr.decode())


def test_check_and_test_hold_for_the_configuration_that_ships() -> None:
    """The annotated default is valid, and the tests of all rule packs pass."""
    done = cli("check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"ok: ")
    assert cli("test").returncode == 0


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--nonsense"], ["verify", "log", "/nowhere"], []]
)
def test_wrong_usage_exits_64(arguments: list[str]) -> None:
    """Usage errors have one exit code."""
    assert cli(*arguments).returncode == 64


def test_serve_refuses_an_open_door(tmp_path: Path) -> None:
    """Without tokens headrig does not listen to the world: it says so and binds nothing."""
    path = tmp_path / "open.yaml"
    path.write_text(f"listen: 0.0.0.0:0\nconfig_dir: {ROOT / 'config'}\ndata: {tmp_path / 'data'}\n")
    done = cli("serve", "--config", path)
    assert done.returncode == 64
    assert b"loopback" in done.stderr


@pytest.fixture(scope="module")
def logged(programs: Callable[..., Headrig]) -> Iterator[Path]:
    """A data directory whose audit log holds forty signed events."""
    headrig = programs(workers=1).start()
    for number in range(40):
        body = json.dumps({"service": "s", "event": "user.login", "user": f"person-{number}"}).encode()
        assert len(headrig.post(body).json()["receipts"]) == 1
    wait_until(lambda: headrig.metric("headrig_audit_checkpoint_entries") == 40, 20, "the signature")
    assert headrig.stop() == 0
    yield headrig.data


@pytest.fixture
def copy(logged: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    for part in ("audit", "keys"):
        shutil.copytree(logged / part, tmp_path / part)
    return tmp_path / "audit"


def test_verify_confirms_an_untouched_log(copy: Path) -> None:
    """Exit 0, in words and as JSON."""
    done = cli("verify", "log", copy)
    assert done.returncode == 0
    assert b"40 entries" in done.stdout
    assert json.loads(cli("verify", "log", copy, "--json").stdout)


def test_verify_names_an_edited_entry(copy: Path) -> None:
    """One changed letter: exit 1, and the entry and segment are named; its content is not."""
    [segment] = list_segments(copy)
    data = segment.read_bytes()
    assert data.count(b"person-17") >= 1
    segment.write_bytes(data.replace(b"person-17", b"person-71"))
    done = cli("verify", "log", copy)
    assert done.returncode == 1
    text = done.stdout.decode()
    assert "17" in text
    assert segment.name in text
    assert "person" not in text


def test_verify_names_a_cut_off_tail(copy: Path) -> None:
    """A log that is shorter than what was signed: exit 1 or 3, and the place is named."""
    [segment] = list_segments(copy)
    os.truncate(segment, segment.stat().st_size - 500)
    done = cli("verify", "log", copy)
    assert done.returncode in (1, 3)
    assert segment.name in done.stdout.decode()
    assert re.search(r"\b3\d\b", done.stdout.decode())


def test_verify_without_the_right_key_is_no_verdict(copy: Path, programs: Callable[..., Headrig]) -> None:
    """With another log's key nothing can be said: exit 2, neither verified nor tampered."""
    other = programs(workers=1).start()
    assert other.stop() == 0
    done = cli("verify", "log", copy, "--key", other.data / "keys" / "audit.vkey")
    assert done.returncode == 2, done.stdout


def test_verify_names_the_key_it_trusts_and_what_it_cannot_read(copy: Path, tmp_path: Path) -> None:
    """64 for a wrong use, 2 for what is no key, 1 for a log without its description; never a crash."""
    done = cli("verify", "log", copy)
    assert re.search(rb"trusted key: headrig.local/audit\+[0-9a-f]{8} of .*keys/audit\.vkey", done.stdout)
    named = cli("verify", "log", copy, "--key", tmp_path / "keys" / "audit.vkey")
    assert (named.returncode, b"trusted key" in named.stdout) == (0, False)
    assert cli("verify", "log", copy, "--key", tmp_path).returncode == 64
    assert cli("verify", "log", copy, "--saved", tmp_path / "none").returncode == 64
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert cli("verify", "log", copy, "--key", tmp_path / "binary").returncode == 2
    (copy / "log.json").unlink()
    assert cli("verify", "log", copy).returncode == 1


def test_demo_runs_by_itself(tmp_path: Path) -> None:
    """``demo --seconds 3`` starts, sends, says what to try, stops with 0, and leaves a log that verifies."""
    done = cli("demo", "--seconds", "3", "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr[-2000:]
    text = done.stdout.decode()
    assert re.search(r"http://127\.0\.0\.1:\d+/healthz", text)
    assert "headrig query" in text
    assert cli("verify", "log", tmp_path / "data" / "audit").returncode == 0
    assert any((tmp_path / "data" / "archive").rglob("*.parquet"))


@pytest.mark.parametrize("command", ["serve", "demo"])
@pytest.mark.parametrize(
    ("options", "place"),
    [
        (["--data", "afile"], "data: "),
        (["--listen", "127.0.0.1:99999"], "listen: "),
        (["--listen", "127.0.0.1:{taken}"], "listen: "),
        (["--listen", "192.0.2.1:1"], "listen"),
    ],
)
def test_a_place_that_cannot_be_had_is_a_usage_error_with_a_sentence(
    tmp_path: Path, command: str, options: list[str], place: str
) -> None:
    """A file for a data directory, a port that is none or taken: exit 64, and the setting is named; `demo` too."""
    (tmp_path / "afile").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        filled = [option.format(taken=taken.getsockname()[1]) for option in options]
        done = cli(command, "--config", ROOT / "config/headrig.yaml", *filled, cwd=tmp_path)
    assert done.returncode == 64, done.stderr
    assert place in done.stderr.decode()
    assert b"internal error" not in done.stderr


@pytest.mark.parametrize("command", [["check"], ["serve"], ["demo"], ["explain", "x"]])
def test_without_a_configuration_the_option_is_named(tmp_path: Path, command: list[str]) -> None:
    """In a directory that has none, what needs one says how to name it; nothing is made there."""
    done = cli(*command, cwd=tmp_path)
    assert done.returncode == 64
    assert b"--config" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_explain_prints_nothing_that_a_terminal_obeys() -> None:
    """DEL and the C1 controls, which JSON leaves as they are, come out as escapes of the same value."""
    done = cli("explain", json.dumps({"message": "a\x9b31m\x7f\x1b"}, ensure_ascii=False))
    assert done.returncode == 0, done.stderr
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout.decode())
    assert r"a\\u009b31m\\u007f" in done.stdout.decode() or r"a\u009b31m\u007f" in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--url", "http://[::1"], 64),
        (["--token", "t\u00f6k\u00e9n"], 64),
        (["--url", "http://127.0.0.1:1"], 2),
        (["--url", "{answers}"], 64),
    ],
)
def test_query_says_what_is_wrong(arguments: list[str], code: int) -> None:
    """No address, an impossible token, nobody there, a server that is no Loki: a sentence, never a crash."""
    with answering(b'{"status":"success"}') as url:
        done = cli("query", '{a="b"}', *[argument.format(answers=url) for argument in arguments])
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(b"headrig: ")
    assert b"internal error" not in done.stderr


def test_query_json_prints_nothing_that_a_terminal_obeys() -> None:
    """``query --json`` gives the whole answer, DEL and C1 controls escaped."""
    answer = {
        "data": {"resultType": "streams", "result": [{"stream": {}, "values": [["1", "a\x9b31m\x7f"]]}]}
    }
    with answering(json.dumps(answer, ensure_ascii=False).encode()) as url:
        done = cli("query", '{a="b"}', "--json", "--url", url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answer
    assert not re.search("[\x7f-\x9f]", done.stdout.decode())


def test_quarantine_show_of_what_is_not_there_is_wrong_usage(logged: Path) -> None:
    """An id that does not exist: 64, not the 1 of a verification that fails."""
    done = cli("quarantine", "show", "NOPE", "--data", logged)
    assert done.returncode == 64
    assert b"NOPE" in done.stderr


def test_bench_prints_what_a_record_costs() -> None:
    """``headrig bench`` needs no server and prints each step."""
    done = cli("bench", "--records", "3000", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    for step in (b"heads", b"mask", b"enrich", b"classify", b"encode", b"gzip", b"all"):
        assert step in done.stdout
