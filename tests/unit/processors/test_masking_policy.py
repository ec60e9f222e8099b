"""The masking policy is named in what a record leaves in the audit log."""

from pathlib import Path

import orjson
import pytest
from headrig import Verdict

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.settings import load

ROOT = Path(__file__).parents[3]


@pytest.fixture
def blueprint(tmp_path):
    paths = Paths(tmp_path)
    paths.make()
    return Blueprint(load(ROOT / "config/headrig.yaml", {}), paths)


def test_a_leaf_names_the_policies_of_masking_and_classification(blueprint):
    """Whoever reads a leaf can tell which rules decided what was hidden and what was judged."""
    verdict = Verdict(0, "quarantined", "unscanned", "work", 7, bytes(32))
    leaf = orjson.loads(blueprint.leaves.unscanned(name="e-1", ts_ns=1, tenant="acme", verdict=verdict))
    assert leaf["policy"] == {
        "classify": blueprint.made["classify"].digest,
        "mask": blueprint.made["mask"].digest,
    }
