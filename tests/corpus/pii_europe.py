"""Identifiers of persons and firms in western, northern and southern Europe."""

from __future__ import annotations

from tests.corpus.checksums import luhn, mod11_10, mrz_digit, verhoeff, weighted
from tests.corpus.draw import Draw
from tests.corpus.recipe import Make, Recipe

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def _nhs(draw: Draw) -> str:
    while True:
        body = draw.choice("469") + draw.digits(8)
        check = -weighted(body, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11
        if check < 10:
            return f"{body}{check}"


def _nino(draw: Draw) -> str:
    while True:
        head = draw.choice("ABCEGHJKLMNOPRSTWXYZ") + draw.choice("ABCEGHJKLMNPRSTWXYZ")
        if head not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
            return head + draw.digits(6) + draw.choice("ABCD")


def _utr(draw: Draw) -> str:
    body = draw.digits(9)
    return "21987654321"[weighted(body, [6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11] + body


def _uk_licence(draw: Draw) -> str:
    born = draw.day(1950, 1999)
    year = f"{born:%y}"
    return (
        f"{draw.chars('U', 5)}{year[0]}{born:%m}{born:%d}{year[1]}{draw.chars('U', 2)}9{draw.chars('U', 2)}"
    )


def _pps(draw: Draw) -> str:
    body = draw.digits(7)
    second = draw.choice(["", "A", "B", "W"])
    extra = {"": 0, "A": 1, "B": 2, "W": 0}[second] * 9
    return body + "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(body, "8765432") + extra) % 23] + second


def _nir(draw: Draw) -> str:
    corsica = draw.random() < 0.05
    place = draw.choice(["2A", "2B"]) if corsica else f"{draw.randint(1, 95):02d}"
    body = f"{draw.choice('12')}{draw.randint(40, 99)}{draw.randint(1, 12):02d}{place}{draw.randint(1, 700):03d}{draw.randint(1, 400):03d}"
    number = int(body.replace("2A", "19").replace("2B", "18"))
    return f"{body}{97 - number % 97:02d}"


def _nir_spaced(draw: Draw) -> str:
    whole = _nir(draw)
    return f"{whole[0]} {whole[1:3]} {whole[3:5]} {whole[5:7]} {whole[7:10]} {whole[10:13]} {whole[13:]}"


def _nif_fr(draw: Draw) -> str:
    body = draw.choice("0123") + draw.digits(9)
    return f"{body}{int(body) % 511:03d}"


def _siret(draw: Draw) -> str:
    siren = draw.choice("345678") + draw.digits(7)
    siren += luhn(siren)
    body = siren + f"{draw.randint(1, 90):05d}"[:4]
    return body + luhn(body)


def _siren(draw: Draw) -> str:
    body = draw.choice("345678") + draw.digits(7)
    return body + luhn(body)


def _steuer(draw: Draw) -> str:
    digits = draw.sample("0123456789", 9)
    digits.insert(draw.randrange(9), draw.choice(digits))
    if digits[0] == "0":
        digits[0], other = next((digit, place) for place, digit in enumerate(digits) if digit != "0")
        digits[other] = "0"
    body = "".join(digits)
    return body + mod11_10(body)


def _rente(draw: Draw) -> str:
    letter = draw.chars("U", 1)
    body = f"{draw.choice(['12', '13', '15', '53', '65'])}{draw.day():%d%m%y}{letter}{draw.digits(2)}"
    spelled = body[:8] + f"{ord(letter) - 64:02d}" + body[9:]
    check = (
        sum(
            sum(map(int, str(int(digit) * weight)))
            for digit, weight in zip(spelled, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
        )
        % 10
    )
    return f"{body}{check}"


def _ausweis(draw: Draw) -> str:
    body = draw.choice("LMNPRTVWXY") + draw.chars("CFGHJKLMNPRTVWXYZ0123456789", 8)
    return body + mrz_digit(body)


def _ust(draw: Draw) -> str:
    body = draw.choice("123") + draw.digits(7)
    return "DE" + body + mod11_10(body)


def _kasse(draw: Draw) -> str:
    letter, body = draw.chars("U", 1), draw.digits(8)
    total = 0
    for place, digit in enumerate(f"{ord(letter) - 64:02d}{body}"):
        number = int(digit) * (1 + place % 2)
        total += number - 9 * (number > 9)
    return f"{letter}{body}{total % 10}"


def _svnr_at(draw: Draw) -> str:
    while True:
        serial, born = f"{draw.randint(100, 999)}", f"{draw.day():%d%m%y}"
        check = weighted(serial + born, [3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11
        if check < 10:
            return f"{serial}{check}{born}"


def _ahv(draw: Draw) -> str:
    body = "756" + draw.digits(9)
    check = -weighted(body, "131313131313") % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11]}{check}"


def _bsn(draw: Draw) -> str:
    while True:
        body = draw.choice("123456789") + draw.digits(7)
        check = weighted(body, "98765432") % 11
        if check < 10:
            return f"{body}{check}"


def _national_be(draw: Draw) -> str:
    born = draw.day(1950, 2010)
    body = f"{born:%y%m%d}{draw.randint(1, 997):03d}"
    check = 97 - int(("2" if born.year >= 2000 else "") + body) % 97
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:]}.{check:02d}"


def _matricule(draw: Draw) -> str:
    body = f"{draw.day(1950, 2003):%Y%m%d}{draw.digits(3)}"
    return body + luhn(body) + verhoeff(body)


def _dni(draw: Draw) -> str:
    body = draw.digits(8)
    return body + _DNI[int(body) % 23]


def _nie(draw: Draw) -> str:
    body = draw.digits(7)
    kind = draw.randrange(3)
    return "XYZ"[kind] + body + _DNI[int(f"{kind}{body}") % 23]


def _nuss(draw: Draw) -> str:
    body = f"{draw.randint(1, 52):02d}{draw.choice('123456789')}{draw.digits(7)}"
    return f"{body}{int(body) % 97:02d}"


def _nif_pt(draw: Draw) -> str:
    body = draw.choice("1235") + draw.digits(7)
    rest = weighted(body, "98765432") % 11
    return body + ("0" if rest < 2 else str(11 - rest))


_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23], strict=True))  # fmt: skip


def _codice(draw: Draw) -> str:
    born = draw.day()
    day = born.day + draw.choice([0, 40])
    body = f"{draw.chars('BCDFGLMNPRSTV', 6)}{born:%y}{'ABCDEHLMPRST'[born.month - 1]}{day:02d}{draw.choice('ABCDEFGHL')}{draw.randint(100, 900)}"
    even = sum(int(char) if char.isdigit() else ord(char) - 65 for char in body[1::2])
    return body + chr(65 + (sum(_ODD[char] for char in body[::2]) + even) % 26)


def _partita(draw: Draw) -> str:
    body = f"0{draw.digits(6)}{draw.randint(1, 99):03d}"
    return body + luhn(body)


def _hetu(draw: Draw) -> str:
    born = draw.day(1945, 2015)
    serial = f"{draw.randint(2, 899):03d}"
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{born:%d%m%y}{serial}") % 31]
    return f"{born:%d%m%y}{'-' if born.year < 2000 else 'A'}{serial}{check}"


def _personnummer(draw: Draw, *, shift: int = 0, long: bool = False) -> str:
    born = draw.day(1945, 2004)
    body = f"{born:%y%m}{born.day + shift:02d}{draw.digits(3)}"
    whole = f"{body[:6]}-{body[6:]}{luhn(body)}"
    return f"{born.year // 100}{whole}" if long else whole


def _fodsel(draw: Draw) -> str:
    while True:
        body = f"{draw.day(1945, 1999):%d%m%y}{draw.randint(0, 499):03d}"
        first = -weighted(body, "376189452") % 11
        second = -weighted(f"{body}{first % 10}", "5432765432") % 11
        if first < 10 and second < 10:
            return f"{body}{first}{second}"


def _cpr(draw: Draw) -> str:
    while True:
        body = f"{draw.day(1945, 1999):%d%m%y}{draw.choice('0123')}{draw.digits(2)}"
        check = -weighted(body, "432765432") % 11
        if check < 10:
            return f"{body[:6]}-{body[6:]}{check}"


def _kennitala(draw: Draw) -> str:
    while True:
        body = f"{draw.day(1945, 1999):%d%m%y}{draw.randint(20, 99)}"
        check = -weighted(body, "32765432") % 11
        if check < 10:
            return f"{body[:6]}-{body[6:]}{check}9"


def _of(name: str, make: Make, keywords: str = "", *, number: bool = False) -> Recipe:
    return Recipe(
        name, "pii", make, tuple(word.strip() for word in keywords.split(",") if word), number=number
    )


RECIPES = (
    _of("uk-nhs-number", _nhs, "nhs number, nhs no, nhs", number=True),
    _of(
        "uk-nhs-number/spaced",
        lambda draw: (lambda one: f"{one[:3]} {one[3:6]} {one[6:]}")(_nhs(draw)),
        "nhs number, nhs",
    ),
    _of("uk-nino", _nino, "nino, national insurance number, ni number"),
    _of(
        "uk-nino/spaced",
        lambda draw: (lambda one: f"{one[:2]} {one[2:4]} {one[4:6]} {one[6:8]} {one[8]}")(_nino(draw)),
        "nino, national insurance number",
    ),
    _of("uk-utr", _utr, "utr, unique taxpayer reference"),
    _of("uk-driving-licence", _uk_licence, "driving licence, driving licence number, driver licence"),
    _of("uk-passport", lambda draw: draw.digits(9), "uk passport, passport number"),
    _of("ie-pps", _pps, "pps, ppsn, pps number"),
    _of("fr-nir", _nir, "nir, numero de securite sociale, insee"),
    _of("fr-nir/spaced", _nir_spaced),
    _of("fr-nif", _nif_fr, "numero fiscal, nif, spi"),
    _of("fr-siren-siret", _siret, "siret", number=True),
    _of("fr-siren-siret/siren", _siren, "siren", number=True),
    _of(
        "de-steuer-id",
        _steuer,
        "steuer id, steuerliche identifikationsnummer, steueridentifikationsnummer, idnr",
        number=True,
    ),
    _of("de-svnr", _rente, "sozialversicherungsnummer, rentenversicherungsnummer, svnr"),
    _of("de-personalausweis", _ausweis, "personalausweis, personalausweisnummer, ausweisnummer"),
    _of("de-ust-id", _ust, "ust id, umsatzsteuer id, vat id, vat number"),
    _of("de-krankenversicherung", _kasse, "krankenversicherung, krankenversichertennummer, kvnr"),
    _of("at-svnr", _svnr_at, "svnr, sozialversicherungsnummer", number=True),
    _of("ch-ahv", _ahv),
    _of("ch-ahv/bare", lambda draw: _ahv(draw).replace(".", ""), "ahv, ahv nummer", number=True),
    _of("nl-bsn", _bsn, "bsn, burgerservicenummer", number=True),
    _of(
        "nl-passport",
        lambda draw: draw.shape("N{=P|W|X}{A:6}{d:1}"),
        "paspoort, paspoortnummer, passport number",
    ),
    _of(
        "be-national-register", _national_be, "rijksregisternummer, numero national, national register number"
    ),
    _of("lu-matricule", _matricule, "matricule, matricule luxembourg"),
    _of("es-dni-nif", _dni, "dni, nif"),
    _of("es-nie", _nie, "nie, numero de identidad de extranjero"),
    _of("es-nuss", _nuss, "nuss, numero de seguridad social"),
    _of("pt-nif", _nif_pt, "nif, contribuinte, numero de contribuinte"),
    _of("it-codice-fiscale", _codice),
    _of("it-partita-iva", _partita, "partita iva, p iva"),
    _of("fi-hetu", _hetu),
    _of("se-personnummer", _personnummer, "personnummer, personal identity number"),
    _of("se-personnummer/long", lambda draw: _personnummer(draw, long=True), "personnummer"),
    _of(
        "se-samordningsnummer", lambda draw: _personnummer(draw, shift=60), "samordningsnummer, personnummer"
    ),
    _of("no-fodselsnummer", _fodsel, "fodselsnummer, fnr, personnummer"),
    _of("dk-cpr", _cpr, "cpr, cpr nummer, cpr number"),
    _of("is-kennitala", _kennitala, "kennitala"),
)
