"""Verification: every way to change a log is found, and the place is named."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.audit.checkpoint import Checkpoint, sign_checkpoint
from pipeline.audit.entry import Entry
from pipeline.audit.frame import Frame, SegmentHeader, encode_frame, join_entries, parse_segment_header
from pipeline.audit.leaf import blob_name
from pipeline.audit.note import Signer
from pipeline.audit.report import Finding, Kind, Report
from pipeline.audit.segments import list_segments, read_frames, read_header
from pipeline.audit.server import open_log
from pipeline.audit.tlog import Frontier, leaf_hashes, root_of
from pipeline.audit.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNER = Signer("audit.example.com/verify", bytes(32))
BLOB = b"x" * 70_000
NOON = 1_795_435_200_000_000_000


def entry(number: int) -> Entry:
    """Make an entry; number 5 points at a blob."""
    leaf = b'{"n":%d,"text":"some text"}' % number
    if number == 5:
        leaf = b'{"blob":{"len":%d,"sha256":"%b"}}' % (len(BLOB), blob_name(BLOB)[0].encode())
    return Entry(b"b" * 16, number, number.to_bytes(16, "big"), b"m" * 16, leaf)


async def grow(directory: Path, start: int, stop: int, *, publish: bool = True) -> None:
    """Append entries one frame each; three segments or so."""
    log, publisher = open_log(directory, SIGNER, segment_bytes=700, clock=lambda: NOON)
    for number in range(start, stop):
        await log.append([entry(number)], [BLOB] if number == 5 else [])
    if publish:
        publisher.publish(log.committed)
    await log.close()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A log of 12 entries, and the same log when it had 8."""
    base = tmp_path_factory.mktemp("verify")
    asyncio.run(grow(base / "log", 0, 8))
    shutil.copytree(base / "log", base / "older")
    asyncio.run(grow(base / "log", 8, 12))
    return base / "log", base / "older"


@pytest.fixture
def log(pristine: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(pristine[0], tmp_path / "log"))


def verify(directory: Path, **more: object) -> Report:
    """Verify with the right key."""
    return verify_log(directory, vkeys=[SIGNER.vkey], **more)  # type: ignore[arg-type]


def test_a_log_as_it_was_written_verifies(log: Path) -> None:
    """Exit code 0, and a sentence with the number of entries; progress ends at the whole."""
    told: list[tuple[int, int]] = []
    report = verify(log, progress=lambda done, size: told.append((done, size)))
    assert report.exit_code == 0
    assert report.lines == [
        "verified: 12 entries of audit.example.com/verify are exactly those that were signed"
    ]
    assert json.loads(report.to_json())["entries"] == 12
    assert told[-1][0] == told[-1][1] > 0
    assert len(list_segments(log)) >= 3


FILES: dict[str, Callable[[Path], Path]] = {
    "log.json": lambda log: log / "log.json",
    "head": lambda log: log / "head",
    "checkpoint": lambda log: log / "checkpoint",
    "first segment": lambda log: list_segments(log)[0],
    "middle segment": lambda log: list_segments(log)[1],
    "last segment": lambda log: list_segments(log)[-1],
    "blob": lambda log: next(path for path in (log / "blobs").rglob("*") if path.is_file()),
}


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_byte_goes_unseen(log: Path, name: str) -> None:
    """Each byte of a file (of a large one, every 997th) flipped alone is found."""
    path = FILES[name](log)
    data = path.read_bytes()
    step = 1 if len(data) < 2_000 else 997
    unseen = []
    for at in range(0, len(data), step):
        path.write_bytes(data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :])
        if verify(log).exit_code == 0:
            unseen.append(at)
    assert unseen == []


@pytest.mark.parametrize("name", FILES)
def test_no_cut_goes_unseen(log: Path, name: str) -> None:
    """A file cut to any length (of a large one, to some) is found."""
    path = FILES[name](log)
    data = path.read_bytes()
    lengths = range(0, len(data), 1 if len(data) < 2_000 else 9_973)
    unseen = []
    for length in lengths:
        path.write_bytes(data[:length])
        if verify(log).exit_code == 0:
            unseen.append(length)
    assert unseen == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("added", [b"\n", b"\0", b"more", b"\xffHF\x01" + bytes(60)])
def test_nothing_can_be_added_unseen(log: Path, name: str, added: bytes) -> None:
    """Bytes after the end of a file are found."""
    path = FILES[name](log)
    path.write_bytes(path.read_bytes() + added)
    assert verify(log).exit_code != 0


@pytest.mark.parametrize("name", FILES)
def test_no_file_can_be_deleted_unseen(log: Path, name: str) -> None:
    """A file that is gone is found and named."""
    path = FILES[name](log)
    path.unlink()
    report = verify(log)
    assert report.exit_code in (1, 2)
    if "segment" not in name:
        assert any(path.name in line for line in report.lines)


@pytest.mark.parametrize("name", ["head", "checkpoint", "last segment"])
def test_no_file_can_be_replaced_by_its_older_self_unseen(
    log: Path, pristine: tuple[Path, Path], name: str
) -> None:
    """An older head or checkpoint is a rollback; an older segment lacks signed entries."""
    path = FILES[name](log)
    older = pristine[1] / path.relative_to(log)
    if not older.exists():
        older = list_segments(pristine[1])[-1]
        for newer in list_segments(log)[len(list_segments(pristine[1])) :]:
            newer.unlink()
        path = list_segments(log)[-1]
    shutil.copy(older, path)
    assert verify(log).exit_code == (1 if "segment" in name else 3)


def test_two_swapped_frames_are_found(log: Path) -> None:
    """Frames in another order are whole and valid, and still found."""
    path = list_segments(log)[0]
    data = path.read_bytes()
    first, second, *_ = read_frames(path, read_header(path).length)
    swapped = data[second.start : second.end] + data[first.start : first.end]
    path.write_bytes(data[: first.start] + swapped + data[second.end :])
    report = verify(log)
    assert report.exit_code == 1
    assert report.findings[0].file == f"wal/{path.name}"
    assert report.findings[0].offset == first.start


def test_two_swapped_segments_are_found(log: Path) -> None:
    """A segment under another's name is found."""
    first, second, *_ = list_segments(log)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert verify(log).exit_code == 1


def rewrite(path: Path, change: Callable[[list[Frame]], list[tuple[Frame, list[bytes]]]]) -> None:
    """Write a segment again with changed frames, all checksums and roots made to fit."""
    header = read_header(path)
    frontier = header.frontier()
    out = [header.encode()]
    for frame, leaves in change(list(read_frames(path, header.length))):
        first = frontier.size
        frontier.extend(leaf_hashes(leaves))
        body = frame.rows + join_entries(leaves)
        out.append(encode_frame(first, frame.count, frame.ts_ns, frontier.root(), body))
    path.write_bytes(b"".join(out))


def chain_again(log: Path) -> None:
    """Make the headers of all segments fit what lies before them: the work of a careful attacker."""
    frontier, before = Frontier(), (0, 0)
    for path in list_segments(log):
        old = parse_segment_header(path.read_bytes(), path.name)
        frames = list(read_frames(path, old.length))
        header = SegmentHeader(old.log_hash, frontier.size, *before, frontier.root(), tuple(frontier.peaks))
        out = [header.encode()]
        for frame in frames:
            first = frontier.size
            frontier.extend(leaf_hashes(frame.leaves()))
            out.append(
                encode_frame(first, frame.count, frame.ts_ns, frontier.root(), frame.rows + frame.entries)
            )
        path.write_bytes(b"".join(out))
        before = (header.first, path.stat().st_size)


def test_an_edit_with_a_right_checksum_is_named_with_its_frame(log: Path) -> None:
    """Only the CRC made to fit: the frame's root names file, offset, index and time."""
    path = list_segments(log)[1]
    data = path.read_bytes()
    frames = read_frames(path, read_header(path).length)
    target = next(frame for frame in frames if b"some" in frame.entries)
    leaf = target.leaves()[0].replace(b"some", b"SOME")
    forged = encode_frame(target.first, 1, target.ts_ns, target.root, target.rows + join_entries([leaf]))
    path.write_bytes(data[: target.start] + forged + data[target.end :])
    report = verify(log)
    assert report.exit_code == 1
    finding = report.findings[0]
    assert (finding.file, finding.offset, finding.index) == (f"wal/{path.name}", target.start, target.first)
    assert "2026-11-23T12:00:00" in finding.line


def test_an_edit_with_everything_recomputed_fails_against_the_signature(log: Path) -> None:
    """All checksums, roots and headers fit: the signed checkpoint does not."""
    path = list_segments(log)[0]
    rewrite(
        path, lambda frames: [(f, [leaf.replace(b"some", b"SOME") for leaf in f.leaves()]) for f in frames]
    )
    chain_again(log)
    report = verify(log)
    assert report.exit_code == 1
    assert "changed by someone who recomputed them" in report.lines[0]
    assert f"wal/{path.name} to wal/{list_segments(log)[-1].name}" in report.lines[0]


def test_saved_checkpoints_narrow_the_place_down(log: Path, pristine: tuple[Path, Path]) -> None:
    """A checkpoint that still holds shows that what it covers was not touched."""
    path = list_segments(log)[-1]
    rewrite(
        path, lambda frames: [(f, [leaf.replace(b"some", b"SOME") for leaf in f.leaves()]) for f in frames]
    )
    chain_again(log)
    report = verify(log, saved=[(pristine[1] / "head").read_bytes()])
    assert report.exit_code == 1
    assert "indexes 8 to 11 are not what" in report.lines[0]


def test_a_cut_at_a_frame_names_the_missing_indexes(log: Path) -> None:
    """Truncation leaves no damage behind; the signed size tells."""
    path = list_segments(log)[-1]
    frames = list(read_frames(path, read_header(path).length))
    path.write_bytes(path.read_bytes()[: frames[-1].start])
    report = verify(log)
    assert report.exit_code == 1
    finding = report.findings[0]
    assert (finding.file, finding.offset, finding.index) == (f"wal/{path.name}", frames[-1].start, 11)
    assert "index 11 (after 2026-11-23T12:00:00" in finding.line
    assert "head is signed for 12" in finding.line


def test_a_deleted_segment_names_the_missing_indexes(log: Path) -> None:
    """The gap is named from its first index to its last."""
    _, second, third, *_ = list_segments(log)
    first_missing, after = read_header(second).first, read_header(third).first
    second.unlink()
    report = verify(log)
    assert report.exit_code == 1
    assert f"indexes {first_missing} to {after - 1}" in report.lines[0]


def test_a_whole_directory_rolled_back_needs_an_outside_memory(pristine: tuple[Path, Path]) -> None:
    """An older copy of everything verifies by itself; against a checkpoint that was kept it does not."""
    _, older = pristine
    assert verify(older).exit_code == 0
    report = verify(older, saved=[(pristine[0] / "checkpoint").read_bytes()])
    assert report.exit_code == 3
    assert "saved checkpoint 1 is signed for 12: rolled back" in report.lines[0]
    assert "indexes 8 to 11" in report.lines[0]


def test_two_signed_roots_of_one_size_are_a_fork(log: Path) -> None:
    """The key signed two histories: exit code 3, whichever is on disk."""
    forged = sign_checkpoint(Checkpoint(SIGNER.name, 12, root_of([])), SIGNER)
    report = verify(log, saved=[forged])
    assert report.exit_code == 3
    assert any("different roots" in line for line in report.lines)


def test_unsigned_logs_and_unknown_keys_cannot_be_verified(log: Path, tmp_path: Path) -> None:
    """No protection is never good news: exit code 2."""
    other = Signer(SIGNER.name, bytes(31) + b"\x01")
    assert verify_log(log, vkeys=[other.vkey]).exit_code == 2
    assert verify_log(log, vkeys=[]).exit_code == 2
    assert verify_log(log, vkeys=["rubbish"]).exit_code == 2
    assert verify_log(tmp_path / "nothing", vkeys=[SIGNER.vkey]).exit_code == 2
    (log / "head").unlink()
    (log / "checkpoint").unlink()
    report = verify(log)
    assert report.exit_code == 2
    assert "head: is missing" in report.lines[0]


def test_newer_entries_are_not_yet_signed(log: Path) -> None:
    """Entries beyond the last checkpoint are no fault."""
    asyncio.run(grow(log, 12, 14, publish=False))
    report = verify(log)
    assert report.exit_code == 0
    assert report.lines[-1] == "2 newer entries are not yet signed"


def test_a_torn_tail_beyond_what_is_signed_cannot_be_judged(log: Path) -> None:
    """It may be a crash: exit code 2, and the sentence says what to do."""
    path = list_segments(log)[-1]
    path.write_bytes(path.read_bytes() + b"half a frame")
    report = verify(log)
    assert report.exit_code == 2
    assert "12 bytes after the last entry are no frame" in report.lines[0]


def test_a_frame_that_is_being_written_is_waited_for(log: Path) -> None:
    """A log in use is read again when its end is not whole."""
    path = list_segments(log)[-1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert verify(log, settle=lambda: path.write_bytes(whole) and None).exit_code == 0


def test_quarantined_tails_are_mentioned(log: Path) -> None:
    """What a crash cut is kept, and no fault."""
    (log / "quarantine").mkdir()
    (log / "quarantine" / "x.torn").write_bytes(b"12345")
    report = verify(log)
    assert report.exit_code == 0
    assert "quarantine/x.torn holds 5 bytes" in report.lines[0]


def test_findings_are_bounded() -> None:
    """A log that is damaged everywhere does not fill memory."""
    report = Report()
    for _ in range(2_000):
        report.add(Finding(Kind.TAMPERED, "wal/x", "is bad"))
    report.conclude()
    assert len(report.findings) == 1_000
    assert report.lines[-1] == "1000 more findings are not shown"
