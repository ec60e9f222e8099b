"""The whole program on generated traffic: records per CPU-second, beside the floor of the library calls.

    python bench/throughput.py            the full corpus: 200,000 records
    python bench/throughput.py --smoke    a tenth of it

CPU-seconds are user and system time of all headrig processes, from /proc. The last line is ``ratio 0.NN``: the
program's records per CPU-second over the floor's, of the same run. Compare ratios, not machines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

from floor import floor  # noqa: E402
from running import Headrig, wait_until  # noqa: E402

from pipeline.samples import Sampler  # noqa: E402

BODY = 3_000
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--smoke", action="store_true", help="a tenth of the corpus")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--records", type=int, default=None)
    chosen = options.parse_args()
    records = chosen.records or (20_000 if chosen.smoke else 200_000)
    seconds = 2.0 if chosen.smoke else 8.0
    with tempfile.TemporaryDirectory(prefix="headrig-bench-") as directory:
        run(Path(directory), records, seconds, chosen.workers)


def run(directory: Path, records: int, seconds: float, workers: int) -> None:
    say(f"corpus: {records} records in bodies of {BODY}, 5% with a secret, 5% audit events")
    lines = list(Sampler(seed=7).lines(records, time.time_ns() - records * 1_000_000))
    bodies = [b"\n".join(lines[start : start + BODY]) for start in range(0, records, BODY)]
    large = pack(directory / "large", bodies)
    small = pack(directory / "small", lines[:20_000])
    size = sum(map(len, lines)) / records
    say(f"        {size:.0f} bytes a record")
    with subprocess.Popen(
        [sys.executable, HERE / "stub.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stub:
        port = int(stub.stdout.readline())
        headrig = Headrig(
            directory / "node", {"sinks": {"loki": {"url": f"http://127.0.0.1:{port}"}}}, workers=workers
        )
        headrig.start()
        try:
            rate = batches(headrig, large, records)
            singles(headrig, small, large, seconds)
            memory(headrig)
        finally:
            code = headrig.stop()
            stub.stdin.close()
    if code != 0:
        say(f"headrig ended with {code}:\n{headrig.log()[-3000:]}")
        sys.exit(1)
    from pipeline.settings import load

    settings = load(headrig.directory / "headrig.yaml", {})
    spent = floor(settings, bodies, workers)
    say(
        "floor:  "
        + ", ".join(f"{step} {cpu / records * 1e6:.2f}" for step, cpu in spent.items())
        + " us a record"
    )
    base = records / sum(spent.values())
    say(f"        {base:,.0f} records per CPU-second")
    print(f"ratio {rate / base:.2f}")


def batches(headrig: Headrig, large: Path, records: int) -> float:
    port = headrig.url.rpartition(":")[2]
    load(port, large, 4, 0)  # warm: caches of every worker, pages of the databases
    delivered(headrig, 0, records)
    best = 0.0
    for _ in range(3):
        have = headrig.metric("headrig_records_delivered_total", tenant="default")
        before = cpu(headrig)
        result = load(port, large, 4, 0)
        delivered(headrig, have, records)
        after = cpu(headrig)
        spent = sum(after.values()) - sum(before.values())
        each = ", ".join(f"{name} {after[name] - before[name]:.2f} s" for name in after)
        say(
            f"batch:  {records / spent:,.0f} records per CPU-second ({each}), {records / result['seconds']:,.0f}/s on the clock, "
            f"ack p50 {result['p50_ms']:.1f} ms p99 {result['p99_ms']:.1f} ms {result['statuses']}"
        )
        best = max(best, records / spent)
    return best


def singles(headrig: Headrig, small: Path, large: Path, seconds: float) -> None:
    port = headrig.url.rpartition(":")[2]
    for beside in (False, True):
        other = spawn(port, large, 1, seconds) if beside else None
        before = cpu(headrig)
        result = load(port, small, 64, seconds)
        spent = sum(cpu(headrig).values()) - sum(before.values())
        name = "single beside large batches" if beside else "single"
        rate = f"{result['requests'] / spent:,.0f} requests per CPU-second, " if not beside else ""
        say(
            f"{name}: {rate}{result['requests'] / result['seconds']:,.0f}/s on the clock, "
            f"ack p50 {result['p50_ms']:.1f} ms p99 {result['p99_ms']:.1f} ms {result['statuses']}"
        )
        if other is not None:
            finish(other)


def memory(headrig: Headrig) -> None:
    events = headrig.metric("headrig_audit_events_total")
    masked = headrig.metric("headrig_masked_total")
    imbalance = headrig.metric("headrig_conservation_imbalance_records")
    say(f"counted: {events:,.0f} audit events, {masked:,.0f} replacements, imbalance {imbalance:.0f}")
    peaks = []
    for name, pid in {"supervisor": headrig.process.pid, **names(headrig)}.items():
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        peaks.append(f"{name} {peak // 1024} MB")
    say("memory: peak " + ", ".join(peaks))


def names(headrig: Headrig) -> dict[str, int]:
    pids = list(headrig.children().values())
    return dict(zip(["audit", *(f"w{n}" for n in range(len(pids) - 1))], pids, strict=True))


def cpu(headrig: Headrig) -> dict[str, float]:
    """CPU seconds of each process so far."""
    spent = {}
    for name, pid in {"supervisor": headrig.process.pid, **names(headrig)}.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent[name] = (int(fields[11]) + int(fields[12])) / TICK
    return spent


def delivered(headrig: Headrig, before: float, records: int) -> None:
    """Wait until the sink has taken all records and all leaves."""

    def done() -> bool:
        if headrig.metric("headrig_records_delivered_total", tenant="default") < before + records:
            return False
        leaves = headrig.metric("headrig_records_delivered_total", tenant="audit")
        return leaves >= headrig.metric("headrig_audit_events_total")

    wait_until(done, 120, "delivery", pause=0.2)


def pack(path: Path, bodies: list[bytes]) -> Path:
    path.write_bytes(b"".join(len(body).to_bytes(4, "little") + body for body in bodies))
    return path


def spawn(port: str, path: Path, connections: int, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "load.py"), port, str(path), str(connections), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> dict:
    out, _ = process.communicate(timeout=300)
    if process.returncode:
        sys.exit("the load generator failed")
    return json.loads(out)


def load(port: str, path: Path, connections: int, seconds: float) -> dict:
    return finish(spawn(port, path, connections, seconds))


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
