"""The tests that rules carry, run through the whole stage: prefilter, decoding, evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from processors.classification.stage import make_classifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headrig import Host


def run_selftest(section: Mapping[str, Any], host: Host) -> list[str]:
    """Return a sentence for each test that failed; raises `ConfigError` for a broken pack."""
    classifier = make_classifier(section, host)
    failed: list[str] = []
    for rule in classifier.rules:
        for wanted, records in ((True, rule.match), (False, rule.no_match)):
            for number, record in enumerate(records, 1):
                line = record.encode() if isinstance(record, str) else orjson.dumps(record)
                if (rule in classifier.matching(line)) is not wanted:
                    kind = "match" if wanted else "no_match"
                    failed.append(f"rule {rule.id} ({rule.title}): {kind} {number} does not hold")
    return failed
