"""SIGTERM: a deadline for all, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from running import Headrig

DRAIN_SECONDS = 4


def test_all_steps_of_a_stop_share_one_deadline(tmp_path: Path) -> None:
    """A client that never ends its body and a Loki that never answers cost the drain time once, not twice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loki = {"loki": {"url": f"http://127.0.0.1:{silent.getsockname()[1]}"}}
        headrig = Headrig(tmp_path, {"sinks": loki, "drain": f"{DRAIN_SECONDS}s"}, workers=1).start()
        try:
            assert headrig.post(b'{"service":"a","message":"waits"}').json()["accepted"] == 1
            address = urlsplit(headrig.url)
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
                assert headrig.post(b'{"service":"a","message":"later"}').json()["accepted"] == 1
                started = time.monotonic()
                assert headrig.stop() == 0
                assert time.monotonic() - started < 2 * DRAIN_SECONDS - 1
        finally:
            headrig.kill()


def test_a_full_buffer_with_counts_to_write_stops_in_order(tmp_path: Path) -> None:
    """Counts that find no room are no reason to crash."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loki = {"loki": {"url": f"http://127.0.0.1:{silent.getsockname()[1]}"}}
        small = {"max_bytes": "20KiB", "segment": "10KiB"}
        headrig = Headrig(tmp_path, {"sinks": loki, "buffer": small, "drain": "100ms"}, workers=1).start()
        try:
            number = 0
            while True:
                noise = time.monotonic_ns().to_bytes(16, "big").hex()
                body = json.dumps({"service": "a", "message": noise, "n": number}).encode()
                number += 1
                if headrig.post(body + b"\nno record").status == 503:
                    break
            assert headrig.stop() == 0
            assert "Traceback" not in headrig.log()
            assert '"error"' not in headrig.log()
        finally:
            headrig.kill()
