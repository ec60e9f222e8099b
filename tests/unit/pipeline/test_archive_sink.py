"""The archive sink: what is written, skipped, merged and removed."""

from __future__ import annotations

import errno

import pytest
from archive_frames import ME, Reading, lines
from headrig import IntegrityError, RetryableError
from push_frames import NOW, entry, frame

from pipeline import durable
from pipeline.archive_format import read_manifest, read_manifests, writer_of
from pipeline.sinks.archive import ArchiveSink, Bounds, compact, retention
from pipeline.sinks.delivery import Delivery
from pipeline.sinks.quarantine import Quarantine


@pytest.fixture
def reading(tmp_path):
    """A store whose archive and buffer are empty."""
    reading = Reading(tmp_path)
    yield reading
    reading.store.close()


@pytest.fixture
async def sink(reading):
    """The archive of that store."""
    sink = ArchiveSink.open(reading.archive, reading.buffer, clock=lambda: NOW)
    yield sink
    await sink.close()


def manifest(sink):
    """The sink's manifest."""
    return read_manifest(sink.directory, sink.writer)


async def test_archive_covers_what_it_was_given(sink):
    """After a write the manifest lists the records and covers the frames' positions."""
    delivery = await sink.write([lines(0, "a", "b"), lines(1, "c")])
    (file,) = manifest(sink).files
    assert delivery.delivered == 3
    assert (file.tenant, file.start, file.end, file.lines) == ("acme", 0, 2, 3)
    assert manifest(sink).covered == {"acme": 2}


async def test_archive_skips_a_resent_range(reading, sink):
    """Frames sent again are counted as delivered and stored once."""
    await sink.write([lines(0, "a"), lines(1, "b")])
    again = await sink.write([lines(1, "b"), lines(2, "c")])
    assert again.delivered == 2
    assert reading.found('{service_name="shop"}') == ["a", "b", "c"]


async def test_archive_remembers_its_writer(reading, sink):
    """An archive opened again for the same buffer goes on with the same manifest."""
    await sink.write([lines(0, "a")])
    other = ArchiveSink.open(reading.archive, reading.buffer)
    await other.write([lines(0, "a")])
    await other.close()
    assert other.writer == sink.writer == writer_of(reading.buffer)
    assert reading.found('{service_name="shop"}') == ["a"]


async def test_archive_does_not_skip_a_new_buffer_with_old_positions(reading, sink):
    """A buffer that was removed and starts at 0 again has a new writer, so nothing of it is lost."""
    await sink.write([lines(0, "old")])
    (reading.buffer / "archive-writer").unlink()
    other = ArchiveSink.open(reading.archive, reading.buffer)
    await other.write([lines(0, "new")])
    await other.close()
    assert other.writer != sink.writer
    assert sorted(reading.found('{service_name="shop"}')) == ["new", "old"]


async def test_archive_keeps_tenants_apart(sink):
    """Frames of two tenants in one write make two files, each covered for its own tenant."""
    await sink.write([lines(0, "a"), lines(1, "b", tenant="other"), lines(2, "c")])
    assert {file.tenant: (file.start, file.end, file.lines) for file in manifest(sink).files} == {
        "acme": (0, 3, 2),
        "other": (1, 2, 1),
    }
    assert manifest(sink).covered == {"acme": 3, "other": 2}


async def test_archive_cuts_a_leaf_frame_that_is_archived_in_part(reading):
    """Leaves come in frames made anew each time; those that are archived are left out of a longer frame."""
    sink = ArchiveSink.open(reading.archive, reading.audit, audit=True)
    leaves = [entry(NOW + k, f'{{"tenant":"acme","n":{k}}}') for k in range(5)]
    labels = {"audit": "true", "audit_log": "x"}

    def cut(start, end):
        made = frame([(labels, leaves[start:end])], start)
        return type(made)(**{**made.__dict__, "end": end})

    await sink.write([cut(0, 2)])
    reading.leaves = [cut(0, 5)]
    auditor = type(ME)("acme", audit=True)
    newer = reading.found('{audit="true"}', auditor)
    await sink.write([cut(1, 5)])
    await sink.close()
    reading.leaves = []
    assert reading.found('{audit="true"}', auditor) == newer == [leaf[1] for leaf in leaves]


async def test_archive_refuses_a_frame_with_another_number_of_records(sink):
    """A header that lies about its records is an integrity error, not a count that is wrong for ever."""
    good = lines(0, "a", "b")
    with pytest.raises(IntegrityError, match="holds 2 records, its header says 3"):
        await sink.write([type(good)(**{**good.__dict__, "records": 3})])


async def test_archive_refuses_a_payload_that_is_no_frame(sink):
    """Damage in a payload is an integrity error that quotes no content."""
    good = lines(0, "a")
    with pytest.raises(IntegrityError, match="does not decode"):
        await sink.write([type(good)(**{**good.__dict__, "payload": good.payload[:-9]})])


class FullDisk(durable.Files):
    """Fails writes with one error, or the syncs of one site."""

    def __init__(self, code: int, site: str = "") -> None:
        self.code, self.site = code, site

    def write(self, fd, data):
        if not self.site:
            raise OSError(self.code, "no")
        super().write(fd, data)

    def sync_dir(self, path, site):
        if site == self.site:
            raise OSError(self.code, "no")
        super().sync_dir(path, site)


async def test_archive_asks_for_a_retry_when_the_disk_is_full(reading, sink):
    """A full disk stores nothing and can be tried again."""
    with durable.using(FullDisk(errno.ENOSPC)), pytest.raises(RetryableError, match="full"):
        await sink.write([lines(0, "a")])
    await sink.write([lines(0, "a")])
    assert reading.found('{service_name="shop"}') == ["a"]


async def test_archive_takes_nothing_after_a_sync_of_unknown_outcome(sink):
    """When the manifest's rename may or may not be durable, no later write succeeds."""
    with (
        durable.using(FullDisk(errno.EIO, "archive.manifest.replace-dir")),
        pytest.raises(IntegrityError, match="unknown"),
    ):
        await sink.write([lines(0, "a")])
    with pytest.raises(IntegrityError, match="open it again"):
        await sink.write([lines(0, "a")])


async def test_archive_merges_neighbours_and_keeps_every_line(reading, sink):
    """Many small files become few, with the same records found in the same order."""
    for position in range(20):
        await sink.write([lines(position, f"line {position}")])
    await sink.close()
    before = reading.found('{service_name="shop"}')
    sink.upkeep()
    files = manifest(sink).files
    assert len(files) <= 8
    assert sum(file.lines for file in files) == 20
    assert reading.found('{service_name="shop"}') == before == [f"line {n}" for n in range(20)]
    assert {path.name for path in (sink.directory / "files").iterdir()} == {file.name for file in files}


async def test_archive_plans_no_merge_of_big_or_distant_files(sink):
    """Files of 90,000 lines are never rewritten, and one between small ones keeps them apart."""
    await sink.write([lines(0, "a")])
    (small,) = manifest(sink).files
    big = type(small)("big", "acme", 0, 1, 90_000, 1, 0, 0, 0)
    assert compact.plan([big] * 20) == []
    assert compact.plan([small] * 7 + [big] + [small] * 7) == []
    assert compact.plan([small] * 9) == [small] * 8


async def test_archive_removes_files_that_no_manifest_lists(reading, sink):
    """What a crash left of this writer goes when the archive is opened; other writers' files stay."""
    await sink.write([lines(0, "a")])
    stray = sink.directory / "files" / f"{sink.writer}-5-6.parquet"
    foreign = sink.directory / "files" / "other-00000000-5-6.parquet"
    stray.write_bytes(b"x")
    foreign.write_bytes(b"x")
    await ArchiveSink.open(reading.archive, reading.buffer).close()
    assert (stray.exists(), foreign.exists()) == (False, True)
    assert reading.found('{service_name="shop"}') == ["a"]


async def test_archive_expires_the_oldest_files_and_counts_them(reading, sink):
    """Over the bound of bytes the oldest files go, their records are counted, and coverage stays."""
    for position in range(4):
        await sink.write([lines(position, "x", "y")])
    size = manifest(sink).files[0].size
    expired = retention.expire(sink.directory, Bounds(max_bytes=size * 2 + 10), NOW)
    assert expired == {"acme": 4}
    assert manifest(sink).expired == {"acme": 4}
    assert [file.start for file in manifest(sink).files] == [2, 3]
    await sink.write([lines(0, "x", "y")])
    assert len(reading.found('{service_name="shop"}')) == 4
    assert len(list((sink.directory / "files").iterdir())) == 2


async def test_archive_expires_by_age_since_archiving(sink):
    """Age counts from when a record was archived, whatever time it bears."""
    await sink.write([lines(0, "x")])
    bounds = Bounds(max_age_seconds=60)
    assert retention.expire(sink.directory, bounds, NOW + 59 * 10**9) == {}
    assert retention.expire(sink.directory, bounds, NOW + 61 * 10**9) == {"acme": 1}


async def test_archive_reports_what_expired(reading):
    """Upkeep tells tenant and records of what it removed."""
    told = []
    sink = ArchiveSink.open(
        reading.archive, reading.buffer, bounds=Bounds(max_bytes=1), on_expired=lambda *one: told.append(one)
    )
    await sink.write([lines(0, "x", "y")])
    await sink.close()
    assert told == [("acme", 2)]


async def test_archive_refuses_a_manifest_of_another_version(sink):
    """A manifest that is none stops the reader instead of being taken for an empty one."""
    await sink.write([lines(0, "x")])
    (path,) = sink.directory.glob("manifest-*.json")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":9'))
    with pytest.raises(IntegrityError, match="version 9"):
        read_manifests(sink.directory)
    path.write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="no manifest"):
        await sink.write([lines(1, "x")])


FAR = str(1 << 63)


@pytest.mark.parametrize("far", [FAR, str(-(1 << 63) - 1), str(1 << 70)])
async def test_archive_quarantines_a_record_that_no_column_holds(reading, tmp_path, far):
    """A time beyond 64 bits does not stop the frames behind it: the record is refused, its neighbours are archived."""
    quarantine = Quarantine.open(tmp_path / "quarantine", writer="w0", max_bytes=1 << 20)
    sink = ArchiveSink.open(reading.archive, reading.buffer, quarantine=quarantine)
    shop = {"service_name": "shop"}
    odd = frame([(shop, [entry(NOW, "a"), [far, "beyond", {"k": "v"}], entry(NOW + 1, "b")])], 0)
    only = frame([(shop, [[far, "alone"]])], 2, "other")
    first = await sink.write([odd, lines(1, "c")])
    second = await sink.write([only])

    assert (first.delivered, first.refused) == (3, {"unencodable": 1})
    assert (second.delivered, second.refused) == (0, {"unencodable": 1})
    assert reading.found('{service_name="shop"}') == ["a", "b", "c"]
    kept = list(quarantine.items().values())
    assert [(item.line, item.ts, item.labels) for item in kept] == [
        ("beyond", far, shop),
        ("alone", far, shop),
    ]
    assert kept[0].metadata == {"k": "v"}
    assert manifest(sink).covered == {"acme": 2, "other": 3}
    assert await sink.write([odd, only]) == Delivery(4)
    await sink.close()


async def test_archive_without_a_quarantine_is_held_by_such_a_record(sink):
    """Nothing is dropped where there is no place to keep it."""
    odd = frame([({"service_name": "shop"}, [[FAR, "beyond"]])], 0)
    with pytest.raises(IntegrityError, match="no column"):
        await sink.write([odd])
