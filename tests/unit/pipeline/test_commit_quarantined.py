"""What a quarantined record leaves behind is about the line as it was received."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from pathlib import Path
from types import SimpleNamespace

import pytest
from headrig import Resource

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.flow.inbound import Inbound
from pipeline.flow.part import PartBuilder
from pipeline.flow.prepare import Preparer, raw_batch
from pipeline.flow.request import Request
from pipeline.plugins import Guard, Running, Watch
from pipeline.plugins.classifiers import GuardedClassifier
from pipeline.plugins.processors import GuardedProcessor
from pipeline.plugins.rows import Wanted
from pipeline.settings import load
from pipeline.streams import UniqueTimes

ROOT = Path(__file__).resolve().parents[3]
LINES = [
    b'{"message":"first"}',
    b'{"message":"x","password":"hunter2aaaa"}',
    b'{"message":"x","password":"another-secret-of-another-length"}',
    b'{"message":"last"}',
]


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory):
    """The stages as configured by default."""
    paths = Paths(tmp_path_factory.mktemp("blueprint"))
    paths.make()
    return Blueprint(load(ROOT / "config/headrig.yaml", {}), paths)


def fails_on_secrets(record):
    if "password" in record.body:
        raise ValueError
    return record


def buries_secrets(record):
    """Its text cannot be scanned again."""
    if "password" in record.body:
        value = "x"
        for _ in range(100):
            value = [value]
        record.body["deep"] = value
    return record


def judges_badly(record):
    return "event" if "password" in record.body else None


def processor(process):
    def add(running, guard):
        running.processors.append(
            GuardedProcessor(SimpleNamespace(process=process), guard, Wanted((), None, {}), ("body.*",))
        )

    return add


def classifier(classify):
    def add(running, guard):
        running.classifiers.append(
            GuardedClassifier(SimpleNamespace(classify=classify), guard, Wanted((), None, {}))
        )

    return add


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (processor(fails_on_secrets), "plugin:planted"),
        (processor(buries_secrets), "unscanned"),
        (classifier(judges_badly), "plugin:planted"),
    ],
    ids=["processor", "unscannable", "classifier"],
)
async def test_size_and_hmac_are_of_the_line_as_received(blueprint, add, reason):
    """Keyed with the key of the node, so two secrets that mask alike differ, and nobody can try values."""
    running = Running()
    key = blueprint.host.key
    add(running, Guard("planted", 1, 50_000_000, watch=Watch(), key=key, slot=None))
    inbound = Inbound(
        Resource("shop"), list(LINES), hashlib.sha256(b"body").digest(), body=b"\n".join(LINES), key=None
    )
    request = Request(inbound, asyncio.get_running_loop().create_future(), verdicts=[])
    times = blueprint.settings.time.fields
    columns = Preparer(blueprint.heads, times, UniqueTimes(0, 1), lambda: 1).columns([request])
    raw, rows = raw_batch(columns, inbound.resource, set())

    builder = PartBuilder(blueprint.streams().encode, blueprint.leaves, key)
    part = builder.build(blueprint.stages(running).run(raw), raw, rows, columns)

    expected = [(len(line), hmac.digest(key, line, "sha256")) for line in LINES[1:3]]
    assert [verdict.reason for verdict in part.unscanned] == [reason] * 2
    assert [(verdict.size, verdict.digest) for verdict in part.unscanned] == expected
    assert [leaf.mac for leaf in part.leaves] == [digest[:16] for _, digest in expected]
    assert [expected[n][1].hex().encode() in leaf.data for n, leaf in enumerate(part.leaves)] == [True, True]
