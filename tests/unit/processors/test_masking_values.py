"""What is found of a secret, and what of ordinary text is left alone."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from processors.masking import SPEC

CONFIG = Path(__file__).parents[3] / "config"


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


FIELD = "[redacted:credential-field]"
CARD = "[redacted:payment-card]"
URL = "[redacted:db-url-credentials]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('INFO {"password": ["zq81"], "n": 1}', f'INFO {{"password": [{FIELD}], "n": 1}}'),
        (r'{"msg":"req {\"password\":[\"zq81\"]}"}', rf'{{"msg":"req {{\"password\":[{FIELD}]}}"}}'),
        ('{"password":["zq81"],"n":[1]},', f'{{"password":[{FIELD}],"n":[1]}},'),
        ('INFO {"password": {"y":{"z":"}"},"x":"zq81"}} ok', f'INFO {{"password": {{{FIELD}}}}} ok'),
        ('INFO {"password": [["zq81', f'INFO {{"password": [{FIELD}'),
        (r'{"msg":"req {\"password\":\"a\\\"zq81\"}"}', rf'{{"msg":"req {{\"password\":\"{FIELD}\"}}"}}'),
        (r"{'password': 'it\'s zq81', 'n': 1}", f"{{'password': '{FIELD}', 'n': 1}}"),
        ('Set-Cookie: sid="zq81"; Path=/\nx', f'Set-Cookie: sid="{FIELD}"; Path=/\nx'),
        ('Cookie: a="x"; sid=zq81', f'Cookie: a="{FIELD}"; sid={FIELD}'),
        ('Authorization: Custom key="zq81"', f"Authorization: {FIELD}"),
        ('Authorization: Digest username="bob", nonce="zq81"', f"Authorization: {FIELD}"),
        ('msg="got Cookie: a=b; c=d" level=info', f'msg="got Cookie: a={FIELD}; c={FIELD}" level=info'),
        ("curl -H 'Cookie: a=\"b\"' https://x", f"curl -H 'Cookie: a=\"{FIELD}\"' https://x"),
    ],
)
def test_values_are_masked_to_their_end(masker, text, expected):
    """Containers, escaped quotes and header values are never cut at their first delimiter."""
    assert masker.mask_text(text) == expected
    assert masker.mask_text(expected) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "connect https://api.example.com failed for login:bob@example.org",
            "connect https://api.example.com failed for login:[redacted:email]",
        ),
        ("ssn is 219-09-9998.", "ssn is [redacted:us-ssn]."),
        ('{"n":4111111111111111.0}', f'{{"n":"{CARD}"}}'),
        ('{"n":-4111111111111111}', f'{{"n":"{CARD}"}}'),
        ('{"n":4111111111111111e0}', f'{{"n":"{CARD}"}}'),
        ("card=4111+1111+1111+1111&a=1", f"card={CARD}&a=1"),
        (
            f'{{"name":"{"a." * 60}password","value":"x"}}',
            f'{{"name":"{"a." * 60}password","value":"{FIELD}"}}',
        ),
        (r'{"n\u0061me":"password","value":"x"}', rf'{{"n\u0061me":"password","value":"{FIELD}"}}'),
        ("postgres://u:pa/zq81@h/db", f"postgres://u:{URL}@h/db"),
        ("postgres://u:p@zq81@h/db", f"postgres://u:{URL}@h/db"),
        ("postgres://bob@tenant:zq81@h/db", f"postgres://bob@tenant:{URL}@h/db"),
        (f"postgres://u:{'zq81' * 60}@h/db", f"postgres://u:{URL}@h/db"),
        ("postgres://u:zq'81\"x@h", f"postgres://u:{URL}@h"),
        ('--password "zq 81" -x', "--password [redacted:cli-password-flag] -x"),
        ("Bearer\tzq81zq81mmXX", "Bearer\t[redacted:bearer-token]"),
        (
            "b=-----BEGIN+RSA+PRIVATE+KEY-----%0Azq81%0A-----END+RSA+PRIVATE+KEY-----&a=1",
            "b=[redacted:pem-private-key]&a=1",
        ),
        (f"ghp_{'x9Qk' * 9}ghp_{'A1bC' * 9}", "[redacted:github-token]"),
    ],
)
def test_shapes_are_found_where_they_were_missed(masker, text, expected):
    """Neighbours, encodings and lengths that real traffic has do not hide a finding."""
    assert masker.mask_text(text) == expected
    assert masker.mask_text(expected) == expected


@pytest.mark.parametrize(
    "key",
    [
        "pass", "db_pass", "DBPASS", "pw", "tokens", "refresh_tokens", "api_keys", "private_keys", "ssh_key", "PHPSESSID",
        "sid", "cc_number", "database_url", "DATABASE_URL", "dsn", "SENTRY_DSN", "connection_strings", "recovery_code",
        "pin_value", "Api__Key", "pass_word",
    ],
)  # fmt: skip
def test_spelling_does_not_decide_about_a_name(masker, key):
    """A credential name is one in plain JSON, escaped JSON and a form alike."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    assert masker.mask_text(f'{{"{key}":"zq81"}}') == f'{{"{key}":"{FIELD}"}}'
    assert masker.mask_text(f'{{"{escaped}":"zq81"}}') == f'{{"{escaped}":"{FIELD}"}}'
    assert masker.mask_text(f"{key}=zq81") == f"{key}={FIELD}"


HARMLESS = [
    "PWD=/home/bob cmd=ls", '{"PWD":"/home/bob"}', '{"pan":0.5}', '{"gpio_pin":17}', '{"token":150}', '{"cookies":3}',
    '{"usage":{"total_tokens":15021}}', '{"authorization":{"decision":"allow","latency":3}}', '{"secrets":{"count":3}}',
    '{"name":"password_resets_total","value":5}', '{"password_strength_score":5}', '{"user_password_changes":5}',
    "Invalid password: must be at least 8 characters", "authorization: denied for user bob", "password: incorrect",
    '{"delta":"+12345678"}', '{"v":"+1.2.3.4.5.6.7.8"}', '{"m":"func@module.py"}', '{"m":"image@sha256.ab"}',
    '{"m":"http://host:8080?x=a@b"}', '{"m":"https://medium.com:443/@user/post"}', "the bearer certificate-renewal failed",
    '{"sub_sid":"S-1-5-21-1"}', '{"test":{"pass":12}}', '{"proxy_pass":"http://up"}',
]  # fmt: skip


@pytest.mark.parametrize("line", HARMLESS)
def test_counts_prose_and_paths_are_no_secrets(masker, line):
    """A small number, a sentence or a path below a credential's name is left alone."""
    assert masker.mask_text(line) == line


@pytest.mark.parametrize(
    "line",
    [
        '{"pin":1234}',
        '{"otp":"482913"}',
        '{"token":{"value":"zq81"}}',
        '{"cookies":{"sid":"x"}}',
        "token: 81734",
    ],
)
def test_codes_below_weak_names_are_masked(masker, line):
    """Four digits may be a PIN; a container with anything opaque in it goes whole."""
    assert FIELD in masker.mask_text(line)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"ghp_{"x9Qk" * 9}":{{"status":"zq81"}}}}',
        f'{{"password ghp_{"x9Qk" * 9}":"zq81"}}',
        f"https://ghp_{'x9Qk' * 9}@host/",
        f"https://bob@example.org:ghp_{'x9Qk' * 9}@host/",
        f"--token ghp_{'x9Qk' * 9}",
        f'--token "ghp_{"x9Qk" * 9}"x',
    ],
)
def test_placeholders_say_nothing_about_a_name(masker, line):
    """The detector's name in a masked key or user leads to no second replacement."""
    once = masker.mask_text(line)
    assert masker.mask_text(once) == once
    assert "x9Qk" not in once


@pytest.mark.parametrize("text", ['{"password":"[redacted:zq81hunter]"}', "password=[redacted:zq81hunter]"])
def test_only_known_placeholders_are_left_alone(masker, text):
    """A secret does not pass because it looks like one of ours."""
    assert "zq81hunter" not in masker.mask_text(text)


EMPTY = [
    "level=info password= user=bob event=login",
    "level=info password=  user=bob",
    "level=info password=\tuser=bob",
    "level=info password= user= event=login",
    "password= user=",
    "api_key= http.status_code=200",
    'password= msg="logged in"',
    "token=& user=bob",
    "token=; user=bob",
    "token=",
    "token= ",
    '"GET /cb?token= HTTP/1.1" 200',
    "GET /cb?a=1&token= HTTP/2.0",
    '"GET /cb?token=" 200 12 "-" "Mozilla/5.0"',
    'GET / "https://x.example/cb?token=" "Mozilla/5.0"',
    'url="/cb?token=" status=200 agent="curl"',
    "curl 'https://x.example/cb?token=' -o 'out'",
    'password="" user="bob"',
    "password='' user='bob'",
    'password=[redacted:credential-field]" token=" password= ',
]


@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_value_takes_nothing_from_its_neighbour(masker, line):
    """Behind a name and its equals sign a next pair, a protocol or a closing quote is no value."""
    assert masker.mask_text(line) == line
    assert masker.mask_line(orjson.dumps({"m": line})) == orjson.dumps({"m": line})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password = hunter2", f"password = {FIELD}"),
        ("password =hunter2", f"password ={FIELD}"),
        ("password= hunter2", f"password= {FIELD}"),
        ("password= hunter2 user=bob", f"password= {FIELD} user=bob"),
        ("password = ab=cd", f"password = {FIELD}"),
        ("password: ab=cd", f"password: {FIELD}"),
        ("password=> ab=cd", f"password=> {FIELD}"),
        ("password: hunter2", f"password: {FIELD}"),
        ("password:hunter2", f"password:{FIELD}"),
        ('Password= "x"', f'Password= "{FIELD}"'),
        ("Password= 'x y'", f"Password= '{FIELD}'"),
        ('password=" x" user="bob"', f'password="{FIELD}" user="bob"'),
        ('a="b" password=" x" c="d"', f'a="b" password="{FIELD}" c="d"'),
        ('a 5" disk password=" x y"', f'a 5" disk password="{FIELD}"'),
        ("don't: password=' x y'", f"don't: password='{FIELD}'"),
        ('msg="sent password="x y" on" a=1', f'msg="sent password="{FIELD}" on" a=1'),
        ("secret= aGVsbG8gd29ybGQxMjM=", f"secret= {FIELD}"),
        ("secret= aGVsbG8gd29ybGQxMg== user=bob", f"secret= {FIELD} user=bob"),
        ('msg="secret= aGVsbG8gd29ybGQxMjM="', f'msg="secret= {FIELD}"'),
        ("<i>secret= aGVsbG8gd29ybGQxMjM=</i>", f"<i>secret= {FIELD}>"),
        ("secret= abcdefg= user=bob", f"secret= {FIELD} user=bob"),
        ("password= 1x=y", f"password= {FIELD}"),
        ("password= HTTP/1.1bob", f"password= {FIELD}"),
        ("password= httpd", f"password= {FIELD}"),
        ("Cookie= sid=zq81", f"Cookie= sid={FIELD}"),
        ("password= token=zq81", f"password= token={FIELD}"),
        ("token= password= zq81", f"token= password= {FIELD}"),
        ("password= [redacted:zq81hunter]=x", f"password= [{FIELD}]=x"),
        (f"password= ghp_{'x9Qk' * 9}=x", "password= [redacted:github-token]=x"),
        (f"password= a.ghp_{'x9Qk' * 9}=x", "password= a.[redacted:github-token]=x"),
    ],
)
def test_a_value_behind_a_blank_is_still_masked(masker, text, expected):
    """What does not read like the next pair is the value, and what does is judged by its own name."""
    assert masker.mask_text(text) == expected
    assert masker.mask_text(expected) == expected


@pytest.mark.parametrize(
    "line",
    [
        "password: minimum length",
        "secret: see vault",
        "Password: minimum length is 12 characters",
        "(password: see vault)",
        "secret: see vault. Done",
    ],
)
def test_a_phrase_about_a_credential_is_left_alone(masker, line):
    """A word that tells about a credential is none while the sentence goes on."""
    assert masker.mask_text(line) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password: minimum", f"password: {FIELD}"),
        ("password: see", f"password: {FIELD}"),
        ("secret: see.", f"secret: {FIELD}."),
        ("password: minimum user: bob", f"password: {FIELD} user: bob"),
        ("password: minimum user=bob", f"password: {FIELD} user=bob"),
        ("password: see bob.k@example.org", f"password: {FIELD} [redacted:email]"),
        ("password: see 1x", f"password: {FIELD} 1x"),
        ("password:see vault", f"password:{FIELD} vault"),
        ("password=minimum length", f"password={FIELD} length"),
        ("password: hunter two", f"password: {FIELD} two"),
    ],
)
def test_the_same_word_alone_is_a_password(masker, text, expected):
    """At the end of a text, before another pair or without a blank, any word is the value."""
    assert masker.mask_text(text) == expected
    assert masker.mask_text(expected) == expected
