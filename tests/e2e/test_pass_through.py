"""Reading through headrig from a Loki: the same answers, the right tenant, and reads of the trail on record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson
import pytest
from running import Headrig, HttpAnswer, Loki, bearer, http, need_loki, wait_until

from pipeline.audit.segments import read_log

S = 10**9
SHOP, BANK, AUDITOR, SHOP_READER, WRITER = "t-shop", "t-bank", "t-auditor", "t-reader", "t-writer"
SHOP_AUDITOR = "t-shop-auditor"
TOKENS = {
    SHOP: {"tenant": "shop", "scopes": ["write", "read"]},
    BANK: {"tenant": "bank", "scopes": ["write", "read"]},
    AUDITOR: {"tenant": "shop", "scopes": ["read", "audit", "admin"]},
    SHOP_AUDITOR: {"tenant": "shop", "scopes": ["read", "audit"]},
    SHOP_READER: {"tenant": "shop", "scopes": ["read"]},
    WRITER: {"tenant": "shop", "scopes": ["write"]},
}


@dataclass
class Setup:
    """A headrig before a Loki."""

    headrig: Headrig
    loki: Loki
    start: int

    def ask(
        self, token: str, route: str, headers: dict[str, str] | None = None, **parameters: str
    ) -> HttpAnswer:
        """Ask headrig."""
        url = f"{self.headrig.url}/loki/api/v1/{route}?{urlencode(self._span(parameters))}"
        return http(url, None, {**bearer(token), **(headers or {})})

    def ask_loki(
        self, org: str, route: str, headers: dict[str, str] | None = None, **parameters: str
    ) -> HttpAnswer:
        """Ask Loki itself."""
        url = f"{self.loki.url}/loki/api/v1/{route}?{urlencode(self._span(parameters))}"
        return http(url, None, {**({"X-Scope-OrgID": org} if org else {}), **(headers or {})})

    def _span(self, parameters: dict[str, str]) -> dict[str, str]:
        end = (
            {} if "time" in parameters else {"start": str(self.start - S), "end": str(self.start + 3600 * S)}
        )
        return {**end, **parameters}

    def reads(self) -> list[dict[str, object]]:
        """Leaves that say that somebody read the trail."""
        leaves = [json.loads(entry.leaf) for entry in read_log(self.headrig.data / "audit")]
        return [leaf for leaf in leaves if leaf["action"] == "read_audit"]


@pytest.fixture(scope="module")
def tenants(programs: Callable[..., Headrig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A Loki with tenants: each credential's records and reads have their own, and the trail has one."""
    need_loki()
    loki = Loki(tmp_path_factory.mktemp("loki"), "-auth.enabled=true").start()
    try:
        start = time.time_ns()
        settings = {
            "sinks": {"loki": {"url": loki.url, "tenant": "{tenant}"}},
            "audit": {"origin": "e2e.example/tenants"},
        }
        headrig = programs(settings, workers=2, tokens=TOKENS).start()
        for token in (SHOP, BANK):
            headrig.credential = bearer(token)
            lines = [
                orjson.dumps({"service": "web", "owner": token, "message": f"m{n}", "level": "info"})
                for n in range(20)
            ]
            login = orjson.dumps({"service": "web", "event": "user.login", "user": f"user-of-{token}"})
            assert headrig.post(b"\n".join([*lines, login])).json()["accepted"] == 21
        headrig.await_delivery("loki", 44)
        yield Setup(headrig, loki, start)
        assert headrig.stop() == 0
    finally:
        loki.stop()


@pytest.fixture(scope="module")
def single(programs: Callable[..., Headrig], loki: Loki) -> Setup:
    """A Loki without tenants, where everything lies together."""
    start = time.time_ns()
    settings = {"sinks": {"loki": {"url": loki.url}}, "audit": {"origin": "e2e.example/single"}}
    tokens = {**TOKENS, BANK: {"tenant": "bank", "scopes": ["read"]}}  # only one tenant may write to it
    headrig = programs(settings, workers=1, tokens=tokens).start()
    login = b'{"service":"single","event":"user.login","user":"eve"}'
    assert headrig.post(login).json()["accepted"] == 1
    headrig.await_delivery("loki", 2)
    return Setup(headrig, loki, start)


ROUTES: list[tuple[str, dict[str, str]]] = [
    ("labels", {}),
    ("label/service_name/values", {}),
    ("series", {"match[]": '{service_name="web"}'}),
    ("query_range", {"query": '{service_name="web"}', "limit": "100", "direction": "forward"}),
    ("query_range", {"query": '{service_name="web"} |= "m1" | json', "limit": "100"}),
    ("query_range", {"query": 'sum(count_over_time({service_name="web"}[1m]))', "step": "60s"}),
    ("query_range", {"query": '{service_name="web"} | logfmt | line_format "{{.message}}"'}),
    ("query", {"query": 'sum by (owner) (count_over_time({service_name="web"} | json [1h]))', "time": "now"}),
    ("query_range", {"query": "{"}),
    ("query", {"query": '{service_name="web"}'}),
]


@pytest.mark.parametrize(("route", "parameters"), ROUTES)
def test_the_answer_is_lokis_own(tenants: Setup, route: str, parameters: dict[str, str]) -> None:
    """Status, content type and body are what Loki answers to the tenant of the credential, errors included."""
    if "time" in parameters:
        parameters = {**parameters, "time": str(tenants.start + 60 * S)}
    ours = tenants.ask(SHOP, route, **parameters)
    theirs = tenants.ask_loki("shop", route, **parameters)
    assert ours.status == theirs.status
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
    assert _stable(ours.body) == _stable(theirs.body)


def _stable(body: bytes) -> object:
    """Leave out what Loki says about its own work, which differs from one time to the next."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if isinstance(document.get("data"), dict):
        document["data"].pop("stats", None)
    elif isinstance(document.get("data"), list):
        document["data"] = sorted(document["data"], key=repr)
    return document


def test_labels_by_category_are_passed_on(tenants: Setup) -> None:
    """The one header of the client that Loki must see arrives: structured metadata comes apart from labels."""
    flags = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    answer = tenants.ask(SHOP, "query_range", flags, query='{service_name="web"}')
    [stream] = answer.json()["data"]["result"]
    assert stream["stream"] == {"service_name": "web"}
    assert stream["values"][0][2]["structuredMetadata"]["detected_level"]


@pytest.mark.parametrize("org", ["bank", "audit", "shop|bank|audit"])
def test_the_clients_org_id_is_never_forwarded(tenants: Setup, org: str) -> None:
    """A client cannot choose a tenant: it reads its credential's, whatever ``X-Scope-OrgID`` it sends."""
    answer = tenants.ask(
        SHOP, "query_range", {"X-Scope-OrgID": org}, query='{service_name=~".+"}', limit="1000"
    )
    text = answer.body.decode()
    assert answer.status == 200
    assert "t-shop" in text
    assert "t-bank" not in text


def test_each_tenant_sees_its_own(tenants: Setup) -> None:
    """The same query of two credentials finds the lines of each, and no audit leaf."""
    for token, other in ((SHOP, BANK), (BANK, SHOP)):
        result = tenants.ask(token, "query_range", query='{service_name=~".+"}', limit="1000").json()["data"][
            "result"
        ]
        text = json.dumps(result)
        assert sum(len(stream["values"]) for stream in result) == 21
        assert other not in text
        assert "class_uid" not in text


@pytest.mark.parametrize("path", ["query_range?query=", "series?match[]="])
def test_scopes_are_checked_before_loki_is_asked(tenants: Setup, path: str) -> None:
    """Writers cannot read, readers and one tenant's auditors cannot read the trail of all, nor strangers anything."""
    url = f"{tenants.headrig.url}/loki/api/v1/{path}"
    plain, trail = url + quote('{a="b"}'), url + quote('{audit="true"}')
    before = len(tenants.reads())
    assert http(plain).status == 401
    assert http(plain, headers=bearer(WRITER)).status == 403
    assert http(trail, headers=bearer(SHOP_READER)).status == 403
    assert http(trail, headers=bearer(SHOP_AUDITOR)).status == 403
    assert http(plain, headers=bearer(SHOP_READER)).status == 200
    assert len(tenants.reads()) == before


def test_a_read_of_the_trail_is_an_audit_event(tenants: Setup) -> None:
    """An auditor finds the leaves in the audit tenant; the log then says who asked what, before anybody saw it."""
    before = len(tenants.reads())
    query = '{audit="true"} |= "user-of-t-shop"'
    answer = tenants.ask(AUDITOR, "query_range", query=query)
    [stream] = answer.json()["data"]["result"]
    assert stream["stream"]["audit_log"] == "e2e.example/tenants"
    reads = tenants.reads()
    assert len(reads) == before + 1
    assert reads[-1]["actor"] == "tenant:shop"
    assert reads[-1]["target"] == "query_range"
    assert json.loads(str(reads[-1]["raw"]))["query"] == query
    tenants.ask(AUDITOR, "query_range", query='{service_name="web"} |= "audit=1"')
    assert len(tenants.reads()) == before + 1


def test_a_query_written_twice_is_not_answered(tenants: Setup) -> None:
    """Loki would answer the first: a read of the trail behind a harmless query is refused, not passed on."""
    twice = urlencode([("query", '{audit="true"}'), ("query", '{a="b"}')])
    url = f"{tenants.headrig.url}/loki/api/v1/query_range?{twice}"
    assert http(url, headers=bearer(AUDITOR)).status == 400


def test_the_read_itself_is_found_by_the_next(tenants: Setup) -> None:
    """The event of a read goes to Loki as every other."""
    tenants.ask(AUDITOR, "query_range", query='{audit="true"} |= "needle-77"')

    def found() -> bool:
        result = tenants.ask(AUDITOR, "query_range", query='{audit="true"} |= "needle-77"').json()["data"][
            "result"
        ]
        return any(
            json.loads(value[1])["action"] == "read_audit" for stream in result for value in stream["values"]
        )

    wait_until(found, 20, "the read in Loki", pause=0.3)


@pytest.mark.parametrize("token", [SHOP_READER, SHOP_AUDITOR])
def test_where_loki_has_one_tenant_readers_need_all_scopes(single: Setup, token: str) -> None:
    """Whoever reads such a Loki reads everybody's lines and leaves, even with a query about something else."""
    answer = single.ask(token, "query_range", query='{service_name="single"}')
    assert answer.status == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert single.ask(AUDITOR, "query_range", query='{service_name="single"}').status == 200


@pytest.mark.parametrize(
    "query", ['{service_name="unknown_service"}', '{audit_log=~"e2e.+"}', '{service_name=~"u.*"}']
)
def test_a_query_that_catches_the_trail_is_a_read_of_it(single: Setup, query: str) -> None:
    """Where the trail lies among the rest, a selector that catches its stream is on record too."""
    before = len(single.reads())
    answer = single.ask(AUDITOR, "query_range", query=query)
    assert answer.status == 200
    assert "class_uid" in answer.body.decode()
    assert len(single.reads()) == before + 1


def test_what_loki_does_not_answer_is_503(
    programs: Callable[..., Headrig], own_loki: Callable[..., Loki]
) -> None:
    """While Loki is away readers are told to come again, and writers notice nothing."""
    loki = own_loki()
    settings = {"sinks": {"loki": {"url": loki.url}}, "drain": "200ms"}
    headrig = programs(settings, workers=1).start()
    assert headrig.post(b'{"service":"x"}').status == 200
    answer = headrig.read("labels")
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert headrig.stop() == 0
