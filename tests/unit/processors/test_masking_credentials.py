"""Judgements on credentials: what is opaque, what a checksum or a decoded head tells, which key stands beside."""

import base64

import pytest

from processors.masking import credentials, finders
from processors.masking.finders import NOTHING


def encoded(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b"xoxb-bot-token-goes-here", False),
        (b"release-2026-11-notes", False),
        (b"Release-Notes-v2", False),
        (b"a7k2-notes", True),
        (b"kQ7xZm4t", True),
    ],
)
def test_what_is_minted_is_neither_words_nor_numbers(text: bytes, accepted: bool) -> None:
    assert credentials.minted(text) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b"InviteOrderTokenLayerService", False),
        (b"0a9f4c7e1b2d0a9f4c7e1b2d0a9f4c7e", False),
        (b"3F9AB27C-4C19-4D07-9E4B-0A7E4B0AC1D2", False),
        (b"kQ7xZm4tR2bW9cLp", True),
    ],
)
def test_mixed_case_is_no_name_and_no_digest(text: bytes, accepted: bool) -> None:
    assert credentials.mixed_case(text) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b"1BoatSLRHtKNngkdXEeobR76b53LETtpyT", True),  # published in Bitcoin's documentation of addresses
        (b"1BoatSLRHtKNngkdXEeobR76b53LETtpyU", False),
        (b"1BoatSLRHtKNngkdXEeobR76b53LETtp0T", False),  # 0 is no digit of base58
        (b"1111111111111111111114oLvT2", True),  # twenty zero bytes
        (b"1", False),
    ],
)
def test_base58_carries_four_bytes_of_checksum(text: bytes, accepted: bool) -> None:
    assert credentials.base58check(text) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [(b"021000021", True), (b"021000022", False), (b"991000021", False), (b"011401533", True)],
)
def test_routing_numbers_have_weights_and_ranges(text: bytes, accepted: bool) -> None:
    assert credentials.aba_routing(text) is accepted


def test_a_business_identifier_names_a_country() -> None:
    assert credentials.bic(b"DEUTDEFF")
    assert not credentials.bic(b"STANDARD")


def test_an_id_and_a_key_are_told_from_other_base64() -> None:
    assert credentials.id_and_key(base64.b64encode(b"a" * 20 + b":" + b"b" * 22))
    assert not credentials.id_and_key(base64.b64encode(b"a" * 4 + b":" + b"b" * 38))
    assert not credentials.id_and_key(b"0a9f" * 16)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b"kQ7xZm4tR2bW9cLpkQ7xZm4tR2bW9cLp", True),
        (b"0a9f4c7e1b2d0a9f4c7e1b2d0a9f4c7e", True),
        (b"3f9ab27c-4c19-4d07-9e4b-0a7e4b0ac1d2", False),
        (b"confirmation-of-your-request", False),
    ],
)
def test_a_link_ends_with_a_token_when_it_is_opaque(text: bytes, accepted: bool) -> None:
    assert credentials.link_token(text) is accepted


def test_forty_hex_digits_are_another_vendors_key() -> None:
    assert credentials.not_sha1(b"sk_live_" + b"x9Qk" * 6)
    assert not credentials.not_sha1(b"sk_live_" + b"0a9f" * 10)


def head(kind: str, text: bytes) -> finders.Found:
    return credentials.FINDERS[kind](text, 0, len(text), 24)


def test_macaroons_of_both_formats_are_told_by_their_first_fields() -> None:
    first = encoded(b"0021location http://example.org/\n0026identifier none\n")
    second = encoded(b"\x02\x01\x0bexample.org\x02\x10not-a-real-ident\x00\x00\x06 ")
    bare = encoded(b"\x02\x02\x10not-a-real-ident\x00\x00\x06 ")
    for text in (first, second, bare):
        assert head("macaroon", text)[:2] == (0, len(text))
    wrong = encoded(b"\x02\x01\x0cexample.org\x02\x10not-a-real-ident\x00\x00\x06 ")
    assert head("macaroon", wrong) == (-1, -1, len(wrong))
    assert head("macaroon", encoded(b"\x02\x02\x10" + b"x" * 40))[0] == -1


def test_a_token_wrapped_once_more_is_a_token() -> None:
    token = encoded(b'{"alg":"HS256"}') + b"." + encoded(b'{"sub":"x"}') + b"." + b"aZ_9" * 10
    wrapped = base64.b64encode(token)
    assert head("jwt_base64", wrapped)[:2] == (0, len(wrapped))
    assert credentials.FINDERS["jwt_base64"](b"x" + wrapped, 0, len(wrapped) + 1, 25) == NOTHING
    assert head("jwt_base64", base64.b64encode(b"eyJrIjoidmFsdWUifQ.not-a-token-at-all"))[0] == -1


def test_only_private_keys_of_wrapped_armor_are_masked() -> None:
    private = base64.b64encode(b"-----BEGIN PRIVATE KEY-----\n" + b"nothing secret " * 6)
    public = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + b"nothing secret " * 6)
    assert head("pem_base64", private)[:2] == (0, len(private))
    assert head("pem_base64", public)[0] == -1


def test_the_private_lines_of_a_putty_key_end_at_its_mac() -> None:
    text = b"Private-Lines: 2\nAAAAx9\nq7X/\nPrivate-MAC: 0a9f"
    assert credentials.FINDERS["putty"](text, 0, len(text), 16) == (17, 28, 28)
    cut = text[:28]
    assert credentials.FINDERS["putty"](cut, 0, len(cut), 16) == (17, 28, 28)
    assert credentials.FINDERS["putty"](b"Private-Lines: 2", 0, 16, 16) == NOTHING


def jwk(text: bytes) -> bytes:
    end = text.index(b"aZ_9") + 16
    start, stop, _ = credentials.FINDERS["jwk"](text, 0, len(text), end)
    return text[start:stop] if start >= 0 else b""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (b'{"kty":"EC","d":"%b"}', True),
        (b'{"d" : "%b","kty" : "OKP"}', True),
        (b'{"k":"%b","kty":"oct"}', True),
        (b'{"k":"%b","kty":"RSA"}', False),
        (b'{"d":"%b","kty":"oct"}', False),
        (b'{"n":"%b","kty":"RSA"}', False),
        (b'{"d":"%b"}', False),
    ],
)
def test_a_key_parameter_is_private_beside_its_type(text: bytes, masked: bool) -> None:
    value = b"aZ_9" * 10
    assert jwk(text % value) == (value if masked else b"")


def test_what_was_masked_before_is_not_looked_at_again() -> None:
    text = b'{"kty":"EC","d":"%b"}' % (b"aZ_9" * 10)
    end = text.index(b"aZ_9") + 16
    assert credentials.FINDERS["jwk"](text, end, len(text), end) == NOTHING


def test_a_registrys_credentials_stand_below_auth() -> None:
    secret = base64.b64encode(b"user:not-a-password")
    for text, masked in (
        (b'{"auth": "%b"}' % secret, True),
        (b'{"oauth": "%b"}' % secret, False),
        (b'{"auth": "basic-or-digest-please"}', False),
    ):
        end = text.index(b': "') + 11
        start, stop, _ = credentials.FINDERS["docker_auth"](text, 0, len(text), end)
        assert (text[start:stop] == secret) is masked


def test_a_token_before_a_host_is_no_address() -> None:
    token = b"kQ7xZm4tR2bW9cLpkQ7xZm4tR2bW9cLp"
    for text, start in ((b"https://bob.k@example.org/", 8), (b"mail %b@example.org" % token, 5)):
        end = text.index(b".org") + 4
        assert finders.FINDERS["email"](text, 0, len(text), end)[0] == start
    text = b"https://%b@example.org/" % token
    assert finders.FINDERS["email"](text, 0, len(text), len(text) - 1) == NOTHING
