"""A log is verified from what it publishes, and every change of that is found."""

import asyncio
import shutil

import pytest
from audit_tiles import SIGNER, flip, grow, rewrite

from pipeline.audit.checkpoint import Checkpoint, sign_checkpoint
from pipeline.audit.note import Signer
from pipeline.audit.verify_tiles import verify_tiles


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    base = tmp_path_factory.mktemp("published")
    asyncio.run(grow(base / "log", 300))
    shutil.copy(base / "log/checkpoint", base / "saved")
    asyncio.run(grow(base / "log", 600))
    return base


@pytest.fixture
def log(pristine, tmp_path):
    return shutil.copytree(pristine / "log", tmp_path / "log")


def verify(log, *saved, vkeys=(SIGNER.vkey,)):
    return verify_tiles(lambda path: (log / path).read_bytes(), vkeys=vkeys, saved=saved)


def test_a_clean_log_is_verified_with_what_was_saved(pristine):
    """Six hundred entries; an older checkpoint is a prefix."""
    report = verify(pristine / "log", (pristine / "saved").read_bytes())
    assert (report.exit_code, report.signed, report.entries) == (0, 600, 600)


@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/entries/002.p/88", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
)
@pytest.mark.parametrize(
    "change",
    [flip, lambda path: rewrite(path, path.read_bytes()[:-32]), lambda path: rewrite(path, b"")],
    ids=["flip", "cut", "empty"],
)
def test_a_changed_resource_is_tampering(log, path, change):
    """Whatever it is that was changed."""
    change(log / path)
    assert verify(log).exit_code == 1


@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/entries/002.p/88", "tile/0/001", "tile/1/000.p/2", "checkpoint"]
)
def test_a_missing_resource_cannot_be_verified(log, path):
    """Exit code 2: absence is never good news."""
    (log / path).unlink()
    assert verify(log).exit_code == 2


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one(log):
    """As the format allows, once the log has grown."""
    note = (log / "checkpoint").read_bytes()
    asyncio.run(grow(log, 768))
    for path in [*log.rglob("*.p")]:
        shutil.rmtree(path)
    (log / "checkpoint").write_bytes(note)
    report = verify(log)
    assert report.exit_code == 2  # hashes above level 0 are not full yet
    assert {finding.file for finding in report.findings} == {"tile/1/000.p/2"}


def test_rollback_fork_and_unknown_keys(pristine, log, tmp_path):
    """A newer saved checkpoint is a rollback, another history a fork, another key no verdict."""
    newer = (log / "checkpoint").read_bytes()
    older = shutil.copytree(pristine / "log", tmp_path / "older")
    shutil.copy(pristine / "saved", older / "checkpoint")
    assert verify(older, newer).exit_code in (2, 3)
    asyncio.run(grow(tmp_path / "other", 300))
    asyncio.run(grow(tmp_path / "other", 301))
    fork = tmp_path / "fork"
    asyncio.run(grow(fork, 299))
    assert verify(log, (fork / "checkpoint").read_bytes()).exit_code == 0  # a prefix of the same entries
    assert verify(log, sign_checkpoint(Checkpoint(SIGNER.name, 300, bytes(32)), SIGNER)).exit_code == 3
    assert verify(log, vkeys=[Signer(SIGNER.name, b"x" * 32).vkey]).exit_code == 2
    assert verify(log, vkeys=["rubbish"]).exit_code == 2
    assert verify(log, vkeys=[]).exit_code == 2
