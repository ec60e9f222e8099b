"""The masking stage on whole batches: what leaves, what stays, what fails closed."""

import hashlib
import hmac
import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from headrig import Batch, ConfigError, ProcessorError, Resource
from headrig._raw import RawBatch

from processors.masking import SPEC, Masker
from processors.masking.pack import CATEGORIES

CONFIG = Path(__file__).parents[3] / "config"
FIELD = "[redacted:credential-field]"
TOKEN = "ghp_" + "x9Qk" * 9


@dataclass
class Lent:
    """What the application lends a stage."""

    cache_dir: Path
    config_dir: Path = CONFIG
    key: bytes = b"k" * 32
    log: logging.Logger = logging.getLogger("test")
    fields: dict[str, str] = field(default_factory=dict)

    def now_ns(self) -> int:
        return 0


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Lent(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def masker(host):
    return SPEC.factory({}, host)


def raw(*lines: bytes, **more) -> RawBatch:
    heads = [object() if line[:1] == b"{" else None for line in lines]
    return RawBatch(Resource("t"), list(lines), b"\n".join(lines), heads, [1] * len(lines), **more)


def test_packs_pass_their_own_tests(host):
    """Every detector masks its positive samples exactly and leaves its negative ones."""
    assert SPEC.selftest({}, host) == []


def test_packs_hold_detectors_of_all_categories(masker):
    """The catalogue covers all categories by shape; generic also by field name."""
    categories = {rule.category for rule in masker.pack.rules}
    assert len(masker.pack.rules) >= 250
    assert categories == CATEGORIES


HARMLESS = [
    b'{"id":"0b7a9c52-8f4e-4f57-9d55-4d2f0b3f0f2e","git":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}',
    b'{"sha":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","v":"1.24.7-rc.1+build.5"}',
    b'{"ts":"2026-11-24T02:00:00.123456+01:00","epoch_ms":1795422174853,"ns":"1795422174853719500"}',
    b'{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","dur":0.4111111111111111}',
    b'{"order":"ORD-2026-000123456","order_no":4711000012,"traceparent":"00-4bf92f3577b34da6-00f067-01"}',
    b'{"token_type":"Bearer","key_id":"k1","password_changed_at":"2026-01-01","password_policy":"strict"}',
    b'{"max_tokens":4096,"prompt_tokens":12,"primary_key":"id","partition_key":"tenant","public_key":"x"}',
    b'{"shipping":"fast","author":"x","spinner":1,"monkey":"y","password":null,"secret":true,"token":""}',
    b'{"img":"icon@2x.png","pkg":"lodash@4.17.21","repo":"git@github.com:a/b","url":"http://h:8080/p?q=1"}',
    b"10.0.0.1 - - [24/Nov/2026:02:00:00 +0000] GET /a/b%20c?page=2 200 1234",
    b'level=info msg="invalid token: expired" attempt=3 took=12ms port=5432',
    b'{"msg":"C:\\\\Users\\\\new\\\\temp","stack":"Error\\n  at f (a.js:1:2)\\n"}',
    b'{"imo":"9074729","isbn":"978-3-16-148410-0","phone_ext":"123","range":"100-200-3000"}',
]


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_are_unaltered(masker, line):
    """Ids, digests, versions, times, policies and paths are not secrets."""
    assert masker.mask_line(line) == line


@pytest.mark.parametrize(
    "key",
    [
        "password", "passwd", "pwd", "passphrase", "secret", "client_secret", "api_key", "apikey", "x-api-key",
        "access_token", "refresh_token", "id_token", "auth_token", "authorization", "cookie", "set-cookie",
        "private_key", "session_id", "card_number", "cvv", "pin", "ssn", "db_password", "secret_key",
        "encryption_key", "signing_key", "bearer", "credentials", "otp", "connection_string", "dbPassword",
        "DB_PASSWORD", "userpassword", "accessToken", "X-Auth-Token", "PRIVATE-TOKEN", "password_confirmation",
        "app.password", "smtpPasswd", "session_token", "secretAccessKey", "aws_secret_access_key",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [b'"zq81"', b"81734", b'{"a":["zq81"]}', b'["zq81",{}]', b'"z\\"q81"'])
def test_credential_fields_lose_their_value(masker, key, value):
    """A credential name masks a string, a number or a container whole, and the line stays JSON."""
    line = b'{"a":1,"' + key.encode() + b'" : ' + value + b',"z":[2]}'
    assert orjson.loads(masker.mask_line(line)) == {"a": 1, key: FIELD, "z": [2]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user=bob password=hunter2 ok", f"user=bob password={FIELD} ok"),
        ("password: hunter2", f"password: {FIELD}"),
        ("a&client_secret=zq81&b=2", f"a&client_secret={FIELD}&b=2"),
        ('x {"password": "a b c", "n": 1} y', f'x {{"password": "{FIELD}", "n": 1}} y'),
        ("{'api_key': 'zq81'}", f"{{'api_key': '{FIELD}'}}"),
        ("Server=db;User Id=sa;Password=zq81;", f"Server=db;User Id=sa;Password={FIELD};"),
        ("Authorization: Basic dXNlcjp4eXp6eQ==", "Authorization: Basic [redacted:basic-credentials]"),
        ("Authorization: Bearer zq81zq81mmXX", "Authorization: Bearer [redacted:bearer-token]"),
        ("Cookie: a=b; sid=zq81", f"Cookie: a={FIELD}; sid={FIELD}"),
        ("q=1%26password%3Dzq81%26r=2", f"q=1%26password%3D{FIELD}%26r=2"),
        ('msg={\\"password\\":\\"zq81\\"}', f'msg={{\\"password\\":\\"{FIELD}\\"}}'),
        ("first\npassword=zq81\nlast", f"first\npassword={FIELD}\nlast"),
        ("4111111111111111", '"[redacted:payment-card]"'),
    ],
)
def test_fields_in_free_text(masker, text, expected):
    """Form bodies, logfmt, headers, connection strings and quoted text lose the value alone."""
    assert masker.mask_text(text) == expected


def test_name_value_pairs_are_masked_in_either_order(masker):
    """A sibling ``value`` of a sensitive ``name`` is masked, also when the name is escaped."""
    line = (
        b'[{"name":"DB_PASSWORD","value":"x1"},{"value":7,"key":"api\\u005fkey"},{"name":"HOME","value":"/"}]'
    )
    values = [item["value"] for item in orjson.loads(masker.mask_line(line))]
    assert values == [FIELD, FIELD, "/"]


def test_numbers_keep_the_json_valid(masker):
    """A masked number becomes a string."""
    line = b'{"a":[1,4111111111111111,2.5],"b":5555555555554444}'
    assert orjson.loads(masker.mask_line(line)) == {
        "a": [1, "[redacted:payment-card]", 2.5],
        "b": "[redacted:payment-card]",
    }


def test_escapes_in_keys_and_values_hide_nothing(masker):
    r"""``\u0061``, ``\n`` in front and ``\/`` inside are undone before the verdict."""
    line = (
        b'{"p\\u0061ssword":"x1","m":"\\n\\u0067hp_'
        + b"x9Qk" * 9
        + b'","u":"postgres:\\/\\/a:x1@h","e":"bob\\u0040ex.org"}'
    )
    out = masker.mask_line(line)
    assert orjson.loads(out) == {
        "password": FIELD,
        "m": "\n[redacted:github-token]",
        "u": "postgres://a:[redacted:db-url-credentials]@h",
        "e": "[redacted:email]",
    }


def test_what_is_not_masked_keeps_its_bytes(masker):
    """Big integers, float spelling, escapes and white space of other members survive."""
    line = b'{ "n":12345678901234567890123, "f":1.00e5, "s":"a\\/\\u00e9", "password":"x" }'
    expected = line.replace(b'"x"', b'"' + FIELD.encode() + b'"')
    assert masker.mask_line(line) == expected


@pytest.mark.parametrize("level", [1, 2, 3])
def test_json_in_strings_is_followed(masker, level):
    """Three levels of JSON in strings are taken apart and put together again."""
    value = {"password": "zq81", "n": 1}
    for _ in range(level):
        value = {"s": orjson.dumps(value).decode()}
    out = orjson.loads(masker.mask_line(orjson.dumps(value)))
    for _ in range(level):
        out = orjson.loads(out["s"])
    assert out == {"password": FIELD, "n": 1}


def test_deeper_nesting_is_masked_whole(masker):
    """What is still escaped below the last level is replaced, not guessed at."""
    value = {"password": "zq81"}
    for _ in range(7):
        value = {"s": orjson.dumps(value).decode()}
    out = masker.mask_line(orjson.dumps(value))
    assert b"zq81" not in out
    assert b"[redacted:nested-too-deep]" in out


def test_batch_reports_changed_rows_and_counts(masker):
    """Only rows that changed are listed, lose their head and are counted by detector."""
    batch = raw(b'{"a":1}', b'{"m":"' + TOKEN.encode() + b'"}', b"mail bob@example.org", b'{"b":2}')
    out = masker.mask(batch)
    assert out.lines[0] == b'{"a":1}'
    assert out.changed == [1, 2]
    assert out.heads[1] is None
    assert out.heads[0] is batch.heads[0]
    assert dict(out.masked) == {"github-token": 1, "email": 1}
    assert out.origin == [0, 1, 2, 3]


def test_unscannable_row_leaves_with_a_digest(masker, host):
    """A line that is too deep is quarantined as size and HMAC; its neighbours are masked."""
    deep = b'{"a":' * 80 + b'"bob@example.org"' + b"}" * 80
    out = masker.mask(raw(b'{"password":"x"}', deep, b'{"n":1}'))
    (verdict,) = out.verdicts
    assert (verdict.origin, verdict.kind, verdict.reason, verdict.detail) == (
        1,
        "quarantined",
        "unscanned",
        "depth",
    )
    assert verdict.size == len(deep)
    assert verdict.digest == hmac.digest(host.key, deep, hashlib.sha256)
    assert out.lines == [b'{"password":"' + FIELD.encode() + b'"}', b'{"n":1}']
    assert out.origin == [0, 2]


def test_single_line_fails_loudly(masker):
    """The command line gets an error, never the unmasked line."""
    with pytest.raises(ProcessorError, match="unscanned: depth"):
        masker.mask_line(b"[" * 80 + b'"bob@example.org"' + b"]" * 80)


def test_envelopes_are_masked_and_shared(masker):
    """Label values and names are scanned like a line; equal envelopes are one object."""
    envelope = orjson.dumps(
        {"labels": {"app": "x", "password": "zq81"}, "metadata": {"user": "bob@example.org"}}
    )
    out = masker.mask(raw(b"a", b"b", envelopes=[envelope], envelope_of=[0, 0]))
    assert out.envelopes[0] is out.envelopes[1]
    assert out.envelopes[0].labels == {"app": "x", "password": FIELD}
    assert out.envelopes[0].metadata == {"user": "[redacted:email]"}


def test_broken_envelope_takes_only_its_rows(masker):
    """A row whose envelope cannot be masked is quarantined."""
    out = masker.mask(raw(b"a", b"b", envelopes=[b"[1]", b'{"labels":{"l":"v"}}'], envelope_of=[0, 1]))
    assert [verdict.origin for verdict in out.verdicts] == [0]
    assert out.lines == [b"b"]
    assert out.envelopes[0].labels == {"l": "v"}


def test_changed_rows_are_scanned_again(masker):
    """Lines and attributes that a plugin brought are masked; shared attributes are not changed in place."""
    out = masker.mask(raw(b'{"a":1}', b'{"a":2}', b'{"a":3}'))
    out.lines[0] = b'{"password":"zq81"}'
    out.attributes[2] = shared = {"user": "bob@example.org"}
    out.lines[1] = b'{"a":' * 80 + b'"bob@example.org"' + b"}" * 80
    masker.mask_batch(out, [0, 1, 2])
    assert out.lines == [b'{"password":"' + FIELD.encode() + b'"}', b'{"a":3}']
    assert out.attributes[1] == {
        "user": "[redacted:email]",
        "masked": "email:1",
        "masking_policy": "built-in",
    }
    assert shared == {"user": "bob@example.org"}
    assert [verdict.origin for verdict in out.verdicts] == [1]


def test_attributes_known_before_are_left_as_they_are(masker):
    """Of a changed row only new and changed attributes are scanned; what the operator wrote stays."""
    known = {"owner": "payments-oncall@example.com", "team": "payments", "contact": "x"}
    out = masker.mask(raw(b'{"a":1}', b'{"a":2}', b'{"a":3}'))
    out.attributes[0] = same = dict(known)
    out.attributes[1] = {**known, "contact": "bob@example.org", "bob@example.org": "1"}
    out.attributes[2] = {**known, "owner": "payments-oncall@example.com!", "team": known["owner"]}
    masker.mask_batch(out, [0, 1, 2], [known] * 3)
    assert out.attributes[0] is same
    known |= {"masked": "email:2", "masking_policy": "built-in"}
    assert out.attributes[1] == {**known, "contact": "[redacted:email]", "[redacted:email]": "1"}
    assert out.attributes[2] == {**known, "owner": "[redacted:email]!", "team": "[redacted:email]"}
    assert out.masked == {"email": 4}


def test_damaged_cache_is_compiled_anew(tmp_path):
    """A torn or foreign cache file is never loaded; a good one is private."""
    pytest.importorskip("hyperscan")
    host = Lent(tmp_path)
    Masker({}, host)
    files = sorted(tmp_path.glob("*.hsdb"))
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    for path in files:
        path.write_bytes(path.read_bytes()[:-9] + b"x")
    assert Masker({}, host).mask_line(b'{"password":"x"}') != b'{"password":"x"}'


def test_configuration_is_checked(host, tmp_path):
    """Unknown keys, detectors and broken packs are errors of the operator."""
    for config in ({"pack": []}, {"disable": ["nope"]}, {"packs": ["no/such.yaml"]}):
        with pytest.raises(ConfigError):
            Masker(config, host)
    pack = tmp_path / "p.yaml"
    pack.write_text(
        "detectors: [{name: x-y, category: pii, pattern: a, confirm: '(', positive: [a, b], negative: [c, d]}]"
    )
    with pytest.raises(ConfigError, match="x-y"):
        Masker({"packs": [str(pack)]}, host)


def test_allowed_keys_and_disabled_detectors_stay(host):
    """The operator can let a name or a shape pass."""
    masker = Masker({"allow_keys": ["session_id"], "disable": ["email"]}, host)
    line = b'{"sessionId":"zq81","m":"bob@example.org"}'
    assert masker.mask_line(line) == line


def test_explain_names_detectors_without_content(masker):
    """It tells what, of which category, how often."""
    assert masker.explain(b'{"password":"x","m":"bob@example.org"}') == [
        ("credential-field", "generic", 1),
        ("email", "pii", 1),
    ]


def test_cut_character_fails_its_row_only(masker):
    """A placeholder never leaves half a character behind, and text without spaces is not swallowed."""
    text = "请联系客服人员并且将您遇到的问题发送到以下邮箱地址：".encode()
    lines = [b'{"m":"%bbb@example.org"}' % text, b'{"password":"x"}', text * 3 + "用户@例子.org".encode()]
    out = masker.mask(raw(*lines))
    assert out.lines[0] == b'{"m":"%b[redacted:email]"}' % text
    assert out.lines[2].decode().endswith("邮箱地址：[redacted:email]")
    assert not out.verdicts


def test_json_object_with_newlines_beside_others(masker):
    """Lines that came as strings of their own may be JSON over several lines."""
    lines = [b'{"b":2}', b'{"a":1,\n"password":"zq81"}', b'{"m":"bob@example.org"}', b'{"c":3}']
    out = masker.mask(raw(*lines))
    assert out.lines[1] == b'{"a":1,\n"password":"' + FIELD.encode() + b'"}'
    assert out.lines[2] == b'{"m":"[redacted:email]"}'
    assert masker.explain(lines[1]) == [("credential-field", "generic", 1)]


def test_digest_names_packs_and_options(host, tmp_path):
    """The policy has another digest when a pack or an option changes, and the same for the same."""
    pack = tmp_path / "p.yaml"
    pack.write_text("fields: {strong: [password]}")
    made = [Masker({"packs": [str(pack)]}, host), Masker({"packs": [str(pack)], "max_depth": 9}, host)]
    copy = tmp_path / "copy" / "p.yaml"
    copy.parent.mkdir()
    copy.write_bytes(pack.read_bytes())
    same = Masker({"packs": [str(copy)]}, host)
    pack.write_text("fields: {strong: [password, secret]}")
    digests = {*(one.digest for one in made), Masker({"packs": [str(pack)]}, host).digest}
    assert len(digests) == 3
    assert same.digest == made[0].digest
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)


def test_empty_batch(masker):
    """Nothing in, nothing out."""
    assert isinstance(masker.mask(raw()), Batch)
