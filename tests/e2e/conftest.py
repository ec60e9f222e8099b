"""Real programs for end-to-end tests: one Loki for the session, headrigs that end with their module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Headrig, Loki, need_loki

Programs = Callable[..., Headrig]


@pytest.fixture(scope="session")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loki]:
    """A running Loki that all tests share: each has services and an audit origin of its own."""
    need_loki()
    started = Loki(tmp_path_factory.mktemp("loki"))
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
def own_loki(tmp_path: Path) -> Iterator[Callable[..., Loki]]:
    """Make a Loki for one test, not started: it can be away, restarted, configured."""
    need_loki()
    made: list[Loki] = []

    def make(*arguments: str) -> Loki:
        made.append(Loki(tmp_path / f"loki-{len(made)}", *arguments))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Make a headrig with a directory of its own; what still runs at the end is killed."""
    made: list[Headrig] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> Headrig:
        made.append(Headrig(tmp_path_factory.mktemp("headrig"), settings, **options))
        return made[-1]

    yield make
    for each in made:
        each.kill()
