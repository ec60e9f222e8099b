"""Commands with plugins configured do what a worker would do with them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import ROOT, Headrig, cli, wait_until

EXAMPLES = {
    "detectors": [{"kind": "acme_badge"}],
    "processors": [{"kind": "owner", "config": {"owners": {"checkout": "payments"}}}],
    "classifiers": [{"kind": "acme_refund", "config": {"limit": 50}}],
}
BADGE = "BADGE-1234-70"

CODE = '''
from dataclasses import dataclass
from pathlib import Path

from headrig import DetectorSpec, ProcessorSpec


@dataclass(frozen=True, kw_only=True)
class Config:
    reached: str = ""


class Away:
    """Its table is not to be had."""

    async def __aenter__(self):
        raise OSError("cannot reach db.internal with hunter2")

    async def __aexit__(self, *_error):
        pass

    def process(self, record):
        return record


class Stuck:
    """Never returns, whatever it is told."""

    def __init__(self, reached):
        self._reached = Path(reached)

    def find(self, _text):
        while True:
            try:
                self._reached.touch()
            except BaseException:
                pass


class Rude:
    """Behaves as if somebody had pressed ^C."""

    def process(self, record):
        if record.body["message"] == "rude":
            raise KeyboardInterrupt
        return record


RUDE = ProcessorSpec(kind="rude", config=Config, factory=lambda _config, _host: Rude())
AWAY = ProcessorSpec(kind="away", config=Config, factory=lambda _config, _host: Away())
STUCK = DetectorSpec(kind="stuck", config=Config, factory=lambda config, _host: Stuck(config.reached))
'''


def configure(directory: Path, plugins: dict[str, object], **settings: object) -> Path:
    """Write a configuration with these plugins."""
    path = directory / "headrig.yaml"
    defaults = {"config_dir": str(ROOT / "config"), "enrichment": {"catalog": "examples/services.yaml"}}
    path.write_text(yaml.safe_dump({**defaults, "plugins": plugins, **settings}))
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with which the distribution above is installed."""
    about = tmp_path / "site" / "acme_trouble-1.dist-info"
    about.mkdir(parents=True)
    (about.parent / "acme_trouble.py").write_text(CODE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-trouble\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[headrig.processors]\naway = acme_trouble:AWAY\nrude = acme_trouble:RUDE\n[headrig.detectors]\nstuck = acme_trouble:STUCK\n"
    )
    path = [str(about.parent), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def test_mask_replaces_what_a_detector_points_at(tmp_path: Path) -> None:
    """What ``serve`` would not store ``mask`` does not print."""
    config = configure(tmp_path, EXAMPLES)
    lines = [f"seen {BADGE} here", json.dumps({"note": BADGE})]
    done = cli("mask", "--config", config, stdin="\n".join(lines).encode())

    assert done.returncode == 0, done.stderr
    assert BADGE not in done.stdout.decode()
    assert done.stdout.count(b"[redacted:acme_badge]") == 2


def test_explain_shows_what_plugins_do(tmp_path: Path) -> None:
    """Detectors mask, processors and classifiers are stages of their own, for each line."""
    refund = {"service": "checkout", "action": "refund", "amount": 70, "user": "alice", "note": BADGE}
    plain = {"service": "other", "action": "pay"}
    data = f"{json.dumps(refund)}\n{json.dumps(plain)}\n".encode()
    done = cli("explain", "--config", configure(tmp_path, EXAMPLES), stdin=data)

    assert done.returncode == 0, done.stderr
    steps = [(row.split()[0], json.loads(row.split(None, 1)[1])) for row in done.stdout.decode().splitlines()]
    names = ["mask", "enrich", "processors", "classify", "classifiers", "loki"]
    assert [name for name, _ in steps] == names * 2
    first, second = dict(steps[:6]), dict(steps[6:])
    assert BADGE not in first["mask"]["line"]
    assert first["classifiers"]["audit"]["rule"] == "acme.refund"
    assert second["processors"]["attributes"]["owner"] == "unowned"
    assert "audit" not in second["classifiers"]


def test_check_starts_plugins_once(tmp_path: Path, environment: dict[str, str]) -> None:
    """A plugin that does not start is found before anything runs; its own words are not repeated."""
    config = configure(tmp_path, {"processors": [{"kind": "away"}]})
    done = cli("check", "--config", config, env=environment)

    assert (done.returncode, done.stdout) == (64, b"")
    assert b"plugins.processors[0]: plugin away did not start (OSError)" in done.stderr
    assert b"hunter2" not in done.stderr


def test_serve_ends_when_a_plugin_does_not_start(tmp_path: Path, environment: dict[str, str]) -> None:
    """It says why and exits 64 instead of keeping a socket open that nobody answers."""
    config = configure(
        tmp_path, {"processors": [{"kind": "away"}]}, listen="127.0.0.1:0", data=str(tmp_path / "data")
    )
    done = cli("serve", "--config", config, "--workers", "2", env=environment, timeout=50)

    assert done.returncode == 64
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert "plugins.processors[0]: plugin away did not start (OSError)" in [line.get("why") for line in said]
    assert b"hunter2" not in done.stderr


def test_an_interrupt_of_a_plugin_or_of_a_terminal_ends_no_worker(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A plugin's KeyboardInterrupt is a fault of its record; ^C, which reaches every process, is the supervisor's."""
    headrig = Headrig(tmp_path / "node", {"plugins": {"processors": [{"kind": "rude"}]}}, workers=2)
    try:
        headrig.start(env=environment)
        children = headrig.children()
        for _ in range(2):
            answer = headrig.post(b'{"message":"one"}\n{"message":"rude"}\n{"message":"two"}').json()
            assert answer["accepted"] == 2
            assert [(held["index"], held["reason"]) for held in answer["quarantined"]] == [(1, "plugin:rude")]
            for pid in children.values():
                os.kill(pid, signal.SIGINT)
        assert headrig.stop() == 0
        assert len(children) == 3
        assert "a process ended" not in headrig.log()
    finally:
        headrig.kill()


@pytest.mark.parametrize("command", ["mask", "explain"])
def test_an_interrupt_ends_a_command_inside_a_plugin(
    tmp_path: Path, environment: dict[str, str], command: str
) -> None:
    """A plugin that swallows everything cannot keep a command in the foreground, and no file stays behind."""
    reached, scratch = tmp_path / "reached", tmp_path / "scratch"
    scratch.mkdir()
    config = configure(tmp_path, {"detectors": [{"kind": "stuck", "config": {"reached": str(reached)}}]})
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", command, "--config", str(config)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment, "TMPDIR": str(scratch)},
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"a line\n")
        process.stdin.flush()
        wait_until(reached.exists, 30, "the plugin")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert not re.search(rb"Traceback", process.stderr.read())

    assert list(scratch.iterdir()) == []
