"""Harmless code, configuration and build output: names of credentials beside references, identifiers and nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.corpus.draw import Draw
from tests.corpus.harmless_values import iso, version
from tests.corpus.record import record

_REFERENCES = (
    "password: ${{w}_PASSWORD}", "password = os.environ['{w}']", "login(username=username, password=password)", "password=request.json['password']", "apiKey: this.apiKey,", "$password = $input;",
    "token := os.Getenv(\"TOKEN\")", "const token = await getToken(user.id);", "String secret = System.getenv(\"{w}\");", "secret = vault.read(path)", "password = getpass.getpass()", "client_secret = config.get('client_secret')",
    "password={{ .Values.db.password }}", "token: {{ secrets.TOKEN }}", "token: ${{ secrets.GITHUB_TOKEN }}", "GITHUB_TOKEN: ***", "password: !vault |", "password=%s user=%s", "token=%(token)s", "secret=<redacted>", "password: [FILTERED]", "api_key=[REDACTED]", "token: xxxxxxxx", "password=********",
    "my_password = True", "password = \"\"", "password = ''", "password: null", "password: ~", "token=None", "secret=undefined", "export API_KEY=", "GITHUB_API_KEY=\nDYNATRACE_API_KEY=", "snowflake.password=\njdbc.snowflake.url=jdbc:snowflake://{w}", "PuttyPassword=0", "password combination rejected",
    "--mount=type=secret,id={w}_secret", "access_token_url='https://{w}.io/login/oauth/access_token'", "token_endpoint=https://{w}.io/oauth2/token", "KeyFile=s_rsa1024_priv.pem", "-DKEYTAB_FILE=/tmp/{w}.keytab", "app.keystore.file=env/cert.p12", "secret_length = X25519.secret_length", "PasswordField passwordField = new PasswordField();",
    "withCredentials([usernamePassword(credentialsId: '{uuid}', usernameVariable: 'USER', passwordVariable: 'PASS')])", "credentialsId: '{uuid}'", "\"credentialId\": \"{n:22}\"", "clientId = \"{uuid}\"", "report_access_id: {uuid}", "\"accessor\":\"{n:16}\"", "<UserSecretsId>{uuid}</UserSecretsId>", "\"kms_key_id\": \"{uuid}\"",
    "\"key_name\": \"prod-{w}-cmk\"", "\"key_vault_name\": \"{w}{d:6}\"", "keyVaultToStoreSecrets: {w}-{d:10}", "LLM_SECRET_NAME = \"{w}-key\"", "\"bucket_key\": \"{w}-1.2\"", "primaryKey={n:30}", "foreignKey={n:30}", "issuerKeyHash={x:40}", "public_key = \"{n:43}\"", "sequenceKey = \"18\"", "schemaKey = '{w}_5_32'",
    "SRCREV_{w} = \"{x:40}\"", "LIC_FILES_CHKSUM = \"file://license.html;md5={x:32}\"", "const keyStr = \"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\"", "COMMUNICATION_API_VERSION=rc0.13.0_{d:8}_{d:4}-SNAPSHOT", "{w}API_version={x:40}", "[DEBUG]\torg.{w}.{w}-api:jar:1.7.8:compile (version managed from default)",
    "keyword: \"{w}_P2\"", "keyPressed = kVK_Return.u16", "key_down_event=click", "monkeys-audio:x64=fail", "timezone_mapping = {\"Turkey Standard Time\": \"Europe/Istanbul\"}", "X-MS-Exchange-Organization-AuthSource: sm{d:5}.int.{w}.com", "Authentication-Results: mx.{w}.io; spf=pass", "author = \"svc-build\",", "import { tokenKey, secretKey } from '../{w}/consts';",
    "credit card masked: ****-****-****-{d:4}", "card **** **** **** {d:4} charged", "hex color found: #{x:6}", "transaction id: {d:17}", "parsed date: 12/31/2026", "file uploaded: {w}.docx", "asset id: {U:3}-{d:6}", "password does not meet complexity rules", "company id {U:3}{d:7} is invalid", "color: #{x:6}; margin: 0", "IV = {d:1} rounds", "sin(0.{d:9}) = 0.{d:9}",
    "using tin plate {d:3}", "pin {d:1} is high", "GPIO pin 17 set", "pan left {d:2} degrees", "nit: rename {w}", "rut depth {d:2} mm", "run {d:6} finished", "fin de {w}", "nie wieder {w}", "dni {d:1} hours", "nip {w}", "abn normal exit", "inn at {w}", "vat {d:2} percent", "afm scan {d:6}", "cpr completed in {d:2} s", "sin wave at {d:3} Hz", "npi rollout {d:2}%", "ein Fehler in Zeile {d:4}",
)  # fmt: skip


def code(draw: Draw) -> str:
    """A line of code or configuration that names a credential and holds none, or a word that is a keyword elsewhere."""
    text = draw.shape(draw.choice(_REFERENCES))
    kinds: list[Callable[[], str]] = [
        lambda: text,
        lambda: record(draw, msg=text),
        lambda: f"{iso(draw)} INFO [build] {text}",
        lambda: json.dumps(
            {"step": draw.words(1), "line": draw.randrange(900), "text": text, "version": version(draw)}
        ),
    ]
    return draw.choice(kinds)()
