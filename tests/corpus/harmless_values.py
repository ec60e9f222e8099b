"""Harmless values that look like something: ids, digests, versions, times, numbers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from tests.corpus.checksums import luhn
from tests.corpus.draw import WORDS, Draw

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def instant(draw: Draw) -> datetime:
    """Return a moment of 2024 to 2026."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.uniform(0, 94_000_000))


def iso(draw: Draw) -> str:
    """Return a time in one of the usual spellings of ISO 8601."""
    moment = instant(draw)
    return draw.choice([
        lambda: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), lambda: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), lambda: moment.strftime("%Y-%m-%d %H:%M:%S,%f")[:-3],
        lambda: moment.isoformat(timespec="milliseconds"), lambda: moment.strftime("%Y-%m-%dT%H:%M:%S+02:00"), lambda: moment.strftime("%Y%m%dT%H%M%SZ"),
    ])()  # fmt: skip


def epoch(draw: Draw) -> int:
    """Return a unix time in s, ms, us or ns."""
    seconds = draw.randint(1_600_000_000, 1_800_000_000)
    unit = draw.choice([1, 1_000, 1_000_000, 1_000_000_000])
    return seconds * unit + draw.randrange(unit)


def whole(draw: Draw) -> int:
    """Return a whole number of any size that is not, by all that is known of it, a payment card's.

    One number in ten passes the Luhn check, so a number of 13 to 16 digits with an issuer's prefix cannot be
    told from a card; ids of 17 digits and more are kept whatever they look like.
    """
    number = draw.choice(
        [
            draw.randrange(10 ** draw.randint(1, 12)),
            draw.getrandbits(53),
            draw.getrandbits(63),
            draw.randint(17 * 10**17, 19 * 10**17),
        ]
    )
    text = str(number)
    return number + 1 if 13 <= len(text) <= 16 and luhn(text[:-1]) == text[-1] else number


def ulid(draw: Draw) -> str:
    """Return a ULID."""
    return "01" + draw.choice("HJ") + draw.chars(CROCKFORD, 23)


def digest(draw: Draw) -> str:
    """Return the hex of an MD5, SHA-1, SHA-256 or SHA-512."""
    return draw.chars("x", draw.choice([32, 40, 64, 64, 96, 128]))


def version(draw: Draw) -> str:
    """Return a version number in one of the usual forms."""
    part = draw.randrange
    return draw.choice([
        lambda: f"{part(20)}.{part(30)}.{part(60)}", lambda: f"v{part(20)}.{part(30)}.{part(60)}-rc.{part(9)}", lambda: f"{part(20)}.{part(30)}.{part(60)}+{draw.chars('x', 7)}",
        lambda: f"{part(130)}.0.{part(7000)}.{part(200)}", lambda: f"2026.{part(1, 13)}.{part(1, 29)}", lambda: f"1:{part(9)}.{part(40)}-{part(9)}ubuntu0.22.04.{part(9)}",
        lambda: f"{part(9)}.{part(9)}.{part(9)}.Final", lambda: f"go1.{part(18, 26)}.{part(9)}",
    ])()  # fmt: skip


def image(draw: Draw) -> str:
    """Return a picture as a data URL, or the beginning of one."""
    kind, head = draw.choice(
        [
            ("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("gif", b"GIF89a\x01\0\x01\0"),
            ("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
            ("svg+xml", b"<svg xmlns="),
        ]
    )
    return (
        f"data:image/{kind};base64,{base64.b64encode(head + draw.randbytes(draw.randint(60, 400))).decode()}"
    )


def pod(draw: Draw) -> str:
    """Return the name of a Kubernetes pod."""
    safe = "bcdfghjklmnpqrstvwxz2456789"
    return f"{draw.choice(WORDS)}-{draw.choice(WORDS)}-{draw.chars(safe, draw.choice([8, 9, 10]))}-{draw.chars(safe, 5)}"


def order(draw: Draw) -> str:
    """Return an order, invoice, ticket or tracking number."""
    return draw.shape(
        draw.choice(
            [
                "ORD-2026-{d:7}",
                "INV{d:8}",
                "SO{d:6}",
                "{U:3}-{d:5}",
                "2026{d:8}",
                "#{d:6}",
                "RMA-{d:4}-{d:4}",
                "1Z{A:6}{d:10}",
                "PO-{d:10}",
                "TCK{d:5}",
            ]
        )
    )


def trace(draw: Draw) -> dict[str, object]:
    """Return ids of distributed tracing in one of the usual forms."""
    return draw.choice([
        lambda: {"trace_id": draw.chars("x", 32), "span_id": draw.chars("x", 16)}, lambda: {"traceId": draw.chars("x", 32), "spanId": draw.chars("x", 16), "parentId": draw.chars("x", 16)},
        lambda: {"dd.trace_id": str(draw.getrandbits(63)), "dd.span_id": str(draw.getrandbits(63))}, lambda: {"traceparent": f"00-{draw.chars('x', 32)}-{draw.chars('x', 16)}-01"},
        lambda: {"logging.googleapis.com/trace": f"projects/basin/traces/{draw.chars('x', 32)}"}, lambda: {"x-amzn-trace-id": f"Root=1-{draw.chars('x', 8)}-{draw.chars('x', 24)}"},
        lambda: {"request_id": draw.uuid()}, lambda: {"x-request-id": ulid(draw)}, lambda: {"correlationId": draw.chars("x", 24)}, lambda: {"cf-ray": f"{draw.chars('x', 16)}-FRA"},
    ])()  # fmt: skip


def opaque_id(draw: Draw) -> str:
    """Return an id as databases, brokers and clouds make them."""
    return draw.choice([
        lambda: draw.uuid(), lambda: ulid(draw), lambda: draw.chars("x", 24), lambda: draw.chars("u", 21), lambda: draw.chars("n", 22), lambda: digest(draw), lambda: f"cus_{draw.chars('n', 14)}",
        lambda: f"pi_{draw.chars('n', 24)}", lambda: f"evt_{draw.chars('n', 24)}", lambda: f"msg_{draw.chars('n', 26)}", lambda: f"i-0{draw.chars('x', 16)}", lambda: f"vpc-{draw.chars('x', 17)}",
        lambda: f"arn:aws:iam::{draw.digits(12)}:role/{draw.words(1)}", lambda: f"sha256:{draw.chars('x', 64)}", lambda: str(whole(draw)), lambda: draw.chars("d", 19),
        lambda: f"urn:uuid:{draw.uuid()}", lambda: f'W/"{draw.chars("x", 8)}-{draw.chars("u", 27)}"', lambda: f'"{draw.chars("x", 32)}"', lambda: f"gid://app/Order/{draw.digits(9)}",
        lambda: draw.uuid().upper(), lambda: draw.uuid().replace("-", ""), lambda: f"sha512-{base64.b64encode(draw.randbytes(64)).decode()}", lambda: f"h1:{base64.b64encode(draw.randbytes(32)).decode()}",
    ])()  # fmt: skip


AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.86 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "curl/8.5.0", "kube-probe/1.31", "python-requests/2.32.3", "Go-http-client/2.0", "okhttp/4.12.0",
    "Prometheus/2.55.1", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Apache-HttpClient/4.5.14 (Java/21.0.5)", "aws-sdk-go-v2/1.32.5 os/linux lang/go#1.23.3 md/GOOS#linux", "Datadog Agent/7.59.0",
)  # fmt: skip
