"""Personal and tax numbers of western and southern Europe.

Every function takes the candidate as bytes, separators included, and tells whether it satisfies its
authority's rule.
"""

from __future__ import annotations

from processors.masking.checkdigits import (
    compact,
    digits,
    is_ddmmyy,
    is_varied,
    luhn,
    mod_11_10,
    table,
    values,
    verhoeff,
    weigh,
)

_DNI = b"TRWAGMYFPDXBNJZSQVHLCKE"
_PPS = b"WABCDEFGHIJKLMNOPQRSTUV"
_UTR = b"21987654321"
_NINO_BARRED = frozenset((b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"))
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""Value of a digit, or of a letter as A = 0, at an odd place of an Italian tax code."""
_POWERS = (256, 128, 64, 32, 16, 8, 4, 2)
_MONTHS = b"ABCDEHLMPRST"
_OMOCODIA = bytes.maketrans(b"LMNPQRSTUV", b"0123456789")


def at_svnr(text: bytes) -> bool:
    """Check an Austrian insurance number (Dachverband der Sozialversicherungstraeger: 3-7-9-5-8-4-2-1-6 mod 11)."""
    number = digits(text)
    if len(number) != 10 or number[:1] == b"0" or not 1 <= int(number[4:6]) <= 31:
        return False
    return (
        1 <= int(number[6:8]) <= 15 and weigh(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == number[3] - 48
    )


def be_national_register(text: bytes) -> bool:
    """Check a Belgian register number (Royal decree of 3 April 1984: 97 - n mod 97; a 2 before it since 2000)."""
    number = digits(text)
    if len(number) != 11 or int(number[2:4]) % 20 > 12 or int(number[4:6]) > 31:
        return False
    body, check = int(number[:9]), int(number[9:])
    return check in (97 - body % 97, 97 - (2_000_000_000 + body) % 97)


def ch_ahv(text: bytes) -> bool:
    """Check a Swiss insurance number (BSV: 756 and EAN-13)."""
    number = digits(text)
    return len(number) == 13 and number.startswith(b"756") and weigh(number, (1, 3) * 7) % 10 == 0


def de_steuer_id(text: bytes) -> bool:
    """Check a German tax id (BZSt: MOD 11,10; of the first ten digits one stands twice or three times)."""
    number = digits(text)
    if len(number) != 11 or number[:1] == b"0":
        return False
    counts = sorted(map(number[:10].count, set(number[:10])))
    return counts[-1] in (2, 3) and all(count == 1 for count in counts[:-1]) and mod_11_10(number)


def de_svnr(text: bytes) -> bool:
    """Check a German pension insurance number (VKVV section 4: cross sums of 2-1-2-5-7-1-2-1-2-1-2-1 mod 10)."""
    number = compact(text)
    if len(number) != 12 or not is_ddmmyy(number[2:8]):
        return False
    spelt = number[:8] + b"%02d" % (number[8] - 64) + number[9:11]
    products = (
        (byte - 48) * weight for byte, weight in zip(spelt, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    )
    return sum(product // 10 + product % 10 for product in products) % 10 == number[11] - 48


def de_personalausweis(text: bytes) -> bool:
    """Check a German identity card's number and its check digit (ICAO 9303-3 section 4.9: 7-3-1 mod 10)."""
    number = compact(text)
    if len(number) != 10 or not digits(number[9:]):
        return False
    return (
        sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values(number[:9]))) % 10
        == number[9] - 48
    )


def de_krankenversicherung(text: bytes) -> bool:
    """Check a German health insurance number (GKV-Spitzenverband, SGB V section 290: 1-2 cross sums mod 10)."""
    number = compact(text)
    if len(number) != 10 or not 65 <= number[0] <= 90:
        return False
    products = (
        (byte - 48) * (1 + place % 2) for place, byte in enumerate(b"%02d" % (number[0] - 64) + number[1:9])
    )
    return sum(product // 10 + product % 10 for product in products) % 10 == number[9] - 48


def es_dni(text: bytes) -> bool:
    """Check a Spanish DNI (Real Decreto 1553/2005, Ministerio del Interior: letter of n mod 23)."""
    number = compact(text)
    return len(number) == 9 and _DNI[int(number[:8]) % 23] == number[8]


def es_nie(text: bytes) -> bool:
    """Check a Spanish NIE (Orden INT/2058/2008: X, Y, Z stand for 0, 1, 2; then as a DNI)."""
    number = compact(text)
    return len(number) == 9 and _DNI[int(b"%d" % (number[0] - 88) + number[1:8]) % 23] == number[8]


def es_nuss(text: bytes) -> bool:
    """Check a Spanish social security number (Seguridad Social: n mod 97)."""
    number = digits(text)
    if len(number) != 12:
        return False
    province, serial = int(number[:2]), int(number[2:10])
    body = province * 10_000_000 + serial if serial < 10_000_000 else int(number[:10])
    return body % 97 == int(number[10:])


def fr_nir(text: bytes) -> bool:
    """Check a French NIR (INSEE: 97 - n mod 97; 2A and 2B count as 19 and 18)."""
    number = compact(text)
    if len(number) != 15 or number[0] not in b"123478":
        return False
    plain = number.replace(b"2A", b"19", 1) if number[5:7] == b"2A" else number
    plain = plain.replace(b"2B", b"18", 1) if number[5:7] == b"2B" else plain
    if not plain.isdigit():
        return False
    month = int(plain[3:5])
    return (1 <= month <= 12 or month >= 20) and 97 - int(plain[:13]) % 97 == int(plain[13:])


def fr_nif(text: bytes) -> bool:
    """Check a French tax number (DGFiP: the last three digits are the first ten mod 511)."""
    number = digits(text)
    return len(number) == 13 and number[0] in b"0123" and int(number[:10]) % 511 == int(number[10:])


def fr_siren(text: bytes) -> bool:
    """Check a SIREN or SIRET (INSEE: Luhn; La Poste's establishments by their sum mod 5)."""
    number = digits(text)
    if number.startswith(b"356000000") and len(number) == 14:
        return weigh(number, (1,) * 14) % 5 == 0 or luhn(number)
    return len(number) in (9, 14) and is_varied(number) and luhn(number) and luhn(number[:9])


def gr_amka(text: bytes) -> bool:
    """Check a Greek AMKA (IDIKA: birth date and Luhn)."""
    number = digits(text)
    return len(number) == 11 and is_ddmmyy(number) and luhn(number)


def gr_afm(text: bytes) -> bool:
    """Check a Greek AFM (AADE: powers of two mod 11 mod 10)."""
    number = digits(text)
    return len(number) == 9 and is_varied(number) and weigh(number[:8], _POWERS) % 11 % 10 == number[8] - 48


def ie_pps(text: bytes) -> bool:
    """Check an Irish PPS number (Department of Social Protection: 8..2 and 9 for a second letter, mod 23)."""
    number = compact(text)
    if len(number) not in (8, 9):
        return False
    second = _PPS.find(number[8:]) if len(number) == 9 else 0
    return second >= 0 and _PPS[(weigh(number[:7], range(8, 1, -1)) + 9 * second) % 23] == number[7]


def it_codice_fiscale(text: bytes) -> bool:
    """Check an Italian tax code (D.M. 23 December 1976: odd and even values mod 26; omocodia letters for digits)."""
    code = compact(text)
    if len(code) != 16 or code[8] not in _MONTHS or code[15] < 65:
        return False
    day = code[9:11].translate(_OMOCODIA)
    if not day.isdigit() or not 1 <= int(day) % 40 <= 31:
        return False
    places = [value - 10 if value > 9 else value for value in values(code)]
    return (sum(map(_ODD.__getitem__, places[:15:2])) + sum(places[1:15:2])) % 26 == places[15]


def it_partita_iva(text: bytes) -> bool:
    """Check an Italian VAT number (Agenzia delle Entrate: Luhn; an office of 001-100, 120, 121, 888 or 999)."""
    number = digits(text)
    if len(number) != 11 or number[:7] == b"0000000":
        return False
    office = int(number[7:10])
    return (1 <= office <= 100 or office in (120, 121, 888, 999)) and luhn(number)


def lu_matricule(text: bytes) -> bool:
    """Check a Luxembourg matricule (CTIE, law of 19 June 2013: a Luhn and a Verhoeff digit over the first eleven)."""
    number = digits(text)
    return len(number) == 13 and luhn(number[:12]) and verhoeff(number[:11] + number[12:])


def nl_bsn(text: bytes) -> bool:
    """Check a Dutch BSN (Besluit burgerservicenummer: 9..2 and -1, mod 11)."""
    number = digits(text)
    return len(number) == 9 and is_varied(number) and weigh(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pt_nif(text: bytes) -> bool:
    """Check a Portuguese NIF (Autoridade Tributaria: 9..2 mod 11)."""
    number = digits(text)
    if len(number) != 9 or (number[0] in b"04" and number[:2] != b"45"):
        return False
    check = 11 - weigh(number[:8], range(9, 1, -1)) % 11
    return (0 if check > 9 else check) == number[8] - 48 and is_varied(number)


def tr_tckn(text: bytes) -> bool:
    """Check a Turkish identity number (NVI: two check digits)."""
    number = digits(text)
    if len(number) != 11 or number[:1] == b"0":
        return False
    tenth = (7 * weigh(number[:9:2], (1,) * 5) - weigh(number[1:8:2], (1,) * 4)) % 10
    return tenth == number[9] - 48 and weigh(number[:10], (1,) * 10) % 10 == number[10] - 48


def uk_nhs(text: bytes) -> bool:
    """Check an NHS number (NHS Data Dictionary: 10..2 mod 11)."""
    number = digits(text)
    if len(number) != 10 or not is_varied(number):
        return False
    return weigh(number, range(10, 0, -1)) % 11 == 0


def uk_nino(text: bytes) -> bool:
    """Check a National Insurance number's prefix and suffix (HMRC NIM39110)."""
    number = compact(text)
    if len(number) != 9 or number[:2] in _NINO_BARRED or not number[2:8].isdigit():
        return False
    return not set(number[:2]) & set(b"DFIQUV") and number[1] != 79 and number[8] in b"ABCD"


def uk_utr(text: bytes) -> bool:
    """Check a Unique Taxpayer Reference (HMRC: the first digit follows from 6-7-8-9-10-5-4-3-2 mod 11)."""
    number = digits(text)
    number = number[3:] if len(number) == 13 else number  # behind a number of the office
    return len(number) == 10 and _UTR[weigh(number[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11] == number[0]


CHECKS = table(
    at_svnr, be_national_register, ch_ahv, de_krankenversicherung, de_personalausweis, de_steuer_id, de_svnr, es_dni,
    es_nie, es_nuss, fr_nif, fr_nir, fr_siren, gr_afm, gr_amka, ie_pps, it_codice_fiscale, it_partita_iva,
    lu_matricule, nl_bsn, pt_nif, tr_tckn, uk_nhs, uk_nino, uk_utr,
)  # fmt: skip
