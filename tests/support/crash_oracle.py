"""What must be true after any crash: nothing acknowledged is lost, nothing is doubled, the books balance."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import orjson
from recording_loki import RecordingLoki
from retrying import Body
from running import ROOT, Headrig, wait_until

from pipeline.app.books import balance_of
from pipeline.audit.segments import read_log
from pipeline.buffer import Wal

IMBALANCE = "headrig_conservation_imbalance_records"
BUFFERED = "headrig_buffered_records"


def samples(headrig: Headrig, name: str) -> dict[str, float]:
    """Return the samples of one metric."""
    return {key: value for key, value in headrig.metrics().items() if key.split("{")[0] == name}


def settle(headrig: Headrig, loki: RecordingLoki | None = None, seconds: float = 60.0) -> None:
    """Wait until everything is delivered, leaves too; then every sample of the imbalance must be 0."""
    log = headrig.data / "audit"

    def delivered() -> bool:
        buffered = samples(headrig, BUFFERED)
        return bool(buffered) and not any(buffered.values()) and not any(samples(headrig, IMBALANCE).values())

    wait_until(delivered, seconds, "delivery of all that is buffered, and a balance")
    if loki is not None:
        leaves = sum(1 for _ in read_log(log))
        wait_until(lambda: len(loki.lines(audit=True)) >= leaves, seconds, "delivery of all leaves")


def problems(headrig: Headrig, bodies: Iterable[Body], lines: Iterable[str]) -> list[str]:
    """Compare what clients were told with the sink's lines and the audit log; headrig must have ended."""
    bodies = list(bodies)
    return [
        *_lines(bodies, lines),
        *_leaves(headrig.data, bodies),
        *_books(headrig.data),
        *_verified(headrig),
    ]


def _uid(line: str | bytes) -> str:
    return orjson.loads(line)["uid"]


def _compare(what: str, counts: Counter[str], must: set[str], may: set[str]) -> list[str]:
    lost = sorted(must - counts.keys())
    doubled = sorted(name for name, count in counts.items() if count > 1)
    foreign = sorted(counts.keys() - must - may)
    found = {"lost": lost, "doubled": doubled, "unknown": foreign}
    return [f"{what} {kind}: {len(names)}, e.g. {names[:5]}" for kind, names in found.items() if names]


def _lines(bodies: list[Body], lines: Iterable[str]) -> list[str]:
    must = {name for body in bodies if body.answer for name in body.names}
    may = {name for body in bodies for name in body.names}
    return _compare("lines", Counter(map(_uid, lines)), must, may)


def _leaves(data: Path, bodies: list[Body]) -> list[str]:
    log = {leaf.index: leaf for leaf in read_log(data / "audit")}
    named = {index: _uid(orjson.loads(leaf.leaf)["raw"]) for index, leaf in log.items()}
    must = {body.names[position] for body in bodies if body.answer for position in body.audits}
    may = {body.names[position] for body in bodies for position in body.audits}
    wrong = _compare("leaves", Counter(named.values()), must, may)
    for body in bodies:
        if body.answer is None:
            continue
        answer = body.answer
        if answer["accepted"] != len(body.names) or answer["rejected"] or answer["quarantined"]:
            wrong.append(f"answer: {answer['accepted']} of {len(body.names)} were accepted")
        if [receipt["record"] for receipt in answer["receipts"]] != body.audits:
            wrong.append(f"receipts: not those of the audit events of {body.names[0]}, try {body.tries}")
            continue
        for receipt in answer["receipts"]:
            leaf = log.get(receipt["index"])
            name = body.names[receipt["record"]]
            if leaf is None or leaf.leaf_hash.hex() != receipt["leaf"] or named[leaf.index] != name:
                wrong.append(f"receipts: index {receipt['index']} does not hold {name}")
            if receipt.get("conflict") or receipt["tree_size"] <= receipt["index"]:
                wrong.append(f"receipts: index {receipt['index']} is a conflict, or its tree too small")
    return wrong


def _books(data: Path) -> list[str]:
    """The balance of promise P3, from frames and cursors on disk."""
    wrong = []
    for directory in sorted((data / "buffer").iterdir()):
        sinks = sorted({path.name.split("@")[0] for path in (directory / "cursors").iterdir()})
        wal = Wal.open(directory, segment_bytes=1 << 30, max_bytes=1 << 40, sinks=sinks)
        for tenant in wal.tenants():
            for sink in sinks:
                buffered, imbalance = balance_of(wal, tenant, sink)
                if buffered or imbalance:
                    wrong.append(f"books: {directory.name} {sink} {buffered} buffered, {imbalance} too much")
        _let_go(wal)
    return wrong


def _let_go(wal: Wal) -> None:
    import asyncio

    asyncio.run(wal.close())


def _verified(headrig: Headrig) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "verify", "log", str(headrig.data / "audit")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return [] if done.returncode == 0 else [f"verify: {done.returncode} {done.stdout} {done.stderr}"]
