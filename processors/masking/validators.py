"""Judgements on one candidate: check digits, ranges and decoded shapes.

Every function takes the candidate as bytes and is linear in it. A prefix token is masked on shape
alone; only ambiguous shapes (digit runs, IBAN, JWT, Basic) are gated here.
"""

from __future__ import annotations

import base64
import binascii
import re
from math import log2

import orjson

from processors.masking import (
    credentials,
    identifiers,
    identifiers_americas,
    identifiers_asia,
    identifiers_europe,
    identifiers_north,
    identifiers_vat,
)
from processors.masking.checkdigits import Validator, digits, luhn

IBAN_LENGTHS = {
    # ISO 13616 registry: total length by country.
    b"AD": 24, b"AE": 23, b"AL": 28, b"AT": 20, b"AZ": 28, b"BA": 20, b"BE": 16, b"BG": 22, b"BH": 22,
    b"BR": 29, b"BY": 28, b"CH": 21, b"CR": 22, b"CY": 28, b"CZ": 24, b"DE": 22, b"DK": 18, b"DO": 28,
    b"EE": 20, b"EG": 29, b"ES": 24, b"FI": 18, b"FO": 18, b"FR": 27, b"GB": 22, b"GE": 22, b"GI": 23,
    b"GL": 18, b"GR": 27, b"GT": 28, b"HR": 21, b"HU": 28, b"IE": 22, b"IL": 23, b"IQ": 23, b"IS": 26,
    b"IT": 27, b"JO": 30, b"KW": 30, b"KZ": 20, b"LB": 28, b"LI": 21, b"LT": 20, b"LU": 20, b"LV": 21,
    b"MC": 27, b"MD": 24, b"ME": 22, b"MK": 19, b"MT": 31, b"MU": 30, b"NL": 18, b"NO": 15, b"PK": 24,
    b"PL": 28, b"PS": 29, b"PT": 25, b"QA": 29, b"RO": 24, b"RS": 22, b"SA": 24, b"SE": 24, b"SI": 19,
    b"SK": 24, b"SM": 27, b"TN": 24, b"TR": 26, b"UA": 29, b"VG": 24, b"XK": 20,
}  # fmt: skip


def card_brand(number: bytes) -> bool:
    """Tell whether issuer range and length belong together (ISO/IEC 7812 issuer ranges)."""
    size, two, four = len(number), int(number[:2]), int(number[:4])
    if number[:1] == b"4":
        return size in {13, 16, 19}
    if two in {34, 37}:
        return size == 15
    if 51 <= two <= 55 or 2221 <= four <= 2720 or 2200 <= four <= 2204:
        return size == 16
    if 300 <= int(number[:3]) <= 305 or two in {36, 38, 39}:
        return size in {14, 16}
    if four == 6011 or two in {64, 65, 62} or 3528 <= four <= 3589:
        return 16 <= size <= 19
    return two in {50, 56, 57, 58, 60, 63, 67, 81, 82} and size == 16


def payment_card(text: bytes) -> bool:
    """Accept a PAN of 13 to 19 digits: issuer range, length and Luhn; one repeated digit is none."""
    number = digits(text)
    return 13 <= len(number) <= 19 and len(set(number)) > 1 and card_brand(number) and luhn(number)


def lone_card(text: bytes) -> bool:
    """Accept a PAN that nothing but its digits tells: of 14 to 16; ids and article numbers have the other lengths."""
    return 14 <= len(text) <= 16 and payment_card(text)


def iban(text: bytes) -> bool:
    """Check ISO 13616: country length table and mod 97 equal to 1."""
    compact = text.replace(b" ", b"")
    if IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    turned = compact[4:] + compact[:4]
    number = "".join(str(byte - 55) if byte > 57 else chr(byte) for byte in turned)
    return int(number) % 97 == 1


def us_ssn(text: bytes) -> bool:
    """Check the ranges of the SSA: area 001-899 but 666, group 01-99, serial 0001-9999."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return (
        len(number) == 9
        and area not in {b"000", b"666"}
        and area < b"900"
        and group != b"00"
        and serial != b"0000"
    )


def phone(text: bytes) -> bool:
    """Accept 8 to 15 digits after the plus sign (ITU-T E.164 section 6)."""
    return 8 <= len(digits(text)) <= 15


_LONGEST = 4096
_WEIGHTS = [0.0, *(count * log2(count) for count in range(1, _LONGEST + 1))]


def entropy(text: bytes) -> float:
    """Return the Shannon entropy in bits per byte, of the first 4096."""
    text = text[:_LONGEST]
    size = len(text)
    return log2(size) - sum(map(_WEIGHTS.__getitem__, map(text.count, set(text)))) / size


def token(text: bytes) -> bool:
    """Accept what is opaque and no word with a dash: with a digit, letters of both cases, or long."""
    told = text.lower() != text != text.upper() or len(text) >= 24
    return (told or bool(digits(text))) and opaque(text)


def opaque(text: bytes) -> bool:
    """Accept what no word or sample value looks like: at least 2.5 bits a byte."""
    return entropy(text) >= 2.5


_LOWER, _UPPER = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def coded(text: bytes) -> bool:
    """Accept what is opaque and has a digit: no words run together."""
    return opaque(text) and bool(digits(text))


def mixed(text: bytes) -> bool:
    """Accept letters of both cases with a digit, or in like shares: no hex digest, no word, no camel case."""
    small, large = (len(text) - len(text.translate(None, letters)) for letters in (_LOWER, _UPPER))
    if not (small and large and opaque(text)):
        return False
    return bool(digits(text)) or 3 * min(small, large) >= small + large


def keylike(text: bytes) -> bool:
    """Accept what is neither a digest in hex nor words with dashes: mixed, or letters and digits beyond hex."""
    return mixed(text) or (coded(text) and text.isalnum() and bool(text.lower().strip(b"0123456789abcdef")))


def aws_pair(text: bytes) -> bool:
    """Accept a key id with what reads like a secret key behind it: no digest."""
    return mixed(text[-40:])


def told(text: bytes) -> bool:
    """Accept what a sentence names as a secret: it has a digit and is neither a number nor an algorithm's name."""
    return bool(digits(text)) and text[:1] != b"[" and not _ORDINARY.fullmatch(text) and len(set(text)) > 4


_ORDINARY = re.compile(
    rb"[-+]?[0-9][0-9.,:%/]*+[a-zA-Z]{0,8}+[.!?)]?"
    rb"|(?i:v|sha|md|base|utf|oauth|http|aes|rsa|bcrypt|pbkdf|argon|blake|ripemd)-?[0-9]{1,3}(?:[-/_][a-z0-9]+)*[.!?)]?"
)
"""A number with a unit, or ``sha256``, ``base64-encoded``."""


def unbase64(text: bytes) -> bytes:
    """Decode base64 or base64url with or without padding; empty when it is neither."""
    body = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4))
    except binascii.Error:
        return b""


def jose(text: bytes) -> bool:
    """Accept a JWT or JWE: the first part decodes to a JSON object with ``alg`` (RFC 7515 section 4)."""
    try:
        header = orjson.loads(unbase64(text.partition(b".")[0]))
    except orjson.JSONDecodeError:
        return False
    return isinstance(header, dict) and "alg" in header


def basic(text: bytes) -> bool:
    """Accept base64 of ``user-id:password`` (RFC 7617 section 2)."""
    return b":" in unbase64(text)


def userinfo(text: bytes) -> bool:
    """Accept base64 of ``user:password`` in printable ASCII: so strict that words near a keyword are none."""
    user, colon, password = unbase64(text).partition(b":")
    return (
        bool(user and colon and password)
        and (user + password).isascii()
        and (user + password).decode().isprintable()
    )


_PARTS_OF_FILES = {b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"ico", b"css", b"js", b"ts", b"mjs", b"json",
                   b"map", b"html", b"service", b"local", b"internal", b"lan"}  # fmt: skip
_COUNTRIES = frozenset(
    # ISO 3166-1 alpha-2 as top-level domains, and AC, EU, SU, UK.
    b"ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz "
    b"ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et eu fi fj fk fm fo "
    b"fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm "
    b"jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq "
    b"mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re "
    b"ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr "
    b"tt tv tw tz ua ug uk um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw".split()
)


def email(text: bytes) -> bool:
    """Accept an address that is neither a file (``icon@2x.png``, ``f@module.py``), a unit, nor ``git@host``."""
    name, _, domain = text.rpartition(b"@")
    second, _, top = domain.lower().rpartition(b".")
    if name == b"git" or top in _PARTS_OF_FILES or (len(top) == 2 and top not in _COUNTRIES):
        return False
    if b"." in second and second.replace(b".", b"").isdigit():
        return False  # a package and its version: client@2.7.1.Final
    return top != b"py" or b"." in second  # Paraguay registers below com.py and the like only


def url_password(text: bytes) -> bool:
    """Reject what stands for a password: a template, or asterisks."""
    return text[:2] not in {b"${", b"{{", b"<%"} and text not in {b"%s", b"%v"} and bool(text.strip(b"*xX"))


VALIDATORS: dict[str, Validator] = {
    "payment_card": payment_card,
    "iban": iban,
    "us_ssn": us_ssn,
    "phone": phone,
    "opaque": opaque,
    "token": token,
    "coded": coded,
    "mixed": mixed,
    "keylike": keylike,
    "aws_pair": aws_pair,
    "told": told,
    "jose": jose,
    "basic": basic,
    "userinfo": userinfo,
    "email": email,
    "url_password": url_password,
    **credentials.VALIDATORS,
    **identifiers.CHECKS,
    **identifiers_americas.CHECKS,
    **identifiers_asia.CHECKS,
    **identifiers_europe.CHECKS,
    **identifiers_north.CHECKS,
    **identifiers_vat.CHECKS,
}
