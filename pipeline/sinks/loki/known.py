"""What a process remembers of the streams it pushes: which Loki took lately, and how much they got."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from pipeline.sinks.loki.push import inflate, names_in

if TYPE_CHECKING:
    from pipeline.sinks.delivery import StoredFrame

QUIET_BYTES = 64 << 10
"""What a stream may get in pushes with others at once..."""
QUIET_BYTES_PER_SECOND = 16 << 10
"""...and for how much more a second makes room: 1/200 of Loki's default rate of a stream."""
_STREAMS = 20_000
_NAMES = 4096
_NAMES_BYTES = 4 << 20
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class _Seen:
    taken_ns: int
    spent: float = 0.0
    at_ns: int = 0


class Known:
    """The streams that Loki took lately, over all tenants; bounded, the longest unused go first.

    Args:
        lasts_ns: For how long a stream is known after Loki took it.
    """

    def __init__(self, lasts_ns: int) -> None:
        self._lasts = lasts_ns
        self._lock = Lock()  # plans of several tenants are made in threads
        self._seen: OrderedDict[int, _Seen] = OrderedDict()  # by hash: names can be long

    def quiet(self, tenant: str, name: bytes, size: int, now: int) -> bool:
        """Tell whether ``size`` bytes of a stream may share a push with others; then they count as sent."""
        key = hash((tenant, name))
        with self._lock:
            seen = self._seen.get(key)
            if seen is None or seen.taken_ns <= now - self._lasts:
                return False
            refilled = (now - seen.at_ns) * QUIET_BYTES_PER_SECOND / _SECOND_NS
            spent = max(seen.spent - refilled, 0.0) + size
            # What goes alone counts too, for it empties Loki's bucket as well; bounded, or it would never be quiet again.
            seen.spent, seen.at_ns = min(spent, 2.0 * QUIET_BYTES), now
            self._seen.move_to_end(key)
            return spent <= QUIET_BYTES

    def add(self, tenant: str, name: bytes, size: int, now: int) -> None:
        """Remember a stream that Loki took in a push of its own."""
        key = hash((tenant, name))
        with self._lock:
            seen = self._seen.get(key)
            if seen is None:
                self._seen[key] = _Seen(now, min(size, 2.0 * QUIET_BYTES), now)
            else:
                seen.taken_ns = now
            self._seen.move_to_end(key)
            while len(self._seen) > _STREAMS:
                self._seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)


class Names:
    """The name of the only stream in a frame, by the frame's mark; bounded in number and in bytes."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, int], bytes | None] = OrderedDict()
        self._lock = Lock()
        self.size = 0

    def only(self, frame: StoredFrame) -> bytes | None:
        """Name the stream of a frame; None when there are several. One mark is inflated once."""
        mark: int = getattr(frame, "streams", 0)
        key = (frame.tenant, mark)
        with self._lock:
            if mark and key in self._names:
                self._names.move_to_end(key)
                return self._names[key]
        found = set(names_in(inflate(frame.payload)))
        name = found.pop() if len(found) == 1 else None
        if mark:
            with self._lock:
                self._remember(key, name)
        return name

    def _remember(self, key: tuple[str, int], name: bytes | None) -> None:
        self.size += len(name or b"") - len(self._names.get(key) or b"")
        self._names[key] = name
        while len(self._names) > _NAMES or self.size > _NAMES_BYTES:
            self.size -= len(self._names.popitem(last=False)[1] or b"")

    def __len__(self) -> int:
        return len(self._names)
