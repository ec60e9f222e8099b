"""The buffer: a durable queue between the flow and each sink.

Constraints: what is acknowledged survives a power cut; one worker writes a log, any process may read it; every
sink and tenant goes at its own pace; memory does not grow with what waits; disk is bounded, and a full buffer is
told to the sender instead of shedding.

Writing: a log is a row of append-only segments. Positions are byte offsets that only grow, over all segments. An
append is the frames (`frame`) of whole requests and returns after one fdatasync, which it shares with all that came
meanwhile (`group`). Each frame knows what was durable when it was written, which tells damage from a crash.
Reading: a pump scans its tenant's frames from its cursor (`cursor`) on, and moves the cursor when the sink has them.
Reclaiming (`reclaim`): a segment goes when every sink's cursor is past it, also from the middle, so that a tenant that waits
holds up nobody else (`extent`); its batch ids stay in a key file (`keys`) for 24 hours. What waits is counted on disk (`tally`).
Recovery (`recovery`): cuts off what a crash left unfinished, refuses what no crash can leave. One writer (`lock`); any
process may read along (`reader`). The node's table of batch ids (`idempotency`) is rebuilt from frames and key files.

The cost: everything is written twice, here and in the sink, and delivery is at least once. The bytes of a resend are
identical, so a sink that folds equal entries shows them once. Byte tables: ``docs/formats/buffer.md``.
"""

from pipeline.buffer.cursor import Cursor
from pipeline.buffer.frame import BidMark, Frame, StoredFrame, frame_bytes
from pipeline.buffer.idempotency import BatchIds, Claim
from pipeline.buffer.reader import SegmentGone, read_frames
from pipeline.buffer.recovery import Recovery
from pipeline.buffer.space import Room, Statistics
from pipeline.buffer.wal import Wal

__all__ = [
    "BatchIds",
    "BidMark",
    "Claim",
    "Cursor",
    "Frame",
    "Recovery",
    "Room",
    "SegmentGone",
    "Statistics",
    "StoredFrame",
    "Wal",
    "frame_bytes",
    "read_frames",
]
