"""Identifiers of devices and hosts. Addresses are masked only where a policy says so."""

from __future__ import annotations

from tests.corpus.checksums import luhn
from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe


def _imei(draw: Draw) -> str:
    body = draw.choice(["35", "86", "01"]) + draw.digits(12)
    return body + luhn(body)


def _iccid(draw: Draw) -> str:
    body = draw.choice(["8949", "8944", "8901", "8933"]) + draw.digits(14)
    return body + luhn(body)


def ipv4(draw: Draw) -> str:
    """Return an IPv4 address."""
    return ".".join(
        map(
            str,
            (
                draw.choice([10, 81, 172, 193, 203]),
                draw.randrange(256),
                draw.randrange(256),
                draw.randint(1, 254),
            ),
        )
    )


def ipv6(draw: Draw) -> str:
    """Return an IPv6 address."""
    groups = [draw.chars("x", 4) for _ in range(draw.choice([3, 5, 7]))]
    head = draw.choice(["2001", "2a02", "fd12"])
    return ":".join([head, *groups]) if len(groups) == 7 else f"{head}:{':'.join(groups[:-1])}::{groups[-1]}"


def _mac(draw: Draw) -> str:
    octets = [draw.chars("x", 2) for _ in range(6)]
    return draw.choice([":".join(octets), "-".join(octets).upper()])


RECIPES = (
    Recipe("imei", "network", _imei, ("imei", "device imei"), number=True),
    Recipe(
        "imsi",
        "network",
        lambda draw: (draw.choice(["26201", "310260", "23415", "20801"]) + draw.digits(10))[:15],
        ("imsi",),
        number=True,
    ),
    Recipe("iccid", "network", _iccid, ("iccid", "sim iccid")),
    Recipe("cookie-ga-client-id", "network", lambda draw: draw.shape("_ga=GA1.2.«{d:10}.{d:10}»")),
    Recipe("advertising-id", "network", lambda draw: draw.uuid(), ("idfa", "gaid", "advertising id")),
)
ADDRESSES = (
    Recipe("ipv4", "network", ipv4),
    Recipe("ipv6", "network", ipv6),
    Recipe("mac", "network", _mac),
)
