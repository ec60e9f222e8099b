"""Verification: every way to change a log is found, and the place is named."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from headrig import CorruptionError, ForkError

from pipeline.audit.checkpoint import Checkpoint, sign_checkpoint
from pipeline.audit.entry import Entry
from pipeline.audit.frame import (
    FRAME_HEADER_BYTES,
    Frame,
    SegmentHeader,
    crc32c,
    encode_frame,
    join_entries,
    link,
    log_hash,
    parse_segment_header,
)
from pipeline.audit.leaf import blob_name
from pipeline.audit.note import Signer
from pipeline.audit.report import Finding, Kind, Report
from pipeline.audit.segments import list_segments, read_frames, read_header
from pipeline.audit.server import open_log
from pipeline.audit.tlog import Frontier, leaf_hashes, root_of
from pipeline.audit.verify import verify_log
from pipeline.audit.walk import kind_of, reason

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


Change = Callable[[Frame], Frame]


def forge(log: Path, change: Change, *, only: Path | None = None) -> None:
    """Change frames and make all checksums, roots, chains and headers fit: a careful attacker without the key."""
    frontier, before = Frontier(), (0, 0)
    chain = log_hash((log / "log.json").read_bytes())
    for path in list_segments(log):
        old = parse_segment_header(path.read_bytes(), path.name)
        frames = list(read_frames(path, old.length))
        header = SegmentHeader(
            old.log_hash, frontier.size, *before, frontier.root(), chain, tuple(frontier.peaks)
        )
        out = [header.encode()]
        for was in frames:
            frame = change(was) if only in (None, path) else was
            frontier.extend(leaf_hashes(frame.leaves()))
            root = frontier.root()
            chain = link(chain, frame.first, frame.count, frame.ts_ns, root, frame.rows)
            body = frame.rows + frame.entries
            out.append(encode_frame(frame.first, frame.count, frame.ts_ns, root, chain, body))
        path.write_bytes(b"".join(out))
        before = (header.first, path.stat().st_size)


def shout(frame: Frame) -> Frame:
    """Edit the entries."""
    return replace(frame, entries=frame.entries.replace(b"some", b"SOME"))


def test_an_edit_with_a_right_checksum_is_named_with_its_frame(log: Path) -> None:
    """Only the CRC made to fit: the frame's root names file, offset, index and time."""
    path = list_segments(log)[1]
    data = path.read_bytes()
    frames = read_frames(path, read_header(path).length)
    target = next(frame for frame in frames if b"some" in frame.entries)
    leaf = target.leaves()[0].replace(b"some", b"SOME")
    body = target.rows + join_entries([leaf])
    forged = encode_frame(target.first, 1, target.ts_ns, target.root, target.chain, body)
    path.write_bytes(data[: target.start] + forged + data[target.end :])
    report = verify(log)
    assert report.exit_code == 1
    finding = report.findings[0]
    assert (finding.file, finding.offset, finding.index) == (f"wal/{path.name}", target.start, target.first)
    assert "2026-11-23T12:00:00" in finding.line


def test_an_edit_with_everything_recomputed_fails_against_the_signature(log: Path) -> None:
    """All checksums, roots and headers fit: the signed checkpoint does not."""
    path = list_segments(log)[0]
    forge(log, shout, only=path)
    report = verify(log)
    assert report.exit_code == 1
    assert "changed by someone who recomputed them" in report.lines[0]
    assert f"wal/{path.name} to wal/{list_segments(log)[-1].name}" in report.lines[0]


FIELDS = {"batch id": 0, "line": 16, "event id": 20, "mac": 36}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("segment", [0, 1, -1])
def test_an_edited_row_with_a_right_checksum_is_named(log: Path, name: str, segment: int) -> None:
    """What a start relies on is chained from frame to frame, and the last link is signed."""
    path = list_segments(log)[segment]
    data = bytearray(path.read_bytes())
    frame = next(iter(read_frames(path, read_header(path).length)))
    data[frame.start + FRAME_HEADER_BYTES + FIELDS[name]] ^= 1
    data[frame.start + 4 : frame.start + 8] = crc32c(bytes(data[frame.start + 8 : frame.end])).to_bytes(
        4, "little"
    )
    path.write_bytes(data)
    report = verify(log)
    assert report.exit_code == 1
    assert [(f.file, f.offset, f.index) for f in report.findings] == [
        (f"wal/{path.name}", frame.start, frame.first)
    ]


EDITS: dict[str, Change] = {
    "row": lambda frame: replace(frame, rows=frame.rows[:-1] + b"X"),
    "time back": lambda frame: replace(frame, ts_ns=frame.ts_ns - 500),
    "time ahead": lambda frame: replace(frame, ts_ns=frame.ts_ns + 31 * 365 * 86_400 * 10**9),
}


@pytest.mark.parametrize("name", EDITS)
def test_rows_and_times_with_everything_recomputed_fail_against_the_signature(log: Path, name: str) -> None:
    """The root is right, since no entry was touched; the signed chain digest is not. Nor does it start."""
    forge(log, EDITS[name])
    report = verify(log)
    assert report.exit_code == 1
    assert (
        "indexes 0 to 11 have other ids, macs, batch ids or times than head was signed for" in report.lines[0]
    )
    with pytest.raises(ForkError, match="ids or times of the first 12 entries"):
        asyncio.run(grow(log, 12, 13))


def test_frames_that_were_joined_are_found(log: Path) -> None:
    """The same entries in other frames: no frame ends where the signature says."""
    path = list_segments(log)[-1]
    data, frames = path.read_bytes(), list(read_frames(path, read_header(path).length))
    asyncio.run(grow(log, 12, 13, publish=False))
    *_, last, extra = read_frames(path, read_header(path).length)
    before = frames[-2].chain if len(frames) > 1 else read_header(path).chain
    rows = last.rows + extra.rows
    chain = link(before, last.first, 2, last.ts_ns, extra.root, rows)
    body = rows + last.entries + extra.entries
    joined = encode_frame(last.first, 2, last.ts_ns, extra.root, chain, body)
    path.write_bytes(data[: last.start] + joined)
    assert verify(log).exit_code == 1
    with pytest.raises(ForkError, match="no frame ends at the 12 entries"):
        asyncio.run(grow(log, 13, 14))


def test_a_checkpoint_in_the_place_of_head_is_found(log: Path) -> None:
    """It is signed, of the same size and root, and would switch the chain off."""
    shutil.copy(log / "checkpoint", log / "head")
    report = verify(log)
    assert report.exit_code == 1
    assert report.findings[0].file == "head"
    with pytest.raises(CorruptionError, match="no chain digest"):
        asyncio.run(grow(log, 12, 13))


def test_saved_checkpoints_narrow_the_place_down(log: Path, pristine: tuple[Path, Path]) -> None:
    """A checkpoint that still holds shows that what it covers was not touched."""
    path = list_segments(log)[-1]
    forge(log, shout, only=path)
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
    assert "saved checkpoint 1 is signed for 12: rolled back" in "\n".join(report.lines)
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
    assert report.exit_code == 1
    assert "head: is missing" in report.lines[0]
    shutil.rmtree(log / "wal")
    report = verify(log)
    assert report.exit_code == 3
    assert "tile/0/000.p/8: holds entries up to index 7; the log has 0: rolled back" in "\n".join(
        report.lines
    )
    shutil.rmtree(log / "tile")
    assert verify(log).exit_code == 2
    (log / "log.json").unlink()
    assert verify(log).exit_code == 2


def test_a_log_in_use_has_a_head_and_a_description(log: Path) -> None:
    """Without one of them it was tampered with, whatever else is still there."""
    for name, rest in (("head", "wal"), ("log.json", "head")):
        (log / name).unlink()
        report = verify(log)
        assert report.exit_code == 1
        assert report.lines[0].startswith(f"TAMPERED {name}: is missing")
        shutil.rmtree(log / rest) if rest == "wal" else None
        assert verify(log).exit_code == 1


SHAPES: dict[str, Callable[[Path], object]] = {
    "a directory": lambda path: path.mkdir(),
    "a loop": lambda path: path.symlink_to(path.name),
    "a dangling link": lambda path: path.symlink_to("/nowhere/at/all"),
    "a pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_file_is_a_finding_that_names_it(log: Path, name: str, shape: str) -> None:
    """Neither a crash nor a wait for ever."""
    path = FILES[name](log)
    path.unlink()
    SHAPES[shape](path)
    report = verify(log)
    json.loads(report.to_json())
    assert report.exit_code == (2 if (name, shape) == ("checkpoint", "a dangling link") else 1)
    assert any(finding.file == str(path.relative_to(log)) for finding in report.findings)


def test_a_file_that_may_not_be_read_is_no_tampering() -> None:
    """It cannot be verified: exit code 2."""
    denied = PermissionError(errno.EACCES, "Permission denied")
    assert (kind_of(denied), reason(denied)) == (Kind.UNKNOWN, "Permission denied")
    assert kind_of(OSError(errno.EIO, "Input/output error")) is Kind.UNKNOWN
    assert kind_of(IsADirectoryError(errno.EISDIR, "Is a directory")) is Kind.TAMPERED


@pytest.mark.parametrize("length", [0, 7, 120, 200])
def test_a_crash_while_a_segment_is_made_is_no_tampering(log: Path, length: int) -> None:
    """A start takes such a segment as never born; neither is it verified."""
    header = list_segments(log)[-1].read_bytes()[:length].ljust(length, b"\0")
    (log / "wal" / f"{12:020d}.wal").write_bytes(header)
    report = verify(log)
    assert report.exit_code == 2
    assert "the segment was never finished" in report.lines[0]
    asyncio.run(grow(log, 12, 13))
    assert verify(log).exit_code == 0


def test_an_impossible_index_is_damage(log: Path) -> None:
    """2^64-1, with the CRC made to fit: named, and the report can be written as JSON."""
    path = list_segments(log)[1]
    data = bytearray(path.read_bytes())
    frame = next(iter(read_frames(path, read_header(path).length)))
    data[frame.start + 12 : frame.start + 20] = b"\xff" * 8
    data[frame.start + 4 : frame.start + 8] = crc32c(bytes(data[frame.start + 8 : frame.end])).to_bytes(
        4, "little"
    )
    path.write_bytes(data)
    report = verify(log)
    assert json.loads(report.to_json())["exit_code"] == 1
    assert (report.findings[0].file, report.findings[0].offset) == (f"wal/{path.name}", frame.start)


def test_each_damaged_frame_is_named_and_a_segment_is_read_once_more_at_most(tmp_path: Path) -> None:
    """However many gaps it has."""
    asyncio.run(many(tmp_path / "log", 60))
    (path,) = list_segments(tmp_path / "log")
    data = bytearray(path.read_bytes())
    frames = list(read_frames(path, read_header(path).length))
    for frame in frames[1::2]:
        data[frame.end - 1] ^= 1
    path.write_bytes(data)
    opened: list[object] = []
    watching = True
    sys.addaudithook(lambda name, details: opened.append(details[0]) if watching and name == "open" else None)
    report = verify(tmp_path / "log")
    watching = False
    assert [finding.offset for finding in report.findings] == [frame.start for frame in frames[1::2]]
    assert opened.count(str(path)) < 30


async def many(directory: Path, count: int) -> None:
    """Make a log of frames of one entry in one segment."""
    log, publisher = open_log(directory, SIGNER)
    for number in range(6, 6 + count):
        await log.append([entry(number)])
    publisher.publish(log.committed)
    await log.close()


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
