"""Both engines lead to the same masked text: over the tests of the packs and over made texts."""

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from headrig import Resource
from headrig._raw import RawBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.masking import Masker
from processors.masking.pack import expand
from processors.scanning import Pattern, Scanner, check

hyperscan = pytest.importorskip("hyperscan")

HOST = SimpleNamespace(
    cache_dir=Path(tempfile.mkdtemp(prefix="headrig-masking-")),
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)
FAST, SLOW = (Masker({"engine": engine}, HOST) for engine in ("vectorscan", "re2"))
SAMPLES = [
    (rule.name, expand(sample)[0]) for rule in FAST.pack.rules for sample in (*rule.positive, *rule.negative)
]
TEXTS = [text for _, text in SAMPLES]


def masked(masker, lines):
    """Return lines, verdicts and detectors of a batch."""
    raw = RawBatch(Resource("t"), list(lines), b"\n".join(lines), [None] * len(lines), [0] * len(lines))
    batch = masker.mask(raw)
    return batch.lines, [(v.origin, v.detail) for v in batch.verdicts], batch.masked


def scans(masker):
    return masker._engine._scanner.scan


def test_the_engines_are_two():
    """What follows compares something."""
    assert (FAST.engine, SLOW.engine) == ("vectorscan", "re2")
    assert FAST.digest == SLOW.digest


def test_the_samples_of_the_packs_are_masked_alike():
    """Each alone, in one batch, as JSON, nested and escaped."""
    lines = [text.encode() for text in TEXTS]
    forms = [
        lines,
        [orjson.dumps({"m": text}) for text in TEXTS],
        [orjson.dumps({"m": orjson.dumps({"n": [text, "x\n" + text]}).decode()}) for text in TEXTS],
        [orjson.dumps({text: 1, "a": f"{text} {text}"}) for text in TEXTS],
        [b'{"m":"%s"}' % b"".join(b"\\u%04x" % ord(c) for c in text if ord(c) < 65536) for text in TEXTS],
    ]
    for form in forms:
        assert masked(FAST, form) == masked(SLOW, form)
        for line in form:
            assert masked(FAST, [line]) == masked(SLOW, [line])


def test_the_events_of_the_fallback_are_among_those_of_vectorscan():
    """It reports the earliest end of each match, and every finding has one."""
    buffer = b"\n".join(orjson.dumps({"m": text}) for text in TEXTS)
    fast, slow = set(scans(FAST)(buffer)), set(scans(SLOW)(buffer))
    assert slow <= fast
    assert {tag for _, tag in slow} == {tag for _, tag in fast}


PIECES = st.sampled_from(
    [
        "password", "token", '"', '":"', "=", ":", " ", "\n", "\\n", "\\u0041", "%41", ",", "{", "}", "[", "]", "name", "value", "&",
        "\x0b", "\xe9", "\u20ac", "4111 1111 1111 1111", "4111111111111111", "+1415", "DE89", "sk_live_", "AKIA", "eyJ", "://", "@", "a",
        "0", "-----BEGIN PRIVATE KEY-----", "_", "-", ".", "/",
    ]
)  # fmt: skip
cuts = st.tuples(st.sampled_from(TEXTS), st.integers(0, 60), st.integers(0, 200)).map(
    lambda parts: parts[0][parts[1] : parts[1] + parts[2]]
)
texts = st.lists(PIECES | cuts | st.sampled_from(TEXTS), max_size=10).map("".join)
lines = texts.map(str.encode) | texts.map(lambda text: orjson.dumps({"m": text, text: [text]}))


@settings(max_examples=300, deadline=None)
@given(st.lists(lines, min_size=1, max_size=5))
def test_made_texts_are_masked_alike(some):
    """In a batch of lines, plain or JSON."""
    assert masked(FAST, some) == masked(SLOW, some)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | texts.map(str.encode))
def test_events_agree_on_any_bytes(buffer):
    """Also where the bytes are no text."""
    fast, slow = set(scans(FAST)(buffer)), set(scans(SLOW)(buffer))
    assert slow <= fast
    assert {tag for _, tag in slow} == {tag for _, tag in fast}


EXPRESSIONS = [
    rb"\s", rb"\S", rb"[\s]", rb"[^\s]", rb"[\S]", rb"[\Sa]", rb"\v", rb"[^\v]", rb"\w", rb"\W", rb"\d", rb"[^a]", rb".", rb"(?s).", rb"[\s\]]", rb"[]\s]", rb"[^]\s]",
    rb"[[:space:]\s]", rb"[[\s]", rb"\xe9", rb"[\xe0-\xe9]", rb"\\s", rb"[\\s]", rb"k", rb"(?i)\xc9", rb"(?m)^.", rb".\b", rb"\b.", rb"(?m).$", rb".\B",
]  # fmt: skip


@pytest.mark.parametrize("caseless", [False, True])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_two_dialects_read_an_expression_alike(expression, caseless, tmp_path):
    """Byte for byte, each beside a letter, a blank and a newline."""
    groups = [[Pattern(expression, 7, caseless)]]
    fast, slow = (Scanner(groups, tmp_path, engine) for engine in ("vectorscan", "re2"))
    for byte in range(256):
        for frame in (b"A%cA", b" %c ", b"\n%c\n", b"A\\%c"):
            buffer = frame % byte
            assert slow.scan(buffer) == fast.scan(buffer), (byte, frame)


def test_every_pattern_of_the_packs_is_taken_by_both(tmp_path):
    """Alone, so that a refusal names it."""
    from processors.scanning.vectorscan import Vectorscan

    for rule in FAST.pack.rules:
        if rule.keywords:
            continue  # the prefilter is made of its keywords
        pattern = Pattern(rule.pattern.encode(), 1, rule.caseless)
        check(pattern)
        Vectorscan([[pattern]], tmp_path)
        assert replace(rule).compile() is not None
