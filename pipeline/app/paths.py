"""Where things lie in the data directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrig import ConfigError

from pipeline import durable
from pipeline.audit.keys import load_signer
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Paths:
    """The data directory of one node.

    Attributes:
        root: Everything below it belongs to headrig.
    """

    root: Path

    @property
    def buffers(self) -> Path:
        """One directory per worker, ``w0`` and so on."""
        return self.root / "buffer"

    def buffer(self, worker: int) -> Path:
        """Write-ahead log of a worker."""
        return self.buffers / f"w{worker}"

    @property
    def audit_log(self) -> Path:
        """The tamper-evident log, nothing else in it."""
        return self.root / "audit"

    @property
    def audit_cursors(self) -> Path:
        """How far the audit log's own pump is."""
        return self.root / "audit-cursors"

    @property
    def archive(self) -> Path:
        """Parquet files and manifests."""
        return self.root / "archive"

    @property
    def quarantine(self) -> Path:
        """What was held back."""
        return self.root / "quarantine"

    @property
    def keys(self) -> Path:
        """Node key and audit key, mode 0600."""
        return self.root / "keys"

    @property
    def cache(self) -> Path:
        """Compiled pattern databases; can be deleted."""
        return self.root / "cache"

    @property
    def run(self) -> Path:
        """Sockets, metrics and locks of the running program; made anew at each start."""
        return self.root / "run"

    @property
    def audit_socket(self) -> Path:
        """Where workers reach the audit process."""
        return self.run / "audit.sock"

    @property
    def audit_unverified(self) -> Path:
        """Exists while the audit process finds that its log does not verify."""
        return self.run / "audit-unverified"

    @property
    def canary_found(self) -> Path:
        """Exists when a canary secret was found downstream."""
        return self.run / "canary-found"

    @property
    def metrics(self) -> Path:
        """Mapped metric files of all processes."""
        return self.run / "metrics"

    def make(self) -> None:
        """Make the directories that must exist before anything starts."""
        directories = (self.buffers, self.audit_cursors, self.quarantine, self.keys, self.cache, self.run)
        for directory in directories:
            durable.make_dir(directory, site="data")

    def node_key(self) -> bytes:
        """Return the node's 32-byte key for keyed digests; make it at the first start."""
        path = self.keys / "node.key"
        if not path.exists():
            durable.replace(path, os.urandom(32), site="node-key")
        return path.read_bytes()

    def adopted(self, worker: int, workers: int) -> list[Path]:
        """Name the buffers of workers that no longer exist and that this worker drains."""
        orphans = []
        for directory in sorted(self.buffers.glob("w*")):
            number = directory.name[1:]
            if number.isdigit() and int(number) >= workers and int(number) % workers == worker:
                orphans.append(directory)
        return orphans


@contextmanager
def using(setting: str) -> Iterator[None]:
    """Say of which setting it is that a file or directory cannot be used."""
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise ConfigError(
            f"{place}{error.strerror}; name a place where headrig may write", path=setting
        ) from None


def check_places(settings: Settings) -> None:
    """Find out, and change nothing, whether the places that the settings name can be used.

    Raises:
        ConfigError: One cannot.
    """
    root = settings.data.absolute()
    with using("data"):
        _check_directory(root, "data")
    paths = Paths(root)
    key = settings.audit.key or paths.keys / "audit.skey"
    with using("audit.key"):
        if key.exists() or (paths.audit_log / "head").exists():
            signer = load_signer(key)
            if signer.name != settings.audit.origin:
                raise ConfigError(
                    f"the key in {key} is of log {signer.name}, not {settings.audit.origin}",
                    path="audit.origin",
                )
        else:
            _check_directory(key.absolute().parent, "audit.key")


def _check_directory(path: Path, setting: str) -> None:
    """Refuse what is no directory and cannot become one."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise ConfigError(f"{there} is no directory; name one where headrig may write", path=setting)
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"{there} cannot be written; name a place where headrig may write", path=setting)
