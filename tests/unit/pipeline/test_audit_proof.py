"""Proof files: the golden vector, and every change of it."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.checkpoint import Checkpoint, sign_checkpoint
from pipeline.audit.note import NoteError, Signer, UnknownKeyError, Verifier
from pipeline.audit.proof import Proof, verify_proof
from pipeline.audit.tlog import leaf_hashes, prove_inclusion, root_of

VECTORS = json.loads((Path(__file__).parents[2] / "golden/audit-vectors.json").read_text())
KEY = Verifier.parse(VECTORS["vkey"])
GOLDEN = VECTORS["tlog_proof"].encode()
ENTRY = VECTORS["entries"][3].encode()
SIGNER = Signer("audit.example.com/proof", bytes(32))


def test_the_golden_proof_holds_and_is_written_as_it_was():
    """Byte for byte, the witness's line included, and it verifies."""
    proof = Proof.parse(GOLDEN)
    assert proof.encode() == GOLDEN
    assert [base64.b64encode(node).decode() for node in proof.path] == VECTORS["inclusion_3_of_5"]
    assert verify_proof(proof, ENTRY, [KEY], VECTORS["origin"]).size == 5


@given(st.integers(0, len(GOLDEN) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_proof_passes(place, change):
    """But for the lines of keys that are not known, any edit is refused or fails."""
    data = bytearray(GOLDEN)
    data[place] ^= change
    if data[place] == GOLDEN[place] or place >= GOLDEN.index("— witness".encode()):
        return
    with pytest.raises(NoteError):
        verify_proof(Proof.parse(bytes(data)), ENTRY, [KEY], VECTORS["origin"])


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("@v1", "@v2", "starts with"),
        ("index 3", "index 03", "plain decimal"),
        ("index 3", "index", "names its index"),
        ("index 3", "index -1", "plain decimal"),
        ("index 3", "index 9223372036854775807", "too large"),
        ("index 3\n", "extra !\nindex 3\n", "base64"),
        ("index 3\n", "index 3\nAAAA\n", "32 bytes"),
        ("index 3\n", "index 3\n" + 64 * (base64.b64encode(bytes(32)).decode() + "\n"), "at most 63"),
        ("index 3", "índex 3", "ASCII"),
    ],
)
def test_malformed_proofs_are_refused(old, new, what):
    """The error says what is wrong."""
    with pytest.raises(NoteError, match=what):
        Proof.parse(GOLDEN.decode().replace(old, new, 1).encode())


def test_another_entry_index_log_or_key_does_not_pass():
    """Each is told apart."""
    proof = Proof.parse(GOLDEN)
    with pytest.raises(NoteError, match="not what is at index 3"):
        verify_proof(proof, ENTRY + b" ", [KEY], VECTORS["origin"])
    with pytest.raises(NoteError, match="not what is at index 2"):
        verify_proof(Proof(2, proof.path, proof.checkpoint), ENTRY, [KEY], VECTORS["origin"])
    with pytest.raises(NoteError, match="of log"):
        verify_proof(proof, ENTRY, [KEY], "audit.example.com/other")
    with pytest.raises(UnknownKeyError):
        verify_proof(proof, ENTRY, [SIGNER.verifier], VECTORS["origin"])


@given(st.integers(1, 40), st.data(), st.binary(max_size=40))
def test_proofs_come_back_from_their_files(size, data, extra):
    """For any index, with and without extra data."""
    index = data.draw(st.integers(0, size - 1))
    entries = [b"%d" % n for n in range(size)]
    leaves = leaf_hashes(entries)
    note = sign_checkpoint(Checkpoint(SIGNER.name, size, root_of(leaves)), SIGNER)
    proof = Proof(index, tuple(prove_inclusion(leaves, index)), note, extra)
    assert Proof.parse(proof.encode()) == proof
    assert verify_proof(proof, entries[index], [SIGNER.verifier], SIGNER.name).size == size
