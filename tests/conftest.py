"""What was not run for want of the real Loki is said where nobody overlooks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# One commit has one verdict: what random examples find belongs to those who look for it.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the tests that did not run because Loki was never built."""
    missing = [
        report for report in terminalreporter.stats.get("skipped", []) if "real Loki" in str(report.longrepr)
    ]
    if not missing:
        return
    terminalreporter.write_sep("!", "NOT RUN: the real Loki is missing", yellow=True, bold=True)
    terminalreporter.write_line(
        f"{len(missing)} tests against Loki were not run. `make loki` builds it (needs Go); "
        "with CI=true its absence is a failure."
    )
    for place in sorted({report.nodeid.partition("::")[0] for report in missing}):
        terminalreporter.write_line(f"    {place}")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Keep ``HEADRIG__...`` of the developer's shell out of the programs that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith("HEADRIG__") or name in ("HEADRIG_URL", "HEADRIG_TOKEN"):
                patch.delenv(name)
        yield
