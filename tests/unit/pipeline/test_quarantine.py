"""The quarantine: kept, bounded, readable from elsewhere, and sent again."""

from __future__ import annotations

import orjson
import pytest
from headrig import ConfigError, RetryableError
from push_frames import NOW, entry, frame
from push_stub import PushStub

from pipeline import durable
from pipeline.sinks.delivery import Delivery, UndeliveredError
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.quarantine import Quarantine, Refused, Unscanned, id_of
from pipeline.sinks.redrive import Redriven, redrive


def refused(line: str, **values) -> Refused:
    given = {
        "tenant": "acme",
        "time_ns": NOW,
        "reason": "labels",
        "detail": "400 x",
        "sink": "loki",
        "labels": {"app": "a"},
        "ts": str(NOW),
        "line": line,
        "metadata": {"level": "info"},
    }
    return Refused(**given | values)


def unscanned(**values) -> Unscanned:
    return Unscanned(
        **{"tenant": "acme", "time_ns": NOW, "size": 7, "reason": "depth", "digest": "ab" * 32} | values
    )


@pytest.fixture
def opened(tmp_path):
    held = []

    def make(writer="w0", max_bytes=1 << 20, **options) -> Quarantine:
        held.append(Quarantine.open(tmp_path / "quarantine", writer=writer, max_bytes=max_bytes, **options))
        return held[-1]

    yield make
    for each in held:
        each.close()


class Counting(durable.Files):
    """Counts syncs, and fails when told."""

    def __init__(self) -> None:
        self.sites: list[str] = []
        self.failing = False

    def sync(self, fd, site):
        if self.failing:
            raise OSError(5, "no")
        self.sites.append(site)
        super().sync(fd, site)


def test_both_kinds_are_read_back_as_they_were(opened):
    """An item comes back equal, under its id, from the same and from another process."""
    items = [refused("one"), unscanned(receipt=5), refused("two", metadata={})]
    opened().append(items)
    assert list(opened("cli").items().values()) == items
    assert opened("cli").get(id_of(items[1])) == items[1]
    assert opened("cli").get("0" * 16) is None


def test_one_append_is_one_sync(opened):
    """However many items, one write and one sync, after the file is made."""
    held, files = opened(), Counting()
    with durable.using(files):
        held.append([refused(str(i)) for i in range(100)])
        held.append([refused("x"), refused("y")])
        held.append([])
    assert files.sites == ["quarantine.create", "quarantine.append", "quarantine.append"]


def test_the_same_entry_twice_is_one_item(opened):
    """What a crash made us quarantine again has the same id, whenever and why it was refused."""
    held = opened()
    held.append([refused("one")])
    held.append([refused("one", time_ns=NOW + 5, reason="other", detail="y"), refused("two")])
    assert len(held.items()) == 2


def test_removed_items_are_gone_for_everyone(opened):
    """Removing from another process leaves the writer's segment alone and hides the item."""
    held, cli = opened(), opened("cli")
    held.append([refused("one"), refused("two")])
    cli.remove([refused("one")])
    assert [item.line for item in held.items().values()] == ["two"]
    held.append([refused("three")])
    assert [item.line for item in cli.items().values()] == ["two", "three"]


def test_an_item_that_comes_again_after_its_removal_is_there_again(opened):
    """An entry that was sent again and refused once more is not hidden by the removal before."""
    held, cli = opened(), opened("cli")
    held.append([refused("one")])
    cli.remove([refused("one")])
    held.append([refused("one", time_ns=NOW + 1, reason="format")])

    assert list(held.items().values()) == [refused("one", time_ns=NOW + 1, reason="format")]
    cli.remove(held.items().values())
    assert not cli.items()


def test_disk_is_bounded_and_the_oldest_goes(opened, tmp_path, caplog):
    """Over the bound the oldest segment is removed; its items are told, but not those that were removed before."""
    expired = []
    held = opened(max_bytes=20_000, on_expired=expired.append)
    held.append([refused("first"), refused("second")])
    opened("cli").remove([refused("first")])
    for i in range(400):
        held.append([refused(f"line {i} " + "x" * 50)])
    kept = [item.line for item in held.items().values()]

    own = [path.stat().st_size for path in (tmp_path / "quarantine").iterdir() if path.name.startswith("w0")]
    assert sum(own) <= 20_000
    assert kept[-1].startswith("line 399 ")
    assert sum(expired) + len(kept) == 401
    assert len(expired) > 1
    assert "quarantine is full" in caplog.text
    assert "line" not in caplog.text.replace("quarantine.py", "")


def test_bounds_are_kept_over_restarts(opened, tmp_path):
    """A new process of the same writer counts the segments it finds."""
    for _ in range(40):
        held = opened(max_bytes=20_000)
        held.append([refused("x" * 1000 + str(_))])
        held.close()
    assert sum(path.stat().st_size for path in (tmp_path / "quarantine").iterdir()) <= 20_000


def test_a_torn_tail_hides_nothing_else(opened, tmp_path):
    """A crash in the middle of a write loses that write only, and the writer goes on in a new segment."""
    held = opened()
    held.append([refused("one"), refused("two")])
    held.close()
    (path,) = (tmp_path / "quarantine").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    again = opened()
    again.append([refused("three")])
    assert [item.line for item in again.items().values()] == ["one", "three"]


def test_after_a_failed_sync_the_writer_goes_on_in_a_new_segment(opened, tmp_path):
    """The outcome is unknown, so the file is left as it is; what is appended again is kept once."""
    held, files = opened(), Counting()
    held.append([refused("one")])
    with durable.using(files):
        files.failing = True
        for _ in range(3):
            with pytest.raises(UndeliveredError):
                held.append([refused("two")])
        files.failing = False
        held.append([refused("two"), refused("three")])
        held.append([refused("four")])

    assert files.sites == ["quarantine.create", "quarantine.append", "quarantine.append"]
    assert sorted(item.line for item in held.items().values()) == ["four", "one", "three", "two"]
    assert len(list((tmp_path / "quarantine").iterdir())) == 2


def test_an_unscanned_record_holds_no_text(opened, tmp_path):
    """Only size, reason, digest and numbers are on disk."""
    opened().append([unscanned()])
    (path,) = (tmp_path / "quarantine").iterdir()
    assert set(orjson.loads(path.read_bytes())) == {
        "id",
        "kind",
        "tenant",
        "time_ns",
        "size",
        "reason",
        "digest",
        "receipt",
    }


def test_a_writer_name_is_a_file_name(opened):
    """A writer that would leave the directory is a configuration error."""
    with pytest.raises(ConfigError):
        opened("../x")


async def test_redrive_delivers_and_removes(opened):
    """Entries that Loki takes now leave the quarantine; those it refuses again stay; the rest is unknown."""
    held = opened()
    items = [refused("good"), refused("bad"), unscanned()]
    held.append(items)
    async with PushStub(blame=lambda _, value: "max entry size" if value[1] == "bad" else None) as stub:
        sink = LokiSink(LokiSettings(url=stub.url), held, clock=lambda: NOW)
        outcome = await redrive(held, sink, [*map(id_of, items), "0" * 16])
        await sink.close()
        assert outcome == Redriven(delivered=1, refused=1, unknown=2)
        assert stub.entries() == [(str(NOW), "good")]
        assert stub.seen[0].streams == [
            {"stream": {"app": "a"}, "values": [[str(NOW), "good", {"level": "info"}]]}
        ]
    assert [getattr(item, "line", None) for item in held.items().values()] == ["bad", None]


async def test_what_loki_refuses_is_durable_before_the_write_returns(opened):
    """When quarantine cannot store, the write raises and nothing counts as refused."""
    held, files = opened(), Counting()
    files.failing = True
    async with PushStub(blame=lambda _labels, _value: "max entry size") as stub:
        sink = LokiSink(LokiSettings(url=stub.url), held, clock=lambda: NOW)
        frames = [frame([({"app": "a"}, [entry(NOW, "x")])])]
        with durable.using(files), pytest.raises(UndeliveredError) as caught:
            await sink.write(frames)
        assert caught.value.status == "quarantine"
        assert await sink.write(frames) == Delivery(0, {"too_large": 1})
        await sink.close()


async def test_a_redrive_after_a_failed_one_sends_what_is_asked(opened):
    """An item whose push failed does not go in the place of another one."""
    held = opened()
    items = [refused("one"), refused("two")]
    held.append(items)
    async with PushStub(script=[503]) as stub:
        sink = LokiSink(LokiSettings(url=stub.url), held, clock=lambda: NOW)
        with pytest.raises(RetryableError):
            await redrive(held, sink, [id_of(items[0])])
        assert await redrive(held, sink, [id_of(items[1])]) == Redriven(delivered=1)
        await sink.close()
        assert stub.entries() == [(str(NOW), "two")]
    assert [item.line for item in held.items().values()] == ["one"]
