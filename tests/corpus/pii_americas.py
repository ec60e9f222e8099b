"""Identifiers of persons and firms in the Americas."""

from __future__ import annotations

from tests.corpus.checksums import luhn, weighted
from tests.corpus.draw import Draw
from tests.corpus.recipe import Make, Recipe


def ssn(draw: Draw) -> str:
    """Return a US social security number: area, group and serial in their ranges."""
    area = draw.choice([number for number in (draw.randint(1, 665), draw.randint(667, 899))])
    return f"{area:03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"


def _itin(draw: Draw) -> str:
    group = draw.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
    return f"9{draw.digits(2)}-{group}-{draw.digits(4)}"


def _ein(draw: Draw) -> str:
    return draw.choice(["12", "20", "33", "45", "81", "94"]) + "-" + draw.digits(7)


def _npi(draw: Draw) -> str:
    body = draw.choice("12") + draw.digits(8)
    return body + luhn("80840" + body)


def _dea(draw: Draw) -> str:
    body = draw.digits(6)
    return draw.choice("ABCFGM") + draw.chars("U", 1) + body + str(weighted(body, "121212") % 10)


def _mbi(draw: Draw) -> str:
    letter, both = "ACDEFGHJKMNPQRTUVWXY", "ACDEFGHJKMNPQRTUVWXY0123456789"
    kinds = (
        "123456789",
        letter,
        both,
        "0123456789",
        letter,
        both,
        "0123456789",
        letter,
        letter,
        "0123456789",
        "0123456789",
    )
    return "".join(draw.choice(kind) for kind in kinds)


def _sin(draw: Draw) -> str:
    body = draw.choice("1234567") + draw.digits(7)
    return body + luhn(body)


def _spaced(make: Make, sizes: tuple[int, ...], by: str) -> Make:
    def spaced(draw: Draw) -> str:
        whole, parts = make(draw), []
        for size in sizes:
            parts.append(whole[:size])
            whole = whole[size:]
        return by.join(parts)

    return spaced


_CURP = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ".replace("&", "Ñ")
_RFC = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"


def _curp(draw: Draw) -> str:
    consonants = "BCDFGHJKLMNPQRSTVWXYZ"
    born = draw.day(1950, 1999)
    body = (
        draw.chars("U", 1)
        + draw.choice("AEIOU")
        + draw.chars("U", 2)
        + born.strftime("%y%m%d")
        + draw.choice("HM")
    )
    body += (
        draw.choice(["DF", "JC", "NL", "VZ", "OC"]) + draw.chars(consonants, 3) + draw.choice("0123456789")
    )
    return body + str(-sum(_CURP.index(char) * (18 - place) for place, char in enumerate(body)) % 10)


def _rfc(draw: Draw) -> str:
    body = draw.chars("U", 4) + draw.day(1950, 1999).strftime("%y%m%d") + draw.chars("A", 2)
    rest = sum(_RFC.index(char) * (13 - place) for place, char in enumerate(body)) % 11
    return body + ("0" if rest == 0 else "A" if rest == 1 else str(11 - rest))


def _two(body: str, first: list[int], second: list[int], value) -> str:
    for weights in (first, second):
        rest = sum(value(char) * weight for char, weight in zip(body, weights, strict=True)) % 11
        body += "0" if rest < 2 else str(11 - rest)
    return body


def _cpf(draw: Draw) -> str:
    return _two(draw.digits(9), list(range(10, 1, -1)), list(range(11, 1, -1)), int)


def _cnpj(draw: Draw, alphabet: str = "d") -> str:
    first = [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    return _two(draw.chars(alphabet, 8) + "0001", first, [6, *first], lambda char: ord(char) - 48)


def _dotted_cpf(draw: Draw) -> str:
    whole = _cpf(draw)
    return f"{whole[:3]}.{whole[3:6]}.{whole[6:9]}-{whole[9:]}"


def _dotted_cnpj(draw: Draw, alphabet: str = "d") -> str:
    whole = _cnpj(draw, alphabet)
    return f"{whole[:2]}.{whole[2:5]}.{whole[5:8]}/{whole[8:12]}-{whole[12:]}"


def _cuit(draw: Draw) -> str:
    while True:
        body = draw.choice(["20", "23", "27", "30", "33"]) + draw.digits(8)
        check = -weighted(body, "5432765432") % 11
        if check < 10:
            return f"{body[:2]}-{body[2:]}-{check}"


def _rut(draw: Draw, *, dots: bool = False) -> str:
    body = str(draw.randint(5_000_000, 25_999_999))
    check = -sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(body))) % 11
    return (f"{int(body):,}".replace(",", ".") if dots else body) + "-" + "0123456789K"[check]


def _nit(draw: Draw) -> str:
    body = draw.choice("89") + draw.digits(8)
    rest = weighted(body, [41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11
    return f"{body}-{rest if rest < 2 else 11 - rest}"


def _ruc(draw: Draw) -> str:
    body = draw.choice(["10", "15", "17", "20"]) + draw.digits(8)
    return body + str((11 - weighted(body, "5432765432") % 11) % 10)


def _ci(draw: Draw) -> str:
    body = draw.choice("12345") + draw.digits(6)
    return body + str(-weighted(body, "2987634") % 10)


def _vin(draw: Draw) -> str:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    values = dict(zip(letters, "12345678123457923456789", strict=True)) | {
        digit: digit for digit in "0123456789"
    }
    body = list(draw.chars(letters + "0123456789", 11) + draw.digits(6))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum(int(values[char]) * weight for char, weight in zip(body, weights, strict=True)) % 11
    body[8] = "0123456789X"[rest]
    return "".join(body)


def _of(name: str, make: Make, keywords: str = "", *, number: bool = False) -> Recipe:
    return Recipe(
        name, "pii", make, tuple(word.strip() for word in keywords.split(",") if word), number=number
    )


RECIPES = (
    _of("us-ssn", ssn),
    _of("us-ssn/bare", lambda draw: ssn(draw).replace("-", ""), "ssn, social security number", number=True),
    _of("us-ssn/spaced", lambda draw: ssn(draw).replace("-", " "), "ssn, social security number"),
    _of(
        "us-ssn/half", lambda draw: (lambda one: one[:6] + one[7:])(ssn(draw)), "ssn, social security number"
    ),
    _of("us-itin/bare", lambda draw: _itin(draw).replace("-", ""), "itin, taxpayer id"),
    _of("us-itin", _itin, "itin, taxpayer id"),
    _of("us-ein", _ein, "ein, employer id number, federal tax id"),
    _of("us-npi", _npi, "npi, npi number", number=True),
    _of("us-dea", _dea, "dea number, dea"),
    _of("us-mbi", _mbi, "mbi, medicare beneficiary id"),
    _of("us-passport", lambda draw: draw.shape("{U:1}{d:8}"), "passport number, us passport"),
    _of("us-passport/digits", lambda draw: draw.digits(9), "passport number, passport no"),
    _of(
        "us-driver-licence/ca",
        lambda draw: draw.shape("{U:1}{d:7}"),
        "driver license, drivers license number, dl number",
    ),
    _of(
        "us-driver-licence/fl",
        lambda draw: draw.shape("{U:1}{d:12}"),
        "driver license number, driver licence",
    ),
    _of("us-driver-licence/ny", lambda draw: draw.digits(9), "driver license number, drivers license"),
    _of(
        "us-bank-account",
        lambda draw: draw.digits(draw.randint(8, 17)),
        "bank account number, account number",
        number=True,
    ),
    _of("vin", _vin, "vin, vehicle id number, vin number"),
    _of("ca-sin", _sin, "sin, social insurance number", number=True),
    _of("ca-sin/spaced", _spaced(_sin, (3, 3, 3), " "), "sin, social insurance number"),
    _of("mx-curp", _curp),
    _of("mx-rfc", _rfc, "rfc, registro federal de contribuyentes"),
    _of("br-cpf", _cpf, "cpf, cpf do cliente", number=False),
    _of("br-cpf/dotted", _dotted_cpf),
    _of("br-cnpj", _cnpj, "cnpj"),
    _of("br-cnpj/dotted", _dotted_cnpj),
    _of("br-cnpj/letters", lambda draw: _dotted_cnpj(draw, "A")),
    _of("ar-cuit", _cuit, "cuit, cuil"),
    _of("cl-rut", _rut, "rut, run"),
    _of("cl-rut/dotted", lambda draw: _rut(draw, dots=True), "rut"),
    _of("co-nit", _nit, "nit"),
    _of("pe-ruc", _ruc, "ruc, numero de ruc", number=True),
    _of("uy-ci", _ci, "cedula de identidad, ci uruguaya", number=True),
)
