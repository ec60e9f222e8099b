"""Private keys in their encodings."""

from __future__ import annotations

import base64

from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe

KINDS = (
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PRIVATE KEY",
)


def pem(draw: Draw, lines: int = 12) -> str:
    """Return a private key in PEM, with newlines; its body is marked."""
    kind = draw.choice(KINDS)
    head = "b3BlbnNzaC1rZXktdjEA" if "OPENSSH" in kind else "MIIEpAIBAAKCAQEA"
    body = [
        head + draw.chars("b", 64 - len(head)),
        *(draw.chars("b", 64) for _ in range(lines)),
        draw.chars("b", 30) + "==",
    ]
    return "\n".join((f"-----BEGIN {kind}-----", "«" + "\n".join(body) + "»", f"-----END {kind}-----"))


def _pgp(draw: Draw) -> str:
    body = [draw.chars("b", 64) for _ in range(10)]
    return "\n".join(
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "",
            "«" + "\n".join(body) + "»",
            "=" + draw.chars("b", 4),
            "-----END PGP PRIVATE KEY BLOCK-----",
        )
    )


def _ppk(draw: Draw) -> str:
    body = "\n".join(draw.chars("b", 64) for _ in range(8))
    return (
        f"PuTTY-User-Key-File-{draw.choice('23')}: ssh-ed25519\nEncryption: none\nComment: {draw.words(1)}\nPublic-Lines: 1\n"
        f"{draw.chars('b', 64)}\nPrivate-Lines: 8\n«{body}»\nPrivate-MAC: {draw.chars('x', 40)}"
    )


def _ssh_body(draw: Draw) -> str:
    return base64.b64encode(b"openssh-key-v1\0\0\0\0\4none" + draw.randbytes(200)).decode()


def _jwk(draw: Draw) -> str:
    return (
        f'{{"kty":"RSA","n":"{draw.chars("u", 342)}","e":"AQAB","d":"«{draw.chars("u", 342)}»",'
        f'"p":"«{draw.chars("u", 171)}»","q":"«{draw.chars("u", 171)}»","kid":"{draw.words(1)}"}}'
    )


def _jwk_oct(draw: Draw) -> str:
    return f'{{"kty":"oct","k":"«{draw.chars("u", 43)}»","alg":"HS256"}}'


def _jwk_ec(draw: Draw) -> str:
    return f'{{"kty":"EC","crv":"P-256","x":"{draw.chars("u", 43)}","y":"{draw.chars("u", 43)}","d":"«{draw.chars("u", 43)}»"}}'


def _der(draw: Draw) -> str:
    return draw.choice(
        [
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
            "MIIEpAIBAAKCAQEA",
            "MIICdwIBADANBgkqhkiG9w0BAQEFAASC",
            "MHcCAQEEI",
        ]
    ) + draw.shape("{b:400}=")


def _pkcs12(draw: Draw) -> str:
    return "MIIK" + draw.chars("b", 600)


def _minisign(draw: Draw) -> str:
    return f"untrusted comment: minisign encrypted secret key\n«RWRTY0Iy{draw.chars('b', 200)}=»"


RECIPES = (
    Recipe("pem-private-key", "private-key", pem, inline=False),
    Recipe(
        "pem-private-key/escaped", "private-key", lambda draw: pem(draw).replace("\n", "\\n"), inline=False
    ),
    Recipe("pem-private-key/one-line", "private-key", lambda draw: pem(draw).replace("\n", " ")),
    Recipe("pgp-private-key", "private-key", _pgp, inline=False),
    Recipe("putty-ppk", "private-key", _ppk, inline=False),
    Recipe("ssh-private-body", "private-key", _ssh_body),
    Recipe("jwk-private", "private-key", _jwk, inline=False),
    Recipe("jwk-private/oct", "private-key", _jwk_oct, inline=False),
    Recipe("jwk-private/ec", "private-key", _jwk_ec, inline=False),
    Recipe("pkcs12-base64", "private-key", _pkcs12, ("pfx", "p12", "pkcs12")),
    Recipe("der-private-key-base64", "private-key", _der),
    Recipe(
        "wireguard-key",
        "private-key",
        lambda draw: draw.chars("b", 42) + draw.choice("048AEIMQUYcgkosw") + "=",
        ("wireguard private key", "wg private key"),
    ),
    Recipe("wireguard-key/conf", "private-key", lambda draw: draw.shape("PrivateKey = «{b:42}8=»")),
    Recipe("minisign-secret", "private-key", _minisign, inline=False),
)
