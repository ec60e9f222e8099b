"""Verifying a log from its published resources alone, wherever they come from: checkpoint, tiles and bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.audit.checkpoint import Checkpoint, open_checkpoint
from pipeline.audit.note import NoteError, UnknownKeyError, Verifier
from pipeline.audit.recovery import extend
from pipeline.audit.report import Finding, Kind, Report
from pipeline.audit.tiles import ENTRIES, WIDTH, Tile, decode_bundle, split_hashes, tile_at
from pipeline.audit.tlog import HASH_BYTES, Frontier, leaf_hashes

Fetch = Callable[[str], bytes]
"""Returns a resource of the log by its path below the log's prefix; FileNotFoundError when it is not there."""


def verify_tiles(
    fetch: Fetch,
    *,
    vkeys: Sequence[str],
    saved: Sequence[bytes] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Fetch every entry of a log and compare with what was signed.

    Args:
        fetch: Gets a resource.
        vkeys: Keys to trust; the first one's name is the log's.
        saved: Signed checkpoints that the caller kept.
        progress: Told how many entries of how many are checked.
    """
    report = Report()
    try:
        verifiers = [Verifier.parse(vkey) for vkey in vkeys]
        report.origin = verifiers[0].name
        report.keys = [f"{verifier.name}+{verifier.id.hex()}" for verifier in verifiers]
        signed = {"checkpoint": fetch("checkpoint")}
    except (NoteError, IndexError) as error:
        report.add(Finding(Kind.UNKNOWN, "key", str(error) or "no key is given"))
    except FileNotFoundError:
        report.add(
            Finding(Kind.UNKNOWN, "checkpoint", "is missing, so nothing says how large the log must be")
        )
    else:
        signed |= {f"saved checkpoint {n}": note for n, note in enumerate(saved, 1)}
        _Walk(fetch, report, verifiers).run(signed, progress)
    report.conclude()
    return report


class _Walk:
    """One pass over all entries."""

    def __init__(self, fetch: Fetch, report: Report, verifiers: Sequence[Verifier]) -> None:
        self._fetch = fetch
        self._report = report
        self._verifiers = verifiers
        self._frontier = Frontier()
        self._roots = {0: self._frontier.root()}

    def run(self, notes: dict[str, bytes], progress: Callable[[int, int], None]) -> None:
        """Read everything and compare."""
        signed = {name: opened for name, note in notes.items() if (opened := self._open(name, note))}
        newest = signed.get("checkpoint")
        if newest is None:
            return
        self._report.signed = newest.size
        sizes = sorted({checkpoint.size for checkpoint in signed.values()})
        for number in range(-(-newest.size // WIDTH)):
            if not self._take(number, newest.size, sizes):
                return
            progress(self._frontier.size, newest.size)
        self._report.entries = self._frontier.size
        self._check_upper(newest.size)
        for name, checkpoint in signed.items():
            self._compare(name, checkpoint, newest)

    def _open(self, name: str, note: bytes) -> Checkpoint | None:
        try:
            return open_checkpoint(note, self._verifiers, self._report.origin)
        except UnknownKeyError as error:
            self._report.add(Finding(Kind.UNKNOWN, name, str(error)))
        except NoteError as error:
            self._report.add(Finding(Kind.TAMPERED, name, f"was changed: {error}"))
        return None

    def _read(self, tile: Tile, kind: Kind = Kind.UNKNOWN) -> bytes | None:
        """Fetch a tile; of a partial one that is gone, the full one, as the format allows."""
        for path in dict.fromkeys((tile.path, tile._replace(width=WIDTH).path)):
            try:
                return self._fetch(path)
            except FileNotFoundError:
                continue
        self._report.add(Finding(kind, tile.path, "is missing, so its entries cannot be checked"))
        return None

    def _take(self, number: int, size: int, sizes: Sequence[int]) -> bool:
        """Hash a bundle and compare it with its tile; return whether one can go on."""
        bundle, tile = tile_at(ENTRIES, number, size), tile_at(0, number, size)
        assert bundle is not None
        assert tile is not None
        data, hashed = self._read(bundle), self._read(tile)
        if data is None or hashed is None:
            return False
        first = number * WIDTH
        span = f"indexes {first} to {first + tile.width - 1}"
        try:
            entries = decode_bundle(data)[: tile.width]
        except ValueError as error:
            self._report.add(Finding(Kind.TAMPERED, bundle.path, f"was changed: {error}", None, first))
            return False
        hashes = leaf_hashes(entries)
        known = split_hashes(hashed)[: tile.width]
        if hashes != known:
            pairs = zip(hashes, known, strict=False)
            at = next(
                (n for n, (here, there) in enumerate(pairs) if here != there), min(len(hashes), len(known))
            )
            message = f"index {first + at} is not what tile {tile.path} has; {span}"
            self._report.add(Finding(Kind.TAMPERED, bundle.path, message, None, first + at))
        for reached, root in extend(self._frontier, known if len(known) == tile.width else hashes, sizes):
            self._roots[reached] = root
        return len(entries) == tile.width

    def _check_upper(self, size: int) -> None:
        """Compare the tiles above level 0 with those below."""
        level = 1
        while hashes := size >> (8 * level):
            for number in range(-(-hashes // WIDTH)):
                tile = tile_at(level, number, size)
                assert tile is not None
                data = self._read(tile)
                if data is None:
                    continue
                if len(data) < tile.width * HASH_BYTES:
                    self._report.add(Finding(Kind.TAMPERED, tile.path, f"was cut to {len(data)} bytes"))
                for place, node in enumerate(split_hashes(data)[: tile.width]):
                    frontier = Frontier()
                    below = self._read(Tile(level - 1, number * WIDTH + place))
                    frontier.extend(split_hashes(below) if below else [])
                    if frontier.root() != node:
                        message = f"hash {place} is not that of the tile below"
                        self._report.add(Finding(Kind.TAMPERED, tile.path, message))
            level += 1

    def _compare(self, name: str, checkpoint: Checkpoint, newest: Checkpoint) -> None:
        if checkpoint.size > newest.size:
            message = (
                f"is signed for {checkpoint.size} entries, the published one for {newest.size}: rolled back"
            )
            self._report.add(Finding(Kind.FORKED, name, message))
        elif self._roots.get(checkpoint.size) != checkpoint.root:
            kind = Kind.TAMPERED if name == "checkpoint" else Kind.FORKED
            message = f"the first {checkpoint.size} entries are not those that it was signed for"
            self._report.add(Finding(kind, name, message))
