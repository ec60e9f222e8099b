"""Checkpoints: signed notes that give the size and the root of a log (C2SP tlog-checkpoint v1.0.0)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.audit.note import NoteError, Signer, Verifier, check_name, decode_base64, open_note, sign_note
from pipeline.audit.tlog import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SIZE = 2**63 - 1
_CHAIN = "chain "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a log.

    Attributes:
        origin: Name of the log.
        size: Number of entries.
        root: Root hash, 32 bytes.
        chain: Chain digest of the frames of these entries, 32 bytes, or empty. Only ``head`` has it: what it
            covers is known to whoever has the log's files, not to whoever has its entries.
    """

    origin: str
    size: int
    root: bytes
    chain: bytes = b""

    def public(self) -> Checkpoint:
        """Return what is published."""
        return Checkpoint(self.origin, self.size, self.root)


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the note text: origin, decimal size and base64 root, a line each; the chain is an extension."""
    chain = f"{_CHAIN}{base64.b64encode(checkpoint.chain).decode()}\n" if checkpoint.chain else ""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n{chain}"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note text; extension lines of others are allowed by the format and ignored."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise NoteError("a checkpoint has at least three lines")
    origin, digits, encoded, *extensions = lines[:-1]
    if not all(extensions):
        raise NoteError("an extension line is empty")
    check_name(origin)
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and digits != "0"):
        raise NoteError("the size is not a plain decimal number")
    size = int(digits) if len(digits) <= len(str(MAX_SIZE)) else MAX_SIZE + 1
    if size > MAX_SIZE:
        raise NoteError("the size is above 2^63-1")
    root = decode_base64(encoded, "root")
    if len(root) != HASH_BYTES:
        raise NoteError(f"the root has {len(root)} bytes, not {HASH_BYTES}")
    chains = [line.removeprefix(_CHAIN) for line in extensions if line.startswith(_CHAIN)]
    if len(chains) > 1:
        raise NoteError("two chain digests")
    chain = decode_base64(chains[0], "chain digest") if chains else b""
    if chains and len(chain) != HASH_BYTES:
        raise NoteError(f"the chain digest has {len(chain)} bytes, not {HASH_BYTES}")
    return Checkpoint(origin, size, root, chain)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the signed checkpoint; the same input gives the same bytes (Ed25519 is deterministic)."""
    return sign_note(format_checkpoint(checkpoint), [signer])


def open_checkpoint(data: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    """Verify and read a signed checkpoint.

    Raises:
        UnknownKeyError: No known key signed it.
        NoteError: It is malformed, wrongly signed or of another log.
    """
    text, _ = open_note(data, verifiers)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != origin:
        raise NoteError(f"the checkpoint is of log {checkpoint.origin}, not {origin}")
    return checkpoint
