"""``headrig verify loki``: the copy of the audit trail against the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer
from headrig import ConfigError, RetryableError
from rich.console import Console
from rich.status import Status

from pipeline.audit.compare import Copy, Line
from pipeline.audit.entry import LoggedLeaf
from pipeline.audit.report import Finding, Kind, Report
from pipeline.audit.search import Question, search
from pipeline.audit.segments import read_log
from pipeline.audit.verify import verify_log
from pipeline.cli.options import TokenOption
from pipeline.cli.reading import moment
from pipeline.query.loki_client import LokiClient
from pipeline.sinks.sources import stream_labels

_PAGE = 5_000
_PATH = "/loki/api/v1/query_range"
_FLAGS = "categorize-labels"


def loki(
    url: Annotated[str, typer.Option("--url", help="The Loki, or a headrig.")],
    log: Annotated[Path, typer.Option("--log", help="The audit log's directory.")] = Path(
        "headrig-data/audit"
    ),
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="The log's .vkey; default: ../keys/audit.vkey beside the log.", show_default=False
        ),
    ] = None,
    since: Annotated[
        str, typer.Option("--from", help="Recorded since: 1h, 30m, 7d ago, or an RFC 3339 time.")
    ] = "1d",
    until: Annotated[str, typer.Option("--to", help="And before.")] = "1m",
    tenant: Annotated[
        str, typer.Option("--tenant", help="X-Scope-OrgID of the audit trail, where Loki has tenants.")
    ] = "",
    token: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> int:
    """Verify the log, then compare every line of the audit trail in Loki with it.

    Finds lines that were altered, are missing, were forged, moved or are there twice. Exit codes: 0 all lines are
    the log's, 1 tampered, 2 cannot verify, 3 the log was rolled back or forked.
    """
    now = time.time_ns()
    place = key or log.parent / "keys" / "audit.vkey"
    try:
        vkey = place.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"cannot read the key file {place}: {error.strerror}; name it with --key") from None
    with Console(stderr=True).status("verifying the log") as status:
        report = verify_log(log, vkeys=[vkey], settle=lambda: time.sleep(0.05))
        if not report.exit_code:
            compared = _Compared(log, report.origin, url, tenant, token or "", status)
            asyncio.run(compared.run(report, moment(since, now), moment(until, now)))
    if as_json:
        print(report.to_json().decode())
    else:
        for sentence in report.lines:
            print(sentence)
    return report.exit_code


class _Compared:
    """One comparison.

    Args:
        log: The log's directory.
        origin: Its name.
        url, tenant, token: The copy, and who asks for it.
        status: Shows how far it is.
    """

    def __init__(self, log: Path, origin: str, url: str, tenant: str, token: str, status: Status) -> None:
        self._log = log
        self._selector = "{" + ",".join(f'{k}="{v}"' for k, v in stream_labels(origin).items()) + "}"
        self._url = url
        self._tenant = tenant
        self._token = token
        self._status = status
        self._copy = Copy("loki")

    async def run(self, report: Report, start_ns: int, end_ns: int) -> None:
        """Compare the leaves that the log took from ``start_ns`` until before ``end_ns``."""
        try:
            async with LokiClient(self._url, token=self._token) as client:
                await self._all(client, start_ns, end_ns)
        except RetryableError as error:
            report.add(Finding(Kind.UNKNOWN, "loki", str(error)))
        for finding in self._copy.findings:
            report.add(finding)
        report.note(
            f"{self._copy.held} of the log's entries in the span are in Loki, whole and once; it has {self._copy.lines} lines there"
        )

    async def _all(self, client: LokiClient, start_ns: int, end_ns: int) -> None:
        first = search(self._log, Question(start_ns=start_ns, limit=1)).found
        leaves = read_log(self._log, first[0].index) if first else iter(())
        portion: list[LoggedLeaf] = []
        for leaf in leaves:
            if leaf.ts_ns >= end_ns:
                break
            if len(portion) == _PAGE:
                await self._portion(client, portion, start_ns, leaf.ts_ns)
                portion, start_ns = [], leaf.ts_ns
            portion.append(leaf)
        await self._portion(client, portion, start_ns, end_ns)

    async def _portion(
        self, client: LokiClient, leaves: list[LoggedLeaf], start_ns: int, end_ns: int
    ) -> None:
        if leaves:
            self._status.update(f"comparing from index {leaves[0].index}")
        lines = [line async for line in self._lines(client, start_ns, end_ns)]
        self._copy.compare(leaves, lines, self._leaf)

    def _leaf(self, index: int) -> LoggedLeaf | None:
        leaf = next(iter(read_log(self._log, index)), None)
        return leaf if leaf is not None and leaf.index == index else None

    async def _lines(self, client: LokiClient, start_ns: int, end_ns: int) -> AsyncIterator[Line]:
        """Yield every line of a span; a page may end within a nanosecond, which then comes again whole."""
        while start_ns < end_ns:
            page = sorted(_read(await self._ask(client, start_ns, end_ns)), key=lambda line: line.ts_ns)
            whole = len(page) < _PAGE
            last = end_ns if whole else page[-1].ts_ns
            if last == start_ns:
                raise ConfigError(f"{_PAGE} lines of the trail share a nanosecond: somebody put them there")
            for line in page:
                if whole or line.ts_ns < last:
                    yield line
            start_ns = last

    async def _ask(self, client: LokiClient, start_ns: int, end_ns: int) -> Any:
        query = {
            "query": self._selector, "start": str(start_ns), "end": str(end_ns), "limit": str(_PAGE), "direction": "forward",
        }  # fmt: skip
        status, _, body = await client.forward(_PATH, urlencode(query), org=self._tenant, flags=_FLAGS)
        if status != 200:
            raise ConfigError(
                f"{self._url} answers {status}; is it the Loki of this log, and the right --tenant?"
            )
        try:
            return orjson.loads(body)["data"]["result"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{self._url} does not answer as a Loki does; is it one?") from None


def _read(streams: Any) -> list[Line]:
    return [
        Line(int(ns), text.encode(), rest[0].get("structuredMetadata", {}) if rest else {})
        for stream in streams
        for ns, text, *rest in stream["values"]
    ]
