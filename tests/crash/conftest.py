"""What the tests of power cuts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cut_bench import Bench
from plant import World
from power_cut import Disk
from prometheus_client import values

from pipeline.flow import frames


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Stages and rules, compiled once; small frames, so that a request has several."""
    kept, frame = values.ValueClass, frames.FRAME_BYTES
    frames.FRAME_BYTES = 20_000
    yield Bench(tmp_path_factory.mktemp("bench"))
    values.ValueClass, frames.FRAME_BYTES = kept, frame


@pytest.fixture(scope="module")
def life(bench: Bench) -> tuple[Disk, World]:
    """The first life, all syncs at work."""
    disk, world = bench.record(bench.first)
    assert len(world.answers) == len(bench.bodies)
    return disk, world
