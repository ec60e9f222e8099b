"""A sync that fails: the process ends with 70, nothing is acknowledged on top of it, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from crash_oracle import problems, settle
from faulty_serve import PROGRAM, Fault, Fired, environment
from recording_loki import RecordingLoki
from retrying import Fleet
from running import Headrig, free_port, wait_until

CRASHED = 70


def exits(headrig: Headrig) -> dict[str, list[int]]:
    """Return the exit codes of each child that ended, from the own log."""
    found: dict[str, list[int]] = {}
    for line in headrig.log().splitlines():
        entry = json.loads(line)
        if "exit_code" in entry and "child" in entry:
            found.setdefault(entry["child"].rstrip("0123456789"), []).append(entry["exit_code"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "child", "outcome"),
    [
        ("buffer.append", "w", "eio"),
        ("buffer.append", "w", "lose"),
        ("audit.append", "audit", "eio"),
        ("audit.append", "audit", "lose"),
        ("audit.head.replace", "audit", "lose"),
    ],
)
def test_a_failed_sync_ends_the_process_and_loses_nothing(
    tmp_path: Path, site: str, child: str, outcome: str
) -> None:
    """Twice the disk says EIO, and keeps or loses what was written; no answer relies on that write."""
    nth = 2 if "head" in site else 12
    env = environment(
        tmp_path / "fired", [Fault("sync", site, "before", outcome, nth=nth, times=2)], backoff=0.02
    )
    fired = Fired(tmp_path / "fired", 1)
    with RecordingLoki() as loki:
        settings = {"listen": f"127.0.0.1:{free_port()}", "sinks": {"loki": {"url": loki.url}}}
        headrig = Headrig(tmp_path, settings, program=PROGRAM)
        try:
            headrig.start(env=env)
            with Fleet(headrig.url, 11, clients=4) as fleet:
                wait_until(lambda: fired.counts() == [2], 40, "the failures")
                wait_until(lambda: exits(headrig).get(child, []).count(CRASHED) >= 2, 20, "the exits")
                before = fleet.acknowledged()
                wait_until(lambda: fleet.acknowledged() > before + 10, 30, "going on")
            assert fleet.errors() == []
            settle(headrig, loki)
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        assert problems(headrig, fleet.bodies(), loki.lines()) == []
        assert {code for codes in exits(headrig).values() for code in codes} == {CRASHED}
        assert fired.after_failure == 0
