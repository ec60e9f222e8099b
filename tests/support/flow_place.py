"""A flow in one process: the real stages, the real logs, in a directory."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter

from headrig import DecodeError, IntegrityError, Resource, RetryableError

from pipeline.app.doors import QuarantineDoor
from pipeline.app.paths import Paths
from pipeline.archive_format import fragments
from pipeline.audit.entry import Entry
from pipeline.audit.keys import open_signer
from pipeline.audit.server import open_log
from pipeline.buffer import BatchIds, Wal
from pipeline.flow.balance import Balance, missing
from pipeline.flow.commit import Committer
from pipeline.flow.flow import Flow
from pipeline.flow.inbound import Inbound
from pipeline.flow.part import PartBuilder
from pipeline.flow.prepare import Preparer
from pipeline.sinks.quarantine import Quarantine
from pipeline.streams import UniqueTimes

SHOP = Resource("shop")


class Door:
    """The audit log without its socket."""

    def __init__(self, log):
        self.log = log
        self.away = False
        self.broken = False

    async def append(self, leaves):
        if self.broken:
            raise DecodeError("a leaf is too large", reason="leaf")
        if self.away:
            raise RetryableError("away")
        return await self.log.append([Entry._make(leaf[:5]) for leaf in leaves])

    async def receipts(self, bid):
        if self.broken:
            raise IntegrityError("the log has stopped")
        return self.log.receipts(bid)


class Seen:
    """Counts what the flow reports."""

    def __init__(self):
        self.groups = []
        self.kept = Counter()
        self.duplicate = 0

    def settled(self, tenant, requests, masked, kept):
        self.groups.append((tenant, len(requests), Counter(masked)))
        self.kept += kept

    def duplicates(self, tenant, records):
        self.duplicate += records


class Place:
    """A flow over logs in a directory."""

    def __init__(self, directory, blueprint, *, max_bytes=1 << 30, slots=1024):
        self.directory = directory
        self.blueprint = blueprint
        self.max_bytes = max_bytes
        self.slots = slots

    async def __aenter__(self):
        paths = Paths(self.directory)
        paths.make()
        signer = open_signer(paths.keys / "audit.skey", "test/log", paths.audit_log)
        self.audit, _ = open_log(paths.audit_log, signer)
        self.wal = Wal.open(paths.buffer(0), segment_bytes=1 << 20, max_bytes=self.max_bytes, sinks=["loki"])
        self.ids = BatchIds.create(paths.run / "ids", self.slots)
        for mark, seconds in self.wal.recovered.bids:
            self.ids.restore(mark, seconds)
        self.quarantine = Quarantine.open(paths.quarantine, writer="w0", max_bytes=1 << 20)
        self.door, self.seen = Door(self.audit), Seen()
        balance = Balance(self.wal.recovered.counters)
        print_ = self.blueprint
        self.flow = Flow(
            preparer=Preparer(print_.heads, print_.settings.time.fields, UniqueTimes(0, 1), time.time_ns),
            stages=print_.stages(),
            builder=PartBuilder(print_.streams().encode, print_.leaves, print_.host.key),
            committer=Committer(self.wal, self.door, QuarantineDoor(self.quarantine), balance, time.time_ns),
            audit=self.door,
            ids=self.ids,
            balance=balance,
            worker=0,
            observer=self.seen,
            failed=lambda: None,
        )
        self.flow.start()
        return self

    async def __aexit__(self, *error):
        await self.flow.stop()
        await self.wal.close()
        await self.audit.close()
        self.quarantine.close()

    def frames(self):
        return self.wal.scan(None, 0, max_bytes=1 << 30)

    def rows(self):
        """Every stored record: labels, ns, line."""
        found = []
        for frame in self.frames():
            for one in fragments.decode(fragments.inflate(frame.payload)):
                labels = json.loads(bytes(one.stream))
                found += [(labels, row.ts, row.line) for row in one.values]
        return found

    def leaves(self):
        """Every leaf of the audit log, decoded."""
        return [json.loads(entry.leaf) for entry in self.audit.entries(0, 1 << 24)]

    def held(self):
        """Everything in quarantine: reason, size, digest."""
        return [(item.reason, item.size, item.digest) for item in self.quarantine.items().values()]

    def balanced(self, tenant="shop"):
        return missing(self.wal.counters(tenant)) == self.wal.buffered(tenant, "loki")


def inbound(*records, key=None, resource=SHOP):
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    body = b"\n".join(lines)
    return Inbound(resource, lines, hashlib.sha256(body).digest(), body=body, key=key)


def record(n=0, **fields):
    return {"timestamp": f"2026-11-24T10:00:00.{n:06d}Z", "service": "checkout", "n": n, **fields}


def login(n=0, **fields):
    return record(n, event="user.login", user="alice", outcome="success", **fields)
