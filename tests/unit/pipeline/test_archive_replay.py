"""Replay sends what the frames held, byte for byte."""

from __future__ import annotations

import asyncio
import re

import pytest
from archive_frames import entries_of, lines
from headrig import CorruptionError
from push_frames import NOW, entry, frame

from pipeline.sinks.archive import ArchiveSink, compact, replay
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


def texts(frames):
    """The lines of frames, in order."""
    return [re.search(rb'","([^"]*)"', value)[1].decode() for _, value in entries_of(frames)]


class Merging(Kept):
    """A sink before which the archive is merged, or grows, when the given number of writes came."""

    def __init__(self, changes):
        super().__init__()
        self.changes = changes
        self.writes = 0

    async def write(self, frames):
        self.writes += 1
        if change := self.changes.get(self.writes):
            await asyncio.to_thread(change)
        self.frames += frames
        return Delivery(sum(one.records for one in frames))


async def test_archive_replay_goes_on_while_files_are_merged(tmp_path):
    """Files that compaction takes away, twice over and with newer ones, are sent from the merged file, each row once."""
    (tmp_path / "w0").mkdir()
    archive = tmp_path / "archive"
    sink = ArchiveSink.open(archive, tmp_path / "w0")
    put = lambda n: sink._store([lines(2 * n, f"{n}a", f"{n}b"), lines(2 * n + 1, "-", tenant="z")])  # noqa: E731

    def first():
        """Eight files of the tenant become one, of which two parts went and two came later."""
        put(6)
        put(7)
        assert compact.merge(archive, sink.writer)

    def second():
        """The merged file goes into a larger one, while its rest is being sent."""
        for n in range(8, 64):
            put(n)
            compact.merge(archive, sink.writer)

    for n in range(6):
        put(n)
    kept = Merging({2: first, 3: second})
    result = await replay(archive, kept, from_ns=0, to_ns=1 << 62)
    sent = texts([one for one in kept.frames if one.tenant == "acme"])
    await sink.close()

    assert len(sent) == len(set(sent))
    assert set(sent) >= {f"{n}{k}" for n in range(8) for k in "ab"}
    assert result.delivered == len(sent) + sum(one.records for one in kept.frames if one.tenant == "z")
    assert len(texts([one for one in kept.frames if one.tenant == "z"])) in {6, 8, 64}


async def test_archive_replay_names_a_file_that_is_listed_and_not_there(tmp_path):
    """A file that was removed behind the manifest's back is damage, not something to look for again and again."""
    archive = await archived(tmp_path, [lines(0, "a")])
    [path] = (archive / "files").iterdir()
    path.unlink()
    with pytest.raises(CorruptionError, match="not there"):
        await replay(archive, Kept(), from_ns=0, to_ns=1 << 62)
