"""Checkpoints and signed notes against the golden vectors, and everything a strict reader must refuse."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.audit.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from pipeline.audit.frame import join_entries
from pipeline.audit.note import NoteError, Signer, UnknownKeyError, Verifier, open_note, sign_note
from pipeline.audit.tlog import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_hashes,
    prove_consistency,
    prove_inclusion,
    root_of,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "audit-vectors.json").read_text("utf-8")
)
ORIGIN: str = VECTORS["origin"]
SIGNER = Signer(ORIGIN, bytes.fromhex(VECTORS["seed_hex"]))
CHECKPOINT = base64.b64decode(VECTORS["checkpoint_b64"])
STATE = Checkpoint(ORIGIN, 5, bytes.fromhex(VECTORS["roots"]["5"]))


def test_our_checkpoint_is_the_golden_one_byte_for_byte() -> None:
    """Same seed, same size, same root: the same bytes that Go's sumdb/note makes."""
    assert sign_checkpoint(STATE, SIGNER) == CHECKPOINT
    assert open_checkpoint(CHECKPOINT, [SIGNER.verifier], ORIGIN) == STATE


def test_keys_have_gos_form() -> None:
    """skey, vkey, key id and public key are those of the vectors, both ways."""
    assert SIGNER.public.hex() == VECTORS["pubkey_hex"]
    assert (SIGNER.id.hex(), SIGNER.vkey, SIGNER.skey) == (
        VECTORS["key_id"],
        VECTORS["vkey"],
        VECTORS["skey"],
    )
    assert Signer.parse(VECTORS["skey"] + "\n").vkey == VECTORS["vkey"]
    assert Verifier.parse(VECTORS["vkey"]).id.hex() == VECTORS["key_id"]


def test_a_chain_digest_is_an_extension_line_that_only_head_has() -> None:
    """It comes back, what is published is without it, and a malformed or a second one is refused."""
    origin = "audit.example.com/chain"
    head = Checkpoint(origin, 5, bytes(32), b"c" * 32)
    assert parse_checkpoint(format_checkpoint(head)) == head
    assert format_checkpoint(head).startswith(format_checkpoint(head.public()))
    assert parse_checkpoint(format_checkpoint(head.public())).chain == b""
    assert parse_checkpoint(f"{format_checkpoint(head)}another extension\n") == head
    line = format_checkpoint(head).splitlines(keepends=True)[-1]
    for wrong in ("chain \n", "chain AAAA\n", f"{line}{line}"):
        with pytest.raises(NoteError):
            parse_checkpoint(format_checkpoint(head.public()) + wrong)


def test_hashes_and_roots_are_golden() -> None:
    """Leaf hashes, every root to 5, the root of 70,000 and the empty tree."""
    leaves = leaf_hashes([entry.encode() for entry in VECTORS["entries"]])
    assert [leaf.hex() for leaf in leaves] == VECTORS["leaf_hashes"]
    assert {str(n): root_of(leaves[:n]).hex() for n in range(6)} == VECTORS["roots"]
    assert (EMPTY_ROOT.hex(), leaf_hash(b"").hex()) == (VECTORS["empty_root_hex"], VECTORS["empty_leaf_hex"])
    many = leaf_hashes([n.to_bytes(4, "big") for n in range(70_000)])
    assert root_of(many).hex() == VECTORS["size70000"]["root"]


def test_proofs_are_golden() -> None:
    """Inclusion and consistency proofs are byte-equal and hold."""
    leaves = leaf_hashes([entry.encode() for entry in VECTORS["entries"]])
    inclusion, consistency = prove_inclusion(leaves, 3), prove_consistency(leaves, 3)
    assert [base64.b64encode(node).decode() for node in inclusion] == VECTORS["inclusion_3_of_5"]
    assert [base64.b64encode(node).decode() for node in consistency] == VECTORS["consistency_3_to_5"]
    assert check_inclusion(leaves[3], 3, 5, inclusion, STATE.root)
    assert check_consistency(3, 5, consistency, root_of(leaves[:3]), STATE.root)


def test_the_entries_of_a_frame_are_an_entry_bundle() -> None:
    """What a frame stores can be served as a C2SP bundle without touching an entry."""
    assert join_entries([e.encode() for e in VECTORS["entries"]]).hex() == VECTORS["bundle_hex"]


def test_a_cosignature_of_a_kind_we_do_not_know_is_ignored() -> None:
    """A witness's line does not keep the log's own signature from counting."""
    cosigned = VECTORS["cosigned_checkpoint"].encode()
    assert open_checkpoint(cosigned, [SIGNER.verifier], ORIGIN) == STATE


def test_a_text_may_hold_empty_lines() -> None:
    """Text and signatures split at the last empty line."""
    note = sign_note("a\n\nb\n", [SIGNER])
    assert open_note(note, [SIGNER.verifier])[0] == "a\n\nb\n"


GOOD = CHECKPOINT.decode()
LINE = GOOD.split("\n")[4]
BLOB = LINE.split(" ")[2]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (GOOD.replace("\n5\n", "\n6\n"), "is wrong"),
        (GOOD.replace("Erk7", "Erk8"), "is wrong"),
        (GOOD.replace("\n", "\r\n"), "control character"),
        (GOOD[:-1], "newline"),
        (GOOD.replace("\n\n", "\n"), "no empty line"),
        (GOOD + "\n", "signature lines"),
        (GOOD + LINE + "\n", "two signatures"),
        (GOOD + "— x y z\n", "malformed"),
        (GOOD.replace("— ", "- "), "malformed"),
        (GOOD.replace(BLOB, BLOB[:-2] + "1="), "canonical"),
        (GOOD.replace(BLOB, BLOB.rstrip("=")), "not base64"),
        (GOOD.replace(BLOB, "48B8RQ=="), "too short"),
        (GOOD.replace(BLOB, "!" + BLOB), "not base64"),
        (GOOD + "— a+b " + BLOB + "\n", "key name"),
        (GOOD + (f"— x {BLOB}\n") * 64, "signature lines"),
        ("", "newline"),
    ],
)
def test_a_strict_reader_refuses(changed: str, reason: str) -> None:
    """Whatever we would not write ourselves is refused, with a reason."""
    with pytest.raises(NoteError, match=reason):
        open_checkpoint(changed.encode(), [SIGNER.verifier], ORIGIN)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    """A note is UTF-8."""
    with pytest.raises(NoteError, match="UTF-8"):
        open_checkpoint(b"\xff" + CHECKPOINT, [SIGNER.verifier], ORIGIN)


def test_only_unknown_keys_is_its_own_error() -> None:
    """Nothing is known about a note that no known key signed."""
    other = Signer(ORIGIN, bytes(32))
    with pytest.raises(UnknownKeyError, match="no signature by a known key"):
        open_checkpoint(CHECKPOINT, [other.verifier], ORIGIN)


def test_a_known_key_that_fails_spoils_the_note_though_another_holds() -> None:
    """One good signature does not make up for a wrong one by a key we trust."""
    other = Signer("witness.example.net/w9", bytes(31) + b"\x01")
    forged = CHECKPOINT + other.sign(b"another text\n").encode()
    with pytest.raises(NoteError, match="w9"):
        open_checkpoint(forged, [SIGNER.verifier, other.verifier], ORIGIN)
    both = sign_note(CHECKPOINT.decode().split("\n\n")[0] + "\n", [SIGNER, other])
    assert open_checkpoint(both, [SIGNER.verifier, other.verifier], ORIGIN) == STATE


def test_two_keys_of_one_name_and_id_are_refused() -> None:
    """A key id is 4 bytes: a collision must not decide which key counts."""
    twin = Verifier(ORIGIN, SIGNER.id, Signer(ORIGIN, bytes(32)).verifier.key)
    with pytest.raises(NoteError, match="two known keys"):
        open_note(CHECKPOINT, [SIGNER.verifier, twin])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """A valid signature over another origin proves nothing about this log."""
    note = sign_checkpoint(Checkpoint("other.example.com/log", 5, STATE.root), SIGNER)
    with pytest.raises(NoteError, match="is of log"):
        open_checkpoint(note, [SIGNER.verifier], ORIGIN)


ROOT = base64.b64encode(STATE.root).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n05\n{ROOT}\n",
        f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n+5\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        f"{ORIGIN}\n5 \n{ROOT}\n",
        f"{ORIGIN}\n٥\n{ROOT}\n",
        f"{ORIGIN}\n9223372036854775808\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
        f"{ORIGIN}\n5\n{ROOT[:-4]}\n",
        f"{ORIGIN}\n5\n\n",
        f"{ORIGIN}\n5\n",
        f"\n5\n{ROOT}\n",
        f"a b\n5\n{ROOT}\n",
        f"a+b\n5\n{ROOT}\n",
        f"{ORIGIN}\n5\n{ROOT}\n\nextension\n",
        f"{ORIGIN}\n5\n{ROOT}",
    ],
)
def test_a_malformed_checkpoint_text_is_refused(text: str) -> None:
    """Sizes without leading zeros up to 2^63-1, canonical roots, no empty extension lines."""
    with pytest.raises(NoteError):
        parse_checkpoint(text)


def test_the_largest_size_and_extension_lines_are_read() -> None:
    """2^63-1 is the largest size; extension lines are allowed and mean nothing to us."""
    assert parse_checkpoint(f"{ORIGIN}\n{2**63 - 1}\n{ROOT}\nx y\n").size == 2**63 - 1


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "a+b",
        VECTORS["vkey"].replace("e3c07c45", "e3c07c46"),
        VECTORS["vkey"].replace("node-a", "node-b"),
        VECTORS["vkey"][:-1],
        VECTORS["witness"]["vkey"],
        "n+00000000+AQ==",
    ],
)
def test_a_verifier_key_whose_parts_do_not_fit_is_refused(vkey: str) -> None:
    """Name, hint and key must belong together, and the type must be Ed25519."""
    with pytest.raises(NoteError):
        Verifier.parse(vkey)


@pytest.mark.parametrize("skey", ["", VECTORS["vkey"], VECTORS["skey"].replace("e3c07c45", "00000000")])
def test_a_malformed_signer_key_is_refused_without_quoting_it(skey: str) -> None:
    """The error never holds the secret."""
    with pytest.raises(NoteError) as caught:
        Signer.parse(skey)
    assert "AQABAgME" not in str(caught.value)
