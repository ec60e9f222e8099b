"""Rules that RE2 cannot say: refused with the reason, or run by `regex` within a time."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from headrig import ConfigError, ProcessorError, Resource
from headrig._raw import RawBatch

from processors.masking import SPEC
from processors.masking.timed import Timed, TimedOutError

COSTLY = "(?:a|aa)*(?:b|d)"
"""Tries every way to cut a run of letters into ones and twos when no end comes."""
RUN = "a" * 40


@dataclass
class Lent:
    cache_dir: Path
    config_dir: Path
    key: bytes = b"k" * 32
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test"))
    fields: dict = field(default_factory=dict)


@pytest.fixture
def make(tmp_path):
    """Makes a stage of one rule."""

    def made(**rule):
        entry = {
            "name": "acme-code",
            "category": "generic",
            "pattern": "acme_[a-z0-9]",
            "positive": ["acme_1", "acme_2"],
            "negative": ["a", "b"],
            **rule,
        }
        (tmp_path / "acme.yaml").write_bytes(orjson.dumps({"detectors": [entry]}))
        return SPEC.factory({"packs": ["acme.yaml"]}, Lent(tmp_path / "cache", tmp_path))

    return made


def masked(stage, *lines):
    raw = RawBatch(Resource("t"), list(lines), b"\n".join(lines), [None] * len(lines), [0] * len(lines))
    batch = stage.mask(raw)
    return batch.lines, [(verdict.origin, verdict.reason, verdict.detail) for verdict in batch.verdicts]


@pytest.mark.parametrize(
    ("key", "expression", "said"),
    [
        ("confirm", "(?<=x)acme_[0-9]+", r"confirm does not compile: invalid perl operator: \(\?<="),
        ("confirm", r"(acme_[0-9]+) \1", r"confirm does not compile: invalid escape sequence: \\1"),
        ("pattern", "acme_(?=[0-9])", "re2 does not take the pattern: invalid perl operator"),
        ("pattern", "acme_[0-9", r"re2 does not take the pattern: missing \]"),
        ("pattern", "(?:acme)?", "re2 does not take the pattern: it matches the empty text"),
        ("pattern", "(?P<n>a)(?P<n>c)", "vectorscan does not take the pattern: Two named subpatterns"),
    ],
)
def test_what_the_engine_cannot_take_is_refused_with_the_reason(make, key, expression, said):
    """File, rule, and what the engine said."""
    pytest.importorskip("hyperscan")
    with pytest.raises(ConfigError, match=f"^acme.yaml: acme-code: {said}"):
        make(**{"confirm": "acme_[a-z0-9]+", key: expression})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"engine": "pcre"}, "engine is one of re2, regex"),
        ({"engine": "regex", "timeout_ms": 0}, "timeout_ms is from 1 to 1000"),
        ({"engine": "regex", "timeout_ms": 1001}, "timeout_ms is from 1 to 1000"),
        ({"engine": "regex", "timeout_ms": "10"}, "timeout_ms is from 1 to 1000"),
        ({"engine": "regex", "confirm": "acme_("}, r"confirm does not compile: missing \)"),
        ({"engine": "regex", "pattern": "(?<=x)acme"}, "re2 does not take the pattern"),
    ],
)
def test_how_a_timed_rule_is_written_is_checked(make, rule, said):
    """The prefilter stays one that every engine takes."""
    with pytest.raises(ConfigError, match=f"^acme.yaml: acme-code: {said}"):
        make(**{"confirm": "acme_[0-9]+", **rule})


def test_a_timed_rule_may_look_around_and_back(make):
    """Group 1 is what is masked."""
    stage = make(engine="regex", confirm=r"(?<!un)acme_(?=[0-9]+)([0-9]+)(?!-old)\b")
    lines = [b"acme_123 unacme_124 acme_125-old", b'{"m":"acme_126","n":"x acme_127-old"}']
    assert masked(stage, *lines) == (
        [
            b"acme_[redacted:acme-code] unacme_124 acme_125-old",
            b'{"m":"acme_[redacted:acme-code]","n":"x acme_127-old"}',
        ],
        [],
    )


@pytest.mark.parametrize(
    ("rule", "line", "expected"),
    [
        ({"left": "alnum"}, "xacme_12 .acme_12", "xacme_12 .[redacted:acme-code]"),
        ({"right": "alnum"}, "acme_12x acme_12.", "acme_12x [redacted:acme-code]."),
        ({"right": "number"}, "acme_12.5 acme_12. A", "acme_12.5 [redacted:acme-code]. A"),
        ({"caseless": True, "pattern": "acme_[0-9]"}, "ACME_12", "[redacted:acme-code]"),
        ({"validator": "opaque"}, "acme_1111", "acme_1111"),
        ({}, "acme_1 acme_22", "[redacted:acme-code] [redacted:acme-code]"),
    ],
)
def test_a_timed_rule_has_the_boundaries_of_others(make, rule, line, expected):
    """And judges with the same validators."""
    stage = make(engine="regex", confirm="acme_[0-9]++", **rule)
    assert stage.mask_text(line) == expected


def test_over_the_limit_the_record_is_held_back_alone(make):
    """Its neighbours are masked; what it holds is not let through on a guess."""
    stage = make(engine="regex", timeout_ms=20, confirm=f"acme_(?:{COSTLY})")
    lines = [b"acme_ab", b"see acme_" + RUN.encode(), b"acme_aab x", b'{"m":"acme_%s"}' % RUN.encode()]
    assert masked(stage, *lines) == (
        [b"[redacted:acme-code]", b"[redacted:acme-code] x"],
        [(1, "unscanned", "timeout"), (3, "unscanned", "timeout")],
    )
    with pytest.raises(ProcessorError, match="unscanned: timeout"):
        stage.mask_line(lines[1])
    assert stage.mask_line(lines[0]) == b"[redacted:acme-code]"


def test_the_time_is_for_all_candidates_of_a_record():
    """Many that take a little each are as bad as one; a new record has the whole time."""
    rule = Timed(
        COSTLY.encode(), caseless=False, back=64, left=frozenset(), right=frozenset(), accept=None, limit=0.02
    )
    text = b"a" * 12 + b"c"
    with pytest.raises(TimedOutError):
        while True:  # each call is far from the limit, and the loop ends when their sum is not
            assert rule(text, 0, len(text), 1)[0] == -1
    with pytest.raises(TimedOutError):
        rule(b"aab", 0, 3, 1)
    rule.begin()
    assert rule(b"aab", 0, 3, 1) == (0, 3, 3)
