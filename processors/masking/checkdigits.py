"""Arithmetic that check digits of many countries share; all over ASCII digits as bytes, linear."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

Validator = Callable[[bytes], bool]

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_NOT_ALNUM = bytes(set(range(256)) - set(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_TIMES = (
    b"0123456789", b"1234067895", b"2340178956", b"3401289567", b"4012395678",
    b"5987604321", b"6598710432", b"7659821043", b"8765932104", b"9876543210",
)  # fmt: skip
"""Multiplication in the dihedral group of order ten (J. Verhoeff 1969)."""
_TURNS = (
    b"0123456789", b"1576283094", b"5803796142", b"8916043527", b"9453126870", b"4286573901", b"2793806415", b"7046913258",
)  # fmt: skip
"""Permutation of a digit by its place from the right (J. Verhoeff 1969)."""


def table(*checks: Validator) -> dict[str, Validator]:
    """Return checks by their names; a candidate that one cannot read (a letter for a digit) is refused."""
    return {check.__name__: _total(check) for check in checks}


def _total(check: Validator) -> Validator:
    @wraps(check)
    def total(text: bytes) -> bool:
        try:
            return check(text)
        except (ValueError, IndexError):
            return False

    return total


def digits(text: bytes) -> bytes:
    """Return only the ASCII digits of a candidate."""
    return text.translate(None, _NOT_DIGITS)


def compact(text: bytes) -> bytes:
    """Return the ASCII letters, in upper case, and digits of a candidate."""
    return text.translate(None, _NOT_ALNUM).upper()


def luhn(number: bytes) -> bool:
    """Check ISO/IEC 7812-1 annex B (mod 10, double-add-double) over ASCII digits."""
    return luhn_sum(number) % 10 == 0


def luhn_sum(number: bytes) -> int:
    """Return the sum of ISO/IEC 7812-1 annex B; the last digit counts once."""
    total = 0
    for place, byte in enumerate(reversed(number)):
        digit = byte - 48
        total += _DOUBLED[digit] if place & 1 else digit
    return total


def verhoeff(number: bytes) -> bool:
    """Check Verhoeff's dihedral scheme; the last digit is the check digit."""
    state = 0
    for place, byte in enumerate(reversed(number)):
        state = _TIMES[state][_TURNS[place % 8][byte - 48] - 48] - 48
    return state == 0


def mod_11_10(number: bytes) -> bool:
    """Check ISO/IEC 7064 MOD 11,10 (hybrid); the last digit is the check digit."""
    product = 10
    for byte in number[:-1]:
        total = (product + byte - 48) % 10 or 10
        product = 2 * total % 11
    return (product + number[-1] - 48) % 10 == 1


def weigh(number: bytes, weights: Iterable[int]) -> int:
    """Return the sum of each digit times its weight; the shorter of the two ends it."""
    return sum((byte - 48) * weight for byte, weight in zip(number, weights, strict=False))


def values(text: bytes) -> list[int]:
    """Return 0-9 for digits and 10-35 for upper-case letters."""
    return [byte - 55 if byte > 57 else byte - 48 for byte in text]


def is_varied(number: bytes) -> bool:
    """Tell whether a number is more than one repeated digit; those satisfy many checks and are never issued."""
    return len(set(number)) > 1


def is_day(year: int, month: int, day: int) -> bool:
    """Tell whether a day exists. A year of two digits stands for either century."""
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return False
    if month != 2 or day < 29:
        return True
    return year % 4 == 0 and (year < 100 or year % 100 != 0 or year % 400 == 0)


def is_yymmdd(text: bytes) -> bool:
    """Tell whether six digits are a date, year first."""
    return is_day(int(text[:2]), int(text[2:4]), int(text[4:6]))


def is_ddmmyy(text: bytes) -> bool:
    """Tell whether six digits are a date, day first."""
    return is_day(int(text[4:6]), int(text[2:4]), int(text[:2]))
