"""A private key that is spread over the records of one request is masked in each."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from headrig import Resource
from headrig._raw import RawBatch

from processors.masking import Masker

MARK = "[redacted:pem-private-key]"
WHICH = "RSA PRIVATE"
BODY = ["MIIEpAIBAAKCAQEA" + letter * 48 for letter in "abcd"] + ["q7/Zx+k="]
KEY = [f"-----BEGIN {WHICH} KEY-----", *BODY, f"-----END {WHICH} KEY-----"]


@pytest.fixture(scope="module")
def masker(tmp_path_factory):
    host = SimpleNamespace(
        cache_dir=tmp_path_factory.mktemp("cache"),
        config_dir=Path(__file__).parents[3] / "config",
        key=b"k" * 32,
        log=logging.getLogger("test"),
        fields={},
    )
    return Masker({}, host)


def mask(masker, lines):
    """The lines of one request, masked."""
    raw = [line.encode() for line in lines]
    size = len(raw)
    batch = masker.mask(RawBatch(Resource("t"), raw, b"\n".join(raw), [None] * size, [0] * size))
    return [line.decode() for line in batch.lines]


FORMS = {
    "text": str,
    "json": lambda text: json.dumps({"id": "a" * 64, "msg": text, "n": 1}),
    "json with line ends": lambda text: json.dumps({"log": text + "\n", "stream": "stdout"}),
    "behind a time": lambda text: f"2026-11-24T02:00:00Z stderr F {text}",
    "slashes escaped": lambda text: json.dumps({"msg": text}).replace("/", "\\/"),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_line_of_a_key_is_masked(masker, form):
    """From BEGIN to END, and nothing before or behind."""
    shape = FORMS[form]
    others = [shape(text) for text in ("starting up", "done and ready")]
    lines = [others[0], *map(shape, KEY), others[1]]
    masked = mask(masker, lines)
    assert masked[0] == others[0]
    assert masked[-1] == others[1]
    for line in masked[1:-1]:
        assert MARK in line
        assert not any(part in line for part in ("MIIE", "q7", "-----"))
    assert mask(masker, masked) == masked


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_key_whose_begin_came_earlier_is_looked_back_for(masker, form):
    """The END tells what the lines before it were."""
    shape = FORMS[form]
    masked = mask(masker, [shape("starting up"), *map(shape, KEY[2:])])
    assert masked[0] == shape("starting up")
    assert all(MARK in line and "MIIE" not in line for line in masked[1:])


def test_a_key_ends_where_a_record_is_no_part_of_it(masker):
    """Or after two hundred records; headers and blank lines belong to it."""
    masked = mask(masker, [*KEY[:2], "a line of words", BODY[1]])
    assert masked == [MARK, MARK, "a line of words", BODY[1]]
    masked = mask(masker, [KEY[0], "Proc-Type: 4,ENCRYPTED", "", BODY[0], BODY[4], "some word"])
    assert masked == [MARK, "Proc-Type: 4,ENCRYPTED", "", MARK, MARK, "some word"]
    masked = mask(masker, [KEY[0], *[BODY[0]] * 201])
    assert masked == [*[MARK] * 201, BODY[0]]


def test_a_certificate_stays(masker):
    """Also right behind a key."""
    certificate = ["-----BEGIN CERTIFICATE-----", *BODY, "-----END CERTIFICATE-----"]
    assert mask(masker, certificate) == certificate
    assert mask(masker, [*KEY, *certificate]) == [*[MARK] * len(KEY), *certificate]
    assert mask(masker, [*certificate, *KEY]) == [*certificate, *[MARK] * len(KEY)]


def test_a_line_that_fails_costs_no_neighbour_its_key(masker):
    """A request that is masked line by line is still looked at as a whole."""
    lines = [*KEY, "[" * 80 + '"bob@example.org"' + "]" * 80]
    assert mask(masker, lines) == [MARK] * len(KEY)
