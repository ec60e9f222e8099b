"""A real Loki of its own for a test, and what to do when it was never built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from asking import Entry, entries, free_port, http, wait_until

ROOT = Path(__file__).resolve().parents[2]
LOKI_VERSION = "3.7.8"


class Loki:
    """A real Loki on loopback.

    Args:
        directory: Holds its data and log.
        arguments: Further flags, e.g. ``-auth.enabled=true``.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.arguments: Sequence[str] = arguments
        self.port = free_port()
        self.grpc = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Loki:
        """Start it, or start it again on the same ports and data."""
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "LOKI_HTTP_PORT": str(self.port),
            "LOKI_GRPC_PORT": str(self.grpc),
            "LOKI_DATA": str(self.directory),
        }
        with (self.directory / "loki.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(loki_binary("loki")),
                    f"-config.file={ROOT / 'tests/loki/loki-local.yaml'}",
                    "-config.expand-env=true",
                    # Loki 3.7.8 panics (nil TenantConfigs in pattern/tee_service.go) when its pattern ingester is not
                    # yet in the ring at the first push; no test asks for patterns.
                    "-pattern-ingester.enabled=false",
                    *self.arguments,
                ],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.directory,
            )
        wait_until(self._ready, 60, "Loki")
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"Loki ended: {(self.directory / 'loki.log').read_text()[-2000:]}")
        try:
            return http(self.url + "/ready", timeout=2).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Stop it; its data stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def entries(
        self, selector: str, start_ns: int, end_ns: int, filters: str = "", org: str = ""
    ) -> list[Entry]:
        """Return every entry that Loki holds, see `entries`."""
        headers = {"X-Scope-OrgID": org} if org else {}
        return entries(self.url, selector, start_ns, end_ns, filters=filters, headers=headers)


def loki_binary(name: str) -> Path:
    """Where ``make loki`` puts its binaries."""
    directory = os.environ.get("HEADRIG_LOKI")
    return (Path(directory) if directory else ROOT / ".cache" / f"loki-{LOKI_VERSION}") / name


def need_loki() -> None:
    """Fail with CI=true, else skip loudly, when Loki or logcli was never built."""
    import pytest

    missing = [str(loki_binary(name)) for name in ("loki", "logcli") if not loki_binary(name).exists()]
    if not missing:
        return
    text = f"the real Loki is missing ({', '.join(missing)}): run `make loki`"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)
