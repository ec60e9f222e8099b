"""Payment providers, cards, bank accounts and wallets."""

from __future__ import annotations

from tests.corpus.checksums import base58, base58check, bech32, iban, luhn, weighted
from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

_ROWS = """
stripe-secret | {=sk_live|sk_test|rk_live|rk_test}_{n:24}
stripe-secret/new | {=sk_live|sk_test|rk_live|rk_test}_51{n:97}
stripe-webhook-secret | whsec_{n:32}
square-token | EAAA{u:60}
square-token/app | sq0atp-{u:22}
square-token/secret | sq0csp-{u:43}
paypal-braintree-token | access_token$production${a:16}${x:32}
adyen-key | AQE{u:130}-{u:60}
plaid-token | access-{=sandbox|development|production}-{uuid}
gocardless-token | {=live|sandbox}_{u:40} | gocardless token, gocardless access token
flutterwave-keys | FLWSECK_TEST-{x:32}-X
flutterwave-keys/live | FLWSECK-{x:32}-X
easypost-key | {=EZAK|EZTK}{n:54}
shippo-token | shippo_{=live|test}_{x:40}
lob-key | {=live|test}_{x:35}
razorpay-key | rzp_{=live|test}_{n:14}
razorpay-key/secret | {n:24} | razorpay key secret, razorpay secret
paystack-key | sk_{=live|test}_{x:40}
coinbase-key | {n:64} | coinbase api secret, coinbase secret
kraken-key | {b:56} | kraken api key, kraken key
kraken-key/secret | {b:86}== | kraken private key, kraken api secret
ethereum-private-key | {x:64} | ethereum private key, eth private key, wallet private key
ethereum-private-key/0x | 0x{x:64} | ethereum private key, wallet private key
card-cvv | {d:3} | cvv, cvc, cvv2, card security code
card-cvv/amex | {d:4} | cvv, cid code, cvc2
"""
_BRANDS = (
    ("visa", ("4",), 16),
    ("mastercard", ("51", "52", "53", "54", "55", "2221", "2345", "2719"), 16),
    ("amex", ("34", "37"), 15),
    ("discover", ("6011", "644", "649", "65"), 16),
    ("jcb", ("3528", "3540", "3589"), 16),
    ("diners", ("300", "305", "36", "38"), 14),
    ("maestro", ("5018", "5893", "6304", "6759"), 16),
    ("unionpay", ("6210", "6225", "6283"), 16),
    ("mir", ("2200", "2204"), 16),
    ("rupay", ("6070", "6521", "8172", "5082"), 16),
)
_IBANS = (
    ("DE", "{d:18}"), ("FR", "{d:10}{A:11}{d:2}"), ("GB", "{U:4}{d:14}"), ("ES", "{d:20}"), ("IT", "{U:1}{d:10}{A:12}"),
    ("NL", "{U:4}{d:10}"), ("BE", "{d:12}"), ("AT", "{d:16}"), ("CH", "{d:5}{A:12}"), ("PL", "{d:24}"), ("PT", "{d:21}"),
    ("SE", "{d:20}"), ("NO", "{d:11}"), ("DK", "{d:14}"), ("FI", "{d:14}"), ("IE", "{U:4}{d:14}"), ("GR", "{d:7}{A:16}"),
    ("CZ", "{d:20}"), ("HU", "{d:24}"), ("RO", "{U:4}{A:16}"), ("LU", "{d:3}{A:13}"), ("TR", "{d:5}0{A:16}"), ("MT", "{U:4}{d:5}{A:18}"),
    ("SA", "{d:2}{A:18}"), ("AE", "{d:19}"), ("LT", "{d:16}"), ("LV", "{U:4}{A:13}"), ("EE", "{d:16}"), ("HR", "{d:17}"), ("BR", "{d:23}{U:1}{A:1}"),
)  # fmt: skip


def _card(prefixes: tuple[str, ...], size: int) -> str:
    def make(draw: Draw) -> str:
        body = draw.choice(prefixes)
        body += draw.digits(size - 1 - len(body))
        return body + luhn(body)

    return make


def _grouped(draw: Draw) -> str:
    card = _card(("4", "53", "6011"), 16)(draw)
    return draw.choice(" -").join(card[start : start + 4] for start in (0, 4, 8, 12))


def _grouped_amex(draw: Draw) -> str:
    card = _card(("34", "37"), 15)(draw)
    return draw.choice(" -").join((card[:4], card[4:10], card[10:]))


def _track1(draw: Draw) -> str:
    return (
        f"«%B{_card(('4',), 16)(draw)}^DOE/JANE^3{draw.digits(1)}0{draw.choice('123')}101{draw.digits(10)}?»"
    )


def _track2(draw: Draw) -> str:
    return f"«;{_card(('4', '53'), 16)(draw)}=3{draw.digits(1)}0{draw.choice('123')}101{draw.digits(8)}?»"


def _iban(draw: Draw) -> str:
    country, shape = draw.choice(_IBANS)
    return iban(country, draw.shape(shape))


def _iban_spaced(draw: Draw) -> str:
    whole = _iban(draw)
    return " ".join(whole[start : start + 4] for start in range(0, len(whole), 4))


def _aba(draw: Draw) -> str:
    body = draw.choice(["0", "1", "2", "3"]) + draw.choice("12") + draw.digits(6)
    return body + str(-weighted(body, "37137137") % 10)


def _sort_code(draw: Draw) -> str:
    return draw.shape("«{d:2}-{d:2}-{d:2}» account «{d:8}»")


def _wif(draw: Draw) -> str:
    compressed = draw.random() < 0.5
    return base58check(b"\x80" + draw.randbytes(32) + (b"\x01" if compressed else b""))


def _bitcoin(draw: Draw) -> str:
    kind = draw.randrange(4)
    if kind < 2:
        return base58check((b"\0", b"\x05")[kind] + draw.randbytes(20))
    size, constant = ((32, 1), (52, 0x2BC830A3))[kind - 2]
    values = [draw.randrange(32) for _ in range(size - 1)]
    return bech32(
        "bc", [kind - 2, *values, 16 * draw.randrange(2) if kind == 3 else draw.randrange(32)], constant
    )


def _xprv(draw: Draw) -> str:
    version = draw.choice([0x0488ADE4, 0x049D7878, 0x04B2430C])
    return base58check(
        version.to_bytes(4) + b"\x03" + draw.randbytes(4 + 4 + 32) + b"\0" + draw.randbytes(32)
    )


def _monero(draw: Draw) -> str:
    # Eight bytes become eleven characters, a block at a time; the Keccak check is left out.
    raw = bytes([draw.choice([18, 42])]) + draw.randbytes(68)
    blocks = [raw[start : start + 8] for start in range(0, 69, 8)]
    return "".join(base58(block).lstrip("1").rjust(11 if len(block) == 8 else 7, "1") for block in blocks)


RECIPES = (
    *table("payment", _ROWS),
    *(
        Recipe(f"payment-card-pan/{name}", "payment", _card(heads, size), number=True)
        for name, heads, size in _BRANDS
    ),
    Recipe(
        "payment-card-pan/visa19",
        "payment",
        _card(("4",), 19),
        ("card number", "credit card", "card"),
        number=True,
    ),
    Recipe("payment-card-pan/grouped", "payment", _grouped),
    Recipe("payment-card-pan/grouped-amex", "payment", _grouped_amex),
    Recipe("card-track-data/1", "payment", _track1),
    Recipe("card-track-data/2", "payment", _track2),
    Recipe(
        "card-expiry",
        "payment",
        lambda draw: f"0{draw.randint(1, 9)}/{draw.randint(27, 33)}",
        ("card expiry", "cc expiry", "card exp date"),
    ),
    Recipe("iban", "payment", _iban),
    Recipe("iban/spaced", "payment", _iban_spaced),
    Recipe(
        "us-aba-routing", "payment", _aba, ("routing number", "aba routing number", "aba number"), number=True
    ),
    Recipe("uk-sort-code-account", "payment", _sort_code, ("sort code", "bank sort code")),
    Recipe("bitcoin-wif-key", "payment", _wif),
    Recipe("bitcoin-address", "payment", _bitcoin),
    Recipe("xprv-extended-key", "payment", _xprv),
    Recipe("monero-address", "payment", _monero, ("monero address", "xmr address")),
)
