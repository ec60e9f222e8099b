"""Identifiers of persons and firms in central and eastern Europe, and VAT numbers."""

from __future__ import annotations

from tests.corpus.checksums import luhn, mod11_10, weighted
from tests.corpus.draw import Draw
from tests.corpus.recipe import Make, Recipe


def _pesel(draw: Draw) -> str:
    body = f"{draw.day(1945, 1999):%y%m%d}{draw.digits(4)}"
    return body + str(-weighted(body, "1379137913") % 10)


def _nip(draw: Draw) -> str:
    while True:
        body = draw.choice("123456789") + draw.digits(8)
        check = weighted(body, "657234567") % 11
        if check < 10:
            return f"{body}{check}"


def _dowod(draw: Draw) -> str:
    letters, body = draw.chars("U", 3), draw.digits(5)
    total = sum(
        (ord(char) - 55) * weight for char, weight in zip(letters, (7, 3, 1), strict=True)
    ) + weighted(body, "73173")
    return f"{letters}{total % 10}{body}"


def _rodne(draw: Draw) -> str:
    while True:
        born = draw.day(1955, 1999)
        body = f"{born:%y}{born.month + draw.choice([0, 50]):02d}{born:%d}{draw.digits(3)}"
        check = int(body) % 11
        if check < 10:
            return f"{body[:6]}/{body[6:]}{check}"


def _adoazonosito(draw: Draw) -> str:
    while True:
        body = "8" + draw.digits(8)
        check = weighted(body, "123456789") % 11
        if check < 10:
            return f"{body}{check}"


def _cnp(draw: Draw) -> str:
    body = (
        f"{draw.choice('12')}{draw.day(1945, 1999):%y%m%d}{draw.randint(1, 46):02d}{draw.randint(1, 999):03d}"
    )
    check = weighted(body, "279146358279") % 11
    return body + str(1 if check == 10 else check)


def _egn(draw: Draw) -> str:
    born = draw.day(1945, 2009)
    body = f"{born:%y}{born.month + (40 if born.year >= 2000 else 0):02d}{born:%d}{draw.digits(3)}"
    return body + str(weighted(body, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10)


def _amka(draw: Draw) -> str:
    body = f"{draw.day(1945, 2004):%d%m%y}{draw.digits(4)}"
    return body + luhn(body)


def _afm(draw: Draw) -> str:
    body = draw.choice("01") + draw.digits(7)
    return body + str(weighted(body, [256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10)


def _oib(draw: Draw) -> str:
    body = draw.choice("123456789") + draw.digits(9)
    return body + mod11_10(body)


def _emso(draw: Draw) -> str:
    while True:
        born = draw.day(1945, 1999)
        body = f"{born:%d%m}{born.year % 1000:03d}50{draw.digits(3)}"
        check = -weighted(body, "765432765432") % 11
        if check < 10:
            return f"{body}{check}"


def _davcna(draw: Draw) -> str:
    while True:
        body = draw.choice("12345678") + draw.digits(6)
        check = 11 - weighted(body, "8765432") % 11
        if check < 11:
            return f"{body}{check % 10}"


def _baltic(draw: Draw) -> str:
    body = f"{draw.choice('34')}{draw.day(1945, 1999):%y%m%d}{draw.digits(3)}"
    check = weighted(body, "1234567891") % 11
    if check == 10:
        check = weighted(body, "3456789123") % 11 % 10
    return f"{body}{check}"


def _latvia(draw: Draw) -> str:
    while True:
        body = f"{draw.day(1945, 1999):%d%m%y}1{draw.digits(3)}"
        check = (1101 - weighted(body, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11
        if check < 10:
            return f"{body[:6]}-{body[6:]}{check}"


def _vat(draw: Draw) -> str:
    kind = draw.randrange(5)
    if kind == 0:
        body = draw.choice("123") + draw.digits(7)
        return "DE" + body + mod11_10(body)
    if kind == 1:
        siren = draw.choice("345678") + draw.digits(7)
        siren += luhn(siren)
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
    if kind == 2:
        body = f"0{draw.digits(6)}{draw.randint(1, 99):03d}"
        return "IT" + body + luhn(body)
    if kind == 3:
        body = "0" + draw.choice("45678") + draw.digits(6)
        return f"BE{body}{97 - int(body) % 97:02d}"
    return "PL" + _nip(draw)


def _of(name: str, make: Make, keywords: str = "", *, number: bool = False) -> Recipe:
    return Recipe(
        name, "pii", make, tuple(word.strip() for word in keywords.split(",") if word), number=number
    )


RECIPES = (
    _of("pl-pesel", _pesel, "pesel, numer pesel", number=True),
    _of("pl-nip", _nip, "nip, numer nip", number=True),
    _of("pl-dowod", _dowod, "dowod osobisty, numer dowodu"),
    _of("cz-sk-rodne-cislo", _rodne, "rodne cislo, rc, birth number"),
    _of("hu-tin", _adoazonosito, "adoazonosito, adoazonosito jel", number=True),
    _of("ro-cnp", _cnp, "cnp, cod numeric personal", number=True),
    _of("bg-egn", _egn, "egn, егн"),
    _of("gr-amka", _amka, "amka"),
    _of("gr-afm", _afm, "afm, αφμ"),
    _of("hr-oib", _oib, "oib", number=True),
    _of("si-emso", _emso, "emso"),
    _of("si-tin", _davcna, "davcna stevilka, davcna", number=True),
    _of("ee-isikukood", _baltic, "isikukood", number=True),
    _of("lt-asmens-kodas", _baltic, "asmens kodas", number=True),
    _of("lv-personas-kods", _latvia, "personas kods"),
    _of("eu-vat", _vat, "vat number, vat id, vat, tva"),
)
