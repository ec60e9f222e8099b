"""Runs the whole program as a user does, on free loopback ports and a directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from asking import Entry, HttpAnswer, bearer, connect, entries, free_port, http, wait_until
from real_loki import LOKI_VERSION, ROOT, Loki, loki_binary, need_loki

__all__ = [
    "LOKI_VERSION", "ROOT", "Entry", "Headrig", "HttpAnswer", "Loki", "bearer", "cli", "connect", "entries", "free_port",
    "http", "loki_binary", "name_of", "need_loki", "wait_until",
]  # fmt: skip


_KEPT = tempfile.TemporaryDirectory(prefix="headrig-patterns-")
_PATTERNS = Path(_KEPT.name)
"""Compiled patterns, which every program with a directory of its own would compile anew."""


def _copy(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in source.glob("*.hsdb"):
        if not (target / path.name).exists():
            temporary = target / f"{path.name}.{os.getpid()}"
            shutil.copy2(path, temporary)
            temporary.rename(target / path.name)


def cli(
    *arguments: str | Path,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float = 60.0,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``headrig ...`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
        cwd=cwd,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "200", **(env or {})},
    )


class Headrig:
    """One running headrig.

    Args:
        directory: Holds configuration, data and the own log.
        settings: Over the defaults of ``config/headrig.yaml``.
        program: Python arguments instead of ``-m pipeline``, for variants with a part switched off.
        tokens: Token to the rest of its entry in ``tokens``; what `post` and `get` use is the first.
    """

    def __init__(
        self,
        directory: Path,
        settings: dict[str, Any] | None = None,
        *,
        workers: int = 2,
        program: list[str] | None = None,
        tokens: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.directory = directory
        self.tokens = dict(tokens or {})
        self.credential = bearer(next(iter(self.tokens))) if self.tokens else {}
        self.data = directory / "data"
        self.settings = dict(settings or {})
        self.workers = workers
        self.program = program or ["-m", "pipeline"]
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        directory.mkdir(parents=True, exist_ok=True)

    def start(self, *, wait: bool = True, env: dict[str, str] | None = None) -> Headrig:
        """Start it and wait until it is ready."""
        config = {
            "listen": "127.0.0.1:0",
            "config_dir": str(ROOT / "config"),
            "enrichment": {"catalog": "examples/services.yaml"},
            **self.settings,
            "data": str(self.data),
            "workers": self.workers,
        }
        if self.tokens:
            config["tokens"] = [
                {"token": f"file:{self._secret(n, token)}", **entry}
                for n, (token, entry) in enumerate(self.tokens.items())
            ]
        path = self.config
        path.write_text(yaml.safe_dump(config))
        (self.data / "run" / "address").unlink(missing_ok=True)
        _copy(_PATTERNS, self.data / "cache")
        with (self.directory / "headrig.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "serve", "--config", str(path)],
                stderr=log,
                stdout=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})},
            )
        address = self.data / "run" / "address"
        wait_until(
            lambda: self._alive() and address.exists() and address.read_text().endswith("\n"),
            60,
            "the address",
        )
        self.url = address.read_text().strip()
        if wait:
            wait_until(self.ready, 60, "readiness")
            _copy(self.data / "cache", _PATTERNS)
        return self

    @property
    def config(self) -> Path:
        """The configuration file of the last start."""
        return self.directory / "headrig.yaml"

    def _secret(self, number: int, token: str) -> Path:
        path = self.directory / f"token-{number}"
        path.write_text(token)
        return path

    def _alive(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"headrig ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        return True

    def ready(self) -> bool:
        """Tell whether records are accepted."""
        try:
            return http(self.url + "/readyz", timeout=2).status == 200
        except OSError:
            return False

    def stop(self, seconds: float = 40.0) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL the supervisor, which takes its children with it."""
        if self.process is not None and self.process.poll() is None:
            children = self.children()
            self.process.kill()
            self.process.wait()
            wait_until(
                lambda: not any(_running(pid) for pid in children.values()), 10, "the children's death"
            )

    def children(self) -> dict[str, int]:
        """Pids of the children, in the order of their start; also of those that are only beginning."""
        assert self.process is not None
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {str(number): int(pid) for number, pid in enumerate(pids)}

    def child(self, name: str) -> int:
        """Pid of ``audit``, ``w0``..., told by the lock of the log it writes; 0 while there is none."""
        return next((pid for pid in self.children().values() if name_of(pid) == name), 0)

    def post(self, body: bytes, path: str = "/v1/logs", **headers: str) -> HttpAnswer:
        """Send a body to an ingest route, on a new connection, with the first token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": "application/x-ndjson" if path == "/v1/logs" else "application/json"}
        return http(self.url + path, body, {**kind, **self.credential, **named})

    def get(self, path: str, **headers: str) -> HttpAnswer:
        """Fetch a path, on a new connection, with the first token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http(self.url + path, None, {**self.credential, **named})

    def read(self, route: str, **parameters: str | int) -> HttpAnswer:
        """Ask ``/loki/api/v1/<route>``."""
        return self.get(f"/loki/api/v1/{route}?{urlencode(parameters)}")

    def entries(self, selector: str, start_ns: int, end_ns: int, filters: str = "") -> list[Entry]:
        """Return every entry that headrig shows, see `entries`."""
        return entries(self.url, selector, start_ns, end_ns, filters=filters, headers=self.credential)

    def await_delivery(self, sink: str, records: int, seconds: float = 60.0) -> None:
        """Wait until a sink has taken so many records since the start and none waits."""
        delivered: dict[str, float] = {}

        def done() -> bool:
            delivered["now"] = self.metric("headrig_records_delivered_total", sink=sink)
            return delivered["now"] >= records and not self.metric("headrig_buffered_records", sink=sink)

        try:
            wait_until(done, seconds)
        except AssertionError:
            raise AssertionError(
                f"{delivered['now']:.0f} of {records} records came to {sink} within {seconds} s; the own log ends: "
                + self.log()[-2000:]
            ) from None

    def metrics(self) -> dict[str, float]:
        """Return the samples of ``/metrics``, keyed by name with labels."""
        found = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Sum the samples of a metric that carry these labels."""
        total = 0.0
        for sample, value in self.metrics().items():
            if sample.split("{")[0] == name and all(
                f'{key}="{text}"' in sample for key, text in labels.items()
            ):
                total += value
        return total

    def log(self) -> str:
        """Return the own log so far."""
        return (self.directory / "headrig.log").read_text(errors="replace")


_LOCK = re.compile(r"/(?:buffer/(w\d+)|(audit))/LOCK\Z")


def name_of(pid: int) -> str:
    """Name a child by the locks that it holds; a worker that adopted others is the lowest of them."""
    locks = [found for file in _open_files(pid) if (found := _LOCK.search(file))]
    return min((found[1] or found[2] for found in locks), default="")


def _open_files(pid: int) -> Iterator[str]:
    """Yield what a process has open; it may close a file, or end, while we look."""
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{descriptor}")


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
