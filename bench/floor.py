"""The floor: what the library calls alone cost, on the same bodies, with the program's own databases and head."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import orjson
from isal import igzip

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.settings import Settings


def floor(settings: Settings, bodies: list[bytes], processes: int, rounds: int = 3) -> dict[str, float]:
    """Return the CPU seconds of each step, best of ``rounds``: scan, heads, encode with gzip, write with sync.

    It runs in as many processes at once as the program has workers, on all bodies in each, and the mean counts:
    cores that share caches and execution units are slower together than alone, for both alike.
    """
    with tempfile.TemporaryDirectory(prefix="headrig-floor-", dir=settings.data.parent) as directory:
        paths = Paths(Path(directory))
        paths.make()
        blueprint = Blueprint(settings, paths)
        context = multiprocessing.get_context("fork")
        together = context.Barrier(processes)
        results = context.SimpleQueue()
        workers = [
            context.Process(
                target=_run, args=(blueprint, bodies, Path(directory) / str(n), rounds, together, results)
            )
            for n in range(processes)
        ]
        for worker in workers:
            worker.start()
        found = [results.get() for _ in workers]
        for worker in workers:
            worker.join()
    return {step: sum(one[step] for one in found) / processes for step in found[0]}


def _run(blueprint, bodies, path, rounds, together, results) -> None:
    best: dict[str, float] = {}
    for _ in range(rounds):
        together.wait()
        for step, seconds in _round(blueprint, bodies, path).items():
            best[step] = min(best.get(step, seconds), seconds)
    results.put(best)


def _round(blueprint: Blueprint, bodies: list[bytes], path: Path) -> dict[str, float]:
    # The program's own databases, called as it calls them; what it makes of the events is not in the floor.
    masking, rules = blueprint.made["mask"]._engine._scanner, blueprint.made["classify"]._prefilter
    decoder = blueprint.heads._decoder
    spent = {"scan": 0.0, "heads": 0.0, "push": 0.0, "sync": 0.0}
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    metadata = {"detected_level": "info"}
    for body in bodies:
        start = time.process_time()
        masking.scan(body)
        rules.scan(body)
        spent["scan"] += time.process_time() - start
        start = time.process_time()
        decoder.decode_lines(body)
        spent["heads"] += time.process_time() - start
        values = [
            [str(number), line, metadata] for number, line in enumerate(body.decode().split("\n"), 10**18)
        ]
        start = time.process_time()
        push = igzip.compress(
            orjson.dumps({"streams": [{"stream": {"service_name": "floor"}, "values": values}]}), 1
        )
        spent["push"] += time.process_time() - start
        start = time.process_time()
        os.write(fd, push)
        os.fdatasync(fd)
        spent["sync"] += time.process_time() - start
    os.close(fd)
    return spent
