"""A plugin that swallows everything and never returns: its worker is killed, its record held back."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from crash_oracle import settle
from faulty_serve import PROGRAM, environment
from recording_loki import RecordingLoki
from retrying import Body, Client, Fleet
from running import Headrig, free_port, wait_until

PLUGIN = """
import time
from dataclasses import dataclass
from headrig import ProcessorSpec

@dataclass(frozen=True)
class Config:
    pass

class Hang:
    def process(self, record):
        if record.body.get("message") == "POISON":
            while True:
                try:
                    time.sleep(3600)
                except BaseException:
                    pass
        return record

SPEC = ProcessorSpec(kind="hang", config=Config, factory=lambda config, host: Hang(), reads=("message",))
"""


def install(directory: Path) -> Path:
    """Make a distribution with the plugin; return what to put on the path."""
    information = directory / "headrig_hang-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: headrig-hang\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[headrig.processors]\nhang = headrig_hang:SPEC\n")
    (directory / "headrig_hang.py").write_text(PLUGIN)
    return directory


def body(name: str, messages: list[str]) -> Body:
    """Make a body of one record per message."""
    names = [f"{name}r{n}" for n in range(len(messages))]
    lines = [json.dumps({"uid": uid, "message": text}) for uid, text in zip(names, messages, strict=True)]
    return Body("\n".join(lines).encode(), names, [], f"key-{name}")


def test_a_record_that_killed_two_workers_is_quarantined_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Meanwhile other senders are served, and at the end nothing but the poison is missing."""
    env = environment(tmp_path / "fired", silence_ms=2500, backoff=0.02)
    env["PYTHONPATH"] = str(install(tmp_path / "plugin"))
    with RecordingLoki() as loki:
        settings = {
            "listen": f"127.0.0.1:{free_port()}",
            "sinks": {"loki": {"url": loki.url}},
            "plugins": {"processors": [{"kind": "hang"}]},
        }
        headrig = Headrig(tmp_path, settings, program=PROGRAM)
        try:
            headrig.start(env=env)
            poison = body("p", ["fine", "POISON", "fine", "fine"])
            client = Client(Fleet(headrig.url, 1, clients=0, hang_up=0.0), 0, 1)
            sender = threading.Thread(target=client.deliver, args=(poison,))
            sender.start()
            while sender.is_alive():
                others = Client(Fleet(headrig.url, 2, clients=0, patience=20, hang_up=0.0), 1, 2)
                others.bodies = [body(f"o{number}", ["fine"] * 3) for number in range(20)]
                for other in others.bodies:
                    others.deliver(other)
                    assert other.answer is not None
                    assert other.answer["accepted"] == 3
                others.hang_up()
                sender.join(0.2)
            sender.join()
            client.hang_up()
            assert poison.answer is not None
            assert poison.answer["accepted"] == 3
            assert [verdict["index"] for verdict in poison.answer["quarantined"]] == [1]
            wait_until(headrig.ready, 20, "readiness")
            settle(headrig, loki)
            assert headrig.stop() == 0
        finally:
            headrig.kill()
    assert headrig.log().count("a worker is silent and is killed") == 2
    uids = {json.loads(line)["uid"] for line in loki.lines()}
    assert {"pr0", "pr2", "pr3"} <= uids
    assert "pr1" not in uids
    assert "POISON" not in headrig.log()
