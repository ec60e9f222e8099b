"""Go's own tiled logs and signed notes read what headrig publishes, and make the same proofs."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from running import ROOT

from pipeline.audit.entry import Entry
from pipeline.audit.note import Signer
from pipeline.audit.published import Published
from pipeline.audit.server import open_log
from pipeline.audit.tiles import TileTree

SIGNER = Signer("audit.example.com/interop", bytes(range(32)))
SIZE = 1_300


async def fill(directory: Path) -> None:
    """Write a log whose newest checkpoint cuts every tile."""
    log, publisher = open_log(directory, SIGNER)
    for start in range(0, SIZE, 130):
        leaves = [b'{"n":%d}' % n * (1 + n % 7) for n in range(start, start + 130)]
        await log.append(
            [Entry(b"b" * 16, n, (start + n).to_bytes(16), b"m" * 16, leaf) for n, leaf in enumerate(leaves)]
        )
    publisher.publish(log.committed)
    await log.close()


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    if shutil.which("go") is None:
        assert os.environ.get("CI") != "true", "this test needs Go"
        pytest.skip("Go is missing: it was not shown that another implementation reads the log")
    binary = tmp_path_factory.mktemp("go") / "interop"
    subprocess.run(
        ["go", "build", "-mod=readonly", "-o", binary, "."], cwd=ROOT / "tests/interop", check=True
    )
    return binary


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the log, its key, and proofs of ours."""
    base = tmp_path_factory.mktemp("interop")
    asyncio.run(fill(base / "log"))
    (base / "log.vkey").write_text(SIGNER.vkey + "\n")
    (base / "proofs").mkdir()
    published = Published(base / "log")
    for index in (0, 1, 255, 256, 257, 1023, 1024, 1279, 1280, 1299):
        (base / f"proofs/{index}.tlog-proof").write_bytes(published.prove(index)[0].encode())
    tree = TileTree(SIZE, published.tile)
    for old in (1, 2, 3, 255, 256, 700, 1024, 1280, 1299, 1300):
        hashes = [base64.b64encode(node).decode() for node in tree.prove_consistency(old)]
        (base / f"proofs/{old}.consistency").write_text("\n".join(hashes) + "\n")
    return base


def check(checker: Path, base: Path) -> subprocess.CompletedProcess[str]:
    """Run the Go program."""
    places = [base / "log", base / "log.vkey", base / "proofs"]
    return subprocess.run([checker, *places], capture_output=True, text=True, check=False)


def test_go_opens_the_checkpoint_and_makes_the_same_proofs(checker: Path, log: Path) -> None:
    """Every entry is proven from the tiles by Go; our proofs are Go's, hash for hash."""
    answer = check(checker, log)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "1300 entries and 20 proofs hold\n"


@pytest.mark.parametrize(
    "path",
    [
        "log/checkpoint",
        "log/tile/0/003",
        "log/tile/entries/002",
        "log/tile/1/000.p/5",
        "proofs/257.tlog-proof",
    ],
)
def test_go_refuses_what_was_changed(checker: Path, log: Path, tmp_path: Path, path: str) -> None:
    """The check can fail: one bit in any of the files."""
    shutil.copytree(log, tmp_path / "copy")
    file = tmp_path / "copy" / path
    data = bytearray(file.read_bytes())
    data[70] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)
    assert check(checker, tmp_path / "copy").returncode == 1
