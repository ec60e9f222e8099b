"""The table that remembers which record was in a plugin when a worker died."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest
from headrig.testing import make_batch

from pipeline.plugins import Guard, PluginError, ProcessorRunner, Suspects, Watch
from pipeline.plugins.processors import GuardedProcessor
from pipeline.plugins.rows import Wanted
from pipeline.plugins.suspects import STRIKES

A, B = bytes(16), bytes(range(16))


@pytest.fixture
def suspects(tmp_path):
    """A table for two workers."""
    made = Suspects(tmp_path / "suspects", 2)
    yield made
    made.close()


def test_only_the_record_inside_a_plugin_is_struck(suspects):
    """A worker that dies between plugin calls strikes no record, one that dies inside strikes that one."""
    slot = suspects.slot(0)
    slot.enter(A, 7)
    slot.leave()
    assert suspects.strike(0) is False

    slot.enter(A, 7)
    suspects.slot(1).enter(B, 1)

    assert suspects.strike(0) is True
    assert suspects.strike(0) is False
    assert (suspects.struck(A), suspects.struck(B)) == (1, 0)


def test_two_strikes_convict_after_refresh(suspects):
    """A worker sees new strikes with the next batch; one strike is not enough."""
    other = suspects.slot(1)
    for expected in (False, True):
        suspects.slot(0).enter(B, 1)
        suspects.strike(0)
        other.refresh()
        assert other.convicted(B) is expected
    assert not other.convicted(A)


def test_strikes_outlive_the_program_and_slots_do_not(tmp_path):
    """A restart keeps the count; a record that was inside when everything stopped is not blamed."""
    first = Suspects(tmp_path / "s", 2)
    first.slot(0).enter(A, 1)
    first.strike(0)
    first.slot(1).enter(B, 1)
    first.close()

    again = Suspects(tmp_path / "s", 2)
    other_shape = Suspects(tmp_path / "t", 3)

    assert (again.struck(A), again.strike(1)) == (1, False)
    assert other_shape.struck(A) == 0
    again.close()
    other_shape.close()


def test_file_of_another_shape_starts_empty(tmp_path):
    """Another number of workers, or a foreign file, gives an empty table."""
    Suspects(tmp_path / "s", 2).close()
    (tmp_path / "x").write_bytes(b"\xff" * 100_000)

    for path, workers in ((tmp_path / "s", 3), (tmp_path / "x", 1)):
        table = Suspects(path, workers)
        assert table.strike(0) is False
        assert table.struck(b"\xff" * 16) == 0
        table.close()


def test_table_is_bounded_and_forgets_the_oldest(suspects):
    """One strike more than fits takes the place of the first."""
    slot = suspects.slot(0)
    for number in range(STRIKES + 1):
        slot.enter(number.to_bytes(16, "big"), 1)
        suspects.strike(0)

    assert suspects.struck((0).to_bytes(16, "big")) == 0
    assert suspects.struck((1).to_bytes(16, "big")) == 1
    assert suspects.struck(STRIKES.to_bytes(16, "big")) == 1


def test_slot_out_of_range_is_refused(suspects):
    """A worker number beyond the table is a bug, not another worker's slot."""
    with pytest.raises(IndexError):
        suspects.slot(2)


def run(slot, process):
    watch = Watch()
    guard = Guard("planted", 1, 50_000_000, bytes(32), watch=watch, slot=slot)
    batch = make_batch([{"n": 0}, {"n": 1}])
    processor = GuardedProcessor(SimpleNamespace(process=process), guard, Wanted((), None, {}), ())
    ProcessorRunner([processor], lambda _batch, _rows: None).run(batch)
    return batch


def test_record_that_killed_two_workers_is_not_shown_again(suspects):
    """Two processes die of a record; the third quarantines it, and its neighbour goes through."""

    def kills(record):
        if record.body["n"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    for _ in range(2):
        child = os.fork()
        if child == 0:
            run(suspects.slot(0), kills)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert suspects.strike(0) is True

    batch = run(suspects.slot(1), kills)

    assert [(verdict.origin, verdict.detail) for verdict in batch.verdicts] == [(1, "killed-workers")]
    assert batch.origin == [0]
    assert suspects.strike(1) is False


def test_failing_plugin_leaves_its_slot(suspects):
    """A fault that was caught is no reason to blame the record later."""

    def fails(_record):
        raise ValueError

    run(suspects.slot(0), fails)

    assert suspects.strike(0) is False


def test_error_names_kind_and_rule():
    """The error of the guard says which plugin and which rule."""
    assert str(PluginError("owner", "Overrun")) == "plugin owner: Overrun"
