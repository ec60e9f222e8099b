"""Interrupts a plugin that does not return, by a timer signal in the worker's main thread.

While plugins run a timer ticks; between calls, and in calls that keep their deadline, a tick does
nothing, so a call costs two attribute writes and no system call. A call is interrupted once it has
used its CPU time, measured from the first tick that sees it (so at most two ticks late), or when ten
times that has passed on the clock. CPU time, because a worker that is not scheduled for 50 ms must
not condemn an innocent record.

What this cannot interrupt, code that swallows every exception and loops on or a native call that
never returns, makes the worker silent; the supervisor kills it and `Suspects` remembers the record.
"""

from __future__ import annotations

import signal
import threading
from time import monotonic_ns, thread_time_ns
from types import FrameType

WALL = 10
"""How much more time may pass on the clock than on the CPU."""
_TICKS = 4
_SHORTEST_TICK = 0.002


class Overrun(BaseException):
    """The plugin in the call at hand is out of time; its own `except Exception` must not eat this."""


class Watch:
    """The timer of one process. Calls mark themselves by setting ``since`` and clearing it.

    Attributes:
        since: `time.monotonic_ns` at the begin of the call at hand; 0 between calls, when a tick
            must never raise.
        fired: The call at hand was interrupted, even if it swallowed that.
        interrupts: Whether there is a signal handler. Signals reach the main thread only, so
            elsewhere an overrun is found only after the call returned.
    """

    __slots__ = ("_before", "_cpu", "_deadline", "_seen", "fired", "interrupts", "since")

    def __init__(self) -> None:
        self.since = 0
        self.fired = False
        self.interrupts = False
        self._deadline = 0
        self._seen = 0
        self._cpu = 0
        self._before: object = None

    def open(self) -> None:
        """Take SIGALRM; does nothing outside the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGALRM, self._tick)
            self.interrupts = True

    def close(self) -> None:
        """Give SIGALRM back."""
        if self.interrupts:
            self.stop()
            signal.signal(signal.SIGALRM, self._before or signal.SIG_DFL)  # type: ignore[arg-type]
            self.interrupts = False

    def start(self, deadline_ns: int) -> None:
        """Let the timer tick for calls with this deadline, nanoseconds of CPU time."""
        self._deadline = deadline_ns
        if self.interrupts:
            tick = max(deadline_ns / 1e9 / _TICKS, _SHORTEST_TICK)
            signal.setitimer(signal.ITIMER_REAL, tick, tick)

    def stop(self) -> None:
        """Stop the timer; a tick that is still on its way finds no call."""
        if self.interrupts:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def late(self, since: int) -> bool:
        """Tell whether the call that began at ``since`` took too long or was interrupted."""
        return self.fired or monotonic_ns() - since > self._deadline * WALL

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        since = self.since
        if not since:
            return
        spent = thread_time_ns()
        if since != self._seen:
            self._seen, self._cpu = since, spent
        if spent - self._cpu >= self._deadline or monotonic_ns() - since > self._deadline * WALL:
            # Cleared first: one call is interrupted once, and the raise cannot meet a second one.
            self.since = 0
            self.fired = True
            raise Overrun
