"""Credential field names, the forms in which a field and its value meet, and names that only look alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

from tests.corpus.draw import Draw
from tests.corpus.places import KEPT, compact

NAMES = (
    "password passwd pwd passphrase passcode userPassword db_password dbPassword DB_PASSWORD admin-password old_password newPassword "
    "password_confirmation root_password smtp.password redisPassword MYSQL_ROOT_PASSWORD spring.datasource.password secret "
    "client_secret clientSecret secret_key SECRET_KEY_BASE secretAccessKey aws_secret_access_key app_secret webhook_secret jwtSecret "
    "shared_secret consumer_secret api_key apiKey APIKEY x-api-key X-Api-Key stripe_api_key apikey access_key accessKey "
    "private_key privateKey ssh_private_key encryption_key encryptionKey signing_key master_key MASTER_KEY storage_key account_key "
    "license_key token access_token accessToken refresh_token refreshToken id_token auth_token authToken session_token sessionToken "
    "bearer_token bot_token github_token GITHUB_TOKEN slackToken ci_job_token csrf_token x-auth-token x-csrf-token api_token "
    "deploy_token registration_token device_token security_token verification_token reset_token invite_token authorization "
    "Authorization proxy-authorization cookie set-cookie session_id sessionId sessionid credentials credential creds auth_key "
    "connection_string connectionString DATABASE_URL otp otp_code mfa_code pin pin_code cvv cvc card_number cardNumber credit_card "
    "security_code ssn social_security_number recovery_code backup_code private_token code_verifier client_assertion signature "
    "tls_key_passphrase keystore_password truststorePassword"
).split()
PERSONAL = (
    "first_name lastName full_name customerName surname given_name cardholder_name date_of_birth dateOfBirth dob birth_date birthday "
    "street street_address billingAddress home_address passport_number driver_license national_id tax_id iban account_number "
    "routing_number phone phoneNumber mobile email emailAddress mrn patient_id"
).split()
"""Personal data by name alone."""


def _flat(name: str, value: str) -> str:
    return compact({"level": "info", name: value, "zone": KEPT})


def _deep(name: str, value: str) -> str:
    return compact({"a": {"b": [{"c": {name: value, "zone": KEPT}}]}})


def _nested_string(name: str, value: str) -> str:
    return compact({"body": json.dumps({name: value, "zone": KEPT})})


def _nested_twice(name: str, value: str) -> str:
    return compact({"body": compact({"inner": compact({name: value, "zone": KEPT})})})


def _form(name: str, value: str) -> str:
    return compact({"body": f"a=1&{name}={quote(value, safe='')}&zone={KEPT}"})


def _pair(name: str, value: str) -> str:
    return compact({"env": [{"name": name, "value": value}, {"name": "ZONE", "value": KEPT}]})


def _pair_capital(name: str, value: str) -> str:
    return compact({"parameters": [{"Key": name, "Value": value}], "zone": KEPT})


def _yaml(name: str, value: str) -> str:
    return f"zone: {KEPT}\n{name}: {value}\nreplicas: 2"


def _yaml_in_json(name: str, value: str) -> str:
    return compact({"message": f"config:\n  {name}: '{value}'\n  zone: {KEPT}\n"})


def _xml(name: str, value: str) -> str:
    return f"<config><{name}>{value}</{name}><zone>{KEPT}</zone></config>"


def _xml_attribute(name: str, value: str) -> str:
    return compact({"message": f'<add key="{name}" value="{value}" /><zone>{KEPT}</zone>'})


def _python(name: str, value: str) -> str:
    return compact({"message": f"args={{'{name}': '{value}', 'zone': '{KEPT}'}}"})


def _keyword(name: str, value: str) -> str:
    return f"INFO Client({name}='{value}', zone='{KEPT}')"


def _java(name: str, value: str) -> str:
    return f"INFO Config{{zone={KEPT}, {name}={value}, retries=3}}"


def _ruby(name: str, value: str) -> str:
    return f'Parameters: {{"zone"=>"{KEPT}", "{name}"=>"{value}"}}'


def _go(name: str, value: str) -> str:
    return f"INFO &{{Zone:{KEPT} {name}:{value} Retries:3}}"


def _env(name: str, value: str) -> str:
    return f"export ZONE={KEPT}\nexport {name}={value}\nPATH=/usr/bin"


def _logfmt(name: str, value: str) -> str:
    return f"level=info zone={KEPT} {name}={value} took=3ms"


def _logfmt_quoted(name: str, value: str) -> str:
    return f'level=info zone={KEPT} {name}="{value}" took=3ms'


def _flag(name: str, value: str) -> str:
    return f"exec: tool --zone {KEPT} --{name.replace('_', '-')}={value} --verbose"


def _template(shape: str) -> Callable[[str, str], str]:
    """Return a form from a text with NAME, VALUE and KEPT in it."""
    return lambda name, value: shape.replace("NAME", name).replace("KEPT", KEPT).replace("VALUE", value)


FORMS: dict[str, Callable[[str, str], str]] = {
    "flat": _flat,
    "deep": _deep,
    "in nested string": _nested_string,
    "in nested string, twice": _nested_twice,
    "form body": _form,
    "name/value pair": _pair,
    "Key/Value pair": _pair_capital,
    "YAML": _yaml,
    "YAML in JSON": _yaml_in_json,
    "XML": _xml,
    "XML attributes": _xml_attribute,
    "Python dict": _python,
    "Python arguments": _keyword,
    "Java": _java,
    "Ruby": _ruby,
    "Go": _go,
    "env dump": _env,
    "logfmt": _logfmt,
    "logfmt quoted": _logfmt_quoted,
    "flag": _flag,
}
CODE = {
    shape.replace("\n", " | "): _template(shape)
    for shape in (
        "NAME = VALUE\nzone = KEPT",
        'NAME = "VALUE"\nzone = "KEPT"',
        "NAME='VALUE' zone=KEPT",
        '{\n    "zone": "KEPT",\n    "NAME": "VALUE"\n}',
        '{\\"zone\\": \\"KEPT\\", \\"NAME\\": \\"VALUE\\"}',
        "<zone>KEPT</zone>\n<NAME>\n    VALUE\n</NAME>",
        'NAME: "VALUE"\nzone: KEPT',
        "NAME: 'VALUE' # KEPT",
        'String NAME = "VALUE"; // KEPT',
        'var NAME string = "VALUE" // KEPT',
        'NAME := "VALUE" // KEPT',
        'NAME ?= "VALUE"\nZONE ?= KEPT',
        'NAME ::= "VALUE"\nZONE ::= KEPT',
        'config["NAME"] = "VALUE"; // KEPT',
        "config['NAME'] = 'VALUE' # KEPT",
        "{PATH=/usr/bin, NAME=VALUE, ZONE=KEPT}",
        "zone=KEPT;NAME=VALUE;retries=3",
        'zone=KEPT, NAME="VALUE", retries=3',
        "[NAME: VALUE, zone: KEPT]",
        'System.setProperty("NAME", "VALUE"); // KEPT',
        'getenv("NAME", "VALUE") # KEPT',
    )
}
"""How code, configuration and build logs write a pair."""
RARE = {
    name
    for name in CODE
    if name.startswith(
        (
            "NAME ?=",
            "NAME ::=",
            "var NAME string",
            'config["NAME"]',
            "config['NAME']",
            "System.setProperty",
            "getenv",
        )
    )
}
"""Source code, which logs seldom hold: measured, but asked of nobody."""
INTEGER = "integer value"


def integer(name: str, value: int) -> str:
    """Return a line with an integer under a name."""
    return compact({"level": "info", name: value, "zone": KEPT})


def value(draw: Draw) -> str:
    """Return what people use as credentials: short and long, words and noise, never a known format."""
    return draw.choice(
        [
            lambda: draw.shape("{w}{w}{d:2}"),
            lambda: draw.chars("n", draw.randint(8, 16)),
            lambda: draw.shape("{U:1}{l:6}-{l:5}!{d:2}"),
            lambda: draw.chars("x", 32),
            lambda: draw.uuid(),
            lambda: draw.chars("u", 40),
            lambda: draw.shape("{l:8}"),
            lambda: draw.shape("{n:5}{=!|#|*|^|~}{n:4}{=.|_|-|+}{n:4}"),
        ]
    )()


ALIKE = (
    ("token_type", "Bearer"), ("key_id", "k-2026-11"), ("password_changed_at", "2026-11-24T10:00:00Z"), ("author", "svc-build"), ("compass", "north"),
    ("tokens_used", 1834), ("token_count", 512), ("prompt_tokens", 1200), ("completion_tokens", 88), ("max_tokens", 4096), ("password_policy", "strict"),
    ("secret_name", "db-main"), ("secretName", "tls-web"), ("token_expires_in", 3600), ("tokenExpiry", "2027-01-01"), ("authenticated", True),
    ("auth_method", "oidc"), ("auth_type", "basic"), ("authority", "login.basin.io"), ("session_count", 12), ("session_timeout", 1800),
    ("cookie_consent", True), ("cookie_domain", ".basin.io"), ("key", "user:42"), ("primary_key", "order_id"), ("foreign_key", "fk_orders_user"),
    ("partition_key", "2026-11"), ("sort_key", "order"), ("routing_key", "orders.created"), ("cache_key", "menu:v2:de"), ("idempotency_key", "order-18834-1"),
    ("keyboard", "qwertz"), ("monkey", "george"), ("pinned", True), ("spinner", "dots"), ("shipping", "express"), ("pin_count", 4), ("pan_zoom", 1.5),
    ("passed", 214), ("passing", True), ("bypass", False), ("passenger_count", 3), ("compassion", "x"), ("passive", True), ("accounting", "on"),
    ("signature_algorithm", "RS256"), ("signature_version", "v4"), ("secretary", "office"), ("has_password", True), ("is_secret", False),
    ("password_length", 12), ("password_required", True), ("password_strength", "strong"), ("failed_password_attempts", 3), ("token_bucket", "api"),
    ("tokenizer", "cl100k"), ("tokenized", True), ("next_page_token", "page-2"), ("continuation", "2"), ("api_key_id", "ak-17"), ("access_key_id", "none"),
    ("client_id", "web-frontend"), ("clientId", "mobile"), ("session_duration_ms", 8123), ("credential_type", "iam-role"), ("credentials_provider", "imds"),
    ("card_type", "visa"), ("card_brand", "mastercard"), ("card_last4", "4242"), ("ssn_verified", True), ("email_sent", True), ("email_verified", False),
    ("phone_verified", True), ("phone_type", "mobile"), ("address_type", "billing"), ("name", "checkout"), ("hostname", "web-1"), ("filename", "report.csv"),
    ("username_length", 8), ("display", "grid"), ("birthdays_sent", 12), ("streetlight", "on"), ("certificate_expiry", "2027-03-01"), ("certificate_issuer", "R3"),
    ("private_ip_enabled", True), ("secret_version", 4), ("secret_rotation_days", 90), ("jwt_alg", "RS256"), ("jwks_uri", "https://basin.io/.well-known/jwks.json"),
    ("otp_enabled", True), ("otp_sent_at", "2026-11-24T10:00:00Z"), ("mfa_required", True), ("cvv_match", True), ("cvv_result", "M"), ("pin_verified", True),
    ("license", "Apache-2.0"), ("licence_type", "trial"), ("iban_valid", True), ("tax_rate", 0.19), ("tax_included", True), ("vat_rate", 19), ("sin", 0.5), ("cos", 0.2),
)  # fmt: skip
"""Names that look like credential names, with harmless values."""
