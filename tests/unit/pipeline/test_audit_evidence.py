"""Evidence is checked by a program that has only Python, and every change of it is found."""

import asyncio
import json
import subprocess
import sys
import tarfile

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from running import cli

from pipeline.audit.entry import Entry
from pipeline.audit.note import Signer
from pipeline.audit.server import open_log
from pipeline.audit.standalone import holds

SIGNER = Signer("audit.example.com/evidence", bytes(range(32)))


async def fill(directory, size):
    log, publisher = open_log(directory, SIGNER)
    leaves = [
        orjson.dumps({"actor": f"user {n % 3}", "id": f"e{n}", "tenant": "t"}, option=orjson.OPT_SORT_KEYS)
        for n in range(size)
    ]
    await log.append([Entry(b"b" * 16, n, n.to_bytes(16), b"m" * 16, leaf) for n, leaf in enumerate(leaves)])
    publisher.publish(log.committed)
    await log.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """What the command writes about one of three actors."""
    base = tmp_path_factory.mktemp("evidence")
    asyncio.run(fill(base / "audit", 300))
    (base / "keys").mkdir()
    (base / "keys/audit.vkey").write_text(SIGNER.vkey + "\n")
    made = cli("evidence", "--log", base / "audit", "--actor", "user 1", "-o", base / "case.tar")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(b"100 events in ")
    again = cli("evidence", "--log", base / "audit", "-o", base / "case.tar")
    assert again.returncode == 64
    assert b"is there already" in again.stderr
    return base


@pytest.fixture
def case(archive, tmp_path):
    """The archive, unpacked."""
    with tarfile.open(archive / "case.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "evidence"


def verify(case, *options):
    """Run the verifier with nothing of ours within its reach."""
    command = [sys.executable, "-I", "-S", str(case / "verify.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_clean_evidence_is_verified_with_the_standard_library_alone(case, archive):
    """Also with a key from elsewhere; the manifest says what was asked for."""
    answer = verify(case, "--key", archive / "keys/audit.vkey")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith(
        "verified: 100 events of audit.example.com/evidence, signed at 300 entries\n"
    )
    manifest = json.loads((case / "manifest.json").read_text())
    assert manifest["indexes"] == list(range(1, 300, 3))
    assert manifest["asked"]["actor"] == "user 1"
    assert verify(case).returncode == 0


def swap(case):
    first, second = case / "events/1.json", case / "events/4.json"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def rename(case):
    (case / "events/4.json").write_bytes((case / "events/1.json").read_bytes())
    (case / "proofs/4.tlog-proof").write_bytes((case / "proofs/1.tlog-proof").read_bytes())


def flip(name, place):
    def change(case):
        data = bytearray((case / name).read_bytes())
        data[place] ^= 1
        (case / name).write_bytes(data)

    return change


CHANGES = {
    "an event is edited": flip("events/1.json", 12),
    "a path is edited": flip("proofs/1.tlog-proof", 40),
    "a signature is edited": flip("proofs/1.tlog-proof", -20),
    "an event is missing": lambda case: (case / "events/7.json").unlink(),
    "a proof is missing": lambda case: (case / "proofs/7.tlog-proof").unlink(),
    "an event is added": lambda case: (case / "events/2.json").write_bytes(b"{}"),
    "two events are swapped": swap,
    "an event stands for another": rename,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_found(case, change):
    """Exit code 1, and the event is named."""
    change(case)
    answer = verify(case)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert answer.stdout.startswith("FAIL event")


def test_another_key_verifies_nothing(case, tmp_path):
    """Nor does what is no key."""
    (tmp_path / "other.vkey").write_text(Signer(SIGNER.name, bytes(32)).vkey)
    assert verify(case, "--key", tmp_path / "other.vkey").returncode == 1
    (tmp_path / "none.vkey").write_text("no key")
    assert verify(case, "--key", tmp_path / "none.vkey").returncode == 2


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_its_ed25519_agrees_with_the_library(seed, message, bit):
    """Right signatures pass, and with one bit changed they do not."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), bytearray(key.sign(message))
    assert holds(public, message, bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not holds(public, message, bytes(signature))
    assert not holds(public, message + b"x", key.sign(message))
