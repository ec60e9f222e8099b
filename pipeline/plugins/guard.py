"""The one door through which a plugin is called."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar

from headrig import Drop, ProcessorError

from pipeline.plugins.watch import Overrun, Watch
from pipeline.telemetry import class_name

if TYPE_CHECKING:
    from pipeline.plugins.suspects import SuspectSlot

R = TypeVar("R")

OVERRUN = "Overrun"
KILLED = "killed-workers"


class PluginError(ProcessorError):
    """A plugin raised, overran its deadline or broke its contract.

    Attributes:
        detail: Class of what it raised, or the rule it broke; never content.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"plugin {kind}: {detail}")
        self.detail = detail


class Guard:
    """Calls one plugin.

    Args:
        kind: The plugin's kind.
        number: 1 to 255, the plugin's place among all.
        deadline_ns: CPU time of one call.
        key: Key of the digests, the same on every worker.
        watch: The process' timer.
        slot: Where a killed worker leaves the record it died of; None without a supervisor.
    """

    __slots__ = ("_key", "_number", "_slot", "_watch", "deadline_ns", "kind")

    def __init__(
        self, kind: str, number: int, deadline_ns: int, key: bytes, *, watch: Watch, slot: SuspectSlot | None
    ) -> None:
        self.kind = kind
        self.deadline_ns = deadline_ns
        self._number = number
        self._key = key
        self._watch = watch
        self._slot = slot

    def start(self) -> None:
        """Begin a series of calls: let the timer tick and look at the strikes."""
        if self._slot is not None:
            self._slot.refresh()
        self._watch.start(self.deadline_ns)

    def stop(self) -> None:
        """End a series of calls."""
        self._watch.stop()

    def digest(self, data: bytes) -> bytes:
        """Return the 16 bytes by which a record is known to `Suspects`; empty without a supervisor."""
        return b"" if self._slot is None else blake2b(data, digest_size=16, key=self._key).digest()

    def fault(self, error: BaseException) -> PluginError:
        """Name what went wrong around a call, e.g. a result that lacks its fields, without its words."""
        return error if isinstance(error, PluginError) else PluginError(self.kind, class_name(type(error)))

    def call_dropless(self, digest: bytes, function: Callable[..., R], *arguments: Any) -> R:
        """Call a plugin that may not drop: for it `Drop` is a fault like any other."""
        try:
            return self.call(digest, function, *arguments)
        except Drop:
            pass
        raise PluginError(self.kind, Drop.__name__)

    def call(self, digest: bytes, function: Callable[..., R], *arguments: Any) -> R:
        """Call the plugin for one record, inside `start` and `stop`.

        Whatever it raises is its own, KeyboardInterrupt too: a worker ignores SIGINT, and a command in the
        foreground ends on it without raising.

        Raises:
            Drop: The plugin dropped the record.
            PluginError: It raised anything else, overran, or the record killed workers before.
        """
        slot, watch = self._slot, self._watch
        if slot is not None:
            if slot.convicted(digest):
                raise PluginError(self.kind, KILLED)
            slot.enter(digest, self._number)
        watch.fired = False
        since = monotonic_ns()
        # A tick may raise at any bytecode between setting and clearing `since`; both lie inside
        # the outer try, and the tick clears it before it raises, so none gets out.
        try:
            try:
                watch.since = since
                result = function(*arguments)
            finally:
                watch.since = 0
        except Overrun:
            detail = OVERRUN
        except Drop:
            self._leave()
            raise
        except BaseException as error:
            detail = class_name(type(error))
        else:
            detail = OVERRUN if watch.late(since) else ""
        self._leave()
        if detail:
            # Raised out here, so that no chain of exceptions carries the plugin's message along.
            raise PluginError(self.kind, detail)
        return result

    def ask(self, question: Callable[..., R], *arguments: Any) -> R:
        """Ask what is the plugin's code too, e.g. the spec's ``when``, under the same deadline."""
        watch = self._watch
        watch.fired = False
        try:
            try:
                watch.since = monotonic_ns()
                return question(*arguments)
            finally:
                watch.since = 0
        except Overrun:
            detail = OVERRUN
        except BaseException as error:
            detail = class_name(type(error))
        raise PluginError(self.kind, detail)

    def _leave(self) -> None:
        if self._slot is not None:
            self._slot.leave()
