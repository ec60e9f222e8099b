"""What must hold of masking for every line."""

import base64
import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import orjson
import pytest
from headrig import Resource
from headrig._raw import RawBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.masking import Masker
from tests.support import keyword_pack

HOST = SimpleNamespace(
    cache_dir=Path(tempfile.mkdtemp(prefix="headrig-masking-")),
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)
MASKER = Masker({"packs": ["masking", keyword_pack.write(HOST.cache_dir)]}, HOST)

SECRETS = {
    "github-token": "ghp_" + "x9Qk" * 9,
    "aws-access-key-id": "AKIA" + "Q7XB" * 4,
    "anthropic-key": "sk-ant-api03-" + "aZ_9" * 23 + "AA",
    "stripe-secret": "sk_live_" + "x9Qk" * 6,
    "email": "bob.k@example.org",
    "payment-card": "4111111111111111",
    "iban": "DE89370400440532013000",
    "us-ssn": "219-09-9998",
    "phone-e164": "+14155550132",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0." + "aZ_9" * 10,
}
secrets = st.sampled_from(sorted(SECRETS.items()))
words = st.text(st.sampled_from('abc XYZ 019 .,:;=&%"\\/\n\té€😀{}[]-_@+'), max_size=12)
keys = st.sampled_from(
    [
        "a",
        "msg",
        "user",
        "password",
        "dbPassword",
        "api_key",
        "token",
        "token_type",
        "pin",
        "n",
        "é",
        "name",
        "value",
        "tokens",
        "widgetron",
        "taxZin",
    ]
) | secrets.map(lambda secret: secret[1])
keyed = st.sampled_from(["widgetron", "zin", "b7c1d05e" * 4, "312645978", "046 454 286", "046454286x"])
planted = st.tuples(words, secrets, words).map(lambda parts: f"{parts[0]} {parts[1][1]} {parts[2]}")
near = st.lists(keyed | words | secrets.map(lambda secret: secret[1]), max_size=5).map(" ".join)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | words
    | planted
    | near
    | st.sampled_from(
        [4111111111111111, 312645978, "--password", "ZGVwbG95Ym90Omh1bnRlcjJQdzl4", "X-Api-Key"]
    )
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)
documents = st.dictionaries(keys, values, max_size=5)
texts = st.lists(
    words
    | planted
    | near.map(lambda text: f" {text} ")
    | secrets.map(lambda secret: f"https://{secret[1]}@host/ ")
    | secrets.map(lambda secret: f"https://u:{secret[1]}@host/")
    | st.sampled_from(
        [
            "password=",
            "password= ",
            "'password', '",
            "<password>",
            'name="password" value="',
            "password '",
            "ZGVwbG95Ym90Omh1bnRlcjJQdzl4",
            "mysql -p",
            "user=",
            "password: see ",
            "token: ",
            "%40",
            "\\u0041",
            "Cookie: ",
            "--token ",
            "[redacted:x]",
            "://",
            "：",
        ]
    ),
    max_size=6,
).map("".join)


def escaped(value) -> str:
    """JSON in which every character of every string is a \\u escape."""
    if isinstance(value, str):
        units = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{escaped(key)}:{escaped(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(escaped, value)) + "]"
    return orjson.dumps(value).decode()


@given(documents)
def test_json_stays_json_and_masking_is_idempotent(document):
    """Output parses, and masking it again changes nothing."""
    once = MASKER.mask_line(orjson.dumps(document))
    assert isinstance(orjson.loads(once), dict)
    assert MASKER.mask_line(once) == once


@given(texts)
def test_text_masking_is_idempotent(text):
    """A masked text holds nothing more to mask."""
    once = MASKER.mask_text(text)
    assert MASKER.mask_text(once) == once


@given(st.lists(secrets | st.sampled_from(["+", "-", "_", ".", "@", "/", "é", "0", "a", "]"]), max_size=5))
def test_what_sticks_together_is_masked_once(parts):
    """What did not count beside a secret does not count beside its placeholder."""
    text = "".join(part if isinstance(part, str) else part[1] for part in parts)
    once = MASKER.mask_text(text)
    assert MASKER.mask_text(once) == once


@given(documents)
def test_escaped_and_plain_spelling_get_the_same_verdict(document):
    """Splicing the raw line and walking the decoded one mask the same values."""
    plain = orjson.loads(MASKER.mask_line(orjson.dumps(document)))
    decoded = orjson.loads(MASKER.mask_line(escaped(document).encode()))
    assert decoded == plain


@given(secrets, st.sampled_from([" ", '"', "'", ",", "(", "\n", "\t", ";", "&", "="]), st.integers(0, 7))
def test_no_planted_secret_survives(secret, beside, form):
    """Plain, escaped, nested, percent-encoded, as key or as text: the secret is gone."""
    name, value = secret
    text = f"x{beside}{value}{beside if beside != '=' else ' '}y"
    line = [
        orjson.dumps({"m": text}),
        escaped({"m": text}).encode(),
        orjson.dumps({"m": orjson.dumps({"n": orjson.dumps([text]).decode()}).decode()}),
        orjson.dumps({"u": "/p?q=" + quote(text, safe="")}),
        orjson.dumps({text: [1]}),
        text.encode(),
        orjson.dumps({"b": base64.b64encode(b"a=" + text.encode() + b"&b=abcdefghijklmno").decode()}),
        orjson.dumps({"b": orjson.dumps({"text": text}).hex()}),
    ][form]
    out = MASKER.mask_line(line)
    assert f"[redacted:{name}]".encode() in out
    assert value.encode() not in out
    assert quote(value, safe="").encode() not in out
    assert escaped(value)[1:-1].encode() not in out


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), documents, texts), min_size=1, max_size=8), st.booleans())
def test_neighbours_do_not_matter(rows, poisoned):
    """A line in a batch becomes what it becomes alone, also beside one that fails."""
    lines = [orjson.dumps(document) if is_json else text.encode() for is_json, document, text in rows]
    alone = [MASKER.mask_line(line) for line in lines]
    bad = [b'{"a":' * 80 + b'"bob@example.org"' + b"}" * 80] if poisoned else []
    batch = MASKER.mask(
        RawBatch(
            Resource("t"),
            lines + bad,
            b"\n".join(lines + bad),
            [None] * (len(lines) + len(bad)),
            [0] * (len(lines) + len(bad)),
        )
    )
    assert batch.lines == alone
    assert len(batch.verdicts) == len(bad)


PIECES = [
    '"', "\\", '\\"', "{", "[", "%41", "\\u0041", "a@b.co", "a@b.co ", "é@b.co", "=", "password=", "cookie=", "password={",
    "password=[", "password='", 'token={"a":"b"},', "authorization: denied ", '"cookie: a" ', "4111 ", "4111-", "eyJ", "://:",
    "://a:b", "://a:b@", "://[redacted:jwt]:", "sk_live_abcdefghij", "DE89", "+1", "-----BEGIN PRIVATE KEY", '"password":',
    '{"name":"password",', "bearer+", "bearer aaaaaaaa", "basic+", "xsk-ant-", "xsk-proj-", "xglpat-", "xxoxb-", "xFwoG",
    "xgAAAAA", "axai-", "xya29.", "xATATT3", "xATCTT3xFfGN0", "xghp_" + "a" * 36, "ghp_" + "a" * 36, '--password "',
    "widgetron", "widgetron ", "zin ", "taxZin=", "widgetron 312645978 ", "widgetron " + "b7c1d05e" * 4, '{"widgetron":',
    '"password",', "['password','", '["mysql",', "<password>", "<password><![CDATA[", '<a name="password" value="', 'name="password" ',
    "password&quot;:&quot;", "password '", "identified by '", "eyJ1c2VyIjogImEiLCAicGF/", "eyJ1c2VyIjogImEiLCAicGFz ", "7b2270617373776f72642222 ",
    "mysql -p", "curl -u a:b", "the password is ", '{"widgetron":[', '["widgetron",', '{"name":"widgetron","value":', "b7c1d05e", "zin" + "0" * 40,
]  # fmt: skip


def repeated(piece, size, *, as_json):
    """A line of about ``size`` bytes that says one thing over and over."""
    text = (piece * (size // len(piece) + 1))[:size]
    return orjson.dumps({"m": text}) if as_json else text.encode()


@pytest.mark.parametrize(
    ("piece", "as_json"),
    [(piece, as_json) for piece in PIECES for as_json in (False, True) if as_json or piece[:1] not in "{["],
)
def test_repetition_costs_linear_work(piece, as_json):
    """Sixteen times the text makes confirmations walk about sixteen times the bytes, and no line is given up."""
    lines = [repeated(piece, size, as_json=as_json) for size in (4_000, 64_000)]
    small, large = (MASKER._engine.run([line], line).work for line in lines)
    assert large < 20 * small + 4096
    for line in lines:
        batch = MASKER.mask(RawBatch(Resource("t"), [line], line, [None], [0]))
        assert [verdict.detail for verdict in batch.verdicts] in ([], ["depth"])


def test_a_line_that_costs_too_much_is_unscanned(tmp_path):
    """Work beyond what the size of a line allows fails that line alone, the same everywhere."""
    pack = tmp_path / "p.yaml"
    pack.write_text(
        "detectors: [{name: x-y, category: pii, pattern: ab, confirm: 'ab[a-z]*', right: alnum, back: 2,"
        " positive: [ab, ab], negative: [c, d]}]"
    )
    masker = Masker({"packs": [str(pack)]}, HOST)
    lines = [b"xx ab", (b"ab" * 120 + b"0") * 60, b"ab1"]
    buffer = b"\n".join(lines)
    batch = masker.mask(RawBatch(Resource("t"), lines, buffer, [None] * 3, [0] * 3))
    assert batch.lines == [b"xx [redacted:x-y]", b"ab1"]
    assert [(verdict.origin, verdict.reason, verdict.detail) for verdict in batch.verdicts] == [
        (1, "unscanned", "work")
    ]
