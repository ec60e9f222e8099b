"""Opening a log: trust nothing, read the newest segments back, and refuse to start rather than guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrig import CorruptionError, ForkError

from pipeline.audit.checkpoint import Checkpoint, open_checkpoint
from pipeline.audit.frame import ROW_BYTES, Frame, find_frame
from pipeline.audit.note import NoteError, Verifier
from pipeline.audit.receipts import ReceiptIndex
from pipeline.audit.segments import list_segments, read_frames, read_header, relative, segment_first
from pipeline.audit.tlog import Frontier, leaf_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.audit.store import Store


@dataclass(slots=True)
class Recovered:
    """The end of a log as found on disk.

    Attributes:
        frontier: Right edge over all entries.
        chain: Chain digest of all frames.
        index: The newest ids.
        floor_ns: The next frame's time must be above it.
        head: The last signed checkpoint, or None when nothing was ever signed.
        segment: The newest segment, or None when there is none.
        segment_first, segment_bytes: Its first index and its length.
        torn_bytes: Length of a tail that was set aside.
        sealed: Head's chain digest was met and is right.
    """

    frontier: Frontier
    chain: bytes
    index: ReceiptIndex
    floor_ns: int = 0
    head: Checkpoint | None = None
    segment: Path | None = None
    segment_first: int = 0
    segment_bytes: int = 0
    torn_bytes: int = 0
    sealed: bool = False
    signed: list[tuple[str, Checkpoint]] = field(default_factory=list)


def extend(frontier: Frontier, hashes: Sequence[bytes], sizes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Extend the frontier and yield (size, root) for each of ``sizes`` (ascending) that is reached."""
    first, taken = frontier.size, 0
    for size in sizes:
        if first < size <= first + len(hashes):
            frontier.extend(hashes[taken : size - first])
            taken = size - first
            yield size, frontier.root()
    frontier.extend(hashes[taken:])


def recover(
    store: Store, verifiers: Sequence[Verifier], retain: int, outside: Mapping[str, int] | None = None
) -> Recovered:
    """Read the end of the log back, cut off a torn tail, and make durable what a dead process left.

    Args:
        store: The directory, held by this process.
        verifiers: Keys that may have signed it.
        retain: How many ids to remember.
        outside: Sizes that the log had, by who remembers them: files that a copy of the directory lacks.

    Raises:
        CorruptionError: A file is damaged or missing.
        ForkError: The log holds less than, or something else than, what was signed.
    """
    signed = _read_signed(store, verifiers)
    segments = list_segments(store.directory)
    if not signed and segments:
        raise CorruptionError("head", 0, "missing, but the log has segments")
    unborn = segments.pop() if segments and _is_unborn(segments[-1]) else None
    _check_chain(store, segments, signed)
    found = _scan(store, segments, signed, retain)
    found.head = signed[0][1] if signed else None
    found.signed = signed
    _check_signed_size(found)
    _check_outside(found.frontier.size, outside or {})
    # Only now is it certain that nothing signed is in what is cut off.
    if unborn:
        store.set_aside(unborn, 0)
    if found.segment and found.torn_bytes:
        store.set_aside(found.segment, found.segment_bytes)
    return found


def _read_signed(store: Store, verifiers: Sequence[Verifier]) -> list[tuple[str, Checkpoint]]:
    """Return ``head`` and ``checkpoint``; the second may be older after a crash, never newer."""
    signed: list[tuple[str, Checkpoint]] = []
    for name in ("head", "checkpoint"):
        note = store.read(name)
        if note is not None:
            try:
                signed.append((name, open_checkpoint(note, verifiers, store.origin)))
            except NoteError as error:
                raise CorruptionError(name, 0, str(error)) from None
    if signed and signed[0][0] != "head":
        raise CorruptionError("head", 0, "missing, but there is a checkpoint")
    if signed and not signed[0][1].chain:
        raise CorruptionError("head", 0, "it has no chain digest: replaced by a checkpoint")
    if len(signed) == 2 and _conflict(signed[0][1], signed[1][1]):
        raise ForkError(
            "checkpoint is newer than head, or has another root at the same size: a rollback or a fork"
        )
    return signed


def _conflict(head: Checkpoint, public: Checkpoint) -> bool:
    return public.size > head.size or (public.size == head.size and public.root != head.root)


def _check_chain(store: Store, segments: list[Path], signed: Sequence[tuple[str, Checkpoint]]) -> None:
    """Check each header against its neighbour: what is missing or shortened shows without reading all."""
    if signed and signed[0][1].size and not segments:
        raise ForkError(f"head is signed for {signed[0][1].size} entries, but wal/ has no segment")
    first, size = 0, 0
    for path in segments:
        header = read_header(path)
        if header.log_hash != store.log_hash:
            raise CorruptionError(
                relative(path), 16, "the segment belongs to another log, or log.json was changed"
            )
        if (header.previous_first, header.previous_bytes) != (first, size):
            raise CorruptionError(
                relative(path),
                0,
                f"expected after a segment from index {header.previous_first} of"
                f" {header.previous_bytes} bytes; found one from index {first} of {size}",
            )
        first, size = header.first, path.stat().st_size


def _is_unborn(path: Path) -> bool:
    """Say whether a crash came while the segment was made: then nothing in it was ever acknowledged."""
    try:
        read_header(path)
    except CorruptionError:
        return find_frame(path.read_bytes(), 0) is None
    return False


def _scan(
    store: Store, segments: list[Path], signed: Sequence[tuple[str, Checkpoint]], retain: int
) -> Recovered:
    """Read the segments that hold the retained ids and everything since the oldest signed size."""
    newest = segment_first(segments[-1]) or 0 if segments else 0
    begin = max(0, min([newest - retain, *(checkpoint.size for _, checkpoint in signed)]))
    older = [path for path in segments if (segment_first(path) or 0) <= begin]
    needed = segments[max(0, len(older) - 1) :]
    header = read_header(needed[0]) if needed else None
    frontier, chain = (header.frontier(), header.chain) if header else (Frontier(), store.log_hash)
    if not frontier.size and chain != store.log_hash:
        raise CorruptionError(relative(needed[0]), 0, "the chain digest of a log without entries is wrong")
    found = Recovered(frontier, chain, ReceiptIndex(retain, frontier.size))
    _check_roots(found, signed, [(frontier.size, frontier.root())])
    _check_chains(found, signed)
    for path in needed:
        _scan_segment(found, path, signed, last=path == segments[-1])
    return found


def _scan_segment(
    found: Recovered, path: Path, signed: Sequence[tuple[str, Checkpoint]], *, last: bool
) -> None:
    header = read_header(path)
    here = (found.frontier.size, found.frontier.root(), found.chain)
    if (header.first, header.root, header.chain) != here:
        raise CorruptionError(
            relative(path),
            0,
            f"the segment does not follow: the log before it has {found.frontier.size} entries",
        )
    found.segment, found.segment_first, found.segment_bytes = path, header.first, header.length
    sizes = sorted({checkpoint.size for _, checkpoint in signed})
    frame: Frame | None = None
    for frame in read_frames(path, header.length):
        hashes = _check_frame(found, path, frame)
        _check_roots(found, signed, extend(found.frontier, hashes, sizes))
        rows = frame.rows
        for place, digest in enumerate(hashes):
            found.index.restore(rows[place * ROW_BYTES : (place + 1) * ROW_BYTES], digest)
        found.floor_ns = frame.ts_ns + frame.count
        found.segment_bytes = frame.end
        found.chain = frame.chain
        _check_chains(found, signed)
    if frame and frame.root != found.frontier.root():
        raise CorruptionError(
            relative(path), frame.start, f"the root after index {found.frontier.size - 1} is wrong"
        )
    _check_end(found, path, last=last)


def _check_frame(found: Recovered, path: Path, frame: Frame) -> list[bytes]:
    """Return the frame's leaf hashes."""
    if frame.first != found.frontier.size:
        raise CorruptionError(
            relative(path),
            frame.start,
            f"a frame of index {frame.first} where {found.frontier.size} is expected",
        )
    if frame.ts_ns <= found.floor_ns:
        raise CorruptionError(
            relative(path), frame.start, f"the time of index {frame.first} is not after the last"
        )
    if frame.chain != frame.link(found.chain):
        raise CorruptionError(
            relative(path),
            frame.start,
            f"ids, time or place of the entries from index {frame.first} were changed",
        )
    try:
        return leaf_hashes(frame.leaves())
    except ValueError as error:
        raise CorruptionError(relative(path), frame.start, str(error)) from None


def _check_end(found: Recovered, path: Path, *, last: bool) -> None:
    """Tell a torn tail, which only the newest segment can have, from damage."""
    size = path.stat().st_size
    if size == found.segment_bytes:
        return
    following = find_frame(path.read_bytes(), found.segment_bytes)
    if not last or following is not None:
        raise CorruptionError(
            relative(path), found.segment_bytes, f"the frame of index {found.frontier.size} is damaged"
        )
    found.torn_bytes = size - found.segment_bytes


def _check_roots(
    found: Recovered,
    signed: Sequence[tuple[str, Checkpoint]],
    roots: Iterator[tuple[int, bytes]] | list[tuple[int, bytes]],
) -> None:
    for size, root in roots:
        for name, checkpoint in signed:
            if checkpoint.size == size and checkpoint.root != root:
                where = relative(found.segment) if found.segment else "wal/"
                raise ForkError(f"{where}: the first {size} entries are not those that {name} was signed for")


def _check_outside(size: int, outside: Mapping[str, int]) -> None:
    """Refuse a log that is smaller than it was: its indexes would be given out, and signed, a second time."""
    for name, known in outside.items():
        if known > size:
            raise ForkError(
                f"the log has {size} entries, but {name} remembers {known}: it was put back to an older state."
                f" Restore the directory that holds indexes {size} to {known - 1}"
            )


def _check_chains(found: Recovered, signed: Sequence[tuple[str, Checkpoint]]) -> None:
    """Compare at the signed size, which is always the end of a frame."""
    for name, checkpoint in signed:
        if checkpoint.chain and checkpoint.size == found.frontier.size:
            if checkpoint.chain != found.chain:
                where = relative(found.segment) if found.segment else "wal/"
                raise ForkError(
                    f"{where}: ids or times of the first {checkpoint.size} entries are not those that {name}"
                    " was signed for"
                )
            found.sealed = True


def _check_signed_size(found: Recovered) -> None:
    size = found.frontier.size
    if found.head and found.head.size > size:
        where = f"{relative(found.segment)} at byte {found.segment_bytes}" if found.segment else "wal/"
        raise ForkError(
            f"{where}: head is signed for {found.head.size} entries;"
            f" indexes {size} to {found.head.size - 1} are missing"
        )
    if found.head and not found.sealed:
        raise ForkError(f"no frame ends at the {found.head.size} entries that head is signed for")
