"""Personal data that belongs to no single country."""

from __future__ import annotations

from tests.corpus.checksums import mrz_digit
from tests.corpus.draw import FIRST, LAST, Draw
from tests.corpus.recipe import Recipe

_TOP = "com com net org de fr io co.uk com.br eu it es nl pl se jp dev".split()
_PHONES = (
    "+1 {=212|415|646|773}-{=234|555|867}-{d:4}", "+1 ({=212|415|646}) {=234|555|867}-{d:4}", "+1{=212|415|646}{=234|555|867}{d:4}", "+1.{=212|415}.{=234|555}.{d:4}",
    "+44 20 7{d:3} {d:4}", "+44 7{d:3} {d:6}", "+447{d:9}", "+49 30 {d:7}", "+49 151 {d:8}", "+4915{d:9}", "+33 6 {d:2} {d:2} {d:2} {d:2}",
    "+336{d:8}", "+34 6{d:2} {d:3} {d:3}", "+39 3{d:2} {d:7}", "+31 6 {d:8}", "+46 70 {d:3} {d:2} {d:2}", "+48 5{d:2} {d:3} {d:3}",
    "+55 11 9{d:4}-{d:4}", "+52 55 {d:4} {d:4}", "+91 9{d:4} {d:5}", "+919{d:9}", "+86 13{d:1} {d:4} {d:4}", "+81 90-{=2|3|5}{d:3}-{d:4}", "+82 10-{=2|5|8}{d:3}-{d:4}",
    "+61 4{d:2} {d:3} {d:3}", "+65 9{d:3} {d:4}", "+972 5{=0|2|4}-{=2|3|5|7}{d:2}-{d:4}", "+27 82 {d:3} {d:4}", "+7 9{d:2} {d:3}-{d:2}-{d:2}", "+41 79 {d:3} {d:2} {d:2}",
)  # fmt: skip
_NATIONAL = (
    "({=212|415|646}) {=234|555|867}-{d:4}", "{=212|415|646}-{=234|555|867}-{d:4}", "{=212|415|646}.{=234|555|867}.{d:4}", "020 7{d:3} {d:4}", "07{d:3} {d:6}",
    "030 {d:7}", "0151 {d:8}", "06 {d:2} {d:2} {d:2} {d:2}", "0170{d:7}",
)  # fmt: skip


def _email(draw: Draw) -> str:
    first, last = draw.choice(FIRST).lower(), draw.choice(LAST).lower()
    local = draw.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}{draw.randint(1, 99)}",
            f"{first}+{draw.words(1)}",
            f"{last}-{first}",
        ]
    )
    host = draw.choice([draw.words(1), f"{draw.words(1)}-{draw.words(1)}", f"mail.{draw.words(1)}"])
    return f"{local}@{host}.{draw.choice(_TOP)}"


def _birth(draw: Draw) -> str:
    return draw.day().strftime(draw.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y"]))


def _gps(draw: Draw) -> str:
    return f"{draw.uniform(-80, 80):.6f}, {draw.uniform(-170, 170):.6f}"


def _name(draw: Draw) -> str:
    return f"{draw.choice(FIRST)} {draw.choice(LAST)}"


def _address(draw: Draw) -> str:
    return f"{draw.randint(1, 250)} {draw.words(1).title()} {draw.choice(['Street', 'Road', 'Avenue'])}"


def _post_code(draw: Draw) -> str:
    return draw.shape(
        draw.choice(["{d:5}", "{U:2}{d:1} {d:1}{U:2}", "{d:5}-{d:4}", "{U:1}{d:1}{U:1} {d:1}{U:1}{d:1}"])
    )


def _passport_mrz(draw: Draw) -> str:
    """Return both lines of a passport's zone (TD3)."""
    country = draw.choice(["UTO", "DEU", "FRA", "GBR", "USA"])
    names = f"{draw.choice(LAST)}<<{draw.choice(FIRST)}".upper()
    number = draw.chars("A", 9)
    born, ends = draw.day().strftime("%y%m%d"), draw.day(2027, 2033).strftime("%y%m%d")
    personal = "<" * 14
    parts = (
        number + mrz_digit(number),
        born + mrz_digit(born),
        ends + mrz_digit(ends),
        personal + mrz_digit(personal),
    )
    second = (
        f"{parts[0]}{country}{parts[1]}{draw.choice('MF')}{parts[2]}{parts[3]}{mrz_digit(''.join(parts))}"
    )
    return f"«P<{country}{names.ljust(39, '<')}» «{second}»"


def _card_mrz(draw: Draw) -> str:
    """Return the three lines of an identity card's zone (TD1)."""
    number = draw.chars("A", 9)
    first = f"I<UTO{number}{mrz_digit(number)}".ljust(30, "<")
    born, ends = draw.day().strftime("%y%m%d"), draw.day(2027, 2033).strftime("%y%m%d")
    second = f"{born}{mrz_digit(born)}F{ends}{mrz_digit(ends)}UTO".ljust(29, "<")
    second += mrz_digit(first[5:30] + second[0:7] + second[8:15] + second[18:29])
    third = f"{draw.choice(LAST)}<<{draw.choice(FIRST)}".upper().ljust(30, "<")
    return f"«{first}» «{second}» «{third}»"


RECIPES = (
    Recipe("email", "pii", _email),
    Recipe("phone-e164", "pii", lambda draw: draw.shape(draw.choice(_PHONES))),
    Recipe(
        "phone-national",
        "pii",
        lambda draw: draw.shape(draw.choice(_NATIONAL)),
        ("phone", "phone number", "mobile number", "telephone", "cell phone"),
    ),
    Recipe(
        "phone-national/us",
        "pii",
        lambda draw: draw.shape(draw.choice(_NATIONAL[:1])),
        ("phone", "call", "contact"),
    ),
    Recipe("date-of-birth", "pii", _birth, ("date of birth", "dob", "birth date", "birthday")),
    Recipe("gps-coordinates", "pii", _gps, ("gps", "coordinates", "lat lng", "location coordinates")),
    Recipe(
        "health-record-number",
        "pii",
        lambda draw: draw.digits(draw.randint(7, 10)),
        ("mrn", "medical record number", "patient id"),
        number=True,
    ),
    Recipe("mrz", "pii", _passport_mrz),
    Recipe("mrz/card", "pii", _card_mrz),
)
KEYED = (
    (
        "person-name-keyed",
        _name,
        (
            "first_name lastName customerName full_name cardholder_name surname given_name firstName LAST_NAME contactName "
            "beneficiaryName maiden_name middle_name familyName patient_name"
        ).split(),
    ),
    (
        "postal-address-keyed",
        _address,
        "street street_address billingAddress shipping_address address_line1 home_address addressLine1 postalAddress mailing_address".split(),
    ),
    ("postal-address-keyed", _post_code, "zip zip_code postcode postal_code zipCode".split()),
)
"""Masked by the field's name alone: (row, maker, names)."""
