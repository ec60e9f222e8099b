"""What a log has published, read from its directory by any process: its checkpoint, its tiles, and proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrig import IntegrityError

from pipeline.audit.checkpoint import Checkpoint, parse_checkpoint
from pipeline.audit.proof import Proof
from pipeline.audit.tiles import ENTRIES, WIDTH, Tile, TileTree, decode_bundle, encode_bundle, tile_at
from pipeline.audit.tlog import HASH_BYTES

if TYPE_CHECKING:
    from pathlib import Path


class Published:
    """Reads a log's public files.

    Args:
        directory: The log's.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def checkpoint(self) -> bytes:
        """Return the signed checkpoint as it lies there; FileNotFoundError when nothing was ever published."""
        return (self._directory / "checkpoint").read_bytes()

    def tile(self, tile: Tile) -> bytes:
        """Return a tile's bytes; of a partial one that is gone, the first part of the full one.

        Raises:
            FileNotFoundError: There is no such tile.
        """
        try:
            return (self._directory / tile.path).read_bytes()
        except FileNotFoundError:
            if tile.width == WIDTH:
                raise
            data = (self._directory / tile._replace(width=WIDTH).path).read_bytes()
        if tile.level == ENTRIES:
            return encode_bundle(decode_bundle(data)[: tile.width])
        return data[: tile.width * HASH_BYTES]

    def prove(self, index: int) -> tuple[Proof, bytes]:
        """Prove that an entry is under the newest checkpoint.

        Returns:
            The proof, and the entry.

        Raises:
            ValueError: The checkpoint does not cover the index.
            FileNotFoundError: A tile is missing.
            IntegrityError: The tiles are not those of the checkpoint.
        """
        note = self.checkpoint()
        signed = read_checkpoint(note)
        tree = TileTree(signed.size, self.tile)
        path = tree.prove_inclusion(index)
        if tree.root() != signed.root:
            raise IntegrityError(
                "the tiles are not those of the checkpoint: headrig verify log names the place"
            )
        return Proof(index, tuple(path), note), self.entry(index, signed.size)

    def entry(self, index: int, size: int) -> bytes:
        """Return an entry of the tree of ``size``."""
        bundle = tile_at(ENTRIES, index // WIDTH, size)
        if bundle is None:
            raise ValueError(f"index {index} is not in a tree of {size}")
        return decode_bundle(self.tile(bundle))[index % WIDTH]


def read_checkpoint(note: bytes) -> Checkpoint:
    """Read what a checkpoint of our own says, without checking who signed it; raise `NoteError`."""
    text, _, _ = note.decode("utf-8", "replace").rpartition("\n\n")
    return parse_checkpoint(text + "\n")
