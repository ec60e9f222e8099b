"""The tiles of a log on disk: derived, whole whenever they are there, and checked by a verification."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_tiles import SIGNER, entry, flip, grow, rewrite
from headrig import CorruptionError, ForkError
from power_cut import Disk

from pipeline import durable
from pipeline.audit.checkpoint import open_checkpoint
from pipeline.audit.segments import read_log
from pipeline.audit.tile_writer import KEPT
from pipeline.audit.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    TileBuilder,
    TileTree,
    decode_bundle,
    parse_path,
    tile_at,
)
from pipeline.audit.tlog import leaf_hashes
from pipeline.audit.verify import verify_log


def tiles_on_disk(directory: Path) -> dict[Tile, bytes]:
    """Read every tile."""
    return {
        tile: path.read_bytes()
        for path in (directory / "tile").rglob("*")
        if path.is_file() and (tile := parse_path(path.relative_to(directory).as_posix()))
    }


def tiles_of(size: int) -> dict[Tile, bytes]:
    """Return the tiles that a log of so many entries has, partial ones included."""
    builder, leaves = TileBuilder(), [entry(n).leaf for n in range(size)]
    return {**dict(builder.add(leaves, leaf_hashes(leaves))), **dict(builder.edge())}


def test_a_checkpoint_is_proven_from_the_tiles_on_disk(tmp_path: Path) -> None:
    """Root, leaves and bundles of the published tree come from tiles alone."""
    asyncio.run(grow(tmp_path / "log", 1, 255, 256, 600))
    checkpoint = open_checkpoint((tmp_path / "log/checkpoint").read_bytes(), [SIGNER.verifier], SIGNER.name)
    read = lambda tile: (tmp_path / "log" / tile.path).read_bytes()  # noqa: E731 - as `TileTree` wants it
    tree = TileTree(600, read)
    assert tree.root() == checkpoint.root
    leaves = [leaf.leaf for leaf in read_log(tmp_path / "log")]
    assert [tree.leaf(n) for n in (0, 255, 256, 599)] == leaf_hashes([leaves[n] for n in (0, 255, 256, 599)])
    assert decode_bundle(read(tile_at(ENTRIES, 2, 600))) == leaves[512:]


def test_full_tiles_cannot_be_written_and_partial_ones_of_old_checkpoints_go(tmp_path: Path) -> None:
    """Those of the newest eight are kept, and when the next tile begins the old ones go, too."""
    asyncio.run(grow(tmp_path / "log", *range(1, 12)))
    kept = sorted(tile.width for tile in tiles_on_disk(tmp_path / "log") if tile.level == 0)
    assert kept == list(range(12 - KEPT, 12))
    asyncio.run(grow(tmp_path / "log", 256, *(256 + n for n in range(1, KEPT + 1))))
    levels = [tile for tile in tiles_on_disk(tmp_path / "log") if tile.level == 0]
    assert sorted(tile.width for tile in levels if tile.number == 0) == [WIDTH]
    assert (tmp_path / "log/tile/0/000").stat().st_mode & 0o777 == 0o444
    assert not (tmp_path / "log/tile/0/000.p").exists()


@pytest.mark.parametrize("stops", [(300,), (255, 256), (511, 700)])
def test_a_restart_goes_on_and_leaves_no_old_partial_tile(tmp_path: Path, stops: tuple[int, ...]) -> None:
    """After a restart there are the tiles of the published tree and no others."""
    asyncio.run(grow(tmp_path / "log", *stops))
    asyncio.run(grow(tmp_path / "log"))
    assert tiles_on_disk(tmp_path / "log") == tiles_of(stops[-1])
    assert verify_log(tmp_path / "log", vkeys=[SIGNER.vkey]).exit_code == 0


@pytest.mark.parametrize(
    "path", ["tile", "tile/0", "tile/entries/001", "tile/0/000", "tile/0/002.p", "tile/1"]
)
def test_what_is_missing_is_made_again(tmp_path: Path, path: str) -> None:
    """A verification misses it, the next start makes it from the log, byte for byte."""
    asyncio.run(grow(tmp_path / "log", 600))
    gone = tmp_path / "log" / path
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    report = verify_log(tmp_path / "log", vkeys=[SIGNER.vkey])
    assert report.exit_code == 2
    assert all(
        "is missing" in finding.message and finding.file.startswith(path) for finding in report.findings
    )
    asyncio.run(grow(tmp_path / "log"))
    assert tiles_on_disk(tmp_path / "log") == tiles_of(600)


def test_tiles_of_entries_that_the_log_lacks_are_a_rollback(tmp_path: Path) -> None:
    """A log that was put back to an older state beside its newer tiles does not start."""
    asyncio.run(grow(tmp_path / "log", 200))
    shutil.copytree(tmp_path / "log", tmp_path / "older")
    asyncio.run(grow(tmp_path / "log", 300))
    shutil.copytree(tmp_path / "log/tile", tmp_path / "older/tile", dirs_exist_ok=True)
    with pytest.raises(ForkError, match=r"tile/0/000: a full tile, but the log has 200 entries"):
        asyncio.run(grow(tmp_path / "older"))
    report = verify_log(tmp_path / "older", vkeys=[SIGNER.vkey])
    assert report.exit_code == 3
    assert "rolled back" in "\n".join(report.lines)


TAMPER: list[tuple[str, Callable[[Path], None]]] = [
    ("flipped", flip),
    ("cut", lambda path: rewrite(path, path.read_bytes()[:-1])),
    ("grown", lambda path: rewrite(path, path.read_bytes() + b"\0")),
    ("empty", lambda path: rewrite(path, b"")),
    ("swapped", lambda path: rewrite(path, next(p for p in path.parent.iterdir() if p.is_file() and p != path).read_bytes())),
    ("linked", lambda path: (path.rename(path.with_name("x")), path.symlink_to("x"))),
]  # fmt: skip


@pytest.mark.parametrize("change", [change for _, change in TAMPER], ids=[name for name, _ in TAMPER])
@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/0/001", "tile/0/002.p/88", "tile/entries/002.p/88"]
)
def test_every_change_of_a_tile_is_found(tmp_path: Path, path: str, change: Callable[[Path], None]) -> None:
    """The verification names the tile and its indexes, and calls it tampering."""
    asyncio.run(grow(tmp_path / "log", 590, 600))
    change(tmp_path / "log" / path)
    report = verify_log(tmp_path / "log", vkeys=[SIGNER.vkey])
    assert report.exit_code == 1
    assert any(finding.file == path and "indexes" in finding.message for finding in report.findings)


def test_what_is_no_tile_is_found(tmp_path: Path) -> None:
    """A file under another spelling of a name, too."""
    asyncio.run(grow(tmp_path / "log", 300))
    (tmp_path / "log/tile/0/0000").write_bytes(b"")
    report = verify_log(tmp_path / "log", vkeys=[SIGNER.vkey])
    assert report.exit_code == 1
    assert report.findings[0].file == "tile/0/0000"


def test_a_full_tile_that_is_not_that_of_the_log_stops_the_publisher(tmp_path: Path) -> None:
    """Write-once: where a file stands already it must be the same, and its size is looked at first."""
    asyncio.run(grow(tmp_path / "log", 255))
    other = tiles_of(300)[Tile(0, 0)]
    place = tmp_path / "log/tile/0/000"
    place.write_bytes(other[32:] + other[:32])
    with pytest.raises(ForkError):
        asyncio.run(grow(tmp_path / "log", 300))
    place.write_bytes(other[:-1])
    with pytest.raises(CorruptionError, match="8191 bytes"):
        asyncio.run(grow(tmp_path / "log"))
    place.unlink()
    asyncio.run(grow(tmp_path / "log", 300))
    (tmp_path / "log/tile/entries/000").unlink()
    rewrite(place, other[32:] + other[:32])
    with pytest.raises(CorruptionError, match="tile/0/000"):
        asyncio.run(grow(tmp_path / "log"))


def left_after_cuts(base: Path, broken: set[str]) -> bool:
    """Cut the power at each operation of a session; say whether the log opens and no tile is half."""
    disk = Disk(base / "live", broken=broken)
    with durable.using(disk):
        asyncio.run(grow(base / "live/log", 250, 520))
    whole = tiles_of(520)
    for time, image in disk.images(range(disk.now + 1)):
        target = base / f"cut-{time}"
        image.torn(target, random.Random(time))
        there = tiles_on_disk(target / "log") if (target / "log").exists() else {}
        good = all(data == whole[tile] for tile, data in there.items() if tile.width == WIDTH)
        partial = all(
            data == tiles_of(250)[tile]
            for tile, data in there.items()
            if tile.width < WIDTH and tile.number == 0
        )
        shutil.rmtree(target)
        if not (good and partial):
            return False
    return True


def test_a_power_cut_leaves_whole_tiles_or_none(tmp_path: Path) -> None:
    """Whenever the power goes; and with the sync left out a half tile is found."""
    assert left_after_cuts(tmp_path / "kept", set())
    assert not left_after_cuts(tmp_path / "broken", {"audit.tile.put"})
