"""What reads like a key and what does not: the judgements on values that stand beside a keyword."""

import base64

import pytest

from processors.masking.validators import VALIDATORS

SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("coded", "k3x9q7zm2b"),
        ("coded", SHA1),
        ("mixed", "aZ9kQ7xB2m"),
        ("mixed", "aZtkQRxBvmPw"),
        ("keylike", "aZ9_kQ7-xB"),
        ("keylike", "k3x9q7zm2b"),
        ("keylike", "K3X9Q7ZM2B"),
        ("aws_pair", "AKIA" + "Q7XB" * 4 + ":" + "aZ9/kQ7x" * 5),
        ("userinfo", base64.b64encode(b"user:not-a-password").decode()),
    ],
)
def test_accepted(name, text):
    assert VALIDATORS[name](text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("coded", "internationalization"),
        ("coded", "1111111111"),
        ("mixed", "AssumeRoleWithWebIdentity"),
        ("mixed", SHA1),
        ("mixed", SHA1.upper()),
        ("keylike", SHA1),
        ("keylike", SHA1.upper()),
        ("keylike", "cache-node-7-eu-west"),
        ("keylike", "AssumeRoleWithWebIdentity"),
        ("aws_pair", "AKIA" + "Q7XB" * 4 + " " + SHA1),
        ("userinfo", "authenticationfailed"),
        ("userinfo", base64.b64encode(b":no-user").decode()),
        ("userinfo", base64.b64encode(b"no-password:").decode()),
        ("userinfo", base64.b64encode(b"user:\x00\x01\x02").decode()),
        ("userinfo", base64.b64encode("user:pässword".encode()).decode()),
    ],
)
def test_refused(name, text):
    assert not VALIDATORS[name](text.encode())
