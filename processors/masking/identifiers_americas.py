"""Personal and tax numbers of the Americas.

Every function takes the candidate as bytes, separators included, and tells whether it satisfies its
authority's rule.
"""

from __future__ import annotations

from processors.masking.checkdigits import compact, digits, is_varied, is_yymmdd, luhn, table, weigh

_EIN = frozenset(
    b"01 02 03 04 05 06 10 11 12 13 14 15 16 20 21 22 23 24 25 26 27 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 "
    b"47 48 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 71 72 73 74 75 76 77 80 81 82 83 84 85 86 87 88 90 "
    b"91 92 93 94 95 98 99".split()
)
_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_STATES = frozenset(
    b"AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL QR QT SL SP SR TC TL TS VZ YN ZS".split()
)
_RFC = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"
_CUIT = frozenset(b"20 23 24 25 26 27 30 33 34 50 51 55".split())
_TWO_TO_SEVEN = (2, 3, 4, 5, 6, 7)
_NIT = (3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71)
_RUC = frozenset(b"10 15 16 17 20".split())
_CNPJ = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def us_itin(text: bytes) -> bool:
    """Check an ITIN's ranges (IRS publication 1915: 9nn, group 50-65, 70-88, 90-92 or 94-99)."""
    number = digits(text)
    group = int(number[3:5])
    return (
        len(number) == 9 and number[0] == 57 and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group != 93)
    )


def us_ein(text: bytes) -> bool:
    """Check an EIN's prefix (IRS: campus prefixes in use)."""
    number = digits(text)
    return len(number) == 9 and number[:2] in _EIN


def us_npi(text: bytes) -> bool:
    """Check an NPI (45 CFR 162.406, CMS: Luhn behind 80840)."""
    number = digits(text)
    return len(number) == 10 and number[0] in b"12" and luhn(b"80840" + number)


def us_dea(text: bytes) -> bool:
    """Check a DEA registration number (21 CFR 1301: odd places plus twice the even ones, mod 10)."""
    number = digits(text)[-7:]
    return len(number) == 7 and weigh(number, (1, 2, 1, 2, 1, 2)) % 10 == number[6] - 48


def aba_routing(text: bytes) -> bool:
    """Check a US routing number (ABA: 3-7-1 mod 10; Federal Reserve district 00-12, 21-32, 61-72 or 80)."""
    number = digits(text)
    district = int(number[:2])
    known = 0 <= district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return len(number) == 9 and known and is_varied(number) and weigh(number, (3, 7, 1) * 3) % 10 == 0


def ca_sin(text: bytes) -> bool:
    """Check a Canadian SIN (Service Canada: Luhn; none begins with 0 or 8)."""
    number = digits(text)
    return len(number) == 9 and number[0] not in b"08" and is_varied(number) and luhn(number)


def mx_curp(text: bytes) -> bool:
    """Check a Mexican CURP (RENAPO: birth date, state, mod 10 of 18..2)."""
    code = compact(text).decode("ascii")
    if len(code) != 18 or not is_yymmdd(code[4:10].encode()) or code[11:13].encode() not in _STATES:
        return False
    total = sum(
        _CURP.index(letter) * weight for letter, weight in zip(code[:17], range(18, 1, -1), strict=True)
    )
    return str(-total % 10) == code[17]


def mx_rfc(text: bytes) -> bool:
    """Check a Mexican RFC (SAT: date, mod 11 of 13..2; companies have three letters)."""
    code = text.decode("utf-8", "replace").upper().replace("-", "").replace(" ", "")
    if len(code) not in (12, 13) or not is_yymmdd(code[-9:-3].encode()):
        return False
    total = sum(
        _RFC.index(letter) * weight
        for letter, weight in zip(code[:-1].rjust(12), range(13, 1, -1), strict=True)
    )
    return "0123456789A"[-total % 11] == code[-1]


def _mod_11(number: bytes, weights: tuple[int, ...]) -> int:
    rest = weigh(number, weights) % 11
    return 0 if rest < 2 else 11 - rest


def br_cpf(text: bytes) -> bool:
    """Check a Brazilian CPF (Receita Federal: two mod 11 digits; not one repeated digit)."""
    number = digits(text)
    if len(number) != 11 or not is_varied(number):
        return False
    return (
        _mod_11(number[:9], tuple(range(10, 1, -1))) == number[9] - 48
        and _mod_11(number[:10], tuple(range(11, 1, -1))) == number[10] - 48
    )


def br_cnpj(text: bytes) -> bool:
    """Check a Brazilian CNPJ (Receita Federal IN 2.229/2024: two mod 11 digits, a letter counts as ASCII less 48)."""
    number = compact(text)
    if len(number) != 14 or not number[12:].isdigit() or not is_varied(number):
        return False
    return (
        _mod_11(number[:12], _CNPJ[1:]) == number[12] - 48 and _mod_11(number[:13], _CNPJ) == number[13] - 48
    )


def ar_cuit(text: bytes) -> bool:
    """Check an Argentine CUIT or CUIL (AFIP: 5-4-3-2-7-6-5-4-3-2 mod 11)."""
    number = digits(text)
    if len(number) != 11 or number[:2] not in _CUIT:
        return False
    check = -weigh(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return check == number[10] - 48


def cl_rut(text: bytes) -> bool:
    """Check a Chilean RUT (SII: 2..7 from the right mod 11, K for 10)."""
    number = compact(text)
    body = number[:-1]
    if not 7 <= len(body) <= 8 or not body.isdigit():
        return False
    return b"0123456789K"[-weigh(body[::-1], _TWO_TO_SEVEN * 2) % 11] == number[-1] and is_varied(number)


def co_nit(text: bytes) -> bool:
    """Check a Colombian NIT with its check digit (DIAN: primes from the right mod 11)."""
    number = digits(text)
    if not 9 <= len(number) <= 11 or not is_varied(number):
        return False
    rest = weigh(number[-2::-1], _NIT) % 11
    return (rest if rest < 2 else 11 - rest) == number[-1] - 48


def pe_ruc(text: bytes) -> bool:
    """Check a Peruvian RUC (SUNAT: 5-4-3-2-7-6-5-4-3-2 mod 11)."""
    number = digits(text)
    if len(number) != 11 or number[:2] not in _RUC:
        return False
    return (11 - weigh(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 10 == number[10] - 48


def uy_ci(text: bytes) -> bool:
    """Check a Uruguayan identity number (DNIC: 2-9-8-7-6-3-4 mod 10)."""
    number = digits(text).rjust(8, b"0")
    return (
        len(number) == 8
        and is_varied(number)
        and -weigh(number, (2, 9, 8, 7, 6, 3, 4)) % 10 == number[7] - 48
    )


def ec_cedula(text: bytes) -> bool:
    """Check an Ecuadorian cedula (Registro Civil: province 01-24 or 30, third digit below 6, Luhn)."""
    number = digits(text)
    if len(number) != 10 or not (1 <= int(number[:2]) <= 24 or number[:2] == b"30"):
        return False
    return number[2] < 54 and luhn(number)


def do_cedula(text: bytes) -> bool:
    """Check a Dominican cedula (JCE: Luhn)."""
    number = digits(text)
    return len(number) == 11 and is_varied(number) and luhn(number)


CHECKS = table(
    aba_routing, ar_cuit, br_cnpj, br_cpf, ca_sin, cl_rut, co_nit, do_cedula, ec_cedula, mx_curp, mx_rfc, pe_ruc,
    us_dea, us_ein, us_itin, us_npi, uy_ci,
)  # fmt: skip
