"""The table of batch ids is what keeps a retry after a crash from becoming a second line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from crash_oracle import problems, settle
from faulty_serve import PROGRAM, Fault, Fired, environment
from recording_loki import RecordingLoki
from retrying import Client, Fleet, make_body
from running import Headrig, free_port, wait_until


def deliver(tmp_path: Path, *, ids: bool) -> list[str]:
    """Send two bodies to a worker that dies each time between buffer and answer; return what is wrong then."""
    env = environment(
        tmp_path / "fired", [Fault("sync", "buffer.append", "after", times=2)], ids=ids, backoff=0.02
    )
    with RecordingLoki() as loki:
        settings = {"listen": f"127.0.0.1:{free_port()}", "sinks": {"loki": {"url": loki.url}}}
        headrig = Headrig(tmp_path, settings, program=PROGRAM)
        try:
            headrig.start(env=env)
            fleet = Fleet(headrig.url, 1, clients=0)
            client = Client(fleet, 0, 1)
            client.bodies = [make_body(random.Random(n), f"b{n}", size) for n, size in enumerate((40, 350))]
            for body in client.bodies:
                client.deliver(body)
            client.hang_up()
            assert sum(Fired(tmp_path / "fired", 1).counts()) == 2
            assert max(body.tries for body in client.bodies) > 1
            settle(headrig, loki)
            wait_until(headrig.ready, 20, "both workers")
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        return problems(headrig, client.bodies, loki.lines())


def test_a_lost_answer_and_a_retry_make_one_line(tmp_path: Path) -> None:
    """A worker dies after the buffer's sync and before the answer; the retry finds its records stored."""
    assert deliver(tmp_path, ids=True) == []


def test_without_the_table_the_same_retry_makes_two(tmp_path: Path) -> None:
    """With the table of batch ids switched off the oracle sees doubled lines: so it is the table that helps."""
    wrong = deliver(tmp_path, ids=False)
    assert any(problem.startswith("lines doubled: ") for problem in wrong), wrong
    assert not any("lost" in problem for problem in wrong), wrong


@pytest.mark.slow
def test_without_the_table_retries_under_load_double_lines(tmp_path: Path) -> None:
    """The oracle of the random kills sees it, too, when clients lose answers and workers die."""
    faults = [Fault("sync", "buffer.append", "after", nth=5, times=4)]
    env = environment(tmp_path / "fired", faults, ids=False, backoff=0.02)
    fired = Fired(tmp_path / "fired", 1)
    with RecordingLoki() as loki:
        settings = {"listen": f"127.0.0.1:{free_port()}", "sinks": {"loki": {"url": loki.url}}}
        headrig = Headrig(tmp_path, settings, program=PROGRAM)
        try:
            headrig.start(env=env)
            with Fleet(headrig.url, 7, clients=4) as fleet:
                wait_until(lambda: fired.counts() == [4], 30, "the kills")
            assert fleet.errors() == []
            settle(headrig, loki)
            assert headrig.stop() == 0
        finally:
            headrig.kill()
        wrong = problems(headrig, fleet.bodies(), loki.lines())
    assert any(problem.startswith("lines doubled: ") for problem in wrong), wrong
