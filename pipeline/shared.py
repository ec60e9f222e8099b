"""What the processes of the program share: one mapped page, made before the fork.

Each worker has a slot: whether it accepts, its open connections, its heartbeat, whether its logs are
recovered. A slot has one writer, its worker; the supervisor clears it when the worker is gone.
"""

from __future__ import annotations

import mmap
import struct

_SLOT = struct.Struct("<IIQQ")  # accepting, connections, heartbeat in monotonic ms, recovered
SLOTS = 64


class WorkerMap:
    """The shared page.

    Args:
        workers: How many slots are in use.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._map = mmap.mmap(-1, _SLOT.size * SLOTS)

    def _get(self, worker: int) -> tuple[int, int, int, int]:
        accepting, connections, heartbeat, recovered = _SLOT.unpack_from(self._map, worker * _SLOT.size)
        return accepting, connections, heartbeat, recovered

    def _put(self, worker: int, accepting: int, connections: int, heartbeat: int, recovered: int) -> None:
        _SLOT.pack_into(self._map, worker * _SLOT.size, accepting, connections, heartbeat, recovered)

    def clear(self, worker: int, now_ms: int) -> None:
        """Forget a worker that is gone; what it had recovered stays recovered in the shared table."""
        recovered = self._get(worker)[3]
        self._put(worker, 0, 0, now_ms, recovered)

    def accepting(self, worker: int, *, yes: bool) -> None:
        """Say whether the worker takes connections."""
        _, connections, heartbeat, recovered = self._get(worker)
        self._put(worker, int(yes), connections, heartbeat, recovered)

    def connections(self, worker: int, number: int) -> None:
        """Say how many connections the worker has open."""
        accepting, _, heartbeat, recovered = self._get(worker)
        self._put(worker, accepting, number, heartbeat, recovered)

    def beat(self, worker: int, now_ms: int) -> None:
        """Say that the worker is alive."""
        accepting, connections, _, recovered = self._get(worker)
        self._put(worker, accepting, connections, now_ms, recovered)

    def recovered(self, worker: int) -> None:
        """Say that the batch ids of the worker's logs are in the shared table."""
        accepting, connections, heartbeat, _ = self._get(worker)
        self._put(worker, accepting, connections, heartbeat, 1)

    def heartbeat(self, worker: int) -> int:
        """Return the last beat, monotonic ms."""
        return self._get(worker)[2]

    def all_recovered(self) -> bool:
        """Tell whether every worker's batch ids are known: before that none may accept."""
        return all(self._get(worker)[3] for worker in range(self.workers))

    def above_least(self, worker: int) -> bool:
        """Tell whether another accepting worker has fewer connections."""
        mine = self._get(worker)[1]
        for other in range(self.workers):
            accepting, connections, _, _ = self._get(other)
            if other != worker and accepting and connections < mine:
                return True
        return False
