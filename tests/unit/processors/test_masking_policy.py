"""The masking policy is named in what a record leaves in the audit log."""

from pathlib import Path

import orjson
import pytest
from headrig import ConfigError, Verdict

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


def test_another_policy_is_another_digest(tmp_path, blueprint):
    """A leaf shows which policy was in force."""
    (tmp_path / "p.yaml").write_text("{version: 2, actions: {email: keep}}")
    settings = load(ROOT / "config/headrig.yaml", {}, {"masking.policy": str(tmp_path / "p.yaml")})
    other = Blueprint(settings, Paths(tmp_path))
    verdict = Verdict(0, "quarantined", "unscanned", "work", 7, bytes(32))
    one, two = (
        orjson.loads(each.leaves.unscanned(name="e-1", ts_ns=1, tenant="acme", verdict=verdict))["policy"]
        for each in (blueprint, other)
    )
    assert one["mask"] != two["mask"]
    assert one["classify"] == two["classify"]


@pytest.mark.parametrize("key", ["plugins", "tenants", "pseudonym_keys"])
def test_what_the_application_tells_masking_is_no_setting(tmp_path, key):
    """An operator who writes it hears that it is unknown."""
    settings = load(ROOT / "config/headrig.yaml", {}, {f"masking.{key}": []})
    paths = Paths(tmp_path)
    paths.make()
    with pytest.raises(ConfigError, match=f"masking.{key}: unknown key"):
        Blueprint(settings, paths)
