"""Calls a plugin and watches what it does besides returning."""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from math import log
from time import monotonic_ns, thread_time_ns
from typing import Any, TypeVar

T = TypeVar("T")

_IO = ("open", "socket.", "subprocess.", "os.system", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename",
       "os.exec", "os.fork", "os.posix_spawn", "sqlite3.connect", "urllib.Request", "shutil.", "tempfile.")  # fmt: skip


_BLOCKED_NS = 5_000_000
"""Time on the clock that a call may pass without working."""


class _Listener:
    """The audit hook (PEP 578); a hook can never be removed, so there is one, silent by default."""

    def __init__(self) -> None:
        self.thread = 0
        self.heard: list[str] = []
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._hear)

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self.thread and event.startswith(_IO) and self.thread == threading.get_ident():
            self.heard.append(event)


_listener = _Listener()


class _Output(io.TextIOBase):
    """Takes the place of standard output."""

    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def write(self, text: str, /) -> int:
        self._heard.append("it printed")
        return len(text)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect the I/O that this thread does inside, and that it prints or starts a thread."""
    _listener.install()
    heard = _listener.heard = []
    mine = threading.get_ident()
    start = threading.Thread.start

    def starting(thread: threading.Thread) -> None:
        if threading.get_ident() == mine:
            heard.append("it started a thread")
        start(thread)

    # The audit hook hears of threads from Python 3.13 on only.
    threading.Thread.start = starting  # type: ignore[method-assign, assignment]
    _listener.thread = mine
    try:
        with redirect_stdout(_Output(heard)):
            yield heard
    finally:
        _listener.thread = 0
        threading.Thread.start = start  # type: ignore[method-assign]


def call_twice(name: str, function: Callable[..., T], make: Callable[[], Any], what: str) -> tuple[T, Any]:
    """Call a plugin's method on something new and see that it does no I/O.

    The first call may warm up what is imported lazily; the second is judged.

    Args:
        name: ``process``, ``find`` or ``classify``.
        function: The bound method.
        make: Makes a fresh argument.
        what: Describes the argument in messages.

    Returns:
        What the second call returned, and its argument.

    Raises:
        AssertionError: It raised, did I/O, or is asynchronous.
    """
    attempt(name, function, make(), what)
    argument = make()
    began, worked = monotonic_ns(), thread_time_ns()
    with _listening() as heard:
        result = attempt(name, function, argument, what)
    if monotonic_ns() - began - thread_time_ns() + worked > _BLOCKED_NS and all(
        _waits(name, function, make(), what) for _ in range(4)
    ):
        heard = ["it waited"]
    if heard:
        raise AssertionError(
            f"{name} did I/O ({heard[0]}) on {what}: read what you need in the factory, or make the plugin an "
            "async context manager that keeps it fresh"
        )
    return result, argument


def _waits(name: str, function: Callable[..., Any], argument: Any, what: str) -> bool:
    """Tell whether a call waits; asked several times, because a busy machine makes any call wait now and then."""
    began, worked = monotonic_ns(), thread_time_ns()
    attempt(name, function, argument, what)
    return monotonic_ns() - began - (thread_time_ns() - worked) > _BLOCKED_NS


def attempt(name: str, function: Callable[..., T], argument: Any, what: str) -> T:
    """Call, and turn what is raised into a sentence; `Drop` is no error and passes."""
    try:
        result = function(argument)
    except (Exception, SystemExit) as error:
        raise AssertionError(
            f"{name} raised {type(error).__name__} on {what}: log records hold anything, so look before you "
            "take a value for what you expect; a raise quarantines the record"
        ) from error
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise AssertionError(f"{name} is asynchronous: make it a plain function; it runs between two records")
    return result


def refuse_async(name: str, plugin: Any) -> None:
    """Refuse ``async def`` before it is called, which would leave a coroutine unawaited."""
    function = getattr(plugin, name, None)
    if function is None:
        raise AssertionError(f"the factory returned a {type(plugin).__name__}, which has no method {name}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise AssertionError(f"{name} is asynchronous: make it a plain function; it runs between two records")


def entered(plugin: Any, check: Callable[[], None]) -> None:
    """Run the check, inside the plugin's resources if it has any, in a loop of its own."""
    if not hasattr(plugin, "__aenter__"):
        check()
        return

    async def inside() -> None:
        async with plugin:
            check()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, inside()).result()


_STEPS = (8, 12, 16, 20, 24, 28, 32, 64, 256, 1024, 4096, 16384)
_NOISE_NS = 50_000
_SLOW_NS = 3_000_000
_GROWTH = 1.6


def grows(run: Callable[[int], object]) -> int:
    """Tell whether the CPU time of ``run(n)`` grows faster than its size.

    Sizes climb slowly at first, so that an exponential pattern is met while it still answers. Only
    steps that take long enough to be measured count, and a suspicion is measured again.

    Returns:
        The size at which time had grown with an exponent above 1.6, or 0.
    """
    before = 0
    for smaller, size in zip((0, *_STEPS), _STEPS, strict=False):
        took = _time(run, size, 1)
        if before > _NOISE_NS and took > _SLOW_NS and _exponent(before, took, smaller, size) > _GROWTH:
            before, took = _time(run, smaller, 5), _time(run, size, 2)
            if took > _SLOW_NS and _exponent(before, took, smaller, size) > _GROWTH:
                return size
        before = took
    return 0


def _exponent(before: int, took: int, smaller: int, size: int) -> float:
    return log(took / max(before, 1)) / log(size / smaller)


def _time(run: Callable[[int], object], size: int, tries: int) -> int:
    best = 0
    for _ in range(tries):
        began = thread_time_ns()
        run(size)
        took = thread_time_ns() - began
        best = took if not best else min(best, took)
    return best
