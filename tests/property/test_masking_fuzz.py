"""The whole masker on composed and on broken input: no crash, no slow input, no canary that can be read afterwards."""

import base64
import logging
import random
import tempfile
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.masking import Masker
from tests.corpus import catalogue, harmless, measure, places, plant
from tests.corpus.draw import Draw
from tests.corpus.judge import survives

HOST = SimpleNamespace(
    cache_dir=Path(tempfile.mkdtemp(prefix="headrig-fuzz-")),
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)
MASKER = Masker({}, HOST)
CANARIES = [
    recipe
    for recipe in catalogue.RECIPES
    if recipe.name
    in (
        "aws-access-key-id github-pat-classic gitlab-pat slack-bot-token stripe-secret anthropic-key openai-key/project sendgrid-key "
        "digitalocean-pat npm-token jwt email iban payment-card-pan/visa payment-card-pan/amex us-ssn gcp-api-key grafana-service-account"
    ).split()
]
"""Formats that speak for themselves: wherever they stand they are found."""


def _escaped(text):
    return (
        '{"m":"' + "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H")) + '"}'
    )


STEPS = {
    "object": lambda text: places.compact({"m": text, "zone": "k"}),
    "array": lambda text: places.compact([1, [text]]),
    "pair": lambda text: places.compact([{"name": "detail", "value": text}]),
    "argv": lambda text: places.compact({"argv": ["run", text]}),
    "escapes": _escaped,
    "newline": lambda text: f"x\n{text}\ny",
    "percent": lambda text: f"/p?q={quote(text, safe='')}&z=1",
    "base64": lambda text: places.compact(
        {"b": base64.b64encode(places.compact({"m": text}).encode()).decode()}
    ),
    "logfmt": lambda text: 'level=info msg="' + text.replace("\\", "\\\\").replace('"', '\\"') + '" n=1',
    "python": lambda text: f"ctx={ {'m': text}!r} n=1",
    "header": lambda text: f"X-Detail: {text}",
}
ENCODING = ("percent", "base64")
chains = st.lists(st.sampled_from(sorted(STEPS)), max_size=3).filter(
    lambda steps: sum(step in ENCODING for step in steps) <= 1
)
seeds = st.integers(0, 2**32)
REASONS = ["depth"]
"""What a line may be set aside for."""


def mask(line):
    """Mask one line; fails when it errs or costs too much."""
    batch = MASKER.mask(measure.raw_batch([line]))
    assert [verdict.detail for verdict in batch.verdicts] in ([], REASONS)
    return batch.lines[0] if batch.lines else None


def check(line):
    """Mask a line, check what holds of every line, and return what came out (nothing when it nests too deep)."""
    once = mask(line)
    if once is None:
        return b""
    if measure._is_object(line):
        assert measure._is_object(once)
    assert mask(once) == once
    work = MASKER._engine.run([line], line).work
    assert work < 40 * (len(line) + 256)
    return once


@given(chains, seeds, st.sampled_from(CANARIES))
@settings(max_examples=300, deadline=None)
def test_no_canary_survives_composed_encodings(steps, seed, recipe):
    """A secret in a message is found through up to three layers of encoding."""
    draw = Draw(seed)
    secret = recipe.sample(draw).text
    text = f"{draw.words(1)} {secret} {draw.words(1)}"
    for step in steps:
        text = STEPS[step](text)
    assert not survives(check(text.encode()).decode(), secret)


@given(
    chains, seeds, st.sampled_from(["password", "clientSecret", "DB_PASSWORD", "x-api-key", "access_token"])
)
@settings(max_examples=200, deadline=None)
def test_no_named_value_survives_composed_encodings(steps, seed, name):
    """A value under a credential's name is found through up to three layers of encoding."""
    draw = Draw(seed)
    secret = draw.shape("{n:20}")
    text = places.compact({"zone": "k", name: secret})
    for step in steps:
        text = STEPS[step](text)
    assert not survives(check(text.encode()).decode(), secret)


META = [
    b'"', b"\\", b"\\\\", b'\\"', b"{", b"}", b"[", b"]", b":", b",", b"=", b"&", b"%", b"%41", b"%2", b"\\u0041", b"\\u", b"\\n", b"\n", b"\t", b" ", b"'", b"`",
    b"password=", b'"token":', b"secret: ", b"Cookie: ", b"Authorization: Bearer ", b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----", b"://u:", b"@", b"eyJ", b"AKIA", b"sk-",
    b"0", b"4111 ", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"[redacted:email]", b"[redacted:", b"<", b">", b"</a>", b"--password ", b"{}", b"\x00", b"\x1b[31m", b"\xef\xbb\xbf",
]  # fmt: skip
POOL = [
    line
    for one in (
        *islice(plant.plain(11, 1), 0, None, 9),
        *islice(plant.everywhere(12, 1), 0, None, 29),
        *islice(plant.names(13), 0, None, 19),
    )
    for line in one.lines
] + list(harmless.lines(14, 300))


def mutated(source: random.Random) -> bytes:
    """Take a line of the pool and break it: cut, join, repeat, insert, overwrite."""
    line = source.choice(POOL)
    for _ in range(source.randint(1, 6)):
        place, other = sorted((source.randint(0, len(line)), source.randint(0, len(line))))
        kind = source.randrange(7)
        if kind == 0:
            line = line[:place] + source.choice(META) * source.choice([1, 1, 2, 30]) + line[place:]
        elif kind == 1:
            line = line[:place] + line[other:]
        elif kind == 2:
            line = line[:other] + line[place:]
        elif kind == 3:
            more = source.choice(POOL)
            line = line[:place] + more[source.randint(0, len(more)) :]
        elif kind == 4:
            line = line[:place] + bytes([source.randrange(128)]) + line[place + 1 :]
        elif kind == 5:
            line = places.compact(
                {source.choice(["m", "password", "body"]): line.decode("utf-8", "replace")}
            ).encode()
        else:
            line = line[:place] + (line[place:other][:40] * source.choice([2, 20])) + line[place:]
    return line[:20_000].decode("utf-8", "replace").encode()


@given(seeds)
@settings(max_examples=800, deadline=None)
def test_broken_lines_neither_crash_nor_cost_too_much(seed):
    """Whatever a line looks like, it is masked, stays masked, and costs what its size allows."""
    check(mutated(random.Random(seed)))


@pytest.mark.parametrize(
    "line",
    [
        b'password:"Token\\":[""}',
        b'"Cookie:\\\\"\\"',
        b'"\\nCookie:\\n"}',
        b'password:"\\\\"\\"',
        b'password:"secret:[""}',
        b'Token:[--password "U"]":',
        b'"""\\\\"""\\"""\\Cookie:\\""r',
        b"password:\"token='\"')",
        b'--password ":\\" e\\"',
        b"-----END PRIVATE KEY----- -----END PRIVATE KEY-----",
        b"Authorization:Bearer -----END PRIVATE KEY-----\\n",
        b'{"":"-----END PRIVATE KEY-----\\"Authorization:}"}',
    ],
)
def test_lines_that_fuzzing_found(line):
    """What was found once is looked at first."""
    check(line)


@given(seeds, st.sampled_from(CANARIES))
@settings(max_examples=800, deadline=None)
def test_no_canary_survives_in_broken_lines(seed, recipe):
    """A secret between two blanks is found in whatever text it stands."""
    source = random.Random(seed)
    secret = recipe.sample(Draw(seed)).text
    line = mutated(source).decode()
    place = source.randint(0, len(line))
    line = f"{line[:place]} {secret} {line[place:]}"
    if source.random() < 0.5:
        line = places.compact({"m": line})
    out = check(line.encode())
    assert secret.encode() not in out


@given(st.lists(seeds, min_size=2, max_size=12))
@settings(max_examples=60, deadline=None)
def test_broken_neighbours_do_not_matter(parts):
    """Broken lines of one request become what each becomes alone, unless a private key runs through them."""
    lines = [mutated(random.Random(part)) for part in parts]
    if any(b"PRIVATE" in line for line in lines):
        return
    alone = [out for out in map(mask, lines) if out is not None]
    assert MASKER.mask(measure.raw_batch(lines)).lines == alone
