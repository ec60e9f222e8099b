"""Starts, watches and stops the processes of headrig: N workers and one audit process.

The supervisor has no threads and no event loop: it forks, waits for signals, and restarts what dies.
Children are forked after everything that can be shared is loaded, so a restart is quick; they die
with the supervisor (PR_SET_PDEATHSIG), so that two generations never write one log.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrig import ConfigError

from pipeline.shared import WorkerMap

log = logging.getLogger("headrig.supervisor")

SILENCE_MS = 10_000
"""A worker without a heartbeat for so long is killed."""
UNUSABLE = 64
"""Exit code of a child that cannot start with this configuration."""
ROLLED_BACK = 3
"""Exit code of a child that found an older or another state than there was: a restart would find the same."""
UNVERIFIED = 1
"""Exit code of the audit process whose log does not verify: it is tried again, for it may be repaired."""
_BACKOFF_SECONDS = (0.0, 0.05, 0.25, 1.0, 2.0, 5.0)
_STABLE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(slots=True)
class Child:
    """A process the supervisor keeps running.

    Attributes:
        name: ``audit`` or ``w0``, ``w1``…
        run: What it does; its return value is the exit code.
        worker: Its number, or None for the audit process.
        proven: It could start: a later failure to start again may pass, e.g. what a plugin needs is away.
    """

    name: str
    run: Callable[[], int]
    worker: int | None = None
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    due: float = 0.0
    proven: bool = False


def listen(host: str, port: int) -> socket.socket:
    """Bind the one listening socket that all workers inherit.

    Raises:
        ConfigError: The address cannot be had.
    """
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", path="listen") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


class Supervisor:
    """Keeps the children running.

    Args:
        children: In the order in which they start.
        shared: The map with the workers' heartbeats.
        lost: Called with the name of each child that died without being asked.
        drain_seconds: How long children may take to stop.
    """

    def __init__(
        self, children: list[Child], shared: WorkerMap, lost: Callable[[Child], None], drain_seconds: float
    ) -> None:
        self._children = children
        self._shared = shared
        self._lost = lost
        self._drain = drain_seconds
        self._given_up = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until a child says that no restart can help; return the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        gc.collect()
        gc.freeze()
        for child in self._children:
            self._start(child)
        while True:
            caught = signal.sigtimedwait(_WATCHED, 0.25)
            if caught is not None and caught.si_signo in (signal.SIGTERM, signal.SIGINT):
                return self._stop()
            self._reap()
            if self._given_up:
                self._stop()
                return self._given_up
            self._kill_silent()
            now = time.monotonic()
            for child in self._children:
                if not child.pid and now >= child.due:
                    self._start(child)

    def _start(self, child: Child) -> None:
        if child.worker is not None:
            self._shared.clear(child.worker, _now_ms())
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _become(child, parent)
        child.pid, child.started = pid, time.monotonic()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children:
                if child.pid == pid:
                    self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        now = time.monotonic()
        child.pid = 0
        stable = now - child.started > _STABLE_SECONDS
        child.failures = 0 if stable else child.failures + 1
        wait = _BACKOFF_SECONDS[min(child.failures, len(_BACKOFF_SECONDS) - 1)]
        child.due = now + wait
        if child.worker is not None:
            self._shared.clear(child.worker, _now_ms())
        code = os.waitstatus_to_exitcode(status)
        child.proven |= stable and code != UNUSABLE
        if (code == UNUSABLE and not child.proven) or code == ROLLED_BACK:
            self._given_up = code
            return
        message = "a process ended and is started again"
        if child.worker is None and code == UNVERIFIED:
            message = (
                "the audit log does not verify; its process is started again and takes nothing until then"
            )
        log.warning(
            message,
            extra={"data": {"child": child.name, "exit_code": code, "restart_in_seconds": wait}},
        )
        self._lost(child)

    def _kill_silent(self) -> None:
        now = _now_ms()
        for child in self._children:
            if (
                child.pid
                and child.worker is not None
                and now - self._shared.heartbeat(child.worker) > SILENCE_MS
            ):
                log.error("a worker is silent and is killed", extra={"data": {"child": child.name}})
                os.kill(child.pid, signal.SIGKILL)
                self._shared.beat(child.worker, now)

    def _stop(self) -> int:
        """Stop workers first, the audit process last: workers still need it to drain."""
        clean = True
        for group in (
            [c for c in self._children if c.worker is not None],
            [c for c in self._children if c.worker is None],
        ):
            for child in group:
                if child.pid:
                    os.kill(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + self._drain + 5.0
            while any(child.pid for child in group) and time.monotonic() < deadline:
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
                clean &= self._collect(group)
            for child in group:
                if child.pid:
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
                    child.pid = 0
                    clean = False
        return 0 if clean else 70

    def _collect(self, group: list[Child]) -> bool:
        clean = True
        for child in group:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    child.pid = 0
                    clean &= status == 0
        return clean


def end_with(parent: int, number: signal.Signals) -> None:
    """Have this process get a signal when the one that forked it ends, however that ends.

    Args:
        parent: Its pid; a child whose parent is gone already exits here.
        number: The signal.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _become(child: Child, parent: int) -> None:
    """Be the child, for good."""
    code = 70
    try:
        end_with(parent, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # a terminal's ^C reaches the group; the supervisor decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        code = child.run()
    except ConfigError as error:
        log.error("cannot start", extra={"data": {"child": child.name, "why": str(error)}})
        code = UNUSABLE
    except BaseException:
        log.exception("a process crashed", extra={"data": {"child": child.name}})
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
