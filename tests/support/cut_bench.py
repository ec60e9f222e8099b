"""Lives of a `Plant`, cut off by a loss of power, and what is then asked of the disk and of the sink."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import orjson
from headrig import HeadrigError
from plant import UNSCANNABLE, Plant, World, make_blueprint
from power_cut import Disk, Image, Unsynced
from retrying import Body, make_body
from running import ROOT

from pipeline import durable
from pipeline.telemetry import Telemetry

SLOW = "slow"
"""A tenant whose records wait."""


def make_bodies() -> list[Body]:
    """Make what clients send: small, large, cut into frames, with events, one record that cannot be scanned."""
    chance = random.Random(3)
    bodies = [make_body(chance, f"b{n}", size) for n, size in enumerate((3, 40, 1, 330, 12, 1, 60, 25, 2, 8))]
    lines = [{"uid": "q0", "message": UNSCANNABLE}, {"uid": "q1", "event": "user.login", "user": "eve"}]
    held = Body("\n".join(map(json.dumps, lines)).encode(), ["q0", "q1"], [1], "key-q")
    return [*bodies[:4], held, *bodies[4:]]


class Bench:
    """Lives, deaths and power cuts, each in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bodies = make_bodies()
        self.slow = make_body(random.Random(4), "slow", 4)
        self.blueprint = make_blueprint(ROOT, directory / "blueprint")
        (directory / "metrics").mkdir()
        self.telemetry = Telemetry(directory / "metrics", "test")
        self._runs = 0

    def fresh(self) -> Path:
        """Return a path that nothing is at."""
        self._runs += 1
        return self.directory / f"run{self._runs}"

    def live(self, root: Path, world: World, story: Callable) -> None:
        """Run one life."""

        async def run() -> None:
            async with Plant(root, world, self.blueprint, self.telemetry) as plant:
                await story(plant)

        asyncio.run(run())

    def record(
        self,
        story: Callable,
        broken: Collection[str] = (),
        base: Image | None = None,
        past: World | None = None,
    ):
        """Run one life on a recording disk; return the disk and the world."""
        root = self.fresh()
        if base is None:
            root.mkdir()
        else:
            base.cache(root)
        disk = Disk(root, base, broken)
        world = past or World()
        world.clock = lambda: disk.now
        with durable.using(disk):
            self.live(root, world, story)
        shutil.rmtree(root)
        return disk, world

    async def first(self, plant: Plant) -> None:
        """The first life: bodies, deliveries and checkpoints take turns; two clients send at a time."""
        for number, body in enumerate(self.bodies):
            if number % 3 == 1:
                continue
            pair = self.bodies[number : number + 2] if number % 3 == 0 else [body]
            await asyncio.gather(*map(plant.send, pair))
            if number % 3 == 2:
                await plant.deliver()
            if number % 2 == 0:
                await asyncio.to_thread(plant.publish)

    async def second(self, plant: Plant) -> None:
        """The life after a kill: every client retries what it got no answer for, then goes on."""
        for body in self.bodies:
            await plant.send(body)
        await asyncio.to_thread(plant.publish)

    async def late(self, plant: Plant) -> None:
        """A life in which the sink comes late, so that several segments go at once."""
        for body in self.bodies:
            await plant.send(body)
        await plant.deliver()

    async def pinned(self, plant: Plant) -> None:
        """A life with a tenant whose records stay, so that segments go from the middle of the log."""
        for number, body in enumerate(self.bodies):
            await plant.send(body)
            if number in (1, 5):
                await plant.send(self.slow, SLOW)
            if number % 3 == 2:
                await plant.deliver(SLOW)

    def broken_promises(self, root: Path, world: World) -> list[str]:
        """Start on what is left after a cut, let clients retry, and say which promises do not hold."""
        wrong = _signed(root / "data" / "audit", max([0, *world.checkpoints]))
        told = dict(world.answers)

        async def look(plant: Plant) -> None:
            wrong.extend(_acknowledged(plant, world, self.bodies))
            await plant.deliver()
            wrong.extend(_lines(world, [*self.bodies, self.slow], told, exactly=False))
            for body in self.bodies:
                answer = await plant.send(body)
                wrong.extend(_same(body, answer, told.get(body.names[0])))
            await plant.deliver()
            wrong.extend(_lines(world, self.bodies, told, exactly=True))
            wrong.extend(_lines(world, [self.slow], told, exactly=False))
            wrong.extend(f"books: {entry}" for entry in plant.books() if entry != (0, 0))
            names = [_name(leaf) for _, leaf in plant.leaves().values()]
            wrong.extend(f"leaf {name} twice" for name in set(names) if names.count(name) > 1)
            await asyncio.to_thread(plant.publish)
            if plant.verified() != 0:
                wrong.append("the audit log does not verify")

        with durable.using(Unsynced()):
            try:
                self.live(root, world, look)
            except (HeadrigError, OSError) as error:
                wrong.append(f"{type(error).__name__}: {error}")
        shutil.rmtree(root)
        return wrong

    def cut_names(self, image: Image, world: World, time: int) -> Iterator[list[str]]:
        """Cut the power at this state, once for each way in which names can survive; yield the broken promises."""
        for outcome in image.outcomes():
            root = self.fresh()
            image.named(root, outcome)
            yield self.broken_promises(root, world.at(time))

    def cut(self, image: Image, world: World, chance: random.Random | None = None) -> list[str]:
        """Cut the power at this state; ``world`` is what is known then. Return the broken promises."""
        root = self.fresh()
        if chance is None:
            image.strict(root)
        else:
            image.torn(root, chance)
        return self.broken_promises(root, world)


def _signed(log: Path, published: int) -> list[str]:
    """Head and checkpoint must not be older than what anybody may have read."""
    wrong = []
    for name in ("head", "checkpoint"):
        path = log / name
        size = int(path.read_text().split("\n")[1]) if path.exists() and path.stat().st_size else 0
        if size < published:
            wrong.append(f"{name} is of size {size}; {published} was published")
    return wrong


def _name(leaf: bytes) -> str:
    raw = orjson.loads(leaf).get("raw")
    return orjson.loads(raw)["uid"] if raw else orjson.loads(leaf)["id"]


def _acknowledged(plant: Plant, world: World, bodies: list[Body]) -> list[str]:
    """What must be on disk before any retry: leaves, checkpoints, what is held back."""
    leaves, wrong = plant.leaves(), []
    for body in bodies:
        if body.names[0] not in world.answers:
            continue
        for receipt in world.answers[body.names[0]][1].receipts:
            if leaves.get(receipt.index, ("", b""))[0] != receipt.leaf:
                wrong.append(f"leaf {receipt.index} of {body.names[0]} is lost")
    if len(plant.quarantine.items()) < sum(world.quarantined):
        wrong.append("the quarantine lost something")
    return wrong


def _lines(world: World, bodies: list[Body], told: dict, *, exactly: bool) -> list[str]:
    counts, wrong = world.counts(), []
    for body in bodies:
        if not exactly and body.names[0] not in told:
            continue
        names = [name for name in body.names if name != "q0"]
        lost = [name for name in names if not counts[name]]
        twice = [name for name in names if counts[name] > 1]
        if lost:
            wrong.append(f"{len(lost)} lines are lost, e.g. {lost[0]}")
        if twice:
            wrong.append(f"{len(twice)} lines are doubled, e.g. {twice[0]}")
    return wrong


def _same(body: Body, answer, told) -> list[str]:
    """A retry gets the receipts that its client was given before, and never takes an event for another one."""
    conflicts = [f"conflict at {receipt.index}" for receipt in answer.receipts if receipt.conflict]
    if told is None:
        return conflicts
    before = [(receipt.index, receipt.leaf, receipt.position) for receipt in told[1].receipts]
    after = [(receipt.index, receipt.leaf, receipt.position) for receipt in answer.receipts]
    wrong = [] if before == after else [f"{body.names[0]}: other receipts than before"]
    return [*wrong, *conflicts]


def before_syncs(disk: Disk, site: str = "") -> list[int]:
    """Return the times just before a sync, of all sites or of one: what a kill then leaves is not durable."""
    return [
        time
        for time, step in enumerate(disk.steps)
        if step[0].startswith("sync") and (not site or step[-1] == site)
    ]
