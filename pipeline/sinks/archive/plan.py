"""What a replay still has to send, while the archive goes on merging and expiring its files.

A merged file holds the rows of its parts one after the other, in the order of their positions, and a
part that is newer than our list comes behind those that we know. So the rows of it that are sent already are known
by counting the lines of the parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headrig import CorruptionError

from pipeline.archive_format import ArchiveFile, read_manifests


@dataclass(slots=True)
class Piece:
    """One file of the archive.

    Attributes:
        writer: Whose file; positions mean something only together with it.
        file: As its manifest lists it.
        sent: Ranges of rows, half open and ascending, that went before.
    """

    writer: str
    file: ArchiveFile
    sent: list[tuple[int, int]] = field(default_factory=list)

    @property
    def open_lines(self) -> int:
        """How many rows did not go yet."""
        return self.file.lines - sum(end - start for start, end in self.sent)

    def skips(self, row: int) -> bool:
        """Tell whether a row went before."""
        return bool(self.sent) and any(start <= row < end for start, end in self.sent)


class Plan:
    """The files to send, one tenant after the other, oldest first.

    Args:
        archive: The archive's directory.
        chosen: Tells whether a file may hold wanted records.
        audit: Only audit leaves, or only records; None for both.

    Attributes:
        done: Lines of the files that were sent.
    """

    def __init__(self, archive: Path, chosen: Callable[[ArchiveFile], bool], audit: bool | None) -> None:
        self._archive = archive
        self._chosen = chosen
        self._audit = audit
        self._pieces: list[Piece] = []
        self.done = 0
        self._read()

    @property
    def left(self) -> int:
        """Lines of the files that are still to be sent."""
        return sum(piece.open_lines for piece in self._pieces if self._chosen(piece.file))

    def next(self) -> Piece | None:
        """Return the next file to send; None when all went."""
        open_pieces = (piece for piece in self._pieces if piece.open_lines and self._chosen(piece.file))
        return next(open_pieces, None)

    def sent(self, piece: Piece) -> None:
        """Note that a file went."""
        self.done += piece.open_lines
        piece.sent = [(0, piece.file.lines)]

    def again(self, gone: Piece) -> None:
        """Read the manifests again: a file that they listed is gone.

        Raises:
            CorruptionError: They still list it.
        """
        self._read()
        if any(piece.file.name == gone.file.name for piece in self._pieces):
            raise CorruptionError(gone.file.name, 0, "is listed in a manifest and is not there")

    def _read(self) -> None:
        before = self._pieces
        self._pieces = [
            Piece(manifest.writer, file)
            for manifest in read_manifests(self._archive)
            if self._audit is None or manifest.audit is self._audit
            for file in manifest.files
        ]
        self._pieces.sort(key=lambda piece: (piece.file.tenant, piece.file.min_ns, piece.file.start))
        if any(piece.sent for piece in before):
            for piece in self._pieces:
                piece.sent = _inherited(piece, before)


def _inherited(piece: Piece, before: list[Piece]) -> list[tuple[int, int]]:
    """Return the rows of a file that went with the files it was made of."""
    file = piece.file
    parts = [
        part
        for part in before
        if (part.writer, part.file.tenant) == (piece.writer, file.tenant)
        and file.start <= part.file.start < part.file.end <= file.end
    ]
    parts.sort(key=lambda part: part.file.start)
    sent, offset = [], 0
    for part in parts:
        sent += [(start + offset, end + offset) for start, end in part.sent]
        offset += part.file.lines
    # Parts with more rows than the whole: one had expired before the merge. Twice is better than not at all.
    return sent if offset <= file.lines else []
