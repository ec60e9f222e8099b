"""Evidence for somebody who has neither headrig nor the log: events, proofs, the key, and a program that checks them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import orjson

from pipeline.audit import standalone
from pipeline.audit.proof import Proof
from pipeline.audit.published import Published, read_checkpoint
from pipeline.audit.search import Found
from pipeline.audit.tiles import Tile, TileTree

FORMAT = "headrig-evidence@v1"
_README = """\
Evidence from the audit log {origin}
=====================================

events/N.json          the event at index N, exactly as the log has it
proofs/N.tlog-proof    the proof that it is there (C2SP tlog-proof), with the checkpoint that the log's key signed
log.vkey               the log's public key, as the sender has it
manifest.json          what was asked for, and which events answer it
verify.py              checks all of it; needs Python 3.9 or newer, and reads only

    python3 verify.py --key KEY-YOU-WERE-GIVEN.vkey

Take the key from somebody you trust, not from this archive. The proofs show that these events are in the log and
unchanged. That no event is missing between the first and the last that were asked for is shown by the whole log alone.
"""


def write_evidence(
    target: BinaryIO,
    directory: Path,
    vkey: str,
    found: Iterable[Found],
    about: Mapping[str, object],
    step: Callable[[int], None] = lambda _done: None,
) -> int:
    """Write a tar archive; return how many events it holds.

    Args:
        target: Gets the archive.
        directory: The log's.
        vkey: The log's public key.
        found: The events; those that no signed checkpoint covers are left out.
        about: What was asked for, for the manifest.
        step: Told how many events are written.

    Raises:
        FileNotFoundError: Nothing was ever published, or a tile is missing.
    """
    published = Published(directory)
    note = published.checkpoint()
    signed = read_checkpoint(note)
    memo: dict[Tile, bytes] = {}

    def read(tile: Tile) -> bytes:
        if tile not in memo:
            memo[tile] = published.tile(tile)
        return memo[tile]

    tree = TileTree(signed.size, read)
    indexes = []
    with tarfile.open(fileobj=target, mode="w|") as archive:
        for each in found:
            if each.index >= signed.size:
                break
            proof = Proof(each.index, tuple(tree.prove_inclusion(each.index)), note)
            _put(archive, f"events/{each.index}.json", each.leaf)
            _put(archive, f"proofs/{each.index}.tlog-proof", proof.encode())
            indexes.append(each.index)
            step(len(indexes))
        manifest = {
            "format": FORMAT, "log": signed.origin, "signed_entries": signed.size, "asked": dict(about), "indexes": indexes,
        }  # fmt: skip
        _put(archive, "manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        _put(archive, "checkpoint", note)
        _put(archive, "log.vkey", vkey.encode() + b"\n")
        _put(archive, "README.txt", _README.format(origin=signed.origin).encode())
        _put(archive, "verify.py", Path(standalone.__file__).read_bytes(), mode=0o755)
    return len(indexes)


def _put(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(f"evidence/{name}")
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
