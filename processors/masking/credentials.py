"""Shapes of credentials that an expression alone does not tell: decoded heads, checksums, sibling keys.

Every judgement is linear in its candidate; what is decoded is a head of bounded length.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any

import orjson
import re2

Found = tuple[int, int, int]
"""As in `processors.masking.finders`."""
_NOTHING: Found = (-1, -1, 0)
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEAD = 512
"""So much of a candidate is decoded, in characters."""

_PARTS = re.compile(rb"[A-Za-z0-9]++")
_WORD = re.compile(rb"[a-z]++|[A-Z]++|[A-Z][a-z]++|[0-9]++|[a-z]++[0-9]{1,2}")
_SYLLABLES = re.compile(rb"[A-Z]?[a-z]++|[A-Z]|[0-9]++")


def minted(text: bytes) -> bool:
    """Accept what a program made up: some part of it is no word and no number."""
    return any(_WORD.fullmatch(part) is None for part in _PARTS.findall(text))


def mixed_case(text: bytes) -> bool:
    """Accept letters of both cases in short pieces: no slug, no digest in hex, no name in camel case."""
    if text == text.lower() or text == text.upper():
        return False
    return 3 * len(_SYLLABLES.findall(text)) >= len(text)


def link_token(text: bytes) -> bool:
    """Accept what a mailed link ends with: opaque letters, or a run of hex; no slug, no UUID."""
    return mixed_case(text) or re.fullmatch(rb"[0-9a-f]{32,128}", text) is not None


def url_token(text: bytes) -> bool:
    """Accept the user of a URL that is a token: opaque, of letters, digits, dashes and underscores."""
    return re.fullmatch(rb"[A-Za-z0-9_\-]{20,80}", text) is not None and link_token(text)


def url_user(text: bytes) -> bool:
    """Accept a `url_token` that is no key of 32 hex digits: those are a vendor's own shape."""
    return url_token(text) and re.fullmatch(rb"[0-9a-f]{32}", text) is None


def not_sha1(text: bytes) -> bool:
    """Refuse a key whose last part is 40 hex digits: another vendor's."""
    return re.fullmatch(rb"[0-9a-f]{40}", text.rpartition(b"_")[2]) is None


def twitter_bearer(text: bytes) -> bool:
    """Accept letters of both cases behind the leading run of A; zeros in base64 are more A."""
    return mixed_case(text.lstrip(b"A")) and len(text.lstrip(b"A")) >= 50


def numbered_token(text: bytes) -> bool:
    """Accept an account's number, a dash, and letters of both cases in short pieces."""
    return mixed_case(text.rpartition(b"-")[2])


def id_and_key(text: bytes) -> bool:
    """Accept base64 of an id, a colon and a key, both of 16 characters or more (Elasticsearch)."""
    left, _, right = _unbase64(text).partition(b":")
    return min(len(left), len(right)) >= 16 and (left + right).isascii()


def aba_routing(text: bytes) -> bool:
    """Check a routing number: Federal Reserve range, and weights 3, 7, 1 modulo 10 (ABA)."""
    prefix = int(text[:2])
    if not (prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80):
        return False
    return sum((byte - 48) * (3, 7, 1)[place % 3] for place, byte in enumerate(text)) % 10 == 0


_BANKING = frozenset(
    # ISO 3166-1 alpha-2, and XK of Kosovo.
    b"AD AE AF AG AI AL AM AO AR AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CL CM "
    b"CN CO CR CU CV CW CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FO FR GA GB GD GE GG GH GI GL GM GN GQ GR GT GW "
    b"GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU "
    b"LV LY MA MC MD ME MG MK ML MM MN MO MR MT MU MV MW MX MY MZ NA NC NE NG NI NL NO NP NZ OM PA PE PF PG PH PK PL PR PS "
    b"PT PY QA RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TG TH TJ TL TM TN TO TR TT TV TW "
    b"TZ UA UG US UY UZ VA VC VE VG VN VU WS XK YE ZA ZM ZW".split()
)


def bic(text: bytes) -> bool:
    """Accept a BIC whose fifth and sixth letter are a country (ISO 9362), of those that banks are in."""
    return text[4:6] in _BANKING


_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGIT58 = {byte: place for place, byte in enumerate(_BASE58)}


def base58check(text: bytes) -> bool:
    """Check the last four bytes of a base58 string: a double SHA-256 of the others (Bitcoin)."""
    number = 0
    for byte in text[:120]:
        digit = _DIGIT58.get(byte)
        if digit is None:
            return False
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(b"1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
    return len(raw) > 4 and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


VALIDATORS: dict[str, Callable[[bytes], bool]] = {
    "minted": minted,
    "mixed_case": mixed_case,
    "link_token": link_token,
    "url_token": url_token,
    "url_user": url_user,
    "not_sha1": not_sha1,
    "twitter_bearer": twitter_bearer,
    "numbered_token": numbered_token,
    "id_and_key": id_and_key,
    "aba_routing": aba_routing,
    "bic": bic,
    "base58check": base58check,
}


def _latin1(expression: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(expression, options)


_RUN64 = _latin1(rb"[A-Za-z0-9+/_\-]+={0,2}")


def _unbase64(text: bytes) -> bytes:
    """Decode a whole number of groups of base64 or base64url; empty when it is neither."""
    body = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    size = len(body) // 4 * 4 if len(body) % 4 == 1 else len(body)
    try:
        return binascii.a2b_base64(body[:size] + b"=" * (-size % 4))
    except binascii.Error:
        return b""


def _encoded(prefix: int, accept: Callable[[bytes], bool]) -> Callable[[bytes, int, int, int], Found]:
    """Return a finder of base64 whose decoded head is accepted.

    Args:
        prefix: How many characters of it the prefilter's expression takes.
        accept: Sees at most 384 decoded bytes.
    """

    def find(text: bytes, low: int, high: int, end: int) -> Found:
        start = end - prefix
        if start < low or (start > low and text[start - 1] in _ALNUM):
            return _NOTHING
        run = _RUN64.match(text, start, high)
        if run is None:
            return _NOTHING
        stop = run.end()
        if not accept(_unbase64(text[start : min(stop, start + _HEAD)])):
            return -1, -1, stop
        return start, stop, stop

    return find


def _is_grafana(head: bytes) -> bool:
    try:
        value = orjson.loads(head)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.keys() >= {"k", "n", "id"}


def _is_jose(head: bytes) -> bool:
    first, dot, _ = head.partition(b".")
    try:
        header = orjson.loads(_unbase64(first)) if dot else None
    except orjson.JSONDecodeError:
        return False
    return isinstance(header, dict) and "alg" in header


_PACKET = re.compile(rb"[0-9a-f]{4}(?:location|identifier) ")
_SECOND_FORMAT = re.compile(rb"\x02\x01([\x01-\x7f])([a-zA-Z0-9.:/_\-]{1,127}+)\x02", re.DOTALL)
_NO_LOCATION = re.compile(rb"\x02\x02([\x01-\x7f])", re.DOTALL)


def _is_macaroon(head: bytes) -> bool:
    """Accept the first packet of a macaroon of format 1, or the first fields of one of format 2."""
    if _PACKET.match(head):
        return True
    if found := _SECOND_FORMAT.match(head):
        return found[1][0] == len(found[2])
    found = _NO_LOCATION.match(head)
    return found is not None and head[3 + found[1][0] :][:1] == b"\0"


_LINES = re.compile(rb"Private-Lines:[ ]?[0-9]{1,4}[ \t\r\n]++")


def _putty(text: bytes, low: int, high: int, end: int) -> Found:
    """Mask the private lines of a PuTTY key, to its MAC or the end (PuTTY manual, appendix C)."""
    found = _LINES.search(text, max(low, end - 24), min(high, end + 32))
    if found is None:
        return _NOTHING
    close = text.find(b"Private-MAC", found.end(), high)
    stop = close if close >= 0 else high
    while stop > found.end() and text[stop - 1] in b" \r\n":
        stop -= 1
    return (found.end(), stop, stop) if stop > found.end() else _NOTHING


_KEY_SPACE = 16
_NEAR = 4096
"""So far a sibling is looked for, in bytes: the modulus of a long RSA key stands between."""


def _member(text: bytes, end: int, names: frozenset[bytes]) -> int:
    """Return where the string value begins in which ``end`` lies, if its key is one of ``names``; else -1."""
    opening = text.rfind(b'"', max(0, end - 64), end)
    before = text[max(0, opening - _KEY_SPACE) : opening].rstrip(b" \t\r\n")
    if opening < 0 or before[-1:] != b":":
        return -1
    key = before[:-1].rstrip(b" \t\r\n")
    return opening + 1 if key[-1:] == b'"' and key[:-1].rpartition(b'"')[2] in names else -1


_JWK = frozenset((b"d", b"p", b"q", b"dp", b"dq", b"qi", b"k"))
_KTY = re.compile(rb'"kty"\s*+:\s*+"(EC|RSA|OKP|oct)"')
_TYPE = b'"kty"'


def _jwk(text: bytes, low: int, high: int, end: int) -> Found:
    """Mask a private parameter of a JSON Web Key: ``kty`` stands near (RFC 7518 section 6)."""
    start = _member(text, end, _JWK)
    if start < low:
        return _NOTHING
    at = text.rfind(_TYPE, max(0, start - _NEAR), start)
    kty = _KTY.match(text, at if at >= 0 else max(0, text.find(_TYPE, start, start + _NEAR)))
    symmetric = text[max(0, start - _KEY_SPACE) : start].rstrip(b'": \t\r\n')[-2:] == b'"k'
    if kty is None or symmetric != (kty[1] == b"oct"):
        return _NOTHING
    run = _RUN64.match(text, start, high)
    return (start, run.end(), run.end()) if run else _NOTHING


_AUTH = frozenset((b"auth", b"_auth"))


def _docker_auth(text: bytes, low: int, high: int, end: int) -> Found:
    """Mask ``"auth": base64(user:password)`` of a container registry's configuration."""
    start = _member(text, end, _AUTH)
    run = _RUN64.match(text, start, high) if start >= low else None
    if run is None or b":" not in _unbase64(text[start : min(run.end(), start + _HEAD)]):
        return _NOTHING
    return start, run.end(), run.end()


FINDERS: dict[str, Callable[[bytes, int, int, int], Found]] = {
    "grafana_legacy": _encoded(24, _is_grafana),
    "jwt_base64": _encoded(24, _is_jose),
    "macaroon": _encoded(24, _is_macaroon),
    "pem_base64": _encoded(24, lambda head: b"PRIVATE KEY" in head[:80]),
    "putty": _putty,
    "jwk": _jwk,
    "docker_auth": _docker_auth,
}
