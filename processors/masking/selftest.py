"""Runs the tests that packs carry, through the whole stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from processors.masking.masker import Masker
from processors.masking.pack import expand

if TYPE_CHECKING:
    from headrig import Host

    from processors.masking.rules import Rule


def run_tests(config: Mapping[str, Any], host: Host) -> list[str]:
    """Return what failed, as ``detector: kind number: why``; nothing of the tests' content."""
    config = {key: value for key, value in config.items() if key != "policy"}
    masker = Masker(config, host)
    optional = set(masker.pack.optional)
    everything = Masker({**config, "enable": masker.pack.optional}, host) if optional else masker
    return [
        failure
        for rule in everything.pack.rules
        for failure in _failures(everything if rule.name in optional else masker, rule)
    ]


def _failures(masker: Masker, rule: Rule) -> Iterator[str]:
    for number, sample in enumerate(rule.positive, 1):
        text, secret = expand(sample)
        expected = text.replace(secret, f"[redacted:{rule.name}]")
        if masker.mask_text(text) != expected:
            yield f"{rule.name}: positive {number}: not masked exactly"
    for number, sample in enumerate(rule.negative, 1):
        text, _ = expand(sample)
        if any(name == rule.name for name, _, _ in masker.explain(text.encode())):
            yield f"{rule.name}: negative {number}: masked"
