"""More than a tenant's rate is told to the sender: 429, when to come again, and nothing received."""

import gzip

import httpx
import pytest
from headrig import Resource

from pipeline.flow.inbound import Outcome
from pipeline.receiver.auth import Credential, Credentials
from pipeline.receiver.ingest import Hooks, IngestApp
from pipeline.receiver.limits import Limits
from pipeline.receiver.rate import RateLimit, ThrottledError

TOKENS = Credentials.from_tokens(
    [
        ("a", Credential(Resource("acme", "shop"))),
        ("a2", Credential(Resource("acme", "cart"))),
        ("b", Credential(Resource("beta"))),
    ]
)


class Clock:
    """Stands still until told."""

    now = 100.0

    def __call__(self):
        return self.now


class Edge:
    """The ingest routes with rates, a clock and a flow that keeps what it gets."""

    def __init__(self, **rates):
        self.clock, self.seen, self.answered = Clock(), [], []
        hooks = Hooks(answered=lambda route, status, *_: self.answered.append(status))
        self.app = IngestApp(self.submit, TOKENS, Limits(**rates), hooks, clock=self.clock)

    async def submit(self, inbound):
        self.seen += inbound.lines
        return Outcome(len(inbound.lines))

    async def post(self, body, token="a", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://h") as client:
            return await client.post(
                "/v1/logs", content=body, headers={"Authorization": f"Bearer {token}", **named}
            )


async def test_records_over_the_rate_are_429_until_the_debt_is_paid():
    """A request is taken while there is no debt, however large; then nothing is, until time has paid for it."""
    edge = Edge(records_per_second=10)
    assert (await edge.post(b"{}\n" * 35)).status_code == 200
    refused = await edge.post(b"{}")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["reason"] == "throttled"
    assert "limits.rate.records" in refused.json()["detail"]
    assert (len(edge.seen), edge.answered) == (35, [200, 429])
    edge.clock.now += 2.4
    assert (await edge.post(b"{}")).status_code == 429
    edge.clock.now += 0.2
    assert (await edge.post(b"{}")).status_code == 200


async def test_bytes_count_inflated():
    """A compressed body costs what it becomes."""
    edge = Edge(bytes_per_second=1000)
    body = gzip.compress(b'{"a":"' + b"x" * 5000 + b'"}')
    assert len(body) < 100
    assert (await edge.post(body, Content_Encoding="gzip")).status_code == 200
    refused = await edge.post(b"{}")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert "limits.rate.bytes" in refused.json()["detail"]


async def test_a_rate_is_the_tenants():
    """Services of a tenant share it; another tenant has its own."""
    edge = Edge(records_per_second=1)
    assert (await edge.post(b"{}")).status_code == 200
    assert (await edge.post(b"{}", "a2")).status_code == 429
    assert (await edge.post(b"{}", "b")).status_code == 200


async def test_rejected_records_cost_too():
    """Rubbish is work as well."""
    edge = Edge(records_per_second=2)
    assert (await edge.post(b'{"a":"\xff"}\n' * 3)).status_code == 200
    assert (await edge.post(b"{}")).status_code == 429


async def test_a_refused_body_is_not_read():
    """Who is in debt is told before the body is received; nothing is held."""
    edge = Edge(records_per_second=1)
    await edge.post(b"{}\n{}")
    sent = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer a")]
    await edge.app({"type": "http", "method": "POST", "path": "/v1/logs", "headers": headers}, receive, send)
    assert sent[0]["status"] == 429
    assert edge.app.inflight_bytes == 0


def test_a_quiet_tenant_saves_up_one_second_and_no_more():
    """A rate is no allowance for the hour."""
    clock = Clock()
    rate = RateLimit(10, None, clock)
    rate.take("t", 1, 0)
    clock.now += 3600
    rate.take("t", 9, 0)
    rate.take("t", 1, 0)
    with pytest.raises(ThrottledError) as error:
        rate.take("t", 1, 0)
    assert error.value.retry_after == 0
