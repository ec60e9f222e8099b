"""The Merkle tree against RFC 6962's own recursive definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.tlog import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_hashes,
    prove_consistency,
    prove_inclusion,
    root_of,
)

LEAVES = leaf_hashes([n.to_bytes(4, "big") for n in range(600)])


def mth(leaves: list[bytes]) -> bytes:
    """Merkle tree hash, word for word as in RFC 6962 section 2.1, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def test_frontier_has_the_root_of_the_recursion_at_every_size_to_600() -> None:
    """A frontier that grows leaf by leaf has the recursive root at each size."""
    frontier = Frontier()
    assert frontier.root() == mth([]) == EMPTY_ROOT
    for size, leaf in enumerate(LEAVES, 1):
        frontier.append(leaf)
        assert frontier.size == size
        assert frontier.root() == mth(LEAVES[:size])


@given(st.lists(st.integers(0, 90), max_size=7))
def test_growing_in_any_portions_gives_the_same_root(portions: list[int]) -> None:
    """How leaves are grouped does not matter, nor does a copy or a rebuild from size and peaks."""
    frontier, size = Frontier(), 0
    for portion in portions:
        part = LEAVES[size : size + portion]
        size = min(len(LEAVES), size + portion)
        frontier.extend(part)
        frontier = Frontier(frontier.size, frontier.peaks)
    assert frontier.root() == frontier.copy().root() == root_of(LEAVES[:size]) == mth(LEAVES[:size])


@pytest.mark.parametrize("size", [255, 256, 257, 511, 512, 513])
def test_sizes_around_a_tile_keep_to_the_recursion(size: int) -> None:
    """The sizes where a C2SP tile fills up are nothing special to the frontier."""
    assert root_of(LEAVES[:size]) == mth(LEAVES[:size])


def test_a_frontier_refuses_peaks_that_do_not_fit_its_size() -> None:
    """A tree of three leaves has two peaks."""
    with pytest.raises(ValueError, match="2 peaks, not 1"):
        Frontier(3, LEAVES[:1])


def test_every_proof_of_every_tree_to_40_holds_and_no_changed_one_does() -> None:
    """Inclusion and consistency proofs verify; with one node changed, cut or added they do not."""
    for size in range(1, 41):
        leaves, root = LEAVES[:size], mth(LEAVES[:size])
        for at in range(size):
            proof = prove_inclusion(leaves, at)
            assert check_inclusion(leaves[at], at, size, proof, root)
            assert not check_inclusion(leaf_hash(b"other"), at, size, proof, root)
            assert not check_inclusion(leaves[at], at, size, [*proof, root], root)
            assert not check_inclusion(leaves[at], size, size, proof, root)
            if proof:
                assert not check_inclusion(leaves[at], at, size, proof[:-1], root)
            old = at + 1
            proof = prove_consistency(leaves, old)
            assert check_consistency(old, size, proof, mth(leaves[:old]), root)
            assert not check_consistency(old, size, proof, leaf_hash(b"other"), root)
            assert not check_consistency(old, size, [*proof, root], mth(leaves[:old]), root)
            if proof:
                assert not check_consistency(old, size, proof[:-1], mth(leaves[:old]), root)


def test_proofs_outside_the_tree_are_refused() -> None:
    """There is no proof of a leaf or a prefix that the tree does not have."""
    with pytest.raises(ValueError, match="not in a tree of 3"):
        prove_inclusion(LEAVES[:3], 3)
    with pytest.raises(ValueError, match="not a non-empty prefix"):
        prove_consistency(LEAVES[:3], 0)
    assert not check_consistency(4, 3, [], LEAVES[0], LEAVES[0])
    assert not check_consistency(2, 3, [], LEAVES[0], LEAVES[0])
