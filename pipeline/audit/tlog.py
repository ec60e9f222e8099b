"""Merkle tree mathematics of RFC 6962 section 2.1 over SHA-256; pure, no input or output.

A *leaf hash* is ``SHA-256(0x00 || entry)``, an inner node ``SHA-256(0x01 || left || right)``, the empty
tree ``SHA-256("")``. A tree of n > 1 leaves splits at the largest power of two below n. All hashes
are 32 bytes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the hash of each entry."""
    digest = sha256
    return [digest(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: one hash for each full subtree, largest first.

    Subtree i covers ``2**b`` leaves where b is the i-th highest set bit of ``size``, so a tree of any
    size needs at most 63 hashes to go on growing.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)
        if len(self.peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(self.peaks)}")

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order; one hash call a leaf at most on average."""
        nodes, level, digest = list(leaves), self.size, sha256
        self.size += len(nodes)
        tails: list[bytes] = []  # the new right edge, smallest subtree first
        # As in binary addition, a level at a time: a one in the old size is a full subtree to merge with.
        while nodes:
            if level & 1:
                nodes.insert(0, self.peaks.pop())
            if len(nodes) & 1:
                tails.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [
                digest(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)
            ]
            level >>= 1
        self.peaks += reversed(tails)

    def root(self) -> bytes:
        """Return the root hash of the tree as it is now."""
        if not self.peaks:
            return EMPTY_ROOT
        digest = sha256
        node = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            node = digest(b"\x01" + peak + node).digest()
        return node

    def copy(self) -> Frontier:
        """Return an independent copy."""
        return Frontier(self.size, self.peaks)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def _split(size: int) -> int:
    """Return the largest power of two strictly below ``size`` (> 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def prove_inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of leaf ``index``, its sibling first (RFC 6962 section 2.1.1)."""
    size = len(leaves)
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in a tree of {size}")
    if size == 1:
        return []
    cut = _split(size)
    if index < cut:
        return [*prove_inclusion(leaves[:cut], index), root_of(leaves[cut:])]
    return [*prove_inclusion(leaves[cut:], index - cut), root_of(leaves[:cut])]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether ``proof`` shows ``leaf`` at ``index`` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, at, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def prove_consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return the proof that the tree of ``old`` leaves is a prefix (RFC 6962 section 2.1.2)."""
    if not 0 < old <= len(leaves):
        raise ValueError(f"size {old} is not a non-empty prefix of {len(leaves)}")
    return _subproof(leaves, old, whole=True)


def _subproof(leaves: Sequence[bytes], old: int, *, whole: bool) -> list[bytes]:
    size = len(leaves)
    if old == size:
        return [] if whole else [root_of(leaves)]
    cut = _split(size)
    if old <= cut:
        return [*_subproof(leaves[:cut], old, whole=whole), root_of(leaves[cut:])]
    return [*_subproof(leaves[cut:], old - cut, whole=False), root_of(leaves[:cut])]


def check_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Say whether ``proof`` shows that the old tree is a prefix (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)  # a full subtree: the old root is itself a node of the new tree
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_node = node = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_node, node = node_hash(sibling, old_node), node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_node == old_root and node == root
