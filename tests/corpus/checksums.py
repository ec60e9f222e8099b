"""Check digits and checksums, each from its standard or its authority's publication."""

from __future__ import annotations

import hashlib
import zlib

from tests.corpus.draw import B58, BASE62

_VERHOEFF = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_INVERSE = "0432156789"


def weighted(digits: str, weights: list[int] | str) -> int:
    """Return the sum of digits times weights; weights may be a string of digits."""
    return sum(int(digit) * int(weight) for digit, weight in zip(digits, weights, strict=True))


def luhn(digits: str) -> str:
    """Return the Luhn digit that follows (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 - place % 2)
        total += number - 9 * (number > 9)
    return str(-total % 10)


def verhoeff(digits: str) -> str:
    """Return the Verhoeff digit that follows."""
    state = 0
    for place, digit in enumerate(reversed(digits), 1):
        state = int(_DIHEDRAL[state][int(_VERHOEFF[place % 8][int(digit)])])
    return _INVERSE[state]


def mod11_10(digits: str) -> str:
    """Return the check digit of ISO/IEC 7064 MOD 11,10."""
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def mod11_2(digits: str) -> str:
    """Return the check character of ISO/IEC 7064 MOD 11-2."""
    state = 0
    for digit in digits:
        state = (state + int(digit)) * 2 % 11
    return "0123456789X"[(12 - state) % 11]


def numbers(text: str) -> int:
    """Read text as a number, letters as 10 to 35 (ISO 13616)."""
    return int("".join(str(int(char, 36)) for char in text))


def iban(country: str, account: str) -> str:
    """Return an IBAN with its two check digits."""
    return f"{country}{98 - numbers(account + country + '00') % 97:02d}{account}"


def crc_base62(text: str, size: int = 6) -> str:
    """Return CRC-32 in base 62, padded, as GitHub and npm append it."""
    value, out = zlib.crc32(text.encode()), ""
    while value:
        value, rest = divmod(value, 62)
        out = BASE62[rest] + out
    return out.rjust(size, "0")


def crc_hex(text: str) -> str:
    """Return CRC-32 as eight hex digits."""
    return f"{zlib.crc32(text.encode()):08x}"


def base58(raw: bytes) -> str:
    """Encode in base 58."""
    value, out = int.from_bytes(raw), ""
    while value:
        value, rest = divmod(value, 58)
        out = B58[rest] + out
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + out


def base58check(raw: bytes) -> str:
    """Encode in base 58 with the first four bytes of a double SHA-256 behind."""
    return base58(raw + hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4])


def bech32(prefix: str, values: list[int], constant: int = 1) -> str:
    """Encode five-bit values (BIP 173; constant of BIP 350 for version 1 and up)."""
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = 1
    for value in (*expanded, *values, 0, 0, 0, 0, 0, 0):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    check ^= constant
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    tail = [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(alphabet[value] for value in (*values, *tail))


def mrz_digit(text: str) -> str:
    """Return the 7-3-1 check digit of a machine-readable zone (ICAO 9303 part 3)."""
    values = (0 if char == "<" else int(char, 36) for char in text)
    return str(sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values)) % 10)
