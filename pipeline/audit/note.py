"""Signed notes and their keys (C2SP signed-note v1.0.0), Ed25519 only; pure.

A note is UTF-8 text that ends in a newline, an empty line, and signature lines
``U+2014 SP name SP base64(key id, 4 bytes || signature) LF``. Parsing is strict: whatever this module would
not write itself, it does not accept.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from headrig import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

ED25519 = b"\x01"
KEY_ID_BYTES = 4
MAX_SIGNATURES = 64
_DASH = "\N{EM DASH} "


class NoteError(IntegrityError):
    """A note is malformed, or a signature by a known key is wrong."""


class UnknownKeyError(NoteError):
    """No signature is by a known key, so nothing is known about the note."""


def decode_base64(text: str, what: str) -> bytes:
    """Decode canonical, padded base64; a second spelling of the same bytes is refused."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError(f"{what} is not canonical base64")
    return data


def check_name(name: str) -> str:
    """Return a key name that may stand in a note: not empty, no space of any kind, no ``+``."""
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key name must not be empty and must hold neither spaces nor '+'")
    return name


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """Return the 4 bytes that point at a key; a hint, not a proof."""
    return sha256(name.encode() + b"\n" + kind + public).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key, from its ``name+hex(key id)+base64(type || key)`` form (a vkey)."""

    name: str
    id: bytes
    key: Ed25519PublicKey

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a vkey; raise `NoteError` when any part of it does not fit the others."""
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key has the form name+hex+base64")
        name, hint, encoded = parts
        data = decode_base64(encoded, "verifier key")
        if data[:1] != ED25519 or len(data) != 33:
            raise NoteError("a verifier key must be Ed25519: type 1 and 32 bytes")
        identity = key_id(check_name(name), ED25519, data[1:])
        if identity.hex() != hint:
            raise NoteError(f"verifier key of {name}: key id {hint} does not fit the key")
        return cls(name, identity, Ed25519PublicKey.from_public_bytes(data[1:]))

    def holds(self, text: bytes, signature: bytes) -> bool:
        """Say whether the signature over ``text`` is right."""
        try:
            self.key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key, from its ``PRIVATE+KEY+name+hex(key id)+base64(type || seed)`` form (an skey)."""

    __slots__ = ("_key", "_seed", "id", "name", "public")

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = check_name(name)
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.id = key_id(name, ED25519, self.public)

    @classmethod
    def parse(cls, skey: str) -> Signer:
        """Read an skey; the error names the part, never the secret."""
        parts = skey.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise NoteError("a signer key has the form PRIVATE+KEY+name+hex+base64")
        data = decode_base64(parts[4], "signer key")
        if data[:1] != ED25519 or len(data) != 33:
            raise NoteError("a signer key must be Ed25519: type 1 and 32 bytes")
        signer = cls(parts[2], data[1:])
        if signer.id.hex() != parts[3]:
            raise NoteError(f"signer key of {signer.name}: key id {parts[3]} does not fit the key")
        return signer

    @property
    def skey(self) -> str:
        """The secret form."""
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self._seed).decode()}"

    @property
    def vkey(self) -> str:
        """The public form."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        return Verifier(self.name, self.id, self._key.public_key())

    def sign(self, text: bytes) -> str:
        """Return the signature line for a note's text."""
        blob = base64.b64encode(self.id + self._key.sign(text)).decode()
        return f"{_DASH}{self.name} {blob}\n"


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Return the note with one signature line for each signer."""
    _check_text(text)
    data = text.encode()
    return data + b"\n" + "".join(signer.sign(data) for signer in signers).encode()


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> tuple[str, list[Verifier]]:
    """Return the text and the known keys that signed it.

    Raises:
        UnknownKeyError: No known key signed it.
        NoteError: It is malformed, or a known key's signature is wrong (signatures by others are
            ignored, as the specification asks).
    """
    text, lines = _split(note)
    known = _by_name(verifiers)
    signed: list[Verifier] = []
    seen: set[tuple[str, bytes]] = set()
    for line in lines:
        name, identity, signature = _parse_signature(line)
        if (name, identity) in seen:
            raise NoteError(f"two signatures by {name} with key id {identity.hex()}")
        seen.add((name, identity))
        verifier = known.get((name, identity))
        if verifier is None:
            continue
        if not verifier.holds(text.encode(), signature):
            raise NoteError(f"the signature by {name} with key id {identity.hex()} is wrong")
        signed.append(verifier)
    if not signed:
        raise UnknownKeyError(f"no signature by a known key; there are {len(lines)} by others")
    return text, signed


def _by_name(verifiers: Sequence[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        other = known.setdefault((verifier.name, verifier.id), verifier)
        if other.key.public_bytes_raw() != verifier.key.public_bytes_raw():
            raise NoteError(f"two known keys are called {verifier.name} with key id {verifier.id.hex()}")
    return known


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text does not end in a newline")
    if any(c < " " and c != "\n" for c in text):
        raise NoteError("a control character in the text")


def _split(note: bytes) -> tuple[str, list[str]]:
    """Split at the last empty line, so that a text may hold empty lines itself."""
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise NoteError("not UTF-8") from None
    _check_text(whole)
    cut = whole.rfind("\n\n")
    if cut < 0:
        raise NoteError("no empty line between text and signatures")
    text, rest = whole[: cut + 1], whole[cut + 2 :]
    lines = rest.split("\n")[:-1]
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise NoteError(f"{len(lines)} signature lines; 1 to {MAX_SIGNATURES} are allowed")
    return text, lines


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise NoteError("malformed signature line")
    blob = decode_base64(parts[1], "signature")
    if len(blob) <= KEY_ID_BYTES:
        raise NoteError("signature too short")
    return check_name(parts[0]), blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:]
