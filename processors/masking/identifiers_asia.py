"""Personal and tax numbers of Asia, Africa and Oceania.

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
    table,
    values,
    verhoeff,
    weigh,
)

_CN = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_TW = b"ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""The place of a letter, from 10."""
_NRIC = {
    83: (0, b"JZIHGFEDCBA"),
    84: (4, b"JZIHGFEDCBA"),
    70: (0, b"XWUTRQPNMLK"),
    71: (4, b"XWUTRQPNMLK"),
    77: (3, b"XWUTRQPNJLK"),
}
"""By the ASCII code of the first letter: what is added, and the letters by remainder."""
_NOT_MY = frozenset(b"00 17 18 19 20 69 70 73 80 81 94 95 96 97".split())
"""Place codes that the JPN has not assigned."""


def il_id(text: bytes) -> bool:
    """Check an Israeli identity number (Ministry of Interior: Luhn over nine digits)."""
    number = digits(text).rjust(9, b"0")
    return len(number) == 9 and is_varied(number) and luhn(number)


def za_id(text: bytes) -> bool:
    """Check a South African identity number (Identification Act 68 of 1997: birth date, citizenship, Luhn)."""
    number = digits(text)
    return len(number) == 13 and is_yymmdd(number) and number[10] in b"012" and luhn(number)


def ng_nin(text: bytes) -> bool:
    """Check a Nigerian NIN (NIMC: Verhoeff)."""
    number = digits(text)
    return len(number) == 11 and is_varied(number) and verhoeff(number)


def in_aadhaar(text: bytes) -> bool:
    """Check an Aadhaar number (UIDAI: begins with 2-9, Verhoeff, no palindrome)."""
    number = digits(text)
    return len(number) == 12 and number[0] > 49 and number != number[::-1] and verhoeff(number)


def in_pan(text: bytes) -> bool:
    """Check an Indian PAN (Income Tax Department: the fourth letter is a kind of holder)."""
    number = compact(text)
    return len(number) == 10 and number[3] in b"ABCEFGHJLPT" and number[5:9] != b"0000"


def in_gstin(text: bytes) -> bool:
    """Check an Indian GSTIN (GSTN: state, PAN, mod 36 with factors 1 and 2)."""
    number = compact(text)
    if (
        len(number) != 15
        or not (1 <= int(number[:2]) <= 38 or number[:2] in (b"97", b"99"))
        or not in_pan(number[2:12])
    ):
        return False
    products = [value * (1 + place % 2) for place, value in enumerate(values(number))]
    check = -sum(product // 36 + product % 36 for product in products[:14]) % 36
    return check == products[14]


def cn_resident_id(text: bytes) -> bool:
    """Check a Chinese resident identity number (GB 11643-1999: birth date, ISO 7064 MOD 11-2)."""
    number = compact(text)
    if len(number) != 18 or not b"11" <= number[:2] <= b"91" or number[6:8] not in (b"18", b"19", b"20"):
        return False
    if not is_day(int(number[6:10]), int(number[10:12]), int(number[12:14])):
        return False
    return b"10X98765432"[weigh(number[:17], _CN) % 11] == number[17]


def hk_hkid(text: bytes) -> bool:
    """Check a Hong Kong identity card number (Immigration Department: 9..2 mod 11, A for 10, a blank for 36)."""
    number = compact(text)
    if len(number) not in (8, 9):
        return False
    places = ([36] if len(number) == 8 else []) + values(number[:-1])
    check = -sum(value * weight for value, weight in zip(places, range(9, 1, -1), strict=True)) % 11
    return b"0123456789A"[check] == number[-1]


def tw_national_id(text: bytes) -> bool:
    """Check a Taiwanese identity number (Ministry of the Interior: 1-9-8..1-1 mod 10)."""
    number = compact(text)
    letter = _TW.find(number[:1])
    if len(number) != 10 or letter < 0 or number[1] not in b"1289":
        return False
    spelt = b"%d" % (10 + letter) + number[1:]
    return weigh(spelt, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def jp_my_number(text: bytes) -> bool:
    """Check a Japanese individual number (MIC ordinance 85 of 2014: 6-5-4-3-2-7-6-5-4-3-2 mod 11)."""
    number = digits(text)
    if len(number) != 12 or not is_varied(number):
        return False
    rest = weigh(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == number[11] - 48


def kr_rrn_date(text: bytes) -> bool:
    """Check a Korean resident number's date and kind (MOIS: since October 2020 the rest is random)."""
    number = digits(text)
    return len(number) == 13 and is_yymmdd(number) and number[6] in b"0123456789"


def kr_rrn(text: bytes) -> bool:
    """Check a Korean resident number from before October 2020 (MOIS: 2..9-2..5 mod 11)."""
    number = digits(text)
    if not kr_rrn_date(number):
        return False
    foreign = 2 * (number[6] in b"5678")
    check = (11 - weigh(number, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return (check + foreign) % 10 == number[12] - 48


def kr_brn(text: bytes) -> bool:
    """Check a Korean business number (National Tax Service: 1-3-7-1-3-7-1-3-5 mod 10 with a carry)."""
    number = digits(text)
    if len(number) != 10 or not is_varied(number):
        return False
    total = weigh(number, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + (number[8] - 48) * 5 // 10
    return -total % 10 == number[9] - 48


def sg_nric(text: bytes) -> bool:
    """Check a Singaporean NRIC or FIN (ICA: 2-7-6-5-4-3-2 mod 11; letters by series)."""
    number = compact(text)
    if len(number) != 9 or number[0] not in _NRIC:
        return False
    added, letters = _NRIC[number[0]]
    return letters[(added + weigh(number[1:8], (2, 7, 6, 5, 4, 3, 2))) % 11] == number[8]


def th_tnin(text: bytes) -> bool:
    """Check a Thai identity number (Department of Provincial Administration: 13..2 mod 11)."""
    number = digits(text)
    if len(number) != 13 or number[:1] == b"0":
        return False
    return (11 - weigh(number[:12], range(13, 1, -1)) % 11) % 10 == number[12] - 48


def my_nric(text: bytes) -> bool:
    """Check a Malaysian identity card number (JPN: birth date and place code; it has no check digit)."""
    number = digits(text)
    return len(number) == 12 and is_yymmdd(number) and number[6:8] not in _NOT_MY


def id_nik(text: bytes) -> bool:
    """Check an Indonesian NIK (Dukcapil: region, birth date with day plus 40 for women; no check digit)."""
    number = digits(text)
    if len(number) != 16 or not b"11" <= number[:2] <= b"96" or number[12:] == b"0000":
        return False
    return is_ddmmyy(b"%02d" % (int(number[6:8]) % 40) + number[8:12])


def au_tfn(text: bytes) -> bool:
    """Check an Australian tax file number (ATO: 1-4-3-7-5-8-6-9-10 mod 11; of eight digits 10-7-8-4-6-3-5-1)."""
    number = digits(text)
    if len(number) == 8:
        return is_varied(number) and weigh(number, (10, 7, 8, 4, 6, 3, 5, 1)) % 11 == 0
    return len(number) == 9 and is_varied(number) and weigh(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_abn(text: bytes) -> bool:
    """Check an Australian business number (ABR: first digit less one, 10-1-3-5..19 mod 89)."""
    number = digits(text)
    if len(number) != 11 or number[:1] == b"0":
        return False
    return (weigh(number, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0


def au_acn(text: bytes) -> bool:
    """Check an Australian company number (ASIC: 8..1 mod 10)."""
    number = digits(text)
    return len(number) == 9 and is_varied(number) and -weigh(number, range(8, 0, -1)) % 10 == number[8] - 48


def au_medicare(text: bytes) -> bool:
    """Check an Australian Medicare number (Services Australia: 1-3-7-9 mod 10; begins with 2 to 6)."""
    number = digits(text)
    if len(number) not in (10, 11) or number[0] not in b"23456":
        return False
    return weigh(number, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == number[8] - 48


def nz_ird(text: bytes) -> bool:
    """Check a New Zealand IRD number (Inland Revenue: 3-2-7-6-5-4-3-2, then 7-4-3-2-5-2-7-6, mod 11)."""
    number = digits(text).rjust(9, b"0")
    if len(number) != 9 or not 10_000_000 < int(number) < 200_000_000:
        return False
    check = -weigh(number, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    if check == 10:
        check = -weigh(number, (7, 4, 3, 2, 5, 2, 7, 6)) % 11
    return check == number[8] - 48


CHECKS = table(
    au_abn, au_acn, au_medicare, au_tfn, cn_resident_id, hk_hkid, id_nik, il_id, in_aadhaar, in_gstin, in_pan,
    jp_my_number, kr_brn, kr_rrn, kr_rrn_date, my_nric, ng_nin, nz_ird, sg_nric, th_tnin, tw_national_id, za_id,
)  # fmt: skip
