"""The files of one audit log and the order in which they become durable. Layout: docs/formats/audit.md.

LOCK  log.json  wal/<first index>.wal  tile/<level>/<number>  head  checkpoint
blobs/sha256/<aa>/<hex>      only when a line was too large for its leaf
quarantine/<segment>.<offset>.torn      only after a write that a crash cut short
"""

from __future__ import annotations

import fcntl
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from headrig import ConfigError, CorruptionError, IntegrityError

from pipeline import durable
from pipeline.audit.frame import log_hash
from pipeline.audit.note import NoteError, check_name
from pipeline.audit.segments import list_segments

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT_VERSION = 1


def read_log_json(directory: Path) -> tuple[str, bytes]:
    """Return the origin and the bytes of ``log.json``; `CorruptionError` unless they are as we write them."""
    data = (directory / "log.json").read_bytes()
    try:
        fields = orjson.loads(data)
        known = fields["format"] == FORMAT_VERSION and fields["hash"] == "sha256"
        origin = check_name(fields["origin"])
    except (KeyError, TypeError, ValueError, AttributeError, NoteError):
        raise CorruptionError("log.json", 0, "not the description of an audit log") from None
    if not known or _encode_log_json(fields) != data:
        raise CorruptionError("log.json", 0, "not the description of an audit log in format 1")
    return origin, data


def _encode_log_json(fields: dict[str, object]) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


class Store:
    """One log directory, held by one process.

    Args:
        directory: Made when it is missing.
        origin: Name of the log.
        clock: Unix ns.
    """

    def __init__(self, directory: Path, origin: str, clock: Callable[[], int]) -> None:
        self.directory = directory
        self.origin = check_name(origin)
        (directory / "wal").mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._sync_names()
            self.log_hash = log_hash(self._describe(clock))
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> int:
        fd = os.open(self.directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise IntegrityError(f"audit log {self.directory.name}: another process writes it") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {secrets.token_hex(8)}\n".encode(), 0)
        return fd

    def _describe(self, clock: Callable[[], int]) -> bytes:
        """Return ``log.json``, written once when the log is new."""
        path = self.directory / "log.json"
        if not path.exists():
            if list_segments(self.directory):
                raise CorruptionError("log.json", 0, "missing, but the log has segments")
            fields = {"created": str(clock()), "format": FORMAT_VERSION, "hash": "sha256"}
            named = {**fields, "id": secrets.token_hex(16), "origin": self.origin}
            durable.replace(path, _encode_log_json(named), site="audit.log-json")
        origin, data = read_log_json(self.directory)
        if origin != self.origin:
            raise ConfigError(
                f"the log in {self.directory.name} is {origin}, not {self.origin}", path="audit.origin"
            )
        return data

    def _sync_names(self) -> None:
        """Make every name durable that is here: a process that died may have left some that are not.

        That covers the directory the log lies in and its name; what is further up is the operator's.
        """
        folder = self.directory.resolve()
        if os.access(folder.parent.parent, os.R_OK):
            durable.files.sync_dir(folder.parent.parent, "audit.open.above")
        durable.files.sync_dir(folder.parent, "audit.open.parent")
        durable.files.sync_dir(folder, "audit.open.directory")
        durable.files.sync_dir(folder / "wal", "audit.open.wal")

    def write_head(self, note: bytes) -> None:
        """Remember what is about to be published: from now on nothing older may be signed."""
        durable.replace(self.directory / "head", note, site="audit.head")

    def write_checkpoint(self, note: bytes) -> None:
        """Publish a checkpoint; ``head`` must have it already."""
        durable.replace(self.directory / "checkpoint", note, site="audit.checkpoint")

    def read(self, name: str) -> bytes | None:
        """Return the content of ``head`` or ``checkpoint``, or None."""
        path = self.directory / name
        return path.read_bytes() if path.exists() else None

    def write_blob(self, data: bytes) -> None:
        """Store a line by its digest; durable, with every directory above it, on return."""
        digest = sha256(data).hexdigest()
        kind = self.directory / "blobs" / "sha256"
        folder = kind / digest[:2]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.replace(folder / digest, data, site="audit.blob")
        # Synced also when they were there: the process that made them may have died before it could.
        durable.files.sync_dir(kind, "audit.blob.folder-dir")
        durable.files.sync_dir(kind.parent, "audit.blob.sha256-dir")
        durable.files.sync_dir(self.directory, "audit.blob.blobs-dir")

    def set_aside(self, path: Path, offset: int) -> None:
        """Copy a torn tail to ``quarantine/`` and cut it off; an empty rest goes as a whole."""
        folder = self.directory / "quarantine"
        durable.make_dir(folder, site="audit.quarantine")
        tail = path.read_bytes()[offset:]
        durable.replace(folder / f"{path.name}.{offset}.torn", tail, site="audit.quarantine")
        if not offset:
            durable.remove(path, site="audit.torn")
            return
        fd = durable.files.open(path)
        try:
            durable.files.truncate(fd, offset)
            durable.files.sync(fd, "audit.torn.truncate")
        finally:
            durable.files.close(fd)

    def close(self) -> None:
        """Let another process have the log."""
        os.close(self._lock)
