"""The log's key on disk: ``<name>.skey`` for the log alone, ``<name>.vkey`` for whoever verifies."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from headrig import ConfigError

from pipeline import durable
from pipeline.audit.note import NoteError, Signer

if TYPE_CHECKING:
    from pathlib import Path


def load_signer(path: Path) -> Signer:
    """Read the secret key; a `ConfigError` names the fix when it is missing or readable by others."""
    if not path.is_file():
        raise ConfigError(
            f"no key in {path}; restore it, or start a new log in an empty directory", path="audit.key"
        )
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(
            f"{path} has mode {mode:04o}: others may read the key; run chmod 600 {path}", path="audit.key"
        )
    try:
        return Signer.parse(path.read_text("ascii"))
    except (NoteError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, NoteError) else "not text"
        raise ConfigError(f"{path} is not a signer key: {reason}", path="audit.key") from None


def open_signer(path: Path, origin: str, log_directory: Path) -> Signer:
    """Return the log's key; make one when the log is new and has none.

    A log that has signed anything never gets another key by itself: that would hide a stolen or lost one.
    """
    if not path.exists() and not (log_directory / "head").exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.replace(path, f"{Signer(origin, secrets.token_bytes(32)).skey}\n".encode(), site="audit.key")
    signer = load_signer(path)
    if signer.name != origin:
        raise ConfigError(f"the key in {path} is of log {signer.name}, not {origin}", path="audit.origin")
    public = path.with_suffix(".vkey")
    if not public.exists() and os.access(path.parent, os.W_OK):
        durable.replace(public, f"{signer.vkey}\n".encode(), site="audit.vkey")
    # A process that died after making the folder may have left its name not durable.
    above = path.parent.resolve().parent
    if os.access(above, os.R_OK):
        durable.files.sync_dir(above, "audit.key.above")
    return signer
