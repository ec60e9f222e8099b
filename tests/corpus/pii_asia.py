"""Identifiers of persons and firms in Asia, Africa and Oceania."""

from __future__ import annotations

from tests.corpus.checksums import luhn, mod11_2, verhoeff, weighted
from tests.corpus.draw import Draw
from tests.corpus.recipe import Make, Recipe

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _group(make: Make, sizes: tuple[int, ...], by: str = " ") -> Make:
    def grouped(draw: Draw) -> str:
        whole, parts = make(draw), []
        for size in sizes:
            parts.append(whole[:size])
            whole = whole[size:]
        return by.join(parts)

    return grouped


def _until(draw: Draw, body: Make, check) -> str:
    """Draw bodies until one has a check character."""
    while True:
        text = body(draw)
        tail = check(text)
        if tail is not None:
            return text + tail


def _tckn(draw: Draw) -> str:
    body = draw.choice("123456789") + draw.digits(8)
    odd, even = sum(map(int, body[::2])), sum(map(int, body[1::2]))
    body += str((odd * 7 - even) % 10)
    return body + str(sum(map(int, body)) % 10)


def _inn(draw: Draw) -> str:
    body = draw.choice(["77", "50", "78", "16"]) + draw.digits(7)
    return body + str(weighted(body, [2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10)


def _inn12(draw: Draw) -> str:
    body = draw.choice(["77", "50", "78", "16"]) + draw.digits(8)
    body += str(weighted(body, [7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10)
    return body + str(weighted(body, [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10)


def _snils(draw: Draw) -> str:
    body = draw.choice("123456789") + draw.digits(8)
    check = weighted(body, "987654321") % 101 % 100
    return f"{body[:3]}-{body[3:6]}-{body[6:]} {check:02d}"


def _rnokpp(draw: Draw) -> str:
    body = draw.choice("23") + draw.digits(8)
    return body + str(weighted(body, [-1, 5, 7, 9, 4, 6, 10, 5, 7]) % 11 % 10)


def _za(draw: Draw) -> str:
    body = draw.day(1950, 1999).strftime("%y%m%d") + draw.digits(4) + draw.choice("01") + "8"
    return body + luhn(body)


def _aadhaar(draw: Draw) -> str:
    body = draw.choice("23456789") + draw.digits(10)
    return body + verhoeff(body)


def _pan(draw: Draw) -> str:
    return draw.shape("{U:3}{=P|C|H|F|A|T}{U:1}{d:4}{U:1}")


def _gstin(draw: Draw) -> str:
    body = f"{draw.randint(1, 37):02d}{_pan(draw)}{draw.choice('123')}Z"
    total = 0
    for place, char in enumerate(body):
        product = _BASE36.index(char) * (1 + place % 2)
        total += product // 36 + product % 36
    return body + _BASE36[-total % 36]


def _china(draw: Draw) -> str:
    body = (
        draw.choice(["110101", "310104", "440305", "510107"])
        + draw.day(1950, 2003).strftime("%Y%m%d")
        + draw.digits(3)
    )
    return body + mod11_2(body)


def _hkid(draw: Draw) -> str:
    body = draw.chars("U", 1) + draw.digits(6)
    total = 36 * 9 + (ord(body[0]) - 55) * 8 + weighted(body[1:], "765432")
    return f"{body}({'0123456789A'[-total % 11]})"


def _taiwan(draw: Draw) -> str:
    letter = draw.choice("ABCDEFGHJKLMNPQRSTUVXYWZIO")
    code = 10 + "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(letter)
    body = draw.choice("12") + draw.digits(7)
    return letter + body + str(-(code // 10 + code % 10 * 9 + weighted(body, "87654321")) % 10)


def _my_number(draw: Draw) -> str:
    body = draw.digits(11)
    rest = weighted(body, "65432765432") % 11
    return body + ("0" if rest < 2 else str(11 - rest))


def _rrn(draw: Draw) -> str:
    body = draw.day(1950, 1999).strftime("%y%m%d") + draw.choice("12") + draw.digits(5)
    check = (11 - weighted(body, "234567892345") % 11) % 10
    return f"{body[:6]}-{body[6:]}{check}"


def _brn(draw: Draw) -> str:
    body = draw.choice("123456") + draw.digits(8)
    total = weighted(body, "137137135") + int(body[8]) * 5 // 10
    return f"{body[:3]}-{body[3:5]}-{body[5:]}{-total % 10}"


def _nric(draw: Draw) -> str:
    kind, body = draw.choice("STFG"), draw.digits(7)
    total = weighted(body, "2765432") + (4 if kind in "TG" else 0)
    return kind + body + ("JZIHGFEDCBA" if kind in "ST" else "XWUTRQPNMLK")[total % 11]


def _thai(draw: Draw) -> str:
    body = draw.choice("12345678") + draw.digits(11)
    return body + str((11 - weighted(body, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10)


def _mykad(draw: Draw) -> str:
    return f"{draw.day(1950, 1999):%y%m%d}-{draw.choice(['01', '08', '10', '14'])}-{draw.digits(4)}"


def _nik(draw: Draw) -> str:
    born = draw.day(1950, 1999)
    day = born.day + draw.choice([0, 40])
    return f"{draw.choice(['3171', '3273', '5171', '1271'])}{draw.randint(1, 20):02d}{day:02d}{born:%m%y}{draw.randint(1, 99):04d}"


def _ph(draw: Draw) -> str:
    def check(body: str) -> str | None:
        rest = weighted(body, "98765432") % 11
        return str(rest) if rest < 10 else None

    whole = _until(draw, lambda one: one.digits(8), check)
    return f"{whole[:3]}-{whole[3:6]}-{whole[6:]}-000"


def _tfn(draw: Draw) -> str:
    while True:
        body = draw.choice("123456789") + draw.digits(8)
        if weighted(body, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 == 0:
            return body


def _abn(draw: Draw) -> str:
    body = draw.digits(9)
    check = 89 - (weighted(body, [3, 5, 7, 9, 11, 13, 15, 17, 19])) % 89
    return f"{check + 10}{body}"


def _acn(draw: Draw) -> str:
    body = draw.digits(8)
    return body + str(-weighted(body, "87654321") % 10)


def _medicare(draw: Draw) -> str:
    body = draw.choice("23456") + draw.digits(7)
    return body + str(weighted(body, "13791379") % 10) + draw.choice("12345")


def _ird(draw: Draw) -> str:
    while True:
        body = str(draw.randint(10_000_000, 14_999_999))
        for weights in ("32765432", "74325276"):
            check = -weighted(body, weights) % 11
            if check < 10:
                return f"{body}{check}"


def _of(name: str, make: Make, keywords: str = "", *, number: bool = False) -> Recipe:
    return Recipe(
        name, "pii", make, tuple(word.strip() for word in keywords.split(",") if word), number=number
    )


RECIPES = (
    _of("tr-tckn", _tckn, "tckn, tc kimlik no, tc kimlik", number=True),
    _of("ru-inn", _inn, "inn, инн", number=True),
    _of("ru-inn/person", _inn12, "inn", number=True),
    _of("ru-snils", _snils, "snils, снилс"),
    _of("ua-rnokpp", _rnokpp, "rnokpp, ipn code", number=True),
    _of(
        "il-id",
        lambda draw: (lambda body: body + luhn(body))(draw.choice("123") + draw.digits(7)),
        "teudat zehut, israeli id",
        number=True,
    ),
    _of("za-id", _za, "south african id, sa id number, id number", number=True),
    _of(
        "ng-nin",
        lambda draw: (lambda body: body + verhoeff(body))(draw.choice("123456789") + draw.digits(9)),
        "nin, nigerian nin, national identification number",
        number=True,
    ),
    _of("in-aadhaar", _aadhaar, "aadhaar, aadhar number, uidai", number=True),
    _of("in-aadhaar/grouped", _group(_aadhaar, (4, 4, 4)), "aadhaar, aadhaar number"),
    _of("in-pan", _pan, "pan, pan card, permanent account number"),
    _of("in-gstin", _gstin),
    _of("cn-resident-id", _china),
    _of("hk-hkid", _hkid, "hkid, hong kong identity card"),
    _of("tw-national-id", _taiwan, "taiwan id, national id"),
    _of("jp-my-number", _my_number, "my number, mynumber, individual number"),
    _of("kr-rrn", _rrn, "rrn, resident registration number, jumin"),
    _of("kr-brn", _brn, "brn, business registration number"),
    _of("sg-nric-fin", _nric, "nric, fin, nric number"),
    _of("th-tnin", _thai, "thai national id, tnin, thai id", number=True),
    _of("my-nric", _mykad, "mykad, nric, ic number"),
    _of("id-nik", _nik, "nik, ktp number", number=True),
    _of("ph-tin", _ph, "tin, tax identification number"),
    _of("au-tfn", _tfn, "tfn, tax file number", number=True),
    _of("au-tfn/spaced", _group(_tfn, (3, 3, 3)), "tfn, tax file number"),
    _of("au-abn", _abn, "abn, australian business number", number=True),
    _of("au-abn/spaced", _group(_abn, (2, 3, 3, 3)), "abn, australian business number"),
    _of("au-acn", _acn, "acn, australian company number"),
    _of("au-medicare", _medicare, "medicare number, medicare card, medicare"),
    _of("au-medicare/spaced", _group(_medicare, (4, 5, 1)), "medicare number, medicare"),
    _of("nz-ird", _ird, "ird, ird number", number=True),
)
