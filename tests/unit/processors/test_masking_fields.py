"""Which names of fields hold credentials or personal data, under what detector, and which do not."""

import logging
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from processors.masking import Masker
from processors.masking.names import FieldNames

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def masker(tmp_path_factory):
    return make(tmp_path_factory.mktemp("cache"))


def make(cache: Path, **config) -> Masker:
    lent = SimpleNamespace(
        cache_dir=cache, config_dir=CONFIG, key=b"k" * 32, log=logging.getLogger("test"), fields={}
    )
    return Masker(config, lent)


PERSONAL = {
    "person-name": [("firstName", "Zoë"), ("customer_last_name", "O'Neil"), ("Cardholder", "A. B. Quux"), ("nachname", "Müßig")],
    "date-of-birth": [("dob", "1984-02-29"), ("patientDateOfBirth", 19840229), ("geburtsdatum", "29.02.1984"), ("BIRTHDAY", "29 Feb")],
    "place-of-birth": [("birth_place", "Oulu"), ("placeOfBirth", "Porto")],
    "postal-address": [("street_address", "12 Elm Row"), ("shippingAddress", {"a": "Elm", "b": 1}), ("address_line1", "Elm"),
                       ("address", "12 Elm Row"), ("address", "Hauptstr. 5"), ("addressLine2", "Flat 3")],
    "postal-code": [("zip", "94105"), ("postalCode", "SW1A 1AA"), ("plz", 10115)],
    "phone-number": [("phone", "555-0132-4"), ("mobileNumber", 91234567), ("Tel", "030/901820-0"), ("fax", "020 7946 0958 ext 12"),
                     ("telefone", "1234-5678")],
    "passport-number": [("passport_no", "C01X00T47"), ("passportNumber", 123456789), ("reisepass", "C01X0006H")],
    "driver-licence": [("driversLicense", "D123-4567-8901"), ("driving_licence_number", "X12-99-771")],
    "national-id": [("national_id", "840229-123"), ("aadhaarNumber", "111122223333"), ("cpf", 12345678901)],
    "tax-id": [("taxId", "XX-98-76-5"), ("vat_number", "XX123456789"), ("steuernummer", "181/815/08155")],
    "health-record-number": [("mrn", 4711), ("patientId", "P-00042"), ("nhs_number", "943 476 0000")],
    "bank-account": [("beneficiary_account", 12345678), ("kontonummer", "12-34-56"), ("bsb_number", "123456789")],
    "bank-code": [("ifsc_code", "HDFC0001234")],
    "vehicle-id": [("vin", "WVWZZZ1KZAW000123"), ("licensePlate", "B-XY 123")],
    "gps-coordinates": [("latitude", 52.520008), ("lng", "13.404954"), ("userLat", -33.8688), ("coordinates", [13.404954, 52.520008])],
    "device-id": [("imei", 490154203237519), ("androidId", "9774d56d682e549c")],
    "oauth-code": [("code", "SplxlOBeZQQYbYS6WxSbIA"), ("code", "4/0AbUR2VMeHxU7fQkz9Qp1Ab")],
    "request-signature": [("Signature", "q83bZ1q83bZ1"), ("signature", 735323568)],
    "credential-field": [("hmac", "q83bZ1" * 8), ("webhookUrl", "https://hooks.example.com/T0/B0/abcdefgh1234567"), ("auth", "q83bZ1" * 4)],
}  # fmt: skip

CREDENTIALS = """
    X-Api-Key Api-Key X-Auth-Token X-Access-Token X-Vault-Token PRIVATE-TOKEN X-Amz-Security-Token Ocp-Apim-Subscription-Key
    X-Goog-Api-Key DD-API-KEY DD-APPLICATION-KEY X-Shopify-Access-Token X-CSRF-Token X-Gitlab-Token X-Consul-Token X-Functions-Key
    Fastly-Key X-ClickHouse-Key x-honeycomb-team X-JFrog-Art-Api X-Hub-Signature-256 Stripe-Signature X-Amz-Signature
    code_verifier client_assertion assertion id_token refresh_token device_code user_code auth_code oauth_verifier oauth_signature
    SAMLResponse saml_assertion otp smsCode mfa_code backup_codes verificationCode one_time_code unlock_code totp passkey
    laravel_session PHPSESSID JSESSIONID connect.sid csrf xsrf sid sig psk wifi_psk pre_shared_key keypass storepass snmp_community
    mnemonic seedPhrase recovery_phrase publish_key subscribe_key writeKey serverKey consumerKey appKey insert_key integration_key
    contrasena senha motDePasse kennwort hasło cvv_code track2 pinBlock userpass bindpw rediscli_auth cnonce 2fa_code
""".split()

HARMLESS = [
    ("name", "Zoe"), ("username", "zoe"), ("user", "zoe"), ("user_name", "zoe"), ("address", "10.0.0.1:8080"), ("address", "0x8f3a"),
    ("address", "db-1.example.com"), ("addr", ":8080"), ("remote_address", "10.1.2.3"), ("city", "Oulu"), ("country", "FI"),
    ("email_sent", True), ("phone_verified", "yes"), ("name_id", "n-1"), ("full_name", "octocat/hello"), ("iphone", "15 Pro"),
    ("phone", "Pixel 7"), ("mobile", True), ("mobile", "ios"), ("cell", "B12"), ("zip", "logs.tar"), ("zip", True), ("lat", 12.5),
    ("p99_lat", 0.1234), ("lon", 3), ("flat", 1.2345), ("code", "ERR_TLS_CERT_ALTNAME_INVALID"), ("code", 200), ("code", "not_found"),
    ("status_code", "SplxlOBeZQQYbYS6WxSbIA"), ("state", "running"), ("swift", "5.9"), ("passport", "^0.7.0"), ("vat", 19.25),
    ("signature", "f(a: int) -> str"), ("auth", "oauth2"), ("ticket", "OPS-4711"), ("routing_key", "orders.created"), ("webhook_url", "/hooks"),
    ("session", "started"), ("token_type", "Bearer"), ("key_id", "k-1"), ("password_changed_at", "2026-11-24"), ("token_count", 123456),
    ("cookie_consent", "all"), ("session_count", 4711), ("auth_method", "sso"), ("secret_name", "db"), ("api_key_id", "k-1"),
    ("passenger", "2"), ("compass", "north"), ("author", "zoe"), ("tokenizer", "bpe"), ("pincode", "560001"), ("passengers", 12345),
    ("first_name_id", "n-1"), ("birthday_reminder", "on"), ("password_history", "5"), ("max_tokens", 4096), ("hostname", "h"),
    ("filename", "a"), ("displayname", "x"), ("path", "/phone/1"), ("mode", "mobile"), ("tel_status", "up"), ("account", "acme"),
    ("account_id", 123456), ("primary_key", "id"), ("sort_key", "a"), ("street_count", 12345), ("line", 12345), ("rute", "x12345"),
    ("hotel", "12345678"), ("martin", "12345678"), ("mail", "none"), ("model", "12345678"), ("novel", "12345678"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key", "value"), [(n, k, v) for n, pairs in PERSONAL.items() for k, v in pairs]
)
def test_personal_fields_are_masked_under_their_kind(masker, name, key, value):
    """In JSON, nested and escaped, as a pair, and in a form; the placeholder names the kind."""
    expected = f"[redacted:{name}]"
    line = orjson.dumps({"a": [{key: value}], "z": 1})
    assert orjson.loads(masker.mask_line(line)) == {"a": [{key: expected}], "z": 1}
    nested = orjson.loads(masker.mask_line(orjson.dumps({"m": line.decode()})))
    assert orjson.loads(nested["m"]) == {"a": [{key: expected}], "z": 1}
    pair = orjson.loads(masker.mask_line(orjson.dumps({"name": key, "value": value})))
    assert pair["value"] == expected
    if not isinstance(value, dict | list):
        assert masker.mask_text(f'n=1 {key}="{value}" z=1') == f'n=1 {key}="{expected}" z=1'
    category = masker.pack.names.personal[name].category
    assert masker.explain(line) == [(name, category, 1)]
    assert masker.mask_line(masker.mask_line(line)) == masker.mask_line(line)


@pytest.mark.parametrize("key", CREDENTIALS)
def test_credential_names_are_known(masker, key):
    """Headers, OAuth parameters, one-time codes, sessions, cards."""
    for value in ("zq81yX77", "zq 81"):
        assert masker.mask_line(orjson.dumps({key: value})) == orjson.dumps(
            {key: "[redacted:credential-field]"}
        )


@pytest.mark.parametrize(("key", "value"), HARMLESS)
def test_other_names_and_values_are_left_alone(masker, key, value):
    """A name that only resembles one, or a value of another kind, stays."""
    line = orjson.dumps({key: value})
    assert masker.mask_line(line) == line
    text = f"{key}={value}" if " " not in str(value) else f'{key}="{value}"'
    assert masker.mask_text(f"n=1 {text} z=1") == f"n=1 {text} z=1"


@pytest.mark.parametrize(
    "text",
    [
        "no such key: zq81", "the name: zq81", "wrong API key: denied", "street: ", "the first: name", "foo key name: bar",
        "api key rotation: 30 days", "file name: first", "Phone: none, Pixel 7", "gps: off 12.5",
    ],
)  # fmt: skip
def test_sentences_about_something_else_are_left_alone(masker, text):
    """Words before a colon are a name only when they are a phrase of the packs, and nothing less or more."""
    assert masker.mask_text(text) == text


def test_a_check_digit_tells_more_than_a_name(masker):
    """Where a shape and a name say the same place, the placeholder is the shape's."""
    assert masker.mask_line(b'{"iban":"DE89370400440532013000"}') == b'{"iban":"[redacted:iban]"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Phone: 555 013 2444, x", "Phone: [redacted:phone-number], x"),
        ("patient_name: Zoe Q. Quux logged in", "patient_name: [redacted:person-name] logged in"),
        ("dob: 29 February 1984 a=1", "dob: [redacted:date-of-birth] a=1"),
        ("gps: 74.442, -110.940 ok", "gps: [redacted:gps-coordinates] ok"),
        ("mrn: A12 in Ward=7", "mrn: [redacted:health-record-number] in Ward=7"),
        ("pin: 1234 5678 9ms", "pin: [redacted:credential-field] 9ms"),
        ("First name: Zoe Quux of x", "First name: [redacted:person-name] of x"),
        ("the API key: zq81yX77 b", "the API key: [redacted:credential-field] b"),
        ("Date of Birth : 1 May 1984", "Date of Birth : [redacted:date-of-birth]"),
        ("a=1&zip=W6D%201H9&b=2", "a=1&zip=[redacted:postal-code]&b=2"),
        ("first_name=Zoe ERROR x", "first_name=[redacted:person-name] ERROR x"),
    ],
)
def test_values_of_several_words_are_masked_to_their_end(masker, text, expected):
    """In a sentence a name or a grouped number goes on over blanks; a pair ends at its blank."""
    assert masker.mask_text(text) == expected
    assert masker.mask_text(expected) == expected


def test_a_kind_can_be_switched_off(tmp_path):
    """`disable` takes kinds of personal data like detectors, and knows their names."""
    masker = make(tmp_path, disable=["postal-code"])
    assert masker.mask_text("zip=94105 dob=1984-02-29") == "zip=94105 dob=[redacted:date-of-birth]"


@pytest.mark.parametrize(
    ("section", "told"), [({"nams": ["a"]}, "unknown key nams"), ({"value": "("}, "does not compile")]
)
def test_a_wrong_kind_is_refused(section, told):
    """The message names what is wrong."""
    with pytest.raises(ValueError, match=told):
        FieldNames.parse({"personal": {"x": section}})


def test_packs_add_to_a_kind():
    """Names are united; what the later pack says about values holds."""
    one = FieldNames.parse({"personal": {"x": {"names": ["a"], "value": "1"}}})
    two = FieldNames.parse({"personal": {"x": {"names": ["b"], "value": "2"}, "y": ["c"]}})
    both = one.merged(two).personal
    assert both["x"].names == {"a", "b"}
    assert (both["x"].value, both["y"].names) == ("2", {"c"})
