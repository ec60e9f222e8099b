"""``headrig demo``: the whole program on the embedded store, with sample traffic."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from headrig import ConfigError
from rich.console import Console

from pipeline.cli.options import ConfigOption, settings_from
from pipeline.cli.outcome import report
from pipeline.cli.serve import run
from pipeline.samples import Sampler
from pipeline.settings import Settings
from pipeline.supervisor import end_with

_READY_SECONDS = 30.0

_INTRODUCTION = """
[bold]headrig runs[/bold] at {url} with sample traffic of ten services; the data is in {data}. ^C stops it.

  health, metrics   {url}/healthz   {url}/metrics
  API               {url}/openapi.json

Try, in another terminal:
  [green].venv/bin/headrig query --url {url} '{{service_name="payments"}} |= "redacted"'[/green]        secrets are masked
  [green].venv/bin/headrig query --url {url} '{{audit="true"}}'[/green]                                 audit events
  [green].venv/bin/headrig verify log {data}/audit[/green]                              and their proof
  [green]curl {url}/v1/logs -d '{{"service":"me","event":"user.login","user":"alice","password":"hunter2"}}'[/green]
"""


def demo(
    config: ConfigOption = None,
    listen: Annotated[str, typer.Option(help="Address and port.")] = "127.0.0.1:8080",
    data: Annotated[Path, typer.Option(help="Data directory.")] = Path("headrig-data"),
    rate: Annotated[int, typer.Option(help="Sample lines per second.", min=1, max=10_000)] = 50,
    seconds: Annotated[int, typer.Option(help="Stop by itself after so long; 0: never.", min=0)] = 0,
) -> int:
    """Start on the embedded store with sample traffic and say what to try."""
    settings = settings_from(config, data=data, listen=listen, packs=True)
    if settings.tokens:
        raise ConfigError(
            "the demo sends without a token; start it with a configuration that has none", path="tokens"
        )
    read, write = os.pipe()
    front = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _become_supervisor(settings, write, front)
    os.close(write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _stop(pid))
    port = os.read(read, 16)
    if not port:
        return _end_of(pid)
    sender = threading.Thread(target=_send, args=(settings.host.strip("[]"), int(port), rate), daemon=True)
    url = f"http://{settings.host}:{int(port)}"
    if not _await_ready(settings.host.strip("[]"), int(port), pid):
        if _runs(pid):
            print(
                f"headrig: not ready within {_READY_SECONDS:.0f} s; the lines above say why", file=sys.stderr
            )
            _stop(pid)
            return _end_of(pid) or 70
        return _end_of(pid)
    sender.start()
    Console(highlight=False, soft_wrap=True).print(_INTRODUCTION.format(url=url, data=settings.data))
    timer = threading.Timer(seconds, _stop, (pid,))
    timer.daemon = True
    if seconds:
        timer.start()
    return _end_of(pid, timer)


def _become_supervisor(settings: Settings, pipe: int, front: int) -> NoReturn:
    """Be the supervisor, for good; it stops when the front ends, even by SIGKILL."""
    code = 70
    try:
        end_with(front, signal.SIGTERM)
        code = _serve(settings, pipe)
    finally:
        os._exit(code)  # also when the terminal is gone and nothing can be written


def _serve(settings: Settings, pipe: int) -> int:
    """Report an error as every command does, for nothing comes behind us that would."""
    try:
        return run(settings, started=lambda port: _tell(pipe, port))
    except Exception as error:
        return report(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
        os.kill(pid, signal.SIGTERM)


def _end_of(pid: int, timer: threading.Timer | None = None) -> int:
    """Wait for the supervisor; return its exit code, 70 when a signal killed it."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if timer is not None:
        timer.cancel()  # before the pid is given back
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 70


def _tell(pipe: int, port: int) -> None:
    os.write(pipe, str(port).encode())
    os.close(pipe)


def _await_ready(host: str, port: int, pid: int) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and _runs(pid):
        connection = http.client.HTTPConnection(host, port, timeout=1.0)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        threading.Event().wait(0.05)
    return False


def _runs(pid: int) -> bool:
    """Tell whether the child runs, and leave its end to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _send(host: str, port: int, rate: int) -> None:
    """Send one body a second; a body that was not taken is sent again with the same key."""
    sampler = Sampler(seed=time.time_ns())
    pause = threading.Event()
    number = 0
    while True:
        number += 1
        step = 1_000_000_000 // rate
        body = b"\n".join(sampler.lines(rate, time.time_ns() - rate * step, step))
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"demo-{os.getpid()}-{number}"}
        while True:
            connection = http.client.HTTPConnection(host, port, timeout=5.0)
            try:
                connection.request("POST", "/v1/logs", body, headers)
                if connection.getresponse().status < 500:
                    break
            except OSError:
                pass
            finally:
                connection.close()
            pause.wait(1.0)
        pause.wait(1.0)
