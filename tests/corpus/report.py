"""Tables of what the masker finds and what it alters: ``python -m tests.corpus.report``.

python -m tests.corpus.report            recall per category and place, harmless lines altered
python -m tests.corpus.report --missed   every format that was missed, and what was altered, too
python -m tests.corpus.report --seed 9   on other values than those of the tests
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.corpus import field_names, harmless, measure, places, plant

CATEGORY, PLACE, CODE, ALTERED, COLLATERAL = 0.98, 0.95, 0.9, 0.0005, 0.05
"""Least recall of a category in plain places, of a place, and of a way to write a pair in code; largest share of harmless lines altered, and of lines
that lose what stands beside a secret."""
HARMLESS = 24_000
SOFT = set(places.SOFT) | field_names.RARE
"""Places that are measured and asked of nobody."""


def categories(tally: measure.Tally) -> list[tuple[str, float, int]]:
    """Return (category, recall, planted) of every category."""
    found = sorted({category for category, _ in tally.planted})
    return [
        (name, tally.recall(category=name), sum(n for key, n in tally.planted.items() if key[0] == name))
        for name in found
    ]


def by_place(tally: measure.Tally) -> list[tuple[str, float, int]]:
    """Return (place, recall, planted) of every place."""
    found = sorted({place for _, place in tally.planted})
    return [
        (name, tally.recall(place=name), sum(n for key, n in tally.planted.items() if key[1] == name))
        for name in found
    ]


def table(
    title: str, rows: list[tuple[str, float, int]], least: float, tally: measure.Tally
) -> Iterator[str]:
    """Yield the lines of a table; what is too low has a mark."""
    yield f"{title} (at least {least})"
    for name, recall, planted in rows:
        lost = tally.collateral.get(name, 0)
        beside = f"   lost beside it: {lost}" if lost else ""
        low = least if name not in SOFT else 0
        yield f"  {name:48} {recall:6.3f}  n={planted:<6}{'' if recall >= low else ' LOW'}{beside}"


def missed(tally: measure.Tally) -> Iterator[str]:
    """Yield how often each format was missed, and where."""
    per: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (category, name, place), lines in tally.missed_names.items():
        per[category, name][place] += len(lines)
    for (category, name), where in sorted(per.items()):
        total = tally.planted_names[category, name]
        yield f"  {category:12} {name:36} {sum(where.values()):4}/{total:<4} {', '.join(f'{place} {n}' for place, n in where.most_common(6))}"


def altered(report: measure.Harmless) -> Iterator[str]:
    """Yield how many harmless lines were altered, and by which detectors."""
    share = len(report.altered) / report.total
    yield f"harmless lines: {len(report.altered)} of {report.total} altered = {share:.3%} (at most {ALTERED:.2%}), broken JSON {report.broken}, set aside {dict(report.refused)}"
    for name, count in report.detectors.most_common():
        yield f"  {name:36} {count}"


def contexts(report: measure.Harmless) -> Iterator[str]:
    """Yield what stood around what was masked in harmless lines, some for each detector."""
    shown: Counter[str] = Counter()
    for _, output in report.altered:
        text = output.decode("utf-8", "replace")
        for found in re.finditer(r"\[redacted:([a-z0-9-]+)\]", text):
            shown[found[1]] += 1
            if shown[found[1]] <= 8:
                yield f"  {found[1]:24} …{text[max(0, found.start() - 60) : found.end() + 40]!r}…"


def shipped(root: Path) -> Any:
    """Return the masker with the packs of ``config/masking``."""
    from processors.masking import Masker

    cache = Path(tempfile.mkdtemp(prefix="headrig-quality-"))
    return Masker(
        {},
        SimpleNamespace(
            cache_dir=cache,
            config_dir=root / "config",
            key=b"k" * 32,
            log=logging.getLogger("quality"),
            fields={},
        ),
    )


def main() -> None:
    """Print the tables; exit with 1 when one holds something too low."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--missed", action="store_true", help="list missed formats and altered lines")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    masker = shipped(Path(__file__).parents[2])
    lines: list[str] = []
    for title, planted, group, least in (
        ("recall per category in plain places", plant.plain(chosen.seed), categories, CATEGORY),
        ("recall per place", plant.everywhere(chosen.seed), by_place, PLACE),
        ("private keys over records", plant.split_keys(chosen.seed, 60), by_place, PLACE),
        ("credential field names", plant.names(chosen.seed), by_place, PLACE),
        ("credential field names in code", plant.code(chosen.seed), by_place, CODE),
        ("personal field names", plant.personal_names(chosen.seed), by_place, PLACE),
    ):
        tally = measure.measure(masker, planted)
        lines += table(title, group(tally), least, tally)
        lines += [
            f"  broken JSON {len(tally.broken)}, set aside {dict(tally.refused)}",
            *(missed(tally) if chosen.missed else ()),
            "",
        ]
    report = measure.harmless(masker, harmless.lines(chosen.seed, HARMLESS))
    lines += [*altered(report), *(contexts(report) if chosen.missed else ())]
    print("\n".join(lines))
    sys.exit(
        any(line.rstrip().endswith("LOW") or " LOW " in line for line in lines)
        or len(report.altered) > ALTERED * report.total
    )


if __name__ == "__main__":
    main()
