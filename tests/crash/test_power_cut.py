"""After a loss of power at any operation everything acknowledged is there, once."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cut_bench import Bench, before_syncs
from headrig import OverloadedError
from plant import Plant, World
from power_cut import Disk, Unsynced

from pipeline import durable

SEED = int(os.environ.get("HEADRIG_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


@pytest.mark.slow
def test_a_power_cut_loses_and_doubles_nothing(bench: Bench, life: tuple[Disk, World]) -> None:
    """Cut at each operation: only what was synced is left; clients retry, and all is there once."""
    disk, world = life
    times = range(disk.now + 1)
    assert len(times) > 150
    failed = {
        time: wrong for time, image in disk.images(times) if (wrong := bench.cut(image, world.at(time)))
    }
    assert failed == {}


@pytest.mark.slow
def test_a_power_cut_that_leaves_some_of_the_rest_loses_and_doubles_nothing(
    bench: Bench, life: tuple[Disk, World]
) -> None:
    """Names in any order, pages in part or as zeros: nothing that a disk may have kept confuses recovery."""
    disk, world = life
    chance = random.Random(SEED)
    print(f"\nHEADRIG_CRASH_SEED={SEED}", file=sys.stderr)
    failed = {}
    for time, image in disk.images(range(disk.now + 1)):
        if wrong := bench.cut(image, world.at(time), chance):
            failed[time] = wrong
    assert failed == {}


@pytest.mark.slow
def test_a_kill_a_restart_and_then_a_power_cut_lose_and_double_nothing(
    bench: Bench, life: tuple[Disk, World]
) -> None:
    """What a dead process left in the page cache is made durable before anybody relies on it."""
    disk, world = life
    chance = random.Random(SEED)
    print(f"\nHEADRIG_CRASH_SEED={SEED}", file=sys.stderr)
    failed = {}
    for time, image in disk.images(before_syncs(disk)):
        story = chance.choice((bench.first, bench.second))
        again, after = bench.record(story, base=image, past=world.at(time))
        for cut, left in again.images([chance.randint(0, again.now), again.now]):
            if wrong := bench.cut(left, after.at(cut)):
                failed[time, story.__name__, cut] = wrong
    assert failed == {}


@pytest.mark.slow
@pytest.mark.parametrize("story", [Bench.first, Bench.late, Bench.pinned], ids=["first", "late", "pinned"])
def test_a_power_cut_that_leaves_any_of_the_names_loses_and_doubles_nothing(
    bench: Bench, story: Callable
) -> None:
    """Each set of names that a directory may be left with, at each operation, not only those that chance picks."""
    disk, world = bench.record(partial(story, bench))
    outcomes = [
        wrong
        for time, image in disk.images(range(disk.now + 1))
        for wrong in bench.cut_names(image, world, time)
    ]
    assert len(outcomes) > 150
    assert [wrong for wrong in outcomes if wrong] == []


class _Reclaiming(Disk):
    """A disk whose pump's thread is quick: it reclaims just before the next segment is made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reclaim: Callable[[], None] | None = None
        self.moments: list[int] = []

    def create(self, path: Path) -> int:
        if self.reclaim is not None and path.suffix == ".seg":
            self.reclaim()
            self.moments.append(self.now)
        return super().create(path)


def test_a_death_between_reclaiming_and_the_next_segment_loses_nothing(bench: Bench) -> None:
    """The last segment on disk is never removed: without one the log would begin at 0, behind its cursors."""
    root = bench.fresh()
    root.mkdir()
    disk, world = _Reclaiming(root), World()
    world.clock = lambda: disk.now

    async def story(plant: Plant) -> None:
        for body in bench.bodies:
            await plant.send(body)
            await plant.deliver()
            disk.reclaim = plant.worker.wals[0].reclaim

    with durable.using(disk):
        bench.live(root, world, story)
    assert len(disk.moments) > 1
    for time, image in disk.images(disk.moments):
        left = bench.fresh()
        image.cache(left)
        assert bench.broken_promises(left, world.at(time)) == []


def test_what_a_full_buffer_refuses_is_in_no_count(bench: Bench) -> None:
    """A request that is refused at the very append was not received: the books balance, and a retry is new."""
    root = bench.fresh()
    world = World()
    small = bench.bodies[2]

    async def story(plant: Plant) -> None:
        (wal,) = plant.worker.wals
        await plant.send(bench.bodies[0])
        most, wal._space.max_bytes = wal._space.max_bytes, wal.statistics().bytes + 2 * len(small.data)
        with pytest.raises(OverloadedError):
            await plant.send(small)
        wal._space.max_bytes = most
        await plant.flow.write_counts()
        await plant.deliver()
        assert plant.books() == [(0, 0)]
        assert not (await plant.send(small)).duplicate
        await plant.deliver()
        assert plant.books() == [(0, 0)]

    with durable.using(Unsynced()):
        bench.live(root, world, story)
    assert [world.counts()[name] for name in small.names] == [1]
