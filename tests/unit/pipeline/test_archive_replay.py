"""Replay sends what the frames held, byte for byte."""

from __future__ import annotations

from archive_frames import entries_of, lines
from push_frames import NOW, entry, frame

from pipeline.sinks.archive import ArchiveSink, replay
from pipeline.sinks.delivery import Delivery

S = 10**9


class Kept:
    """A sink that keeps frames."""

    name = "kept"

    def __init__(self):
        self.frames = []

    async def write(self, frames):
        self.frames += frames
        return Delivery(sum(one.records for one in frames) - 1, {"late": 1})


async def archived(tmp_path, frames):
    """Archive frames."""
    (tmp_path / "w0").mkdir()
    sink = ArchiveSink.open(tmp_path / "archive", tmp_path / "w0")
    await sink.write(frames)
    await sink.close()
    return tmp_path / "archive"


ODD = [
    (
        {"service_name": "shop", "b": "1", "a": 'q"\\'},
        [entry(NOW, 'say "x"\\n', z="1", a="é\u2028"), entry(NOW + 1, "")],
    ),
    ({"service_name": "other"}, [entry(NOW + 2, "a\nb\tc\x00d\x7f", k="")]),
]


async def test_archive_replay_sends_identical_entries(tmp_path):
    """Labels, metadata, times and lines have the bytes, and within a stream the order, that they came with."""
    frames = [frame(ODD, 0), frame(ODD, 1), lines(2, *(f"line {n}" for n in range(3000)))]
    kept = Kept()
    archive = await archived(tmp_path, frames)
    result = await replay(archive, kept, from_ns=0, to_ns=1 << 62)
    assert sorted(entries_of(kept.frames)) == sorted(entries_of(frames))
    shop = [value for labels, value in entries_of(kept.frames) if b'"b"' not in labels and b"shop" in labels]
    assert shop == [
        value for labels, value in entries_of(frames) if b'"b"' not in labels and b"shop" in labels
    ]
    assert result.delivered + result.refused["late"] == 3006


async def test_archive_replay_keeps_to_its_times_and_tenant(tmp_path):
    """The start is inclusive, the end exclusive, and one tenant can be asked for."""
    archive = await archived(
        tmp_path, [lines(0, "a"), lines(1, "b"), lines(2, "c"), lines(1, "x", tenant="other")]
    )
    kept = Kept()
    told = []
    await replay(
        archive, kept, from_ns=NOW + S, to_ns=NOW + 2 * S, tenant="acme", progress=lambda *p: told.append(p)
    )
    assert [value for _, value in entries_of(kept.frames)] == [
        b'["%d","b",{"detected_level":"info"}]' % (NOW + S)
    ]
    assert kept.frames[0].tenant == "acme"
    assert told == [(3, 3)]


async def test_archive_replay_makes_frames_and_pushes_within_bounds(tmp_path):
    """Frames stay below 1 MiB inflated, however much is archived."""
    frames = [lines(n, *(f"{k} " + "x" * 3000 for k in range(400))) for n in range(4)]
    kept = Kept()
    await replay(await archived(tmp_path, frames), kept, from_ns=0, to_ns=1 << 62)
    assert max(one.inflated for one in kept.frames) <= 1 << 20
    assert sum(one.records for one in kept.frames) == 1600
