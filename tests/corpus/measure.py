"""Runs a masker over planted and harmless lines and counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from headrig import Resource
from headrig._raw import RawBatch

from tests.corpus.judge import survives
from tests.corpus.places import KEPT
from tests.corpus.plant import Planted

_BATCH = 256


def raw_batch(lines: Sequence[bytes], envelopes: Sequence[bytes] = ()) -> RawBatch:
    """Return lines as a receiver hands them to a masker."""
    heads = [{} if _is_object(line) else None for line in lines]
    places = list(range(len(envelopes))) if envelopes else None
    return RawBatch(
        Resource("t"), list(lines), b"\n".join(lines), heads, [0] * len(lines), list(envelopes), places
    )


def _is_object(line: bytes) -> bool:
    try:
        return line[:1] == b"{" and isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


@dataclass
class Tally:
    """What was found of what was planted.

    Attributes:
        planted, missed: By (category, place).
        missed_names: By (category, recipe, place), with one line that was missed, as it was sent.
        collateral: By place, lines that lost what had nothing to do with the secret.
        refused: Lines that were not masked but set aside, by reason.
        broken: JSON lines that were JSON no more.
    """

    planted: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed_names: dict[tuple[str, str, str], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    planted_names: Counter[tuple[str, str]] = field(default_factory=Counter)
    collateral: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[bytes] = field(default_factory=list)

    def recall(self, *, category: str = "", place: str = "") -> float:
        """Return the recall of a category, a place, or everything."""
        wanted = [
            key
            for key in self.planted
            if (not category or key[0] == category) and (not place or key[1] == place)
        ]
        planted = sum(self.planted[key] for key in wanted)
        return 1 - sum(self.missed[key] for key in wanted) / planted if planted else 1.0

    def count(self, one: Planted, outputs: list[bytes]) -> None:
        """Judge one planted line; no output means that it was set aside."""
        self.planted[one.category, one.place] += 1
        self.planted_names[one.category, one.name] += 1
        text = b"\n".join(outputs).decode("utf-8", "replace")
        if any(survives(text, secret) for secret in one.secrets):
            self.missed[one.category, one.place] += 1
            self.missed_names[one.category, one.name, one.place].append(
                one.lines[-1 if len(one.lines) == 1 else 1]
            )
        if outputs and KEPT not in text:
            self.collateral[one.place] += 1
        for line, output in zip(one.lines, outputs, strict=False):
            if _is_object(line) and not _is_object(output):
                self.broken.append(line)


def measure(masker: Any, planted: Iterable[Planted]) -> Tally:
    """Mask planted lines in batches and judge what comes out."""
    tally = Tally()
    waiting = iter(planted)
    while batch := list(islice(waiting, _BATCH)):
        _lines(masker, [one for one in batch if not one.envelope and len(one.lines) == 1], tally)
        _envelopes(masker, [one for one in batch if one.envelope], tally)
        for one in batch:
            if len(one.lines) > 1:
                masked = masker.mask(raw_batch(one.lines))
                tally.refused.update(verdict.detail for verdict in masked.verdicts)
                tally.count(one, list(masked.lines))
    return tally


def _lines(masker: Any, batch: list[Planted], tally: Tally) -> None:
    masked = masker.mask(raw_batch([one.lines[0] for one in batch]))
    tally.refused.update(verdict.detail for verdict in masked.verdicts)
    outputs = dict(zip(masked.origin, masked.lines, strict=True))
    for place, one in enumerate(batch):
        tally.count(one, [outputs[place]] if place in outputs else [])


def _envelopes(masker: Any, batch: list[Planted], tally: Tally) -> None:
    lines = [b'{"n":%d}' % place for place in range(len(batch))]
    masked = masker.mask(raw_batch(lines, [one.lines[0] for one in batch]))
    tally.refused.update(verdict.detail for verdict in masked.verdicts)
    outputs = dict(zip(masked.origin, masked.envelopes, strict=True))
    for place, one in enumerate(batch):
        envelope = outputs.get(place)
        text = (
            orjson.dumps({"labels": dict(envelope.labels), "metadata": dict(envelope.metadata)})
            if envelope
            else b""
        )
        tally.count(one, [text] if envelope else [])


@dataclass
class Harmless:
    """What became of harmless lines.

    Attributes:
        total: Lines.
        altered: (line, output) of those that changed.
        detectors: What changed them.
        broken: JSON lines that were JSON no more.
        refused: Set aside, by reason.
    """

    total: int = 0
    altered: list[tuple[bytes, bytes]] = field(default_factory=list)
    detectors: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def harmless(masker: Any, lines: Iterable[bytes]) -> Harmless:
    """Mask harmless lines and report what was altered."""
    report = Harmless()
    waiting = iter(lines)
    while batch := list(islice(waiting, _BATCH)):
        masked = masker.mask(raw_batch(batch))
        report.total += len(batch)
        report.refused.update(verdict.detail for verdict in masked.verdicts)
        report.detectors.update(masked.masked)
        for origin, output in zip(masked.origin, masked.lines, strict=True):
            if output != batch[origin]:
                report.altered.append((batch[origin], output))
                report.broken += _is_object(batch[origin]) and not _is_object(output)
    return report
