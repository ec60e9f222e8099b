"""Tiles and the proofs made from them, against the tree's own definition and the golden vectors."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    TileBuilder,
    TileTree,
    decode_bundle,
    encode_bundle,
    parse_path,
    right_edge,
    split_hashes,
    tile_at,
)
from pipeline.audit.tlog import (
    check_consistency,
    check_inclusion,
    leaf_hashes,
    prove_consistency,
    prove_inclusion,
    root_of,
)

VECTORS = json.loads((Path(__file__).parents[1] / "golden/audit-vectors.json").read_text())
ENTRY = [n.to_bytes(4) for n in range(70_000)]
LEAF = leaf_hashes(ENTRY)


def cut(size: int, portions: list[int] | None = None) -> dict[Tile, bytes]:
    """Return all tiles of a log of ``size``, grown in portions."""
    builder = TileBuilder()
    made: dict[Tile, bytes] = {}
    for portion in [*(portions or ()), size]:
        end = min(size, builder.size + portion)
        made.update(builder.add(ENTRY[builder.size : end], LEAF[builder.size : end]))
    made.update(builder.edge())
    return made


def tree(size: int, tiles: dict[Tile, bytes]) -> TileTree:
    """Return the tree that reads from tiles."""
    return TileTree(size, tiles.__getitem__)


TILES_70000 = cut(70_000)


def test_the_golden_tiles_and_proofs() -> None:
    """Five entries: paths, bytes and proofs are those of the vectors."""
    entries = [entry.encode() for entry in VECTORS["entries"]]
    builder = TileBuilder()
    assert list(builder.add(entries, leaf_hashes(entries))) == []
    made = {tile.path: data for tile, data in builder.edge()}
    assert made[VECTORS["bundle_path"]].hex() == VECTORS["bundle_hex"]
    assert sha256(made[VECTORS["tile_path"]]).hexdigest() == VECTORS["tile_sha256"]
    assert len(made) == 2
    known = tree(5, dict(builder.edge()))
    assert known.root().hex() == VECTORS["roots"]["5"]
    encoded = VECTORS["inclusion_3_of_5"], VECTORS["consistency_3_to_5"]
    assert [base64.b64encode(h).decode() for h in known.prove_inclusion(3)] == encoded[0]
    assert [base64.b64encode(h).decode() for h in known.prove_consistency(3)] == encoded[1]


def test_the_golden_tree_of_70000() -> None:
    """273 full tiles and one of 112 at level 0, one and one of 17 above, one of 1 on top."""
    golden = VECTORS["size70000"]
    assert tree(70_000, TILES_70000).root().hex() == golden["root"]
    assert [tile.width for tile in right_edge(70_000)] == [112, 112, 17, 1]
    assert sum(tile.level == 0 and tile.width == WIDTH for tile in TILES_70000) == 273


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_proofs_of_a_large_tree(data: st.DataObject) -> None:
    """From tiles alone any leaf and any older tree is proven."""
    size = data.draw(st.integers(1, 70_000))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    tiles = {
        tile: b"".join(split_hashes(whole)[: tile.width])
        for tile, whole in ((each, TILES_70000.get(each._replace(width=WIDTH))) for each in right_edge(size))
        if whole is not None and tile.level != ENTRIES
    }
    for tile in right_edge(size):
        if tile not in tiles and tile.level != ENTRIES:
            tiles[tile] = TILES_70000[next(t for t in TILES_70000 if t[:2] == tile[:2])][: 32 * tile.width]
    known = tree(size, {**TILES_70000, **tiles})
    root = known.root()
    assert root == root_of(LEAF[:size])
    assert check_inclusion(LEAF[index], index, size, known.prove_inclusion(index), root)
    assert check_consistency(old, size, known.prove_consistency(old), root_of(LEAF[:old]), root)
    assert known.leaf(index) == LEAF[index]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 600])
def test_every_proof_is_that_of_the_definition(size: int) -> None:
    """The hashes and their order are those of RFC 6962, for each index and each older size."""
    known = tree(size, cut(size))
    for index in range(size):
        assert known.prove_inclusion(index) == prove_inclusion(LEAF[:size], index)
    for old in range(1, size + 1):
        assert known.prove_consistency(old) == prove_consistency(LEAF[:size], old)


@settings(deadline=None)
@given(st.integers(0, 1500), st.lists(st.integers(0, 700), max_size=6))
def test_growing_in_any_portions_gives_the_same_tiles(size: int, portions: list[int]) -> None:
    """And a builder that starts in the middle, from what the partial tiles hold, goes on alike."""
    whole = cut(size)
    assert cut(size, portions) == whole
    middle = size // 2
    first = cut(middle)
    edge = {tile.level: first[tile] for tile in right_edge(middle)}
    levels = [split_hashes(edge.get(level, b"")) for level in range(3)]
    builder = TileBuilder(middle, levels, decode_bundle(edge.get(ENTRIES, b"")))
    later = dict(builder.add(ENTRY[middle:size], LEAF[middle:size])) | dict(builder.edge())
    full_before = {tile: data for tile, data in first.items() if tile.width == WIDTH}
    assert full_before | later == whole


@given(st.integers(-1, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_paths_are_read_as_they_are_written(level: int, number: int, width: int) -> None:
    """Each tile has one path."""
    tile = Tile(level, number, width)
    assert parse_path(tile.path) == tile


def test_other_spellings_are_no_paths() -> None:
    """A second name for the same bytes is refused."""
    assert Tile(0, 1_234_067).path == "tile/0/" + VECTORS["tile_path_1234067"]
    for path in (
        "tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/1", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/05",
        "tile/0/001/", "/tile/0/001", "tile/0/x1/001", "tile/entries/001.p/257", "tile/data/001", "tile/0/../001", "tile/-1/001",
    ):  # fmt: skip
        assert parse_path(path) is None


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_keep_their_entries(entries: list[bytes]) -> None:
    """Entries come back, and a bundle that is cut is refused, or holds whole entries only."""
    data = encode_bundle(entries)
    assert decode_bundle(data) == entries
    if data:
        ends = {len(encode_bundle(entries[:count])) for count in range(len(entries))}
        if len(data) - 1 not in ends:
            with pytest.raises(ValueError, match="is cut"):
                decode_bundle(data[:-1])


def test_what_a_tree_does_not_hold_is_refused() -> None:
    """Indexes and sizes beyond it, and tiles that are empty in it."""
    known = tree(5, cut(5))
    for wrong in (-1, 5):
        with pytest.raises(ValueError, match="not in a tree of 5"):
            known.prove_inclusion(wrong)
    for wrong in (0, 6):
        with pytest.raises(ValueError, match="no"):
            known.prove_consistency(wrong)
    assert tile_at(0, 1, 256) is None
    assert tile_at(0, 1, 257) == Tile(0, 1, 1)
