"""Numbers of documents, devices and networks that no one country gives out.

Every function takes the candidate as bytes, separators included, and tells whether it satisfies its
standard.
"""

from __future__ import annotations

import ipaddress

from processors.masking.checkdigits import compact, digits, is_varied, is_yymmdd, luhn, table, values, weigh

_VIN = bytes.maketrans(b"ABCDEFGHJKLMNPRSTUVWXYZ", b"12345678123457923456789")
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def mrz_check(field: bytes) -> int:
    """Return the check digit of a field of a machine-readable zone (ICAO 9303-3 section 4.9: 7-3-1 mod 10)."""
    places = values(field.replace(b"<", b"0"))
    return sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(places)) % 10


def _checked(line: bytes, start: int, stop: int) -> bool:
    return mrz_check(line[start:stop]) == line[stop] - 48


def mrz_line(text: bytes) -> bool:
    """Check the line with the numbers of a travel document (ICAO 9303-4, -5, -6: number, birth date, expiry).

    Of 44 and 36 characters it is the second line; of 30 the first has the number, the second the dates.
    """
    if len(text) == 30 and text[:1].isalpha():
        return _checked(text, 5, 14)
    if len(text) == 30:
        return _checked(text, 0, 6) and _checked(text, 8, 14) and is_yymmdd(text[:6])
    number = _checked(text, 0, 9) or text[9] == 60  # a longer number goes on elsewhere
    return len(text) in (36, 44) and number and _checked(text, 13, 19) and _checked(text, 21, 27)


def mrz_names(text: bytes) -> bool:
    """Accept a line with names: as long as a document's lines are, and filled up (ICAO 9303-3 section 4.6)."""
    return len(text) in (30, 36, 44) and text.endswith(b"<")


def vin(text: bytes) -> bool:
    """Check a vehicle's number with its check digit (ISO 3779; 49 CFR 565.15: mod 11, X for 10)."""
    number = compact(text)
    if len(number) != 17 or not is_varied(number):
        return False
    return b"0123456789X"[weigh(number.translate(_VIN), _VIN_WEIGHTS) % 11] == number[8]


def vin_shape(text: bytes) -> bool:
    """Accept 17 characters with letters and digits: outside North America the check digit is not required."""
    number = compact(text)
    return len(number) == 17 and 3 <= len(digits(number)) < 17


def imei(text: bytes) -> bool:
    """Check an IMEI (3GPP TS 23.003 section 6.2, annex B: Luhn)."""
    number = digits(text)
    return len(number) == 15 and is_varied(number) and luhn(number)


def imsi(text: bytes) -> bool:
    """Check an IMSI (3GPP TS 23.003 section 2.2; ITU-T E.212: a country code of zone 2 to 7, or 901 to 999)."""
    number = digits(text)
    return 14 <= len(number) <= 15 and (50 <= number[0] <= 55 or number[:2] == b"90") and is_varied(number)


def iccid(text: bytes) -> bool:
    """Check an ICCID (ITU-T E.118: 89, then Luhn over 19 or 20 digits; some issuers leave the check digit out)."""
    number = digits(text)
    return number.startswith(b"89") and (luhn(number) or len(number) == 18) and 18 <= len(number) <= 20


def ipv4(text: bytes) -> bool:
    """Accept a dotted quad of decimal octets (RFC 791; no leading zeros), but 0.0.0.0 and netmasks."""
    try:
        address = int(ipaddress.IPv4Address(text.decode("ascii")))
    except ValueError:
        return False
    mask = address >> 24 == 255 and (~address & 0xFFFFFFFF) & ((~address & 0xFFFFFFFF) + 1) == 0
    return address != 0 and not mask


def ipv6(text: bytes) -> bool:
    """Accept an address as RFC 4291 section 2.2 writes it, with at least two groups; neither a time nor ``::``."""
    try:
        address = ipaddress.IPv6Address(text.partition(b"%")[0].decode("ascii"))
    except ValueError:
        return False
    groups = [group for group in text.partition(b"%")[0].split(b":") if group]
    told = len(groups) > 2 or max(map(len, groups), default=0) > 3  # not a::b of a program
    octets = len(groups) == 8 and {len(group) for group in groups} == {2}  # an EUI-64
    return int(address) > 1 and len(groups) > 1 and told and not octets and bool(digits(text))


def mac(text: bytes) -> bool:
    """Accept an EUI-48 or EUI-64 (IEEE 802) with one kind of separator; not all zeros or all ones."""
    number = compact(text)
    kinds = {bytes((byte,)) for byte in text if byte in b":-."}
    return len(number) in (12, 16) and len(kinds) == 1 and is_varied(number)


def driver_licence_uk(text: bytes) -> bool:
    """Check the digits of a British driving licence (DVLA INF1d: month, plus 50 for women, and day of birth)."""
    number = compact(text)
    if len(number) != 16 or not number[5:11].isdigit():
        return False
    return 1 <= int(number[6:8]) % 50 <= 12 and 1 <= int(number[8:10]) <= 31


def varied(text: bytes) -> bool:
    """Accept what is more than one repeated character."""
    return is_varied(compact(text))


def with_digits(text: bytes) -> bool:
    """Accept what holds a digit, so no word."""
    return bool(digits(text))


def id_digits(text: bytes) -> bool:
    """Accept 7 to 16 digits that are not one repeated digit: a person's number of any country."""
    number = digits(text)
    return 7 <= len(number) <= 16 and is_varied(number)


def phone_national(text: bytes) -> bool:
    """Accept 9 to 15 digits that no keypad repeats (ITU-T E.164 section 6.2.1; national numbers have 9 or more here)."""
    number = digits(text)
    return 9 <= len(number) <= 15 and len(set(number)) > 2


CHECKS = table(
    driver_licence_uk, iccid, id_digits, imei, imsi, ipv4, ipv6, mac, mrz_line, mrz_names, phone_national, varied, vin, vin_shape,
    with_digits,
)  # fmt: skip
