"""The masker under judgement: the full catalogue, as it is shipped."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from processors.masking import Masker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def masker(tmp_path_factory):
    """The masker with every pack of ``config/masking``."""
    host = SimpleNamespace(
        cache_dir=tmp_path_factory.mktemp("patterns"),
        config_dir=ROOT / "config",
        key=b"k" * 32,
        log=logging.getLogger("test"),
        fields={},
    )
    return Masker({}, host)
