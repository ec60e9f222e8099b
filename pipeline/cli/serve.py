"""``headrig serve``."""

from __future__ import annotations

import functools
import logging
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.node import Node
from pipeline.cli.options import ConfigOption, DataOption, LokiOption, settings_from
from pipeline.settings import Settings
from pipeline.supervisor import Child, Supervisor, listen
from pipeline.telemetry import log_to_stderr

log = logging.getLogger("headrig.supervisor")


def serve(
    config: ConfigOption = None,
    listen: Annotated[
        str | None, typer.Option(help="Address and port (setting `listen`).", show_default=False)
    ] = None,
    data: DataOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes (setting `workers`).", show_default=False)
    ] = None,
    loki: LokiOption = None,
) -> int:
    """Receive, mask, enrich, classify, store and deliver, until SIGTERM.

    Own logs go to standard error as JSON lines. SIGTERM drains: requests in flight are answered and the sinks get
    a little time; what they do not take lies in the buffer and goes on after the next start.
    """
    return run(settings_from(config, data=data, listen=listen, workers=workers, loki=loki, packs=True))


def run(settings: Settings, started: Callable[[int], None] | None = None) -> int:
    """Serve with these settings; return the exit code.

    Args:
        settings: The checked configuration.
        started: Called with the port once it is bound.
    """
    log_to_stderr("supervisor", settings.log_level)
    # P1: a core file would be a disk full of what was not scanned yet.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    node = Node.prepare(settings)
    return run_node(node, started)


def run_node(node: Node, started: Callable[[int], None] | None = None) -> int:
    """Serve with parts that are made already."""
    # Imported before the fork, so that workers share the pages and restart in a moment.
    from pipeline.app.audit import run_audit
    from pipeline.app.worker import run_worker
    from pipeline.telemetry import Telemetry

    settings = node.settings
    socket = listen(settings.host, settings.port)
    port: int = socket.getsockname()[1]
    telemetry = Telemetry(node.paths.metrics, "supervisor")
    children = [Child("audit", functools.partial(run_audit, node))]
    children += [
        Child(f"w{n}", functools.partial(run_worker, node, socket, n), n) for n in range(settings.workers)
    ]

    def lost(child: Child) -> None:
        telemetry.restarts.labels("audit" if child.worker is None else "worker").inc()
        if child.worker is not None and node.suspects is not None:
            node.suspects.strike(child.worker)

    _write_address(node, port)
    log.info(
        "headrig starts",
        extra={
            "data": {
                "listen": f"{settings.host}:{port}",
                "workers": settings.workers,
                "data": str(node.paths.root),
            }
        },
    )
    if started is not None:
        started(port)
    code = Supervisor(children, node.shared, lost, settings.drain).run()
    log.info("headrig stopped", extra={"data": {"exit_code": code}})
    sys.stderr.flush()
    return code


def _write_address(node: Node, port: int) -> None:
    """Leave the address where tests and tools find it, e.g. with ``listen: 127.0.0.1:0``."""
    path: Path = node.paths.run / "address"
    path.write_text(f"http://{node.settings.host}:{port}\n", encoding="utf-8")
