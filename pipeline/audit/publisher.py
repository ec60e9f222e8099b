"""Signs what is durable, once a second, after reading it back and cutting it into tiles.

A flipped bit in memory, or a file that is not what was written, must stop the log before it is signed: a
checkpoint is for ever. So the publisher hashes the bytes on disk with a tree of its own and compares
roots with the sequencer.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from headrig import CorruptionError, ForkError, IntegrityError

from pipeline.audit.checkpoint import Checkpoint, sign_checkpoint
from pipeline.audit.segments import LogReader
from pipeline.audit.tile_writer import TileWriter
from pipeline.audit.tlog import leaf_hashes

if TYPE_CHECKING:
    from pipeline.audit.note import Signer
    from pipeline.audit.recovery import Recovered
    from pipeline.audit.sequencer import AuditLog, Committed
    from pipeline.audit.store import Store


class Publisher:
    """Writes tiles, ``head`` and ``checkpoint``.

    Args:
        store: The directory, held by this process.
        signer: The log's key.
        found: What recovery read back; the publisher goes on from there.
    """

    def __init__(self, store: Store, signer: Signer, found: Recovered) -> None:
        self._store = store
        self._signer = signer
        self._frontier = found.frontier.copy()
        self._chain = found.chain
        self._reader = LogReader(store.directory)
        self.published = found.head
        self._tiles = self._open_tiles()
        public = dict(found.signed).get("checkpoint")
        if found.head and found.head.public() != public:
            # The crash came between the two writes; the head is what counts.
            self._store.write_checkpoint(sign_checkpoint(found.head.public(), signer))

    def publish(self, target: Committed) -> Checkpoint:
        """Read back up to ``target``, sign it, and publish; blocking.

        Raises:
            IntegrityError: What is on disk is not what was acknowledged; nothing was signed.
        """
        if self.published and self.published.size == target.size:
            return self.published
        self._read_back(target)
        checkpoint = Checkpoint(self._store.origin, target.size, target.root, target.chain)
        if self.published and self.published.size > target.size:
            raise ForkError(f"{self.published.size} entries are signed already; the log has {target.size}")
        self._tiles.publish()
        # A crash here leaves tiles of entries that are durable and not signed; the next start goes on from them.
        self._store.write_head(sign_checkpoint(checkpoint, self._signer))
        # A crash here leaves an older checkpoint than head; the next start publishes the head.
        self._store.write_checkpoint(sign_checkpoint(checkpoint.public(), self._signer))
        self.published = checkpoint
        return checkpoint

    def _open_tiles(self) -> TileWriter:
        """Bring the tiles to where the log is; those of the published checkpoint are there on return."""
        size = self._frontier.size
        tiles, reader = TileWriter(self._store.directory, size), LogReader(self._store.directory)
        if self.published and self.published.size >= tiles.size:
            tiles.catch_up(reader, self.published.size)
            tiles.publish()
            tiles.remove_partial()
        tiles.catch_up(reader, size)
        return tiles

    def _read_back(self, target: Committed) -> None:
        frontier = self._frontier
        if frontier.size < target.size:
            for frame in self._reader.frames(frontier.size):
                if frame.first != frontier.size:
                    break
                leaves = frame.leaves()
                hashes = leaf_hashes(leaves)
                frontier.extend(hashes)
                self._chain = frame.link(self._chain)
                if (frontier.root(), self._chain) != (frame.root, frame.chain):
                    raise CorruptionError(
                        "wal", frame.start, f"the frame of index {frame.first} is not what was written"
                    )
                self._tiles.add(leaves, hashes)
                if frontier.size >= target.size:
                    break
        if (frontier.size, frontier.root(), self._chain) != target:
            raise IntegrityError(
                f"read back {frontier.size} entries where {target.size} were acknowledged, or others:"
                " nothing is signed"
            )

    async def run(self, log: AuditLog, stop: asyncio.Event, interval: float = 1.0) -> None:
        """Publish every ``interval`` seconds if the log has grown, until ``stop``; an error stops the log."""
        while not stop.is_set() and log.failure is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval)
            await self.publish_now(log)

    async def publish_now(self, log: AuditLog) -> None:
        """Publish what is durable now; a log that has stopped publishes nothing more."""
        if log.failure:
            return
        try:
            await asyncio.to_thread(self.publish, log.committed)
        except IntegrityError as error:
            log.fail(error)
        except OSError as error:
            # Unknown outcome: head may or may not be on disk.
            log.fail(IntegrityError(f"publishing a checkpoint: {error.strerror}"))
