"""One owner per directory: an ``flock``, which the kernel releases when its holder is gone."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from headrig import ConfigError

PATIENCE_SECONDS = 3.0


def take_lock(directory: Path) -> int:
    """Take the lock of a directory; return the descriptor that holds it. Blocks for at most `PATIENCE_SECONDS`.

    Raises:
        ConfigError: Another process has it.
    """
    fd = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < patience:
                time.sleep(0.02)  # a killed process lets go once it, and what it forked, is dead
                continue
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            raise ConfigError(f"process {holder or 'unknown'} holds {directory}", path="data") from None
        break
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
