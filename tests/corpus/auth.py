"""Authorization headers, cookies, tokens and other credentials of HTTP."""

from __future__ import annotations

import base64
import json

from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

_HEADERS = (
    "X-API-Key Api-Key X-Auth-Token X-Access-Token X-Vault-Token PRIVATE-TOKEN X-Amz-Security-Token Ocp-Apim-Subscription-Key "
    "X-Goog-Api-Key DD-API-KEY X-Shopify-Access-Token X-Csrf-Token X-Gitlab-Token X-Consul-Token"
).split()
_ROWS = """
http-bearer | Authorization: Bearer «{u:24-60}»
http-bearer/lower | authorization: bearer «{n:32}»
http-bearer/sentence | got Bearer «{n:40}» from client
http-digest | Authorization: Digest username="{w}", realm="{w}", nonce="{x:32}", uri="/", response="«{x:32}»", cnonce="{x:16}"
http-negotiate | Authorization: Negotiate «YII{b:200-300}=»
http-negotiate/ntlm | Authorization: NTLM «TlRMTVNTUA{b:80-160}=»
http-aws-sigv4 | Authorization: AWS4-HMAC-SHA256 Credential=«AKIA{b32:16}»/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=«{x:64}»
http-hmac-signature | Authorization: Signature keyId="{w}",algorithm="hmac-sha256",headers="date",signature="«{b:43}=»"
http-cookie | Cookie: session=«{n:32}»; theme=dark
http-cookie/set | Set-Cookie: sessionid=«{n:32}»; Path=/; HttpOnly; Secure
http-cookie/php | Cookie: lang=de; PHPSESSID=«{a:26}»
http-cookie/java | Cookie: JSESSIONID=«{X:32}»
http-cookie/connect | Cookie: connect.sid=s%3A«{u:32}.{n:40}»
jwt-base64 | ZXlK{b:180}
paseto | {=v1|v2|v3|v4}.{=local|public}.{u:140}
macaroon | MDA{=xOGxvY2F0aW9u|yNGxvY2F0aW9u}{u:160}
fernet-token | gAAAAAB{u:112}==
branca-token | {n:84} | branca token
django-session | .eJ{u:90}:1{n:5}:{u:43} | sessionid, django session
oauth-params | https://{w}.io/cb?state={n:8}&access_token=«{u:40}»&token_type=bearer
oauth-params/code | grant_type=authorization_code&code=«{u:40}»&redirect_uri=https%3A%2F%2F{w}.io
oauth-params/verifier | grant_type=authorization_code&code_verifier=«{u:64}»&client_id={w}
oauth-params/refresh | grant_type=refresh_token&refresh_token=«{u:48}»&client_id={w}
oauth-params/assertion | client_assertion_type=jwt-bearer&client_assertion=«{u:120}»
oauth-params/password | grant_type=password&username={w}&password=«{n:12}»
otp-code | {d:6} | otp, mfa code, verification code, otp code, one time password
totp-uri | otpauth://totp/{w}:{w}?secret=«{b32:32}»&issuer={w}
csrf-token | {n:32} | csrf token, x csrf token, csrfmiddlewaretoken, xsrf token
magic-link-token | https://app.{w}.io/reset-password?token=«{u:43}»
magic-link-token/path | https://app.{w}.io/verify/t/«{u:43}»
magic-link-token/invite | https://{w}.io/invite/accept?token=«{n:32}»&lang=en
"""


def b64json(value: object) -> str:
    """Encode as JSON in base64url without padding."""
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def jwt(draw: Draw, **claims: object) -> str:
    """Return a signed token with random content."""
    head = {"alg": draw.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    body = {"sub": draw.uuid(), "iat": draw.randint(1_600_000_000, 1_800_000_000), **claims}
    return f"{b64json(head)}.{b64json(body)}.{draw.chars('u', draw.choice([43, 86, 342]))}"


def _jwe(draw: Draw) -> str:
    head = b64json({"alg": "dir", "enc": "A256GCM", "kid": draw.uuid()})
    return f"{head}..{draw.chars('u', 16)}.{draw.chars('u', 120)}.{draw.chars('u', 22)}"


def _basic(draw: Draw) -> str:
    value = base64.b64encode(f"{draw.words(1)}:{draw.chars('n', draw.randint(8, 24))}".encode()).decode()
    return f"{draw.choice(['Authorization', 'authorization', 'Proxy-Authorization'])}: Basic «{value}»"


def _proxy(draw: Draw) -> str:
    return draw.shape("Proxy-Authorization: Bearer «{n:40}»")


def _header(draw: Draw) -> str:
    name = draw.choice(_HEADERS)
    name = draw.choice([name, name.lower(), name.upper()])
    return f"{name}: «{draw.chars('n', draw.randint(20, 44))}»"


def _flask(draw: Draw) -> str:
    return f"session=«{b64json({'_id': draw.chars('x', 24), 'user_id': '7'})}.{draw.chars('u', 6)}.{draw.chars('u', 27)}»"


def _saml(draw: Draw) -> str:
    body = f'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_{draw.chars("x", 32)}">{draw.words(20)}</samlp:Response>'
    return f"SAMLResponse=«{base64.b64encode(body.encode()).decode()}»"


RECIPES = (
    *table("auth-header", _ROWS),
    Recipe("jwt", "auth-header", jwt),
    Recipe(
        "jwt/kubernetes-sa",
        "auth-header",
        lambda draw: jwt(draw, iss="kubernetes/serviceaccount", sub="system:serviceaccount:a:b"),
    ),
    Recipe(
        "jwt/supabase-service-role",
        "auth-header",
        lambda draw: jwt(draw, role="service_role", iss="supabase"),
    ),
    Recipe("jwe", "auth-header", _jwe),
    Recipe("http-basic", "auth-header", _basic),
    Recipe("http-proxy-authorization", "auth-header", _proxy),
    Recipe("http-apikey-header", "auth-header", _header),
    Recipe("flask-session", "auth-header", _flask),
    Recipe("saml-response", "auth-header", _saml),
)
