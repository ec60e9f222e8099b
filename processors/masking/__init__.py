"""First-party masking stage: secrets and personal data never leave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrig import Host, StageSpec

from processors.masking.masker import Masker
from processors.masking.selftest import run_tests

__all__ = ["SPEC", "Masker"]


def _make(config: Mapping[str, Any], host: Host) -> Masker:
    return Masker(config, host)


SPEC = StageSpec(kind="mask", factory=_make, selftest=run_tests)
