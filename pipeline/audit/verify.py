"""Verifying an audit log offline, from the bytes on disk and the public key alone.

Everything is hashed again. Checksums and roots in the files only help to name the place: the verdict rests
on the signed checkpoint, which nobody without the key can make fit another history.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrig import CorruptionError

from pipeline.audit.checkpoint import Checkpoint, open_checkpoint
from pipeline.audit.frame import log_hash
from pipeline.audit.note import NoteError, UnknownKeyError, Verifier
from pipeline.audit.report import Finding, Kind, Report
from pipeline.audit.segments import list_segments
from pipeline.audit.store import read_log_json
from pipeline.audit.walk import SETTLE_READS, Progress, Walk, check_regular, kind_of, read_file, reason


def verify_log(
    directory: Path,
    *,
    vkeys: Sequence[str],
    saved: Sequence[bytes] = (),
    progress: Progress | None = None,
    settle: Callable[[], None] = lambda: None,
) -> Report:
    """Verify a log, which may be in use.

    Args:
        directory: The log's directory, or a copy of it.
        vkeys: Keys to trust, as in the log's ``.vkey`` file.
        saved: Signed checkpoints that the caller kept: they show a rollback of the whole directory.
        progress: Told how far the reading is.
        settle: Called between two readings of what a writer may be changing; e.g. a short sleep.
    """
    report = Report()
    try:
        _verify(report, directory, vkeys, saved, progress or _silent, settle)
    except OSError as error:
        place = Path(error.filename or ".")
        name = str(place.relative_to(directory)) if place.is_relative_to(directory) else "."
        report.add(Finding(kind_of(error), name, f"cannot be read: {reason(error)}"))
    report.conclude()
    return report


def _verify(
    report: Report,
    directory: Path,
    vkeys: Sequence[str],
    saved: Sequence[bytes],
    progress: Progress,
    settle: Callable[[], None],
) -> None:
    try:
        verifiers = [Verifier.parse(vkey) for vkey in vkeys]
        report.keys = [f"{verifier.name}+{verifier.id.hex()}" for verifier in verifiers]
        check_regular(directory / "log.json")
        origin, described = read_log_json(directory)
    except FileNotFoundError:
        missing = Kind.TAMPERED if _has_log(directory) else Kind.UNKNOWN
        report.add(Finding(missing, "log.json", "is missing"))
        return
    except CorruptionError as error:
        report.add(Finding(Kind.TAMPERED, error.file, "was changed: it is not what the program writes"))
        return
    except NoteError as error:
        report.add(Finding(Kind.UNKNOWN, "key", str(error)))
        return
    except OSError as error:
        report.add(Finding(kind_of(error), "log.json", f"cannot be read: {reason(error)}"))
        return
    report.origin = origin
    signed = _Signed(report, verifiers, origin)
    signed.read(directory, saved, settle)
    walk = Walk(directory, report, log_hash(described), signed.checkpoints)
    walk.run(progress, settle)
    signed.compare(walk)
    walk.compare_tiles()


def _has_log(directory: Path) -> bool:
    """Say whether there is anything that a log has only once it has its description."""
    return any(os.path.lexists(directory / name) for name in ("head", "checkpoint")) or bool(
        list_segments(directory)
    )


def _agree(head: bytes | None, checkpoint: bytes | None) -> bool:
    """Say whether the two notes have the same origin, size and root."""
    return (head or b"").split(b"\n")[:3] == (checkpoint or b"").split(b"\n")[:3]


@dataclass(slots=True)
class _Signed:
    """The signed notes, by name."""

    report: Report
    verifiers: Sequence[Verifier]
    origin: str
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    _failed: dict[str, OSError] = field(default_factory=dict)

    def read(self, directory: Path, saved: Sequence[bytes], settle: Callable[[], None]) -> None:
        """Open head, checkpoint and what was saved; a writer replaces the first two one after the other."""
        notes = self._read_pair(directory)
        for _ in range(SETTLE_READS):
            if _agree(notes.get("head"), notes.get("checkpoint")):
                break
            settle()
            notes = self._read_pair(directory)
        used = bool(list_segments(directory)) or notes.get("checkpoint", b"") is not None
        for name, note in notes.items():
            if note is not None:
                self._open(name, note)
            elif name == "head" and used:
                self.report.add(Finding(Kind.TAMPERED, name, "is missing, though the log was in use"))
            else:
                message = "is missing, so nothing says how large the log must be"
                self.report.add(Finding(Kind.UNKNOWN, name, message))
        for name, error in self._failed.items():
            self.report.add(Finding(kind_of(error), name, f"cannot be read: {reason(error)}"))
        for n, note in enumerate(saved, 1):
            self._open(f"saved checkpoint {n}", note)
        self._check_order()

    def _read_pair(self, directory: Path) -> dict[str, bytes | None]:
        notes: dict[str, bytes | None] = {}
        self._failed.clear()
        for name in ("head", "checkpoint"):
            try:
                notes[name] = read_file(directory / name)
            except OSError as error:
                self._failed[name] = error
        return notes

    def _open(self, name: str, note: bytes) -> None:
        try:
            self.checkpoints[name] = checkpoint = open_checkpoint(note, self.verifiers, self.origin)
            if name == "head" and not checkpoint.chain:
                self.report.add(
                    Finding(Kind.TAMPERED, name, "has no chain digest: a checkpoint was put in its place")
                )
        except UnknownKeyError as error:
            self.report.add(Finding(Kind.UNKNOWN, name, str(error)))
        except NoteError as error:
            self.report.add(Finding(Kind.TAMPERED, name, f"was changed: {error}"))

    def _check_order(self) -> None:
        head, public = self.checkpoints.get("head"), self.checkpoints.get("checkpoint")
        if head and public and head.size != public.size:
            older, newer = ("checkpoint", "head") if public.size < head.size else ("head", "checkpoint")
            self.report.add(
                Finding(
                    Kind.FORKED,
                    older,
                    f"is of size {min(head.size, public.size)}, older than {newer} of size"
                    f" {max(head.size, public.size)}: rolled back (or a crash between the two writes:"
                    " start headrig once, then verify again)",
                )
            )
        by_size: dict[int, tuple[str, bytes]] = {}
        for name, checkpoint in self.checkpoints.items():
            other, root = by_size.setdefault(checkpoint.size, (name, checkpoint.root))
            if root != checkpoint.root:
                self.report.add(
                    Finding(
                        Kind.FORKED,
                        name,
                        f"and {other} are signed for size {checkpoint.size} with different roots",
                    )
                )

    def compare(self, walk: Walk) -> None:
        """Compare what is signed with what was read."""
        report, size = self.report, walk.frontier.size
        report.entries, report.signed = size, max((c.size for c in self.checkpoints.values()), default=0)
        self._compare_chains(walk)
        if walk.broken:
            return
        holding = [c.size for c in self.checkpoints.values() if walk.roots.get(c.size) == c.root]
        good = 0
        for name, checkpoint in sorted(self.checkpoints.items(), key=lambda pair: pair[1].size):
            if walk.roots.get(checkpoint.size) == checkpoint.root:
                good = checkpoint.size
            elif checkpoint.size > size:
                # The log's own head fits what is there, so the directory as a whole is an older one.
                report.add(
                    walk.missing(
                        name, checkpoint.size, rolled_back="head" in self.checkpoints and size in holding
                    )
                )
            elif checkpoint.size not in holding:  # else two signatures differ, which is reported already
                report.add(walk.altered(name, checkpoint.size, good))
                return

    def _compare_chains(self, walk: Walk) -> None:
        """Compare what is signed beside the entries, where the entries themselves are right."""
        for name, checkpoint in self.checkpoints.items():
            held = walk.roots.get(checkpoint.size) == checkpoint.root
            if checkpoint.chain and held and walk.chains.get(checkpoint.size) != checkpoint.chain:
                self.report.add(walk.reframed(name, checkpoint.size))


def _silent(_done: int, _size: int) -> None:
    """Report no progress."""
