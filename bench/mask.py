"""The masker alone: MB and lines per second of one core, beside a bare scan of the same bytes, and beside its peers.

    python bench/mask.py              200,000 lines; 1, 50, 250 and all detectors; 1% and 100% lines with a secret
    python bench/mask.py --smoke      a twentieth of it
    python bench/mask.py --anchors    Kingfisher, detect-secrets and Presidio on the same lines, in a venv of their own

Seconds are CPU time of the process. Every kind of run takes turns with the others, and the best of its rounds counts. What is
to be reached is printed beside what was: compare ratios within a run, not machines.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import anchors  # noqa: E402
from headrig import Resource  # noqa: E402
from headrig._raw import RawBatch  # noqa: E402

from pipeline.samples import Sampler  # noqa: E402
from processors.masking import Masker  # noqa: E402
from tests.corpus import plant  # noqa: E402

BATCH = 1_000
SMOKE = 10_000
OF_SCAN, FULL_LINES, MANY_OVER_FEW = 0.45, 20_000, 1.5
"""To reach: share of the bare scan's speed at 1%, lines a second at 100%, cost of 250 detectors over that of 50."""


def corpus(count: int, share: float) -> list[bytes]:
    """Return log lines of a shop, of which a share holds one secret of any format the corpus knows.

    Args:
        count: Lines.
        share: How many of them hold a secret, from 0 to 1.
    """
    lines = [
        orjson.loads(line) for line in Sampler(seed=7, secrets=0).lines(count, 1_790_000_000_000_000_000)
    ]
    chosen = random.Random(3).sample(range(count), int(count * share))
    planted = [orjson.loads(one.lines[0]) for one in plant.plain(7, 2) if one.place == "field"]
    for number, row in enumerate(chosen):
        lines[row] |= planted[number % len(planted)]
    return [orjson.dumps(line) for line in lines]


def batches(lines: list[bytes]) -> list[RawBatch]:
    """Return the lines as a receiver hands them over."""
    made = []
    for start in range(0, len(lines), BATCH):
        part = lines[start : start + BATCH]
        made.append(RawBatch(Resource("bench"), part, b"\n".join(part), [{}] * len(part), [0] * len(part)))
    return made


def masker(cache: Path, detectors: int | None) -> Any:
    """Return a masker with so many detectors, or all; the field names are always known."""
    host = SimpleNamespace(
        cache_dir=cache,
        config_dir=HERE.parent / "config",
        key=b"k" * 32,
        log=logging.getLogger("bench"),
        fields={},
    )
    whole = Masker({}, host)
    names = sorted(rule.name for rule in whole.pack.rules)
    random.Random(1).shuffle(names)
    return whole if detectors is None else Masker({"disable": names[detectors:]}, host)


def fastest(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least CPU seconds of each run; they take turns, so that what disturbs the machine disturbs all."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            spent = time.process_time() - start
            best[name] = min(best.get(name, spent), spent)
    return best


def masking(one: Any, parts: list[RawBatch]) -> Callable[[], object]:
    """Return a run of the whole masker."""
    return lambda: [one.mask(part) for part in parts]


def scanning(one: Any, parts: list[RawBatch]) -> Callable[[], object]:
    """Return a run of the bare scan: the masker's own databases over the same buffers."""
    scan = one._engine._scanner.scan
    return lambda: [scan(part.buffer) for part in parts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--smoke", action="store_true", help="a twentieth of the corpus")
    parser.add_argument("--lines", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--anchors", action="store_true", help="install and measure the peers too")
    chosen = parser.parse_args()
    count = chosen.lines or (SMOKE if chosen.smoke else 200_000)
    rounds = chosen.rounds or (2 if chosen.smoke else 5)
    with tempfile.TemporaryDirectory(prefix="headrig-bench-") as directory:
        run(Path(directory), count, rounds, with_anchors=chosen.anchors)


def run(directory: Path, count: int, rounds: int, *, with_anchors: bool) -> None:
    """Measure every combination of detectors and secrets."""
    all_of = len(masker(directory, None).pack.rules)
    sizes = [size for size in (1, 50, 250) if size < all_of] + [all_of]
    maskers = {size: masker(directory, size if size < all_of else None) for size in sizes}
    lines = {"1%": corpus(count, 0.01), "100%": corpus(count // 4, 1.0)}
    parts = {share: batches(rows) for share, rows in lines.items()}
    runs = {}
    for share in lines:
        for size, one in maskers.items():
            runs[f"mask {share} {size}"] = masking(one, parts[share])
        runs[f"scan {share} {all_of}"] = scanning(maskers[all_of], parts[share])
    best = fastest(runs, rounds)
    for share, rows in lines.items():
        size = sum(map(len, rows)) + len(rows)
        print(f"{share} of {len(rows):,} lines with a secret, {size / len(rows):.0f} bytes a line")
        for name in (name for name in runs if name.split()[1] == share):
            what, _, detectors = name.split()
            label = "bare scan" if what == "scan" else "masker"
            spent = best[name]
            print(
                f"  {label:10} {detectors:>4} detectors  {size / spent / 1e6:8.1f} MB/s {len(rows) / spent:12,.0f} lines/s   {spent / len(rows) * 1e6:7.2f} us a line"
            )
    _targets(best, all_of, len(lines["100%"]), sizes)
    peers = anchors.measure(HERE, lines, wanted=with_anchors, have=count > SMOKE)
    if "1%" in peers:
        ours = sum(len(row) + 1 for row in lines["1%"]) / best[f"mask 1% {all_of}"]
        print(f"over the fastest peer at 1%: {ours / peers['1%']:.2f} (to reach: 1)")


def _targets(best: dict[str, float], all_of: int, full: int, sizes: list[int]) -> None:
    ratio = best[f"scan 1% {all_of}"] / best[f"mask 1% {all_of}"]
    print(f"of the bare scan at 1%: {ratio:.2f} (to reach: {OF_SCAN})")
    print(f"lines/s at 100%: {full / best[f'mask 100% {all_of}']:,.0f} (to reach: {FULL_LINES:,})")
    many = min(250, sizes[-1])
    if 50 in sizes and many > 50:
        cost = best[f"mask 1% {many}"] / best["mask 1% 50"]
        print(f"{many} detectors over 50: {cost:.2f} times the cost (to reach: at most {MANY_OVER_FEW})")


if __name__ == "__main__":
    main()
