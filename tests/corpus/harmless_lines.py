"""Harmless lines as services, databases and systems write them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from tests.corpus.draw import Draw
from tests.corpus.field_names import ALIKE
from tests.corpus.harmless_values import (
    AGENTS,
    digest,
    epoch,
    image,
    instant,
    iso,
    opaque_id,
    order,
    pod,
    trace,
    ulid,
    version,
    whole,
)
from tests.corpus.network import ipv4, ipv6
from tests.corpus.record import record

Line = Callable[[Draw], str]


def app(draw: Draw) -> str:
    """A request or job of an application."""
    return record(
        draw,
        msg=f"{draw.words(3)} {draw.choice([opaque_id, order, version, pod, iso])(draw)}",
        **trace(draw),
        duration_ms=round(draw.uniform(0, 900), 3),
        status=draw.choice([200, 201, 204, 301, 404, 500, 503]),
        bytes=draw.randrange(10**9),
    )


def ids(draw: Draw) -> str:
    """Ids under the names that they usually have."""
    names = [
        "id",
        "user_id",
        "orderId",
        "sha",
        "commit",
        "etag",
        "digest",
        "checksum",
        "build",
        "hash",
        "md5",
        "job_id",
        "messageId",
        "uid",
        "object",
        "key",
        "revision",
        "resource",
        "jti",
        "kid",
        "blob",
        "cursor",
        "ref",
    ]
    return record(draw, **{name: opaque_id(draw) for name in draw.sample(names, 4)})


def numbers(draw: Draw) -> str:
    """Numbers of all sizes, as numbers."""
    names = [
        "count",
        "size",
        "offset",
        "lsn",
        "seq",
        "latency_ns",
        "heap",
        "price",
        "total",
        "amount",
        "score",
        "lag",
        "port",
        "epoch",
        "snowflake",
        "pid",
        "lat_ms",
        "balance",
        "ratio",
        "quantity",
        "inode",
        "sku",
        "ean",
        "account",
        "fd",
    ]
    values = [
        lambda: whole(draw), lambda: round(draw.uniform(0, 10**6), draw.randint(1, 12)), lambda: draw.random(), lambda: -draw.randrange(10**9), lambda: epoch(draw),
    ]  # fmt: skip
    return record(draw, **{name: draw.choice(values)() for name in draw.sample(names, 6)})


def access(draw: Draw) -> str:
    """A line of a web server."""
    address = draw.choice([ipv4, ipv4, ipv6])(draw)
    path = draw.choice([
        lambda: f"/api/v{draw.randint(1, 4)}/{draw.words(1)}/{opaque_id(draw).strip('W/').strip(chr(34))}", lambda: f"/static/js/main.{draw.chars('x', 8)}.js", lambda: f"/{draw.words(1)}?page={draw.randrange(90)}&sort=-created_at&limit=50",
        lambda: f"/search?q={draw.words(2).replace(' ', '+')}&lang=de&utm_source=mail&utm_campaign=2026-11", lambda: f"/img/{draw.uuid()}.webp?w=640&h=480", lambda: "/healthz", lambda: f"/orders/{draw.digits(7)}/items/{draw.digits(4)}",
        lambda: f"/files/{draw.words(1)}%20{draw.words(1)}%2Fx.pdf?v={draw.digits(10)}", lambda: "/login?next=%2Faccount%2Fsettings", lambda: f"/oauth/authorize?response_type=code&client_id=web&scope=openid%20email&redirect_uri=https%3A%2F%2F{draw.words(1)}.io%2Fcb",
    ])()  # fmt: skip
    when = instant(draw).strftime("%d/%b/%Y:%H:%M:%S +0000")
    tail = draw.choice(
        ["", f" {draw.random():.3f}", f' rt={draw.random():.3f} uct="0.001" urt="{draw.random():.3f}"']
    )
    return f'{address} - - [{when}] "{draw.choice(["GET", "POST", "PUT"])} {path} HTTP/1.1" {draw.choice([200, 304, 404])} {draw.randrange(10**6)} "https://www.{draw.words(1)}.io/" "{draw.choice(AGENTS)}"{tail}'


def metric(draw: Draw) -> str:
    """A sample of a metric."""
    return draw.choice([
        lambda: f'http_request_duration_seconds_bucket{{method="GET",path="/v1/{draw.words(1)}",le="0.{draw.digits(2)}"}} {draw.randrange(10**7)}', lambda: f"{draw.words(1)}.requests:{draw.randrange(99)}|c|#env:prod,version:{version(draw)}", lambda: f'process_resident_memory_bytes{{pod="{pod(draw)}"}} {draw.random() * 10**9:e}',
        lambda: f"cpu,host={draw.words(1)} usage_idle={draw.uniform(0, 100)} {epoch(draw)}", lambda: record(draw, tokens_used=draw.randrange(9999), prompt_tokens=draw.randrange(9999), model="large-3", cost_usd=round(draw.random(), 6)), lambda: record(draw, p50=draw.random(), p99=draw.random() * 10, rps=draw.uniform(0, 10**4), gc_pause_ns=draw.randrange(10**9)),
    ])()  # fmt: skip


def alike(draw: Draw) -> str:
    """Names that look like those of credentials."""
    chosen = dict(draw.sample(ALIKE, 4))
    return draw.choice(
        [
            lambda: record(draw, **chosen),
            lambda: record(draw, ctx={"meta": chosen}),
            lambda: f"level=info {' '.join(f'{key}={json.dumps(item)}' for key, item in chosen.items())}",
            lambda: record(draw, body=json.dumps(chosen)),
        ]
    )()


_PROSE = (
    "password reset requested", "the password must have 12 characters", "password is too short", "user changed password", "invalid username or password", "token expired", "token has expired at {iso}", "refresh token rotated for client {w}", "missing bearer token", "Bearer realm=\"{w}\"",
    "invalid API key provided", "API key {w} was revoked", "secret rotation finished for {w}", "secrets loaded from vault path kv/data/{w}", "no credentials found, using the default chain", "credentials will expire in {n} minutes", "authorization denied: missing scope orders:read", "Authorization header missing",
    "authentication succeeded via oidc", "cookie consent given", "cookie banner shown", "session expired after {n} minutes", "session started", "private key loaded from /etc/ssl/private/{w}.key", "certificate for {w}.io renewed", "ssh key added to agent", "signature verified with key id k-{n}", "signature mismatch",
    "your one-time password was sent", "OTP sent by SMS", "enter the PIN", "card declined: insufficient funds", "card ending in 4242 charged", "CVV check passed", "SSN on file verified", "iban check failed: wrong length", "email could not be delivered", "e-mail queued", "phone number verified", "tax rate 19% applied",
    "passport control passed", "account number format is invalid", "the national id field is required", "date of birth must be in the past", "address verified", "routing number lookup took {n} ms", "driver license uploaded as {w}.pdf", "compiled {n} tokens", "tokenizer ready, {n} tokens", "unexpected token '}}' at position {n}", "SyntaxError: Unexpected token < in JSON at position {n}",
    "jwt malformed", "jwt expired", "JWKS refreshed, {n} keys", "basic auth is disabled", "basic authentication failed for {w}", "auth: provider {w} ready", "password: required", "password: must not be blank", "secret: not set", "token: missing", "api_key: invalid", "PIN: wrong, {n} tries left", "otp: expired",
    "see https://{w}.io/docs/reset-password for help", "POST /v1/password-reset returned 204", "GET /.well-known/jwks.json 200", "function getToken() called", "class PasswordEncoder not found", "TokenValidator.validate took {n} ms", "config key password_policy ignored", "flag --token-file is deprecated", "env DB_PASSWORD is not set", "using PASSWORD: YES", "Access denied for user 'app'@'{ip}' (using password: YES)",
    "loaded key store from /etc/{w}/keystore.jks", "PRIVATE-TOKEN header is required", "x-api-key header missing", "the access key id is not known", "OAuth2 client {w} registered", "grant_type client_credentials not allowed", "2FA enabled", "mfa challenge sent", "recovery codes generated", "csrf check passed", "aws credentials refreshed", "github app installed", "stripe webhook received", "slack message posted", "algolia index {w} updated",
    "datadog agent started", "openai request took {n} ms", "heroku release v{n} created", "twilio message queued", "sendgrid accepted {n} mails", "cloudflare cache purged", "okta user synced", "npm install finished", "vault sealed", "consul leader elected", "linode instance {n} booted", "snyk test passed", "jira ticket {U}-{n} closed", "fastly purge done", "mistral model loaded", "travis build {n} passed", "box upload finished", "drone build {n} failed",
)  # fmt: skip


def prose(draw: Draw) -> str:
    """A message that speaks of secrets without holding one."""
    text = (
        draw.choice(_PROSE)
        .replace("{iso}", iso(draw))
        .replace("{w}", draw.words(1))
        .replace("{n}", str(draw.randint(2, 900)))
    )
    text = text.replace("{ip}", ipv4(draw)).replace("{U}", draw.chars("U", 3)).replace("}}", "}")
    return draw.choice(
        [
            lambda: record(draw, msg=text, **trace(draw)),
            lambda: f"{iso(draw)} WARN {text}",
            lambda: f'level=warn msg="{text.replace(chr(34), chr(39))}" took={draw.randrange(99)}ms',
            lambda: record(draw, error={"message": text, "code": draw.randrange(999)}),
        ]
    )()


def vendor_beside_id(draw: Draw) -> str:
    """A vendor's name beside an id, a digest or a number that is no key of it."""
    vendor = draw.choice(
        "algolia heroku datadog cloudflare fastly twilio okta mistral cohere wandb snyk codecov linode box zendesk honeycomb opsgenie consul nomad railway dropbox facebook twitter spotify kraken coinbase netlify vercel".split()
    )
    what = draw.choice(
        [
            f"request {draw.uuid()} to {vendor} took {draw.randrange(900)} ms",
            f"{vendor} responded 200 for {draw.chars('x', 32)} in 3 ms",
            f"deployed {draw.chars('x', 40)} to {vendor}",
            f"{vendor}: trace {draw.chars('x', 32)}",
            f"published @{vendor}/client@{version(draw)} sha512-{draw.chars('b', 86)}==",
        ]
    )
    return draw.choice(
        [
            lambda: record(draw, msg=what),
            lambda: record(
                draw,
                service_name=vendor,
                request_id=draw.uuid(),
                trace_id=draw.chars("x", 32),
                commit=draw.chars("x", 40),
            ),
        ]
    )()


def mixed(draw: Draw) -> str:
    """Base64 pictures, webhooks without secret, URLs with ids, configuration dumps, package lists."""
    return draw.choice([
        lambda: record(draw, avatar=image(draw)), lambda: record(draw, url=f"https://cdn.{draw.words(1)}.io/{draw.uuid()}/{draw.chars('x', 40)}.js?v={epoch(draw)}"), lambda: record(draw, etag=f'W/"{draw.chars("u", 27)}"', lastModified=iso(draw)),
        lambda: record(draw, config={"host": f"{draw.words(1)}.internal", "port": draw.randrange(65536), "pool": {"min": 2, "max": 20}, "tls": True, "url": f"postgres://{draw.words(1)}.internal:5432/shop", "password": "***", "secret": None, "token": "", "apiKey": "[REDACTED]"}),
        lambda: record(draw, env=[{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8080"}, {"name": "REGION", "value": "eu-west-1"}, {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]), lambda: f"Downloading {draw.words(1)}-{version(draw)}-py3-none-any.whl (sha256:{draw.chars('x', 64)})",
        lambda: f"{draw.chars('x', 40)} refs/heads/{draw.words(1)}", lambda: f"commit {draw.chars('x', 40)} by svc-build: {draw.words(4)}", lambda: record(draw, image=f"registry.{draw.words(1)}.io/{draw.words(1)}@sha256:{draw.chars('x', 64)}", node=f"ip-10-{draw.randrange(256)}-{draw.randrange(256)}-7.ec2.internal"), lambda: f"go: downloading github.com/{draw.words(1)}/{draw.words(1)} v0.0.0-20240913155542-{draw.chars('x', 12)}",
        lambda: record(draw, headers={"accept": "application/json", "user-agent": draw.choice(AGENTS), "x-forwarded-for": ipv4(draw), "content-length": str(draw.randrange(9999)), "etag": f'"{draw.chars("x", 32)}"'}), lambda: record(draw, args=["--port", str(draw.randrange(65536)), "--config=/etc/app.yaml", "--log-level", "info", "--password-file", "/run/secrets/db"]), lambda: record(draw, peer=f"{ipv4(draw)}:{draw.randrange(65536)}", mtu=1500, iface="eth0"),
        lambda: f"connected to redis://{draw.words(1)}.internal:6379/0 in {draw.randrange(90)} ms", lambda: f"listening on http://0.0.0.0:{draw.randrange(65536)}", lambda: f"git clone git@github.com:{draw.words(1)}/{draw.words(1)}.git", lambda: f"npm notice integrity: sha512-{draw.chars('b', 86)}==", lambda: f"Content-Security-Policy: script-src 'nonce-{draw.chars('b', 22)}==' 'sha256-{draw.chars('b', 43)}='",
        lambda: record(draw, items=[{"sku": draw.shape("{U:3}-{d:5}"), "ean": draw.digits(13), "price": round(draw.uniform(0, 99), 2), "qty": draw.randrange(9)} for _ in range(3)], order=order(draw)), lambda: record(draw, vector=[round(draw.uniform(-1, 1), 8) for _ in range(16)]), lambda: f"{ulid(draw)} {order(draw)} shipped, parcel {draw.shape('{d:12}')}, weight 1.2 kg", lambda: f"{digest(draw)}  {draw.words(1)}-{version(draw)}.tar.gz",
        lambda: record(draw, spki=base64_of(draw, 32), jwk={"kty": "RSA", "n": draw.chars("u", 342), "e": "AQAB", "kid": draw.chars("u", 20)}), lambda: record(draw, cert="-----BEGIN CERTIFICATE-----\n" + "\n".join(draw.chars("b", 64) for _ in range(6)) + "\n-----END CERTIFICATE-----\n"), lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{draw.chars('b', 43)} deploy",
    ])()  # fmt: skip


def base64_of(draw: Draw, size: int) -> str:
    """Return random bytes in base64."""
    return base64.b64encode(draw.randbytes(size)).decode()


LINES: tuple[Line, ...] = (app, ids, numbers, access, metric, alike, prose, vendor_beside_id, mixed)
