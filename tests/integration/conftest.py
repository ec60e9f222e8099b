"""The real Loki, one for each file, so that no test reads what another wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_loki import Loki, need_loki


@pytest.fixture(scope="module")
def loki(tmp_path_factory) -> Iterator[str]:
    """Base address of a running Loki."""
    need_loki()
    running = Loki(tmp_path_factory.mktemp("loki")).start()
    try:
        yield running.url
    finally:
        running.stop()
