"""Personal and tax numbers of northern and eastern Europe.

Every function takes the candidate as bytes, separators included, and tells whether it satisfies its
authority's rule.
"""

from __future__ import annotations

from processors.masking.checkdigits import (
    compact,
    digits,
    is_day,
    is_ddmmyy,
    is_varied,
    is_yymmdd,
    luhn,
    mod_11_10,
    table,
    values,
    weigh,
)

_HETU = b"0123456789ABCDEFHJKLMNPRSTUVWXY"
_ONE_TO_NINE = (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)
_THREE_TO_NINE = (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)
_NIP = (6, 5, 7, 2, 3, 4, 5, 6, 7)
_INN = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def bg_egn(text: bytes) -> bool:
    """Check a Bulgarian EGN (GRAO: 2-4-8-5-10-9-7-3-6 mod 11 mod 10; the month tells the century)."""
    number = digits(text)
    if len(number) != 10 or not is_day(int(number[:2]), int(number[2:4]) % 20, int(number[4:6])):
        return False
    return weigh(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == number[9] - 48


def cz_rodne_cislo(text: bytes) -> bool:
    """Check a Czech or Slovak birth number (act 133/2000 Sb.: divisible by 11; nine digits until 1953)."""
    number = digits(text)
    if len(number) not in (9, 10) or not is_day(
        int(number[:2]), int(number[2:4]) % 50 % 20, int(number[4:6])
    ):
        return False
    if len(number) == 9:
        return number[:2] < b"54" and number[6:] != b"000"
    return int(number) % 11 == 0 or (int(number[:9]) % 11 == 10 and number[9:] == b"0")


def dk_cpr(text: bytes) -> bool:
    """Check a Danish CPR number's birth date (CPR-kontoret: numbers since 2007 have no check digit)."""
    number = digits(text)
    return len(number) == 10 and is_ddmmyy(number)


def ee_isikukood(text: bytes) -> bool:
    """Check an Estonian or Lithuanian code (EVS 585; LR Gyventoju registro istatymas: two-stage mod 11)."""
    number = digits(text)
    if len(number) != 11 or number[:1] == b"0":
        return False
    if number[:1] != b"9" and not is_yymmdd(number[1:7]):
        return False
    check = weigh(number, _ONE_TO_NINE) % 11
    return (check if check < 10 else weigh(number, _THREE_TO_NINE) % 11 % 10) == number[10] - 48


def fi_hetu(text: bytes) -> bool:
    """Check a Finnish personal identity code (DVV: letter of n mod 31)."""
    body, check = text[:6] + text[7:10], text[10:11]
    return len(text) == 11 and is_ddmmyy(body) and int(body[6:]) > 1 and _HETU[int(body) % 31] == check[0]


def hr_oib(text: bytes) -> bool:
    """Check a Croatian OIB (Porezna uprava: ISO 7064 MOD 11,10)."""
    number = digits(text)
    return len(number) == 11 and is_varied(number) and mod_11_10(number)


def hu_tin(text: bytes) -> bool:
    """Check a Hungarian tax number of a person (1996 XX. tv. appendix: place times digit mod 11; begins with 8)."""
    number = digits(text)
    return len(number) == 10 and number[0] == 56 and weigh(number[:9], range(1, 10)) % 11 == number[9] - 48


def hu_taj(text: bytes) -> bool:
    """Check a Hungarian social insurance number (1996 XX. tv. appendix: 3-7 mod 10)."""
    number = digits(text)
    return len(number) == 9 and is_varied(number) and weigh(number[:8], (3, 7) * 4) % 10 == number[8] - 48


def is_kennitala(text: bytes) -> bool:
    """Check an Icelandic kennitala (Thjodskra: 3-2-7-6-5-4-3-2 mod 11; the last digit is the century)."""
    number = digits(text)
    if len(number) != 10 or number[9] not in b"890":
        return False
    day = b"%02d" % (int(number[:2]) % 40)  # legal entities add 40
    return is_ddmmyy(day + number[2:6]) and weigh(number, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def lv_personas_kods(text: bytes) -> bool:
    """Check a Latvian code (PMLP: 10-5-8-4-2-1-6-3-7-9 and 1, mod 11 mod 10); since 2017 it begins with 32 to 39."""
    number = digits(text)
    if len(number) != 11:
        return False
    if b"32" <= number[:2] <= b"39":
        return True
    if not is_ddmmyy(number) or number[6] not in b"012":
        return False
    return (1 + weigh(number, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10 == number[10] - 48


def no_fodselsnummer(text: bytes) -> bool:
    """Check a Norwegian birth or D-number (Skatteetaten: two mod 11 digits)."""
    number = digits(text)
    if len(number) != 11:
        return False
    day, month = int(number[:2]) % 40, int(number[2:4]) % 40
    if not is_day(int(number[4:6]), month, day):
        return False
    first = weigh(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    return first == 0 and weigh(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def pl_pesel(text: bytes) -> bool:
    """Check a Polish PESEL (ustawa o ewidencji ludnosci: 1-3-7-9 mod 10; the month tells the century)."""
    number = digits(text)
    if len(number) != 11 or not is_day(int(number[:2]), int(number[2:4]) % 20, int(number[4:6])):
        return False
    return weigh(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def pl_nip(text: bytes) -> bool:
    """Check a Polish NIP (Ministerstwo Finansow: 6-5-7-2-3-4-5-6-7 mod 11)."""
    number = digits(text)
    return len(number) == 10 and is_varied(number) and weigh(number, _NIP) % 11 == number[9] - 48


def pl_regon(text: bytes) -> bool:
    """Check a Polish REGON of nine digits (GUS: 8-9-2-3-4-5-6-7 mod 11 mod 10)."""
    number = digits(text)
    if len(number) != 9 or not is_varied(number):
        return False
    return weigh(number, (8, 9, 2, 3, 4, 5, 6, 7)) % 11 % 10 == number[8] - 48


def pl_dowod(text: bytes) -> bool:
    """Check a Polish identity card's number (MSWiA: 7-3-1 around the fourth place, mod 10)."""
    number = compact(text)
    if len(number) != 9 or not number[3:].isdigit():
        return False
    places = values(number)
    total = sum(value * weight for value, weight in zip(places, (7, 3, 1, 0, 7, 3, 1, 7, 3), strict=True))
    return total % 10 == places[3]


def ro_cnp(text: bytes) -> bool:
    """Check a Romanian CNP (DEPABD: 2-7-9-1-4-6-3-5-8-2-7-9 mod 11, 10 becomes 1)."""
    number = digits(text)
    if len(number) != 13 or number[:1] == b"0" or not is_yymmdd(number[1:7]):
        return False
    check = weigh(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if check == 10 else check) == number[12] - 48


def rs_jmbg(text: bytes) -> bool:
    """Check a JMBG or EMSO of former Yugoslavia (law of 1976: 7-6-5-4-3-2 twice, mod 11)."""
    number = digits(text)
    if len(number) != 13 or not is_day(int(number[5:7]), int(number[2:4]), int(number[:2])):
        return False
    return number[4] in b"90" and -weigh(number, (7, 6, 5, 4, 3, 2) * 2) % 11 % 10 == number[12] - 48


def ru_inn(text: bytes) -> bool:
    """Check a Russian INN (FNS order MM-3-6/355: mod 11 mod 10, two digits for persons)."""
    number = digits(text)
    if not is_varied(number):
        return False
    if len(number) == 10:
        return weigh(number, _INN[2:]) % 11 % 10 == number[9] - 48
    if len(number) != 12 or weigh(number, _INN[1:]) % 11 % 10 != number[10] - 48:
        return False
    return weigh(number[:11], _INN) % 11 % 10 == number[11] - 48


def ru_snils(text: bytes) -> bool:
    """Check a Russian SNILS (PFR: 9..1 mod 101 mod 100)."""
    number = digits(text)
    return len(number) == 11 and weigh(number, range(9, 0, -1)) % 101 % 100 == int(number[9:])


def se_personnummer(text: bytes) -> bool:
    """Check a Swedish personal or coordination number (Skatteverket SKV 704, 707: Luhn; day plus 60)."""
    number = digits(text)[-10:]
    if len(number) != 10 or not is_day(int(number[:2]), int(number[2:4]), int(number[4:6]) % 60):
        return False
    return luhn(number)


def si_tin(text: bytes) -> bool:
    """Check a Slovenian tax number (FURS: 8..2 mod 11; a remainder of 0 is not issued)."""
    number = digits(text)
    if len(number) != 8 or number[:1] == b"0":
        return False
    check = 11 - weigh(number[:7], range(8, 1, -1)) % 11
    return check < 11 and check % 10 == number[7] - 48


def ua_rnokpp(text: bytes) -> bool:
    """Check a Ukrainian RNOKPP (DPS: -1, 5, 7, 9, 4, 6, 10, 5, 7 mod 11 mod 10)."""
    number = digits(text)
    if len(number) != 10 or not is_varied(number):
        return False
    return weigh(number, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == number[9] - 48


CHECKS = table(
    bg_egn, cz_rodne_cislo, dk_cpr, ee_isikukood, fi_hetu, hr_oib, hu_taj, hu_tin, is_kennitala, lv_personas_kods,
    no_fodselsnummer, pl_dowod, pl_nip, pl_pesel, pl_regon, ro_cnp, rs_jmbg, ru_inn, ru_snils, se_personnummer,
    si_tin, ua_rnokpp,
)  # fmt: skip
