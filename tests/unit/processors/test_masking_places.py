"""Where secrets hide: what is found as plain text is found in every wrapping and beside every name."""

import base64
import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from processors.masking import Masker

PW = "hunter2Pw9x"
TOKENS = ["ghp_" + "x9Qk" * 9, "AKIA" + "Q7XB" * 4, "sk_live_" + "x9Qk" * 6, "bob.k@example.org"]
FIELD = "[redacted:credential-field]"
ANY = re.compile(r"\[redacted:[a-z0-9-]+\]")
"""A detector of the place may name it better."""


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


def b64(text):
    return base64.b64encode(text.encode()).decode()


WRAPPINGS = {
    "a token": b64,
    "text": lambda token: b64(f"user {token} x"),
    "json": lambda token: b64(json.dumps({"user": "a", "v": token})),
    "pretty json": lambda token: b64(json.dumps({"user": "a", "v": token}, indent=2)),
    "json with escapes": lambda token: b64(json.dumps({"user": "a", "v": json.dumps([token + "\n"])})),
    "unpadded": lambda token: b64(json.dumps({"v": token})).rstrip("="),
    "url alphabet": lambda token: base64.urlsafe_b64encode(
        json.dumps({"v": token, "é": "ÿ?~"}).encode()
    ).decode(),
    "twice": lambda token: b64(b64(json.dumps({"v": token}))),
    "hex": lambda token: json.dumps({"v": token}).encode().hex(),
    "upper hex": lambda token: f"v={token}".encode().hex().upper(),
    "hex in base64": lambda token: b64(token.encode().hex()),
}


@pytest.mark.parametrize("wrapping", sorted(WRAPPINGS))
@pytest.mark.parametrize("token", TOKENS)
def test_a_wrapped_secret_is_masked_with_its_wrapping(masker, wrapping, token):
    """In text, in JSON, in JSON in a string, and behind an equals sign."""
    run = WRAPPINGS[wrapping](token)
    for line in (run, f"x={run} y", json.dumps({"d": run}), json.dumps({"a": json.dumps({"d": [run, 1]})})):
        masked = masker.mask_text(line)
        before, _, behind = line.partition(run)
        assert masked.startswith(before + "[redacted:")
        assert masked.endswith("]" + behind)
        assert len(masked) < len(before) + len(behind) + 40
        assert masker.mask_text(masked) == masked


def test_base64_in_lines_is_one_run(masker):
    """As mail and command-line tools write it."""
    lines = base64.encodebytes(
        json.dumps({"user": "someone here and there", "v": TOKENS[0]}).encode()
    ).decode()
    assert masker.mask_text(json.dumps({"d": lines, "e": 1})) == '{"d": "[redacted:github-token]\\n", "e": 1}'
    assert masker.mask_text(f"{lines}next") == "[redacted:github-token]\nnext"


def test_wrapped_credentials_without_a_detector_are_masked(masker):
    """A sensitive field, or a user and password."""
    assert masker.mask_text(b64(f"user=a&password={PW}")) == FIELD
    assert masker.mask_text(b64(json.dumps({"password": 12345678}))) == FIELD
    assert masker.mask_text(json.dumps({"x": b64(f"deploybot:{PW}")})) == json.dumps({"x": FIELD})


@pytest.mark.parametrize(
    "text",
    [
        "arrayconnection:1234567890",
        "Order:550e8400-e29b-41d4-a716-446655440000",
        "gid://shop/Product/1234567890",
        "10.1.2.3:8080 and 10.1.2.4:9090",
        json.dumps({"page": 3, "sort": "created_at", "cursor": 1234567890}),
        "nothing but a sentence, in base64",
    ],
)
def test_harmless_wrapped_text_stays(masker, text):
    """Cursors, ids and sentences."""
    for run in (b64(text), text.encode().hex()):
        assert masker.mask_text(json.dumps({"d": run})) == json.dumps({"d": run})


def test_deeper_wrappings_are_not_followed(masker):
    """Two are."""
    run = b64(b64(b64(f"password={PW}")))
    assert masker.mask_text(run) == run


@pytest.mark.parametrize(
    "line",
    [
        f'["X-Api-Key","«{PW}»"]',
        f'{{"h":["Host","x","Authorization","«Custom {PW}»","Accept","y"]}}',
        f'{{"h":[["Cookie","a=«{PW}»; Path=/"]]}}',
        f'{{"argv":["db","--password","«{PW}»","x"]}}',
        '["x","--api-key","«correcthorse»"]',
        f'[["password","«{PW}»"]]',
        f"('user', 'a'), ('password', '«{PW}»')",
        f"{{\"m\":\"[('password', '«{PW}»')]\"}}",
        f'["/usr/bin/mysql","-u","root","-p«{PW}»"]',
        f'["redis-cli","-h","x","-a","«{PW}»"]',
        f'["curl","-u","bob:«{PW}»","https://x"]',
        f'["sshpass","-p","«{PW}»","ssh","x"]',
        f"<u><password>«{PW}»</password></u>",
        f'{{"b":"<ns:dbPassword type=\'text\'>«{PW}»</ns:dbPassword>"}}',
        f"<password><![CDATA[«{PW}<»]]></password>",
        f"<pin>«{1234}»</pin>",
        f'<add key="DbPassword" value="«{PW}»"/>',
        f'<add value="«{PW}»" key="DbPassword"/>',
        f'<property name="password">«{PW}»</property>',
        f'name="password"\r\n\r\n«{PW}»\r\n--x',
        f'name="user[password]"\r\nContent-Type: text/plain\r\n\r\n«{PW}»\r\n--x',
        f"{{&quot;password&quot;:&quot;«{PW}»&quot;}}",
        f"CREATE USER 'a'@'%' IDENTIFIED BY '«{PW}»'",
        f'IDENTIFIED WITH mysql_native_password BY "«{PW}»"',
        f"ALTER ROLE a WITH PASSWORD '«{PW}»'",
        f"SET PASSWORD = PASSWORD('«{PW}»')",
        f'{{:password "«{PW}»"}}',
        f"[password] => «{PW}»",
        f'{{"password"=>"«{PW}»"}}',
        f'password: Some("«{PW}»")',
        f"password       : «{PW}»",
    ],
)
def test_a_value_that_is_handed_over_is_masked(masker, line):
    """And nothing else of the line."""
    before, rest = line.split("«")
    value, behind = rest.split("»")
    masked = masker.mask_text(before + value + behind)
    assert ANY.sub(FIELD, masked) == before + FIELD + behind
    assert masker.mask_text(masked) == masked


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Cookie: sid=zq81; theme=dark", f"Cookie: sid={FIELD}; theme={FIELD}"),
        ('{"cookie":"sid=zq81; b=\\"x\\""}', f'{{"cookie":"sid={FIELD}; b=\\"{FIELD}\\""}}'),
        (
            "Set-Cookie: sid=zq81; Path=/; HttpOnly; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            f"Set-Cookie: sid={FIELD}; Path=/; HttpOnly; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        ("Set-Cookie: a=b; Path=/, c=zq81", f"Set-Cookie: a={FIELD}; Path={FIELD}"),
        ("Cookie: zq81; a=b", f"Cookie: {FIELD}"),
        ('[{"name":"Cookie","value":"a=b; c=d"}]', f'[{{"name":"Cookie","value":"a={FIELD}; c={FIELD}"}}]'),
    ],
)
def test_names_and_attributes_of_cookies_stay(masker, line, expected):
    """Only values go; what is no list of cookies goes whole."""
    assert masker.mask_text(line) == expected
    assert masker.mask_text(expected) == expected


@pytest.mark.parametrize(
    "line",
    [
        '["password","username","email"]',
        '{"missing":["password","token"]}',
        '{"type":"access_token","grant":"x"}',
        '{"a":"password","b":"Zq81-x_7"}',
        '[["password","is too short"]]',
        '["--password","--verbose"]',
        "('password', 'required')",
        "<password></password>",
        "<password/>",
        "Map<Token> of = x",
        "line:<matched_tokens>)",
        "styles[token] = start",
        '<a id="setprivatekey">#</a>',
        "<token>expired</token>",
        'name="password" is required',
        '<input name="password" type="password"/>',
        'invalid password "must be longer"',
        "[redacted:github-token] => x",
        '["mysql","-u","root","-p","db"]',
        '["curl","-u","bob","https://x"]',
        '["cp","-p","a"]',
    ],
)
def test_what_only_speaks_of_credentials_stays(masker, line):
    """Lists of names, messages, and commands without a password."""
    assert masker.mask_text(line) == line
