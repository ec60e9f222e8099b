"""``headrig serve`` with faults: run as a program, it does what the variable ``HEADRIG_FAULTS`` (JSON) says.

``ids: false`` switches the table of batch ids off, ``silence_ms`` and ``backoff`` (seconds) replace the
supervisor's waits, and each of ``faults`` names one place among the file operations of `pipeline.durable`
where the process dies, or the disk fails. Faults are counted in a mapped file, so that each comes as
often as it should over all processes and restarts.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import signal
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "HEADRIG_FAULTS"
PROGRAM = [str(Path(__file__).resolve())]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from pipeline import durable  # noqa: E402

_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        op: Method of `durable.Files`.
        at: The sync's site, or a part of the file's path.
        when: ``before`` or ``after`` the operation, or ``torn``: a write that is half done.
        do: ``kill`` the process; ``eio``: fail; ``lose``: fail, and what was not synced is gone.
        nth: It comes at each nth operation that matches, counted from the process' start.
        times: How often it comes, all processes together.
    """

    op: str
    at: str
    when: str = "before"
    do: str = "kill"
    nth: int = 1
    times: int = 1


class Fired:
    """How often each fault came, and the operations on a log after its sync had failed."""

    def __init__(self, path: Path, faults: int) -> None:
        size = _COUNT.size * (faults + 1)
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._faults = faults

    def __getitem__(self, number: int) -> int:
        return _COUNT.unpack_from(self._map, number * _COUNT.size)[0]

    def add(self, number: int) -> None:
        """Count one more."""
        _COUNT.pack_into(self._map, number * _COUNT.size, self[number] + 1)

    def counts(self) -> list[int]:
        """Return how often each fault came."""
        return [self[number] for number in range(self._faults)]

    @property
    def after_failure(self) -> int:
        """Operations on a log after its sync had failed, in the same process."""
        return self[self._faults]

    def add_after_failure(self) -> None:
        """Count one more."""
        self.add(self._faults)


class FaultyFiles(durable.Files):
    """The file operations, with faults."""

    def __init__(self, faults: list[Fault], fired: Fired) -> None:
        self._faults = faults
        self._fired = fired
        self._seen = [0] * len(faults)
        self._pid = os.getpid()
        self._synced: dict[int, int] = {}
        self._failed: set[str] = set()

    def _due(self, op: str, place: str, when: str) -> Fault | None:
        if self._pid != os.getpid():
            self._pid, self._seen = os.getpid(), [0] * len(self._faults)
        for number, fault in enumerate(self._faults):
            if (fault.op, fault.when) != (op, when) or fault.at not in place:
                continue
            self._seen[number] += 1
            if self._seen[number] % fault.nth == 0 and self._fired[number] < fault.times:
                self._fired.add(number)
                return fault
        return None

    def _do(self, fault: Fault | None, fd: int = -1) -> None:
        if fault is None:
            return
        if fault.do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fd >= 0:
            self._failed.add(os.path.dirname(_path(fd)))
            if fault.do == "lose":
                os.ftruncate(fd, self._synced.get(fd, 0))
        raise OSError(errno.EIO, "the disk failed")

    def _check(self, fd: int) -> None:
        if self._failed and os.path.dirname(_path(fd)) in self._failed:
            self._fired.add_after_failure()

    def create(self, path: Path) -> int:
        self._do(self._due("create", str(path), "before"))
        fd = super().create(path)
        self._synced[fd] = 0
        self._do(self._due("create", str(path), "after"))
        return fd

    def open(self, path: Path) -> int:
        fd = super().open(path)
        self._synced[fd] = os.fstat(fd).st_size
        return fd

    def write(self, fd: int, data: bytes) -> None:
        self._check(fd)
        path = _path(fd)
        self._do(self._due("write", path, "before"), fd)
        if (fault := self._due("write", path, "torn")) is not None:
            super().write(fd, data[: len(data) // 2])
            self._do(fault, fd)
        super().write(fd, data)
        self._do(self._due("write", path, "after"), fd)

    def pwrite(self, path: Path, data: bytes, offset: int) -> int:
        if (fault := self._due("pwrite", str(path), "torn")) is not None:
            super().pwrite(path, data[: len(data) // 2], offset)
            self._do(fault)
        fd = super().pwrite(path, data, offset)
        self._do(self._due("pwrite", str(path), "after"))
        return fd

    def sync(self, fd: int, site: str) -> None:
        self._check(fd)
        self._do(self._due("sync", site, "before"), fd)
        super().sync(fd, site)
        self._synced[fd] = os.fstat(fd).st_size
        self._do(self._due("sync", site, "after"))

    def sync_dir(self, path: Path, site: str) -> None:
        self._do(self._due("sync_dir", site, "before"))
        super().sync_dir(path, site)
        self._do(self._due("sync_dir", site, "after"))

    def rename(self, old: Path, new: Path) -> None:
        self._do(self._due("rename", str(new), "before"))
        super().rename(old, new)
        self._do(self._due("rename", str(new), "after"))

    def unlink(self, path: Path) -> None:
        self._do(self._due("unlink", str(path), "before"))
        super().unlink(path)
        self._do(self._due("unlink", str(path), "after"))


def _path(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


def environment(
    state: Path,
    faults: list[Fault] | None = None,
    *,
    ids: bool = True,
    silence_ms: int | None = None,
    backoff: float | None = None,
) -> dict[str, str]:
    """Return the variables for a headrig with these faults; ``state`` is the file that `Fired` reads."""
    plan = {"ids": ids, "silence_ms": silence_ms, "backoff": backoff, "state": str(state)}
    return {VARIABLE: json.dumps({**plan, "faults": [asdict(fault) for fault in faults or []]})}


def _serve(plan: dict[str, Any], config: Path) -> int:
    from pipeline import supervisor
    from pipeline.app.node import Node
    from pipeline.cli.options import settings_from
    from pipeline.cli.serve import run_node
    from pipeline.telemetry import log_to_stderr

    faults = [Fault(**fault) for fault in plan["faults"]]
    durable.files = FaultyFiles(faults, Fired(Path(plan["state"]), len(faults)))
    if plan["silence_ms"] is not None:
        supervisor.SILENCE_MS = plan["silence_ms"]
    if plan["backoff"] is not None:
        supervisor._BACKOFF_SECONDS = (plan["backoff"],)
    settings = settings_from(config)
    log_to_stderr("supervisor", settings.log_level)
    node = Node.prepare(settings)
    if not plan["ids"]:
        node.ids = None
    return run_node(node)


if __name__ == "__main__":
    assert sys.argv[1:3] == ["serve", "--config"], sys.argv
    sys.exit(_serve(json.loads(os.environ[VARIABLE]), Path(sys.argv[3])))
