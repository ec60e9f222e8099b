"""Every plugin in ``examples/`` is installed as a distribution of its own and keeps its contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from headrig.testing import FakeHost, check_classifier, check_detector, check_processor, make_batch

from pipeline.plugins import Plugins, config_schema

EXAMPLES = Path(__file__).parents[2] / "examples"

SECTION = {
    "detectors": [{"kind": "acme_badge"}],
    "processors": [{"kind": "owner", "config": {"owners": {"checkout": "payments"}}}],
    "classifiers": [{"kind": "acme_refund", "config": {"limit": 50}}],
}

REFUND = {"action": "refund", "amount": 70, "user": "alice", "order": "o-1"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """The examples, through the door by which the application loads them."""
    return Plugins.load(SECTION)


def test_examples_keep_their_contracts(plugins: Plugins) -> None:
    """The kit finds no fault in what we show to authors."""
    check_detector(plugins.detectors[0].spec, plugins.detectors[0].config, examples=["BADGE-1234-70"])
    check_processor(plugins.processors[0].spec, plugins.processors[0].config)
    check_classifier(plugins.classifiers[0].spec, plugins.classifiers[0].config, examples=[REFUND])


def test_examples_derive_a_schema(plugins: Plugins) -> None:
    """Operators get a JSON Schema for every example."""
    specs = (plugins.detectors[0].spec, plugins.processors[0].spec, plugins.classifiers[0].spec)

    assert [list(config_schema(spec.config)["properties"]) for spec in specs] == [
        ["longest"],
        ["owners", "fallback"],
        ["limit"],
    ]


@dataclass
class Head:
    """What the flow decodes of a line."""

    action: str | None = None
    amount: float | None = None


async def test_examples_work_on_a_batch(plugins: Plugins) -> None:
    """From entry point to verdict: an owner is set, a refund is an event, a badge is pointed at."""
    batch = make_batch([REFUND, {"action": "pay"}, "text"], heads=[Head("refund", 70), Head("pay"), None])
    fields = {name: name for name in plugins.fields}

    async with plugins.running(FakeHost(fields=fields)) as running:
        processors = running.processor_runner(lambda _batch, _rows, _known: None)
        classifiers = running.classifier_runner(lambda _batch, _rows: None)
        assert processors is not None
        assert classifiers is not None
        processors.run(batch)
        classifiers.run(batch)
        spans = list(running.detectors[0][1].find("seen BADGE-1234-70"))

    assert batch.attributes == [{"owner": "payments"}] * 3
    assert [(event.row, event.actor, event.target) for event in batch.events] == [(0, "alice", "o-1")]
    assert [(span.start, span.end) for span in spans] == [(5, 18)]
    assert batch.verdicts == []


def _example_kinds() -> Iterator[str]:
    for group in ("headrig.processors", "headrig.detectors", "headrig.classifiers"):
        yield from (point.name for point in entry_points(group=group) if point.value.startswith("acme_"))


def test_every_example_is_covered_here() -> None:
    """A new example plugin must be added to this test."""
    configured = {entry["kind"] for entries in SECTION.values() for entry in entries}

    assert set(_example_kinds()) == configured
    assert {path.name for path in EXAMPLES.iterdir() if (path / "pyproject.toml").exists()} == {
        "headrig-owner"
    }
