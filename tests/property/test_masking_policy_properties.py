"""What must hold of every action of a policy, for every line."""

import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import orjson
import pytest
import yaml
from headrig import Resource
from headrig._raw import RawBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.masking import Masker

FOLDER = Path(tempfile.mkdtemp(prefix="headrig-policy-"))
HOST = SimpleNamespace(
    cache_dir=FOLDER,
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)
KEYS = [("k2", b"2" * 32), ("k1", b"1" * 32)]


def masker(name: str, **policy) -> Masker:
    path = FOLDER / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"version": 1, **policy}))
    return Masker({"policy": str(path), "pseudonym_keys": KEYS}, HOST)


MASKERS = {
    action: masker(action, default=action)
    for action in ("redact", "partial", "pseudonym", "remove", "drop", "keep")
} | {
    "mixed": masker(
        "mixed",
        default="redact",
        actions={
            "email": "pseudonym", "payment-card": "partial", "credential-field": "remove", "us-ssn": "remove",
            "jwt": "partial", "vcs": "pseudonym", "iban": "keep",
        },
        allow=[{"value": "bob.k@example.org"}, {"path": "a", "detectors": ["email"]}],
    ),
}  # fmt: skip

SECRETS = {
    "github-token": "ghp_" + "x9Qk" * 9,
    "aws-access-key-id": "AKIA" + "Q7XB" * 4,
    "stripe-secret": "sk_live_" + "x9Qk" * 6,
    "email": "bob.k@example.org",
    "payment-card": "4111111111111111",
    "iban": "DE89370400440532013000",
    "us-ssn": "219-09-9998",
    "phone-e164": "+14155550132",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0." + "aZ_9" * 10,
}
secrets = st.sampled_from(sorted(SECRETS.values()))
words = st.text(st.sampled_from('abc XYZ 019 .,:;=&%"\\/\n\té€😀{}[]-_@+'), max_size=12)
keys = (
    st.sampled_from(
        [
            "a",
            "msg",
            "password",
            "dbPassword",
            "token",
            "token_type",
            "pin",
            "é",
            'q"',
            "name",
            "value",
            "k\\",
        ]
    )
    | secrets
)
pairs = st.tuples(st.sampled_from(["user", "password", "token", "a", "card"]), secrets).map("=".join)
placeholders = st.sampled_from(
    [
        "[redacted:jwt]",
        "[redacted:stripe-secret:abcd]",
        "[redacted:x]",
        "[stripe-secret:k1:aaaaaaaaaaaaaaaaaaaa]",
        MASKERS["pseudonym"].pseudonyms("default", "stripe-secret", "x")[1][1],
        MASKERS["pseudonym"].pseudonyms("default", "email", "x")[0][1],
    ]
)
apart = (secrets | pairs | secrets.map(lambda text: "/p?q=" + quote(text, safe=""))).map(
    lambda text: f" {text} "
)
planted = st.lists(words | apart | pairs | placeholders, min_size=1, max_size=5).map(" ".join)
planted |= st.lists(words | apart | placeholders, min_size=1, max_size=5).map("".join)
planted |= st.tuples(secrets, secrets).map("".join)
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | planted | st.just(4111111111111111)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=3).map(lambda value: orjson.dumps(value).decode())
    ),
    max_leaves=8,
)
documents = st.dictionaries(keys, values, max_size=5)
spaced = documents.map(lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b" "))
escaped = planted.map(
    lambda text: (
        b'{"a":"%b","b":1}' % "".join(f"\\u{ord(each):04x}" for each in text if ord(each) < 1 << 16).encode()
    )
)
lines = escaped | documents.map(orjson.dumps) | spaced | planted.map(str.encode)


@pytest.mark.parametrize("name", MASKERS)
@settings(max_examples=150)
@given(line=lines)
def test_masking_twice_changes_nothing(name, line):
    """What every action leaves holds nothing more to mask, and JSON stays JSON."""
    once = MASKERS[name].mask_line(line)
    assert MASKERS[name].mask_line(once) == once
    if line[:1] == b"{" and _is_json(line):
        assert isinstance(orjson.loads(once), dict)


@pytest.mark.parametrize("name", ["partial", "pseudonym", "remove", "drop", "redact"])
@settings(max_examples=60)
@given(line=lines)
def test_no_secret_survives_an_action(name, line):
    """Beyond the four characters that partial shows, nothing of a finding is left."""
    out = MASKERS[name].mask_line(line)
    redacted = MASKERS["redact"].mask_line(line)
    for secret in SECRETS.values():
        if secret.encode() not in redacted:
            assert secret.encode() not in out


@settings(max_examples=60)
@given(line=lines)
def test_keep_changes_nothing_but_what_was_not_scanned(line):
    """Only text below the deepest level, which nobody has read, is masked whatever the policy says."""
    out = MASKERS["keep"].mask_line(line)
    assert out == line or b"[redacted:nested-too-deep]" in out


@settings(max_examples=60)
@given(line=lines)
def test_what_is_dropped_is_what_is_redacted_elsewhere(line):
    """A record leaves exactly when something in it would be redacted."""
    heads = [object() if _is_json(line) and line[:1] == b"{" else None]
    batch = MASKERS["drop"].mask(RawBatch(Resource("default"), [line], line, heads, [1]))
    assert bool(batch.leaving) == (MASKERS["redact"].mask_line(line) != line)


@pytest.mark.parametrize("name", ["mixed", "pseudonym", "drop"])
@settings(max_examples=60)
@given(rows=st.lists(lines, min_size=1, max_size=5))
def test_a_second_scan_of_a_batch_changes_nothing(name, rows):
    """Lines, marks, counts of replacements and what leaves are those of the first."""
    heads = [object() if _is_json(line) and line[:1] == b"{" else None for line in rows]
    batch = MASKERS[name].mask(RawBatch(Resource("default"), rows, b"\n".join(rows), heads, [1] * len(rows)))
    first = list(batch.lines), list(batch.attributes), dict(batch.masked), dict(batch.leaving)
    MASKERS[name].mask_batch(batch, list(range(len(batch))))
    assert (batch.lines, batch.attributes, dict(batch.masked), batch.leaving) == first


@settings(max_examples=60)
@given(line=lines)
def test_tokens_of_old_keys_stay(line):
    """After a rotation nothing that the key before made is masked again."""
    once = OLD.mask_line(line)
    assert MASKERS["pseudonym"].mask_line(once) == once


OLD = Masker({"policy": str(FOLDER / "pseudonym.yaml"), "pseudonym_keys": KEYS[1:]}, HOST)


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", ["remove", "mixed", "partial", "pseudonym"])
@pytest.mark.parametrize(
    "line",
    [
        orjson.dumps({f"password{n}": {"a": ["x" * 9]} for n in range(4000)}),
        b'{"a":1' + b' , "password" :  "hunter2hunter2" ' * 2000 + b"}",
        b"password=x " * 6000,
        orjson.dumps({"m": "user=bob.k@example.org password=x " * 1500}),
        orjson.dumps(
            {"a": orjson.dumps({"\u00e9\\": "bob.k@example.org", "password": "\\" * 3000}).decode()}
        ),
        b'{"' + b'\\"' * 9000 + b'password":"x","a":["bob.k@example.org"]}',
        orjson.dumps({"a": ["[" * 40, "bob.k@example.org"] * 500}),
        b"x " + b"[redacted:" * 4000 + b"password=x",
        b"ghp_" + b"x9Qk" * 9 + b"+14155550132" * 500,
    ],
)
def test_long_lines_of_one_thing_are_masked_to_the_end(name, line):
    """Thousands of findings, removed or replaced, leave nothing to find and valid JSON."""
    once = MASKERS[name].mask_line(line)
    assert b"hunter2" not in once.replace(b"ter2]", b"")
    assert MASKERS[name].mask_line(once) == once
    if line[:1] == b"{":
        orjson.loads(once)


def test_a_document_of_nothing_but_passwords_is_empty_without_them():
    """Every comma goes with its member."""
    line = orjson.dumps({f"password{n}": "x" for n in range(3000)})
    assert MASKERS["remove"].mask_line(line) == b"{}"
