"""The HTTP server of a worker: one protocol a connection, behind our own accept gate.

All workers wait on one inherited socket. A worker with more connections than the least busy one
leaves the listener alone for 2 ms, so that connections spread evenly, and takes the connection
after that if nobody else did.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from pipeline.app.protocol import Bounds, Protocol
from pipeline.shared import WorkerMap

_PAUSE_SECONDS = 0.002
_ERROR_PAUSE_SECONDS = 0.1


class HttpServer:
    """Accepts connections for one worker.

    Args:
        app: The ASGI application.
        listener: Bound, listening, non-blocking socket.
        shared: The map of all workers' connections.
        worker: Number of this worker.
        bounds: Of each connection.
    """

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        shared: WorkerMap,
        worker: int,
        bounds: Bounds | None = None,
    ) -> None:
        config = Config(
            app,
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            ws="none",
        )
        config.load()
        self._config = config
        self._state = ServerState()
        self._listener = listener
        self._shared = shared
        self._worker = worker
        self._bounds = bounds or Bounds()
        self._open = 0
        self._paused = False
        self._stopping = False

    def start(self) -> None:
        """Begin to accept; call in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener.fileno(), self._readable)
        self._shared.accepting(self._worker, yes=True)

    async def stop(self, deadline_seconds: float) -> None:
        """Stop accepting, let requests in flight finish, close what is left after the deadline."""
        self._stopping = True
        self._shared.accepting(self._worker, yes=False)
        self._loop.remove_reader(self._listener.fileno())
        for connection in list(self._state.connections):
            connection.shutdown()
        end = self._loop.time() + deadline_seconds
        while self._state.tasks and self._loop.time() < end:
            await asyncio.wait(self._state.tasks, timeout=end - self._loop.time())

    def _readable(self) -> None:
        if not self._paused and self._shared.above_least(self._worker):
            self._pause(_PAUSE_SECONDS)
            return
        self._paused = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # out of descriptors: the connection stays in the backlog
            self._pause(_ERROR_PAUSE_SECONDS)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._count(1)
        task = self._loop.create_task(self._connect(connection))
        task.add_done_callback(self._connected)

    def _pause(self, seconds: float) -> None:
        self._paused = True
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self._stopping:
            self._loop.add_reader(self._listener.fileno(), self._readable)

    async def _connect(self, connection: socket.socket) -> None:
        await self._loop.connect_accepted_socket(
            lambda: Protocol(self._config, self._state, self._loop, self._bounds, lambda: self._count(-1)),
            connection,
        )

    def _connected(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._open += change
        self._shared.connections(self._worker, self._open)
