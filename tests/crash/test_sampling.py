"""The task that refreshes the gauges outlives every error but damage, which ends the worker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest
from cut_bench import Bench
from plant import TENANT, Plant, World
from power_cut import Unsynced

from pipeline import durable
from pipeline.app import worker


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks and threads work until something holds."""
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0)


def live(bench: Bench, story: Callable) -> None:
    """Run one life without syncs, in which the gauges are refreshed all the time."""

    async def with_sampling(plant: Plant) -> None:
        task = asyncio.create_task(plant.worker._sample(plant.flow))
        try:
            await story(plant, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    root = bench.fresh()
    root.mkdir()
    with durable.using(Unsynced()):
        bench.live(root, World(), with_sampling)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_SAMPLE_SECONDS", 0.0)


def test_an_error_shows_in_the_gauge_and_passes(bench: Bench) -> None:
    """The imbalance is no number while nobody knows it, and is one again afterwards."""

    async def story(plant: Plant, task: asyncio.Task[None]) -> None:
        gauge = bench.telemetry.imbalance.labels(TENANT, "loki")._value
        cursors = plant.worker.wals[0].directory / "cursors"
        await plant.send(bench.bodies[0])
        await until(lambda: (TENANT, "loki") in plant.worker._known)
        cursors.rename(cursors.with_name("away"))
        await plant.send(bench.bodies[1], "another")  # its cursor cannot be made
        await until(lambda: math.isnan(gauge.get()))
        cursors.with_name("away").rename(cursors)
        await until(lambda: gauge.get() == 0.0)
        assert not task.done()
        assert not plant.worker._failed

    live(bench, story)


def test_a_full_buffer_does_not_stop_the_gauges(bench: Bench) -> None:
    """Counts wait for room; what is buffered is told all the same."""

    async def story(plant: Plant, task: asyncio.Task[None]) -> None:
        wal = plant.worker.wals[0]
        await plant.send(bench.bodies[0])
        plant.flow._balance.add("late", {"received": 1, "rejected.x": 1})
        wal._space.max_bytes = 0
        gauge = bench.telemetry.buffered.labels(TENANT, "loki")._value
        gauge.set(-1.0)
        await until(lambda: gauge.get() == len(bench.bodies[0].names))
        wal._space.max_bytes = 1 << 30
        await until(lambda: wal.counters("late").get("received") == 1)
        assert not task.done()

    live(bench, story)


def test_damage_ends_the_worker(bench: Bench) -> None:
    """Nothing more is acknowledged over state that does not verify."""

    async def story(plant: Plant, task: asyncio.Task[None]) -> None:
        (plant.worker.wals[0].directory / "cursors" / f"loki@{TENANT}").write_bytes(b"damaged")
        await plant.send(bench.bodies[0])
        await until(task.done)
        assert plant.worker._failed
        assert plant.worker._stop.is_set()

    live(bench, story)
