"""The read routes before a Loki: what is checked is what is asked, and nobody reads beyond the token's tenant."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import orjson
import pytest
from fastapi import Request
from headrig import AuthError, Resource

from pipeline.app.paths import Paths
from pipeline.app.reading import Reader
from pipeline.query.loki_client import LokiClient
from pipeline.receiver.auth import Credential
from pipeline.settings import load

TRAIL, PLAIN = '{audit="true"}', '{service_name="web"}'
EVERYTHING = '{service_name=~".+"}'


class Asked:
    """A reader before a Loki that notes what it is asked."""

    def __init__(self, directory: Path, org: str | None, *tenants: str) -> None:
        secret = directory / "t"
        overrides: dict[str, Any] = {"sinks.loki.url": "http://loki", "sinks.loki.tenant": org}
        tokens = []
        for tenant in tenants:
            (directory / tenant).write_text(f"token of {tenant}")
            tokens.append({"token": f"file:{directory / tenant}", "tenant": tenant, "scopes": ["read"]})
        node: Any = SimpleNamespace(
            settings=load(None, {}, {**overrides, "tokens": tokens}), paths=Paths(secret)
        )
        self.requests: list[httpx.Request] = []
        self.events: list[dict[str, Any]] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(200, json={})

        async def submit(inbound: Any) -> Any:
            self.events.append(orjson.loads(inbound.body))

        self.reader = Reader(node, submit, LokiClient("http://loki", transport=httpx.MockTransport(handle)))

    async def ask(
        self,
        parameters: list[tuple[str, str]],
        *scopes: str,
        tenant: str = "shop",
        route: str = "query_range",
    ) -> int:
        """Ask; return the status."""
        credential = Credential(Resource(tenant), frozenset(["read", *scopes]))
        answer = await self.reader.answer(route, request(parameters, route), credential)
        return answer.status_code

    @property
    def orgs(self) -> list[str | None]:
        """The tenant of each request that Loki saw."""
        return [each.headers.get("x-scope-orgid") for each in self.requests]


def request(parameters: list[tuple[str, str]], route: str = "query_range") -> Request:
    """A GET of a read route."""
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": f"/loki/api/v1/{route}",
            "query_string": urlencode(parameters).encode(),
            "headers": [],
            "server": ("headrig", 80),
            "scheme": "http",
        }
    )


@pytest.mark.parametrize("name", ["query", "start", "end", "limit", "direction", "step"])
async def test_a_parameter_that_comes_twice_is_refused(tmp_path: Path, name: str) -> None:
    """Loki would take the first and the check see the last; so neither is asked, and no event is left."""
    asked = Asked(tmp_path, "{tenant}")
    status = await asked.ask([(name, TRAIL), ("query", PLAIN), (name, PLAIN)], "audit", "admin")

    assert status == 400
    assert (asked.requests, asked.events) == ([], [])


async def test_loki_is_asked_what_was_checked(tmp_path: Path) -> None:
    """The query string is written anew from what the check read; ``match[]`` may come more than once."""
    asked = Asked(tmp_path, "{tenant}")
    parameters = [("match[]", PLAIN), ("match[]", '{a="ü%&;+ "}'), ("start", "1")]
    assert await asked.ask(parameters, route="series") == 200
    assert parse_qsl(asked.requests[0].url.query.decode()) == parameters


async def test_the_trail_of_all_tenants_needs_admin(tmp_path: Path) -> None:
    """Where Loki keeps the leaves of all tenants in one of its own, the scope audit of one does not open it."""
    asked = Asked(tmp_path, "{tenant}", "shop", "bank")
    for scopes in ((), ("audit",), ("admin",)):
        with pytest.raises(AuthError):
            await asked.ask([("query", TRAIL)], *scopes)
    assert (asked.orgs, asked.events) == ([], [])

    assert await asked.ask([("query", TRAIL)], "audit", "admin") == 200
    assert await asked.ask([("query", EVERYTHING)]) == 200
    assert await asked.ask([("query", '{service_name=~".+",audit!="true"}')]) == 200
    assert asked.orgs == ["audit", "shop", "shop"]
    assert len(asked.events) == 1


async def test_lines_of_all_tenants_need_admin(tmp_path: Path) -> None:
    """Where one tenant of Loki holds everything, whoever reads it reads every tenant's lines."""
    asked = Asked(tmp_path, None, "shop", "bank")
    for scopes in ((), ("audit",), ("admin",)):
        with pytest.raises(AuthError):
            await asked.ask([("query", PLAIN)], *scopes)

    assert await asked.ask([("query", PLAIN)], "audit", "admin") == 200
    assert asked.orgs == [None]


@pytest.mark.parametrize("org", [None, "{tenant}"])
@pytest.mark.parametrize("tenants", [(), ("shop",)])
async def test_the_only_tenant_needs_no_admin(
    tmp_path: Path, org: str | None, tenants: tuple[str, ...]
) -> None:
    """With one tenant there is nobody else's record to see: the scope audit is enough."""
    asked = Asked(tmp_path, org, *tenants)
    assert await asked.ask([("query", TRAIL)], "audit") == 200
    assert await asked.ask([("query", PLAIN)], "audit") == 200


async def test_a_tenant_named_as_the_trails_reads_no_trail(tmp_path: Path) -> None:
    """A credential whose own Loki tenant is that of the leaves is held to the rules of the leaves."""
    asked = Asked(tmp_path, "{tenant}", "audit", "bank")
    with pytest.raises(AuthError):
        await asked.ask([("query", EVERYTHING)], tenant="audit")
    assert asked.requests == []


async def test_the_event_of_a_read_says_what_was_read(tmp_path: Path) -> None:
    """Selectors of ``match[]``, the range and the query are on record."""
    asked = Asked(tmp_path, "{tenant}")
    await asked.ask([("match[]", TRAIL), ("match[]", PLAIN), ("start", "5")], "audit", route="series")
    await asked.ask([("query", TRAIL), ("end", "9")], "audit")

    first, second = asked.events
    assert (first["target"], first["match"], first["start"]) == ("series", [TRAIL, PLAIN], "5")
    assert (second["target"], second["query"], second["end"]) == ("query_range", TRAIL, "9")


async def test_queries_leave_the_loops_own_threads_alone(tmp_path: Path) -> None:
    """However many reads wait, the default threads, which commits and pumps use, are free."""
    asked = Asked(tmp_path, None)
    gate, names = threading.Event(), []

    def work() -> None:
        names.append(threading.current_thread().name)
        gate.wait(20)

    reads = [asyncio.create_task(asked.reader._in_slot(work)) for _ in range(100)]
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 10) == 7
    gate.set()
    await asyncio.gather(*reads)

    assert len(names) == 100
    assert {name.rpartition("_")[0] for name in names} == {"query"}
