"""SIGKILL at random points and at every step of every durable write, under load from clients that retry."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_oracle import IMBALANCE, problems, samples, settle
from faulty_serve import PROGRAM, Fault, Fired, environment
from recording_loki import RecordingLoki
from retrying import SERVICES, Fleet
from running import Headrig, Loki, free_port, name_of, need_loki, wait_until

KILLS = 20
SEED = int(os.environ.get("HEADRIG_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


def settings(url: str) -> dict:
    """Small segments, so that they are rolled and reclaimed all the time, and an address that stays."""
    return {
        "listen": f"127.0.0.1:{free_port()}",
        "buffer": {"segment": "128KiB"},
        "audit": {"segment": "64KiB"},
        "sinks": {"loki": {"url": url}},
        "drain": "5s",
    }


@pytest.fixture
def pause() -> Iterator[Callable[[float], None]]:
    """Let some time pass for the load to go on."""
    never = threading.Event()
    yield lambda seconds: never.wait(seconds) and None


def role(pid: int) -> str:
    """Tell what a child is by the lock it holds: ``audit``, ``worker``, or nothing while it starts."""
    name = name_of(pid)
    return "worker" if name.startswith("w") else name


def kill_child(headrig: Headrig, wanted: str, random_: random.Random, wait: Callable) -> None:
    """Kill a worker or the audit process; of three kills one also meets the successor as it starts."""
    found = wait_until(
        lambda: [pid for pid in headrig.children().values() if role(pid) == wanted],
        20,
        f"a process: {wanted}",
    )
    before = set(headrig.children().values())
    os.kill(random_.choice(found), signal.SIGKILL)
    if random_.random() < 1 / 3:
        new = wait_until(lambda: set(headrig.children().values()) - before, 10, "the successor", pause=0.005)
        wait(random_.uniform(0, 0.15))
        if role(min(new)) in ("", wanted):
            os.kill(min(new), signal.SIGKILL)


def kill_supervisor(headrig: Headrig, env: dict[str, str], random_: random.Random, wait: Callable) -> None:
    """Kill the supervisor, and start it again at once."""
    assert headrig.process is not None
    headrig.process.kill()
    headrig.process.wait()
    headrig.start(wait=False, env=env)
    wait(random_.uniform(0, 0.7))


def watch(headrig: Headrig) -> set[float]:
    """Return what `/metrics` says of the imbalance now; nothing when nobody answers."""
    try:
        return set(samples(headrig, IMBALANCE).values())
    except OSError:
        return set()


def run(headrig: Headrig, env: dict[str, str], victim: str, pause: Callable) -> Fleet:
    """Kill twenty times under load; return what the clients know."""
    seen: set[float] = set()
    random_ = random.Random(SEED)
    print(f"\nHEADRIG_CRASH_SEED={SEED}", file=sys.stderr)
    headrig.start(env=env)
    with Fleet(headrig.url, SEED) as fleet:
        wait_until(lambda: fleet.acknowledged() > 10, 30, "the load")
        for _ in range(KILLS):
            pause(random_.uniform(0.02, 0.5))
            seen |= watch(headrig)
            if victim == "supervisor":
                kill_supervisor(headrig, env, random_, pause)
            else:
                kill_child(headrig, victim, random_, pause)
    assert fleet.errors() == [], [line for line in headrig.log().splitlines() if '"error"' in line][:5]
    assert sum(body.tries > 1 for body in fleet.bodies()) >= KILLS
    assert seen <= {0.0}
    return fleet


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "audit", "supervisor"])
def test_twenty_kills_lose_and_double_nothing(tmp_path: Path, victim: str, pause: Callable) -> None:
    """Every acknowledged record is at the sink once, every audit event in the log once; the books balance."""
    env = environment(tmp_path / "fired", backoff=0.05)
    with RecordingLoki(SEED) as loki:
        headrig = Headrig(tmp_path, settings(loki.url), program=PROGRAM)
        try:
            fleet = run(headrig, env, victim, pause)
            settle(headrig, loki)
            assert set(samples(headrig, IMBALANCE).values()) == {0.0}
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        assert problems(headrig, fleet.bodies(), loki.lines()) == []
        assert min(loki.pushes[kind] for kind in ("taken", "500", "cut")) > 0


@pytest.mark.slow
@pytest.mark.loki
def test_twenty_kills_of_workers_before_the_real_loki(tmp_path: Path, pause: Callable) -> None:
    """The same, counted by a query of the real Loki."""
    need_loki()
    loki = Loki(tmp_path / "loki")
    since = time.time_ns() - 10**9
    headrig = Headrig(tmp_path, settings(loki.url), program=PROGRAM)
    try:
        loki.start()
        fleet = run(headrig, environment(tmp_path / "fired", backoff=0.05), "worker", pause)
        settle(headrig)
        assert headrig.stop() == 0
        until = time.time_ns() + 10**9
        found = [
            entry for name in SERVICES for entry in loki.entries(f'{{service_name="{name}"}}', since, until)
        ]
    finally:
        headrig.kill()
        loki.stop()
    assert problems(headrig, fleet.bodies(), [entry.line for entry in found]) == []


STEPS = [
    Fault("write", ".seg", "before", nth=9),
    Fault("write", ".seg", "torn", nth=7),
    Fault("write", ".seg", "after", nth=11),
    Fault("sync", "buffer.append", "before", nth=6),
    Fault("sync", "buffer.append", "after", nth=8),
    Fault("create", ".seg", "before"),
    Fault("create", ".seg", "after"),
    Fault("sync", "buffer.create", "after"),
    Fault("sync_dir", "buffer.create-dir", "after"),
    Fault("pwrite", "/cursors/", "torn", nth=3),
    Fault("pwrite", "/cursors/", "after", nth=4),
    Fault("sync", "buffer.cursor-slot", "after", nth=5),
    Fault("rename", ".keys", "before"),
    Fault("rename", ".keys", "after"),
    Fault("unlink", ".seg", "before"),
    Fault("unlink", ".seg", "after"),
    Fault("write", "/audit/wal/", "before", nth=9),
    Fault("write", "/audit/wal/", "torn", nth=7),
    Fault("write", "/audit/wal/", "after", nth=11),
    Fault("sync", "audit.append", "before", nth=6),
    Fault("sync", "audit.append", "after", nth=8),
    Fault("create", "/audit/wal/", "before"),
    Fault("create", "/audit/wal/", "after"),
    Fault("sync", "audit.segment.create", "after"),
    Fault("rename", "/audit/head", "before", nth=2),
    Fault("rename", "/audit/head", "after", nth=2),
    Fault("rename", "/audit/checkpoint", "before", nth=2),
    Fault("rename", "/audit/checkpoint", "after", nth=2),
    Fault("pwrite", "/audit-cursors/", "torn", nth=2),
    Fault("pwrite", "/audit-cursors/", "after", nth=2),
]
"""Each is the place of a kill: just before and after a step of a durable write, or in the middle of it."""


@pytest.mark.slow
def test_a_kill_at_each_step_of_each_durable_write_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Like the random kills, but every window is hit, by the process itself."""
    env = environment(tmp_path / "fired", STEPS, backoff=0.02)
    fired = Fired(tmp_path / "fired", len(STEPS))
    with RecordingLoki(SEED) as loki:
        headrig = Headrig(tmp_path, settings(loki.url), program=PROGRAM)
        try:
            headrig.start(env=env)
            with Fleet(headrig.url, SEED) as fleet:
                wait_until(lambda: min(fired.counts()) > 0, 90, f"a kill at each step, {STEPS}")
            assert fleet.errors() == []
            settle(headrig, loki)
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        assert problems(headrig, fleet.bodies(), loki.lines()) == []
