"""The page that the processes share."""

import os

from pipeline.shared import WorkerMap


def test_a_worker_above_the_least_leaves_the_listener_alone():
    """Only workers that accept count."""
    shared = WorkerMap(3)
    shared.connections(0, 5)
    shared.accepting(0, yes=True)
    assert not shared.above_least(0)
    shared.accepting(1, yes=True)
    assert shared.above_least(0)
    shared.connections(1, 5)
    assert not shared.above_least(0)
    shared.clear(1, 7)
    assert not shared.above_least(0)
    assert shared.heartbeat(1) == 7


def test_what_was_recovered_outlives_the_worker():
    """A restarted worker need not wait for the others a second time."""
    shared = WorkerMap(2)
    shared.recovered(0)
    assert not shared.all_recovered()
    shared.recovered(1)
    shared.clear(0, 1)
    assert shared.all_recovered()


def test_children_write_what_the_parent_reads():
    """The page is shared over a fork."""
    shared = WorkerMap(1)
    pid = os.fork()
    if pid == 0:
        shared.beat(0, 42)
        os._exit(0)
    os.waitpid(pid, 0)
    assert shared.heartbeat(0) == 42
