"""Offline proofs that one entry is in a log (C2SP tlog-proof); pure.

A proof file holds an index, the audit path, and a signed checkpoint as it was published. Whoever has the entry and
the log's public key needs nothing else, and nobody's word.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.audit.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint
from pipeline.audit.note import NoteError, Verifier, decode_base64
from pipeline.audit.tlog import HASH_BYTES, check_inclusion, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "
_MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof file says.

    Attributes:
        index: The entry's place.
        path: Audit path, the sibling first.
        checkpoint: The signed note, as it was published.
        extra: Opaque bytes that nothing vouches for.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the file."""
        lines = [VERSION]
        if self.extra:
            lines.append(_EXTRA + base64.b64encode(self.extra).decode())
        lines.append(f"{_INDEX}{self.index}")
        lines += [base64.b64encode(node).decode() for node in self.path]
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Read a file; raise `NoteError` when it is not exactly in the format."""
        head, gap, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise NoteError("a proof's lines are ASCII") from None
        if not gap or lines.pop(0) != VERSION:
            raise NoteError(f"a proof starts with {VERSION}")
        extra = b""
        if lines and lines[0].startswith(_EXTRA):
            extra = decode_base64(lines.pop(0).removeprefix(_EXTRA), "extra data")
        if not lines or not lines[0].startswith(_INDEX):
            raise NoteError("a proof names its index")
        index = _number(lines.pop(0).removeprefix(_INDEX))
        path = tuple(decode_base64(line, "hash") for line in lines)
        if len(path) > _MAX_HASHES or any(len(node) != HASH_BYTES for node in path):
            raise NoteError(f"a proof holds at most {_MAX_HASHES} hashes of {HASH_BYTES} bytes")
        return cls(index, path, note, extra)


def verify_proof(proof: Proof, entry: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    """Check that an entry is in the log.

    Args:
        proof: As read from its file.
        entry: The leaf's bytes.
        verifiers: Keys of the log.
        origin: Name of the log.

    Returns:
        The signed checkpoint that covers it.

    Raises:
        UnknownKeyError: No known key signed the checkpoint.
        NoteError: The checkpoint or the path does not hold.
    """
    checkpoint = open_checkpoint(proof.checkpoint, verifiers, origin)
    if not check_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise NoteError(
            f"the entry is not what is at index {proof.index} of the {checkpoint.size} entries that were signed"
        )
    return checkpoint


def _number(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and digits != "0"):
        raise NoteError("the index is not a plain decimal number")
    if len(digits) > len(str(MAX_SIZE)) or int(digits) >= MAX_SIZE:
        raise NoteError("the index is too large")
    return int(digits)
