"""Reading a whole log for verification: every segment, frame and entry in order, hashed anew."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from headrig import CorruptionError

from pipeline.audit.checkpoint import Checkpoint
from pipeline.audit.frame import Frame, SegmentHeader, find_frame, parse_frame
from pipeline.audit.leaf import blob_of
from pipeline.audit.recovery import extend
from pipeline.audit.report import Finding, Kind, Report, window
from pipeline.audit.segments import list_segments, read_frames, read_header, relative, segment_first
from pipeline.audit.tile_check import TileCheck
from pipeline.audit.tlog import Frontier, leaf_hashes

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_NO_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR)
SETTLE_READS = 20
"""How often what a writer may be changing is read again before it counts as it is."""


@dataclass(slots=True)
class Walk:
    """Reads the segments in order and hashes every entry.

    ``broken`` means that a part was unreadable, so that roots after it cannot be known; checksums and order
    of what follows are still checked. ``chain`` is the chain digest so far, None behind such a part. ``roots``
    has the root at each size that was signed, ``chains`` the chain digest at those that end a frame.
    """

    directory: Path
    report: Report
    log_hash: bytes
    checkpoints: dict[str, Checkpoint]
    frontier: Frontier = field(default_factory=Frontier)
    roots: dict[int, bytes] = field(default_factory=dict)
    chains: dict[int, bytes] = field(default_factory=dict)
    chain: bytes | None = None
    expected: int = 0
    last_ns: int = 0
    broken: bool = False
    end: tuple[str, int] = ("wal/", 0)
    segments: list[Path] = field(default_factory=list)
    _before: tuple[int, int] = (0, 0)
    _tiles: TileCheck = field(init=False)

    def run(self, progress: Progress, settle: Callable[[], None]) -> None:
        """Read everything."""
        self.segments = list_segments(self.directory)
        self.roots[0] = self.frontier.root()
        self.chain = self.chains[0] = self.log_hash
        sizes = sorted({checkpoint.size for checkpoint in self.checkpoints.values()})
        self._tiles = TileCheck(self.directory, max(sizes, default=0))
        total = sum(map(_size, self.segments))
        done = 0
        for path in self.segments:
            try:
                check_regular(path)
                self._segment(path, sizes, settle, last=path == self.segments[-1])
            except OSError as error:
                self._unreadable(path, error)
            done += _size(path)
            progress(done, total)
        for path in sorted((self.directory / "quarantine").glob("*.torn")):
            self.report.note(
                f"quarantine/{path.name} holds {path.stat().st_size} bytes of a write that a crash cut"
            )

    def compare_tiles(self) -> None:
        """Report what does not hold of the tiles; their entries come first."""
        if not self.broken:
            self._tiles.finish()
        for finding in self._tiles.findings:
            self.report.add(finding)

    def _segment(self, path: Path, sizes: Sequence[int], settle: Callable[[], None], *, last: bool) -> None:
        name = relative(path)
        try:
            header = self._header(path, settle, last=last)
        except CorruptionError as error:
            first = find_frame(path.read_bytes(), 0)
            if last and first is None:  # as a start takes it: nothing in it was ever acknowledged
                self._tail(name, 0, path.stat().st_size, last=True)
                return
            self._damage(name, error.offset, "the segment header was changed")
            offset = first.start if first else path.stat().st_size
        else:
            self._check_header(name, header)
            offset = header.length
        self.end = (name, offset)
        offset = self._frames(path, offset, sizes)
        if last:
            offset = self._settled(path, offset, sizes, settle)
        if offset < path.stat().st_size:
            self._damaged(name, path.read_bytes(), offset, sizes, last=last)
        self._before = (segment_first(path) or 0, path.stat().st_size)

    def _header(self, path: Path, settle: Callable[[], None], *, last: bool) -> SegmentHeader:
        """Read the header; a writer may be making the newest segment."""
        for _ in range(SETTLE_READS if last else 0):
            try:
                return read_header(path)
            except CorruptionError:
                settle()
        return read_header(path)

    def _damaged(self, name: str, data: bytes, offset: int, sizes: Sequence[int], *, last: bool) -> None:
        """Go on behind each place that cannot be read."""
        while offset < len(data):
            following = find_frame(data, offset)
            if following is None:
                self._tail(name, offset, len(data), last=last)
                return
            self._gap(name, offset, following)
            offset = following.start
            while frame := parse_frame(data, offset):
                self._frame(name, frame, sizes)
                offset = frame.end
                self.end = (name, offset)

    def _unreadable(self, path: Path, error: OSError) -> None:
        """A segment that is something else leaves a gap; the next one says how large it is."""
        self.broken = True
        self.chain = None
        name = relative(path)
        self.report.add(
            Finding(kind_of(error), name, f"cannot be read: {reason(error)}", None, self.expected)
        )

    def _settled(self, path: Path, offset: int, sizes: Sequence[int], settle: Callable[[], None]) -> int:
        """Give a writer the time to finish its frame."""
        for _ in range(SETTLE_READS):
            if offset == path.stat().st_size:
                break
            settle()
            offset = self._frames(path, offset, sizes)
        return offset

    def _check_header(self, name: str, header: SegmentHeader) -> None:
        if header.log_hash != self.log_hash:
            self._damage(name, 20, "the segment belongs to another log, or log.json was changed")
        if header.first != self.expected:
            self._missing_between(name, 0, header.first)
        elif not self.broken and header.root != self.frontier.root():
            self._damage(name, 0, f"the root before index {header.first} is not that of the segments before")
        elif self.chain not in (None, header.chain):
            self._damage(
                name, 0, f"the chain digest before index {header.first} is not that of the segments before"
            )
        elif (header.previous_first, header.previous_bytes) != self._before:
            self._damage(name, 0, "the segment before it is not the one that was there when it was made")

    def _frames(self, path: Path, offset: int, sizes: Sequence[int]) -> int:
        """Check whole frames from ``offset`` on; return where they end."""
        name = relative(path)
        for frame in read_frames(path, offset):
            self._frame(name, frame, sizes)
            offset = frame.end
            self.end = (name, offset)
        return offset

    def _frame(self, name: str, frame: Frame, sizes: Sequence[int]) -> None:
        if frame.first != self.expected:
            self._missing_between(name, frame.start, frame.first, before_ns=frame.ts_ns)
        if frame.ts_ns <= self.last_ns:
            self._damage(
                name, frame.start, f"the time of index {frame.first} is not after that of the entries before"
            )
        try:
            leaves = frame.leaves()
        except ValueError as error:
            self._damage(name, frame.start, str(error))
            leaves = []
        self._blobs(name, frame, leaves)
        if not self.broken:
            hashes = leaf_hashes(leaves)
            for size, root in extend(self.frontier, hashes, sizes):
                self.roots[size] = root
            self._tiles.add(leaves, hashes)
            if self.frontier.root() != frame.root:
                span = f"indexes {frame.first} to {frame.first + frame.count - 1}"
                when = window(frame.ts_ns, frame.ts_ns + frame.count - 1)
                self._damage(name, frame.start, f"an entry among {span}{when} was changed")
        self._link(name, frame)
        self.expected = frame.first + frame.count
        self.last_ns = frame.ts_ns + frame.count

    def _link(self, name: str, frame: Frame) -> None:
        """Check what the root does not cover; go on from what the frame says, so that one edit is one finding."""
        if self.chain is not None and frame.link(self.chain) != frame.chain:
            span = f"indexes {frame.first} to {frame.first + frame.count - 1}"
            message = f"ids, macs, batch ids or time of {span} were changed"
            self.report.add(Finding(Kind.TAMPERED, name, message, frame.start, frame.first))
        self.chain = frame.chain
        size = frame.first + frame.count
        if any(size == checkpoint.size for checkpoint in self.checkpoints.values()):
            self.chains[size] = frame.chain

    def _blobs(self, name: str, frame: Frame, leaves: Iterable[bytes]) -> None:
        for index, leaf in enumerate(leaves, frame.first):
            blob = blob_of(leaf)
            if blob is None:
                continue
            digest, size = blob
            place = f"blobs/sha256/{digest[:2]}/{digest}"
            try:
                data = read_file(self.directory / place)
            except OSError as error:
                message = f"cannot be read: {reason(error)}; index {index} in {name} points at it"
                self.report.add(Finding(kind_of(error), place, message))
                continue
            if data is None:
                self.report.add(
                    Finding(Kind.TAMPERED, place, f"is missing; index {index} in {name} points at it")
                )
            elif sha256(data).hexdigest() != digest or len(data) != size:
                self.report.add(
                    Finding(Kind.TAMPERED, place, f"was changed; index {index} in {name} points at it")
                )

    def _damage(self, name: str, offset: int, message: str) -> None:
        self.broken = True
        self.chain = None
        self.report.add(Finding(Kind.TAMPERED, name, message, offset, self.expected))

    def _gap(self, name: str, offset: int, following: Frame) -> None:
        if following.first > self.expected:
            span = f"indexes {self.expected} to {following.first - 1}"
        else:
            span = f"something before index {following.first}"
        self._damage(
            name, offset, f"{span}{window(self.last_ns, following.ts_ns)} cannot be read: changed or damaged"
        )
        self.expected = max(self.expected, following.first)

    def _missing_between(self, name: str, offset: int, first: int, before_ns: int = 0) -> None:
        if first > self.expected:
            span = (
                f"indexes {self.expected} to {first - 1}{window(self.last_ns, before_ns)} are missing before"
            )
        else:
            span = f"index {first} comes where {self.expected} is expected:"
        self._damage(name, offset, f"{span} this place: deleted, or in another order")
        self.expected = first

    def _tail(self, name: str, offset: int, size: int, *, last: bool) -> None:
        """Judge what follows the last frame: an unfinished write, or damage; the signed size tells."""
        signed = max((checkpoint.size for checkpoint in self.checkpoints.values()), default=0)
        if not last or signed > self.expected:
            self._damage(name, offset, f"index {self.expected} and what follows it here cannot be read")
            return
        what = (
            f"{size - offset} bytes after the last entry are no frame: an unfinished write, or added"
            if offset
            else "the segment was never finished, or was added"
        )
        message = f"{what}; all that is signed lies before. Starting headrig sets it aside"
        self.report.add(Finding(Kind.UNKNOWN, name, message, offset, self.expected))

    def missing(self, name: str, size: int, *, rolled_back: bool) -> Finding:
        """Say that entries are missing at the end."""
        have = self.frontier.size
        span = f"index {have}" if size == have + 1 else f"indexes {have} to {size - 1}"
        after = window(self.last_ns, 0) if self.last_ns else ""
        message = f"{span}{after} missing at the end; {name} is signed for {size}"
        if rolled_back:
            return Finding(Kind.FORKED, self.end[0], f"{message}: rolled back to {have}", self.end[1], have)
        return Finding(Kind.TAMPERED, self.end[0], message, self.end[1], have)

    def reframed(self, name: str, size: int) -> Finding:
        """Say that what goes with the entries was changed by someone who made all checksums fit again."""
        return Finding(
            Kind.TAMPERED,
            self._span(0, size),
            f"indexes 0 to {size - 1} have other ids, macs, batch ids or times than {name} was signed for,"
            " though their checksums fit: changed by someone who recomputed them",
            0,
            0,
        )

    def altered(self, name: str, size: int, good: int) -> Finding:
        """Say that entries were changed by someone who made all checksums fit again."""
        return Finding(
            Kind.TAMPERED,
            self._span(good, size),
            f"indexes {good} to {size - 1} are not what {name} was signed for, though their checksums fit:"
            " changed by someone who recomputed them",
            0,
            good,
        )

    def _span(self, start: int, stop: int) -> str:
        """Name the segments that hold these indexes."""
        files = [
            path
            for path, following in zip(self.segments, [*self.segments[1:], None], strict=True)
            if (segment_first(path) or 0) < stop
            and (following is None or (segment_first(following) or 0) > start)
        ]
        span = relative(files[0]) if files else "wal/"
        return f"{span} to {relative(files[-1])}" if len(files) > 1 else span


def check_regular(path: Path) -> None:
    """Raise OSError unless it is a file: a pipe would be waited for, and a device has no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a file")


def read_file(path: Path) -> bytes | None:
    """Return a file's content, or None when it is missing; raise OSError when it is something else."""
    try:
        check_regular(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None


def kind_of(error: OSError) -> Kind:
    """Say what it means that something cannot be read: it is no file, or this process may not or cannot."""
    return Kind.TAMPERED if error.errno in _NO_FILE else Kind.UNKNOWN


def reason(error: OSError) -> str:
    """Say why something cannot be read."""
    return error.strerror or type(error).__name__


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
