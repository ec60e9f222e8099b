"""A cursor survives a torn write of either slot, and counts everything once."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer import Cursor
from pipeline.buffer.cursor import SLOT, cursor_path, furthest


def state(cursor: Cursor) -> tuple[int, int, dict[str, int]]:
    """Return all that a cursor knows."""
    return cursor.position, cursor.delivered, cursor.refused


def test_a_cursor_remembers_sums(tmp_path: Path) -> None:
    """What is committed adds up, over restarts, in two slots."""
    path = tmp_path / "cursor"
    cursor = Cursor(path, 40)
    assert state(Cursor(path)) == (40, 0, {})
    for number in range(1, 6):
        cursor.commit(40 + number, 10, {"late": 1} if number % 2 else {"size": 2, "late": 1})
        cursor = Cursor(path)
        assert path.stat().st_size == 2 * SLOT
        assert (cursor.position, cursor.delivered) == (40 + number, 10 * number)
    assert cursor.refused == {"late": 5, "size": 4}


def test_a_cursor_does_not_go_back(tmp_path: Path) -> None:
    """What is delivered would be counted again."""
    cursor = Cursor(tmp_path / "cursor")
    cursor.commit(9, 1, {})
    cursor.commit(9, 0, {"late": 1})
    with pytest.raises(ValueError, match="from 9 to 8"):
        cursor.commit(8, 1, {})
    assert state(cursor) == state(Cursor(tmp_path / "cursor")) == (9, 1, {"late": 1})


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_torn_slot_leaves_the_state_before(tmp_path: Path, commits: int) -> None:
    """The write of a slot stops at any byte, over what the slot held before."""
    path = tmp_path / "cursor"
    cursor = Cursor(path, 7)
    states, images = [state(cursor)], [path.read_bytes()]
    for number in range(commits):
        cursor.commit(100 + number, 5, {f"reason{number}": 3})
        states.append(state(cursor))
        images.append(path.read_bytes())
    before, after = images[-2:]
    at = commits % 2 * SLOT
    for size in range(SLOT + 1):
        path.write_bytes(before[:at] + after[at : at + size] + before[at + size :])
        whole = path.read_bytes() == after
        assert state(Cursor(path)) == states[-1 if whole else -2]


def test_a_flipped_bit_leaves_the_other_slot_and_two_are_an_error(tmp_path: Path) -> None:
    """A cursor never guesses."""
    path = tmp_path / "cursor"
    cursor = Cursor(path)
    cursor.commit(5, 5, {"late": 1})
    old = state(cursor)
    cursor.commit(6, 1, {})
    data = path.read_bytes()
    used = 32 + len(b'{"late":1}')
    for at in range(used):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        assert state(Cursor(path)) == old
        broken[SLOT + at] ^= 16
        path.write_bytes(broken)
        with pytest.raises(CorruptionError, match="neither slot"):
            Cursor(path)
    for data in (b"", bytes(2 * SLOT), b"\xff" * 2 * SLOT, data[:20]):
        path.write_bytes(data)
        with pytest.raises(CorruptionError, match="cursor at byte 0"):
            Cursor(path)


def test_a_failed_write_changes_nothing_and_the_next_one_counts_all(tmp_path: Path) -> None:
    """Not in memory, and the slot that is whole is not the one written next."""

    class Broken(durable.Files):
        def sync(self, fd: int, site: str) -> None:
            raise OSError(errno.EIO, "no luck")

    path = tmp_path / "cursor"
    cursor = Cursor(path)
    cursor.commit(5, 5, {})
    for _ in range(2):
        with durable.using(Broken()), pytest.raises(OSError, match="no luck"):
            cursor.commit(8, 3, {"late": 1})
        assert state(cursor) == (5, 5, {})
    cursor.commit(9, 4, {})
    assert state(cursor) == state(Cursor(path)) == (9, 9, {})


def test_too_many_reasons_share_a_name_and_none_is_lost(tmp_path: Path) -> None:
    """A slot has a fixed size."""
    cursor = Cursor(tmp_path / "cursor")
    for number in range(100):
        cursor.commit(number, 0, {f"a-rather-long-reason-{number}": 2})
        again = Cursor(tmp_path / "cursor")
        assert again.refused == cursor.refused
        assert sum(again.refused.values()) == 2 * (number + 1)
    assert "other" in cursor.refused


def test_names_of_files_do_not_collide(tmp_path: Path) -> None:
    """Nor leave their directory, nor take the name of another's temporary file."""
    names = [
        "a",
        "a.tmp",
        "a@b",
        "A",
        "..",
        "../a",
        "a/b",
        "a%2Fb",
        "ä",
        "*",
        "!",
        "(a)",
        "a'b",
        *("t" * n for n in range(80, 101)),
        "ä" * 400,
    ]
    (tmp_path / "cursors").mkdir()
    paths = {cursor_path(tmp_path, tenant, sink) for tenant in names for sink in ("loki", "loki@a", "b")}
    assert len(paths) == 3 * len(names)
    for path in paths:
        assert path.parent == tmp_path / "cursors"
        assert not path.name.endswith(".tmp")
        Cursor(path, 3)
    assert all(Cursor(path).position == 3 for path in paths)


def test_the_furthest_cursor_is_that_of_a_sink_in_use(tmp_path: Path) -> None:
    """One of a sink that left, even damaged, and what a crash left, say nothing."""
    (tmp_path / "cursors").mkdir()
    assert furthest(tmp_path, ["loki"]) == 0
    for tenant, sink, position in (("a", "loki", 5), ("b", "loki", 9), ("a", "lok", 70), ("a", "archive", 8)):
        Cursor(cursor_path(tmp_path, tenant, sink), position)
    cursor_path(tmp_path, "z", "gone").write_bytes(b"?")
    cursor_path(tmp_path, "z", "loki").with_suffix(".tmp").write_bytes(b"?")
    assert furthest(tmp_path, ["loki"]) == 9
    assert furthest(tmp_path, ["archive"]) == 8
    assert furthest(tmp_path, ["loki", "archive", "lok"]) == 70
    with pytest.raises(CorruptionError, match="gone@z"):
        furthest(tmp_path, ["gone"])
