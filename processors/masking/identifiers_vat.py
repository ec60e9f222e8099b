"""VAT identification numbers of the European Union, by the prefix of their state.

The rules are those of the states, as the European Commission's VIES publishes them with each state's
structure; a state's number is checked as its own tax number where that is what it is.
"""

from __future__ import annotations

from processors.masking.checkdigits import Validator, compact, luhn, luhn_sum, mod_11_10, table, weigh
from processors.masking.identifiers_europe import (
    es_dni,
    es_nie,
    fr_siren,
    gr_afm,
    ie_pps,
    it_partita_iva,
    nl_bsn,
    pt_nif,
)
from processors.masking.identifiers_north import hr_oib, pl_nip, si_tin

_CIPHER = {48: 1, 49: 0, 50: 5, 51: 7, 52: 9, 53: 13, 54: 15, 55: 17, 56: 19, 57: 21}


def _at(body: bytes) -> bool:
    return body[0] == 85 and len(body) == 9 and (6 - luhn_sum(body[1:8])) % 10 == body[8] - 48


def _be(body: bytes) -> bool:
    return len(body) == 10 and body[0] in b"01" and 97 - int(body[:8]) % 97 == int(body[8:])


def _bg(body: bytes) -> bool:
    if len(body) != 9:
        return False
    check = weigh(body, range(1, 9)) % 11
    return (check if check < 10 else weigh(body, range(3, 11)) % 11 % 10) == body[8] - 48


def _cy(body: bytes) -> bool:
    if len(body) != 9:
        return False
    total = sum(_CIPHER[byte] for byte in body[:8:2]) + weigh(body[1:8:2], (1, 1, 1, 1))
    return total % 26 == body[8] - 65


def _cz(body: bytes) -> bool:
    if len(body) != 8:
        return len(body) in (9, 10) and body.isdigit()  # a birth number, or one given in its place
    return (11 - weigh(body[:7], range(8, 1, -1)) % 11) % 10 == body[7] - 48


def _de(body: bytes) -> bool:
    return len(body) == 9 and body[0] != 48 and mod_11_10(body)


def _dk(body: bytes) -> bool:
    return len(body) == 8 and weigh(body, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _ee(body: bytes) -> bool:
    return len(body) == 9 and weigh(body, (3, 7, 1) * 3) % 10 == 0


def _es(body: bytes) -> bool:
    if len(body) != 9:
        return False
    if body[0] in b"XYZ":
        return es_nie(body)
    if body[0] < 58:
        return es_dni(body)
    total = weigh(body[2:8:2], (1, 1, 1)) + sum(
        (byte - 48) * 2 // 10 + (byte - 48) * 2 % 10 for byte in body[1:8:2]
    )
    check = -total % 10
    return body[8] in (check + 48, b"JABCDEFGHI"[check])


def _fi(body: bytes) -> bool:
    return len(body) == 8 and weigh(body, (7, 9, 10, 5, 8, 4, 2, 1)) % 11 == 0


def _fr(body: bytes) -> bool:
    if len(body) != 11 or not fr_siren(body[2:]):
        return False
    return not body[:2].isdigit() or (12 + 3 * int(body[2:])) % 97 == int(body[:2])


def _gb(body: bytes) -> bool:
    if len(body) not in (9, 12):
        return False
    return (weigh(body[:7], range(8, 1, -1)) + int(body[7:9])) % 97 in (0, 42)


def _hu(body: bytes) -> bool:
    return len(body) == 8 and weigh(body, (9, 7, 3, 1, 9, 7, 3, 1)) % 10 == 0


def _lt(body: bytes) -> bool:
    if len(body) not in (9, 12) or body[-2] != 49:
        return False
    places = range(len(body) - 1)
    check = weigh(body, [1 + place % 9 for place in places]) % 11
    return (
        check if check < 10 else weigh(body, [1 + (place + 2) % 9 for place in places]) % 11 % 10
    ) == body[-1] - 48


def _lu(body: bytes) -> bool:
    return len(body) == 8 and int(body[:6]) % 89 == int(body[6:])


def _lv(body: bytes) -> bool:
    if len(body) != 11:
        return False
    if body[0] < 52:
        return body.isdigit()  # a personal code
    return weigh(body, (9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1)) % 11 == 3


def _mt(body: bytes) -> bool:
    return len(body) == 8 and 37 - weigh(body, (3, 4, 6, 7, 8, 9)) % 37 == int(body[6:])


def _nl(body: bytes) -> bool:
    if len(body) != 12 or body[9] != 66 or not body[10:].isdigit():
        return False
    # Since 2020 a sole trader's number is no BSN: MOD 97 over the whole, letters as two digits.
    return nl_bsn(body[:9]) or int(b"2321" + body[:9] + b"11" + body[10:]) % 97 == 1


def _ro(body: bytes) -> bool:
    number = body.rjust(10, b"0")
    return len(number) == 10 and 10 * weigh(number, (7, 5, 3, 2, 1, 7, 5, 3, 2)) % 11 % 10 == number[9] - 48


def _se(body: bytes) -> bool:
    return len(body) == 12 and body.endswith(b"01") and luhn(body[:10])


def _sk(body: bytes) -> bool:
    return len(body) == 10 and int(body) % 11 == 0


_STATES: dict[bytes, Validator] = {
    b"AT": _at, b"BE": _be, b"BG": _bg, b"CY": _cy, b"CZ": _cz, b"DE": _de, b"DK": _dk, b"EE": _ee, b"EL": gr_afm,
    b"ES": _es, b"FI": _fi, b"FR": _fr, b"GB": _gb, b"HR": hr_oib, b"HU": _hu, b"IE": ie_pps, b"IT": it_partita_iva,
    b"LT": _lt, b"LU": _lu, b"LV": _lv, b"MT": _mt, b"NL": _nl, b"PL": pl_nip, b"PT": pt_nif, b"RO": _ro, b"SE": _se,
    b"SI": si_tin, b"SK": _sk, b"XI": _gb,
}  # fmt: skip


def eu_vat(text: bytes) -> bool:
    """Check a VAT number with its prefix (VIES: structure and check of its state; GB and XI as HMRC's)."""
    number = compact(text)
    state = _STATES.get(number[:2])
    return state is not None and state(number[2:])


CHECKS = table(eu_vat)
