"""What the tests of the flow share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.settings import load

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def blueprint(tmp_path_factory):
    """The stages as configured by default; compiled once."""
    paths = Paths(tmp_path_factory.mktemp("blueprint"))
    paths.make()
    return Blueprint(load(ROOT / "config/headrig.yaml", {}), paths)
