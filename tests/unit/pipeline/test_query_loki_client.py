"""The client of a real Loki: what goes through, and what never does."""

from __future__ import annotations

import httpx
import pytest
from headrig import ConfigError, RejectedError, SinkUnavailableError

from pipeline.query.loki_client import LokiClient


def client(answer, **options):
    """A client whose requests a function answers, and the requests."""
    seen = []

    def handle(request):
        seen.append(request)
        return answer(request)

    return LokiClient("http://loki:3100/base/", transport=httpx.MockTransport(handle), **options), seen


async def test_query_passes_status_type_and_body_through():
    """Query string and path go as they came, the answer comes as it is, and the tenant is ours."""
    reply = httpx.Response(400, text="parse error", headers={"content-type": "text/plain; charset=utf-8"})
    loki, seen = client(lambda _: reply, username="u", password="p")
    async with loki:
        answer = await loki.forward(
            "/loki/api/v1/query_range",
            "query=%7Ba%3D%22b%22%7D&limit=5",
            org="acme",
            flags="categorize-labels",
        )
    assert answer == (400, "text/plain; charset=utf-8", b"parse error")
    (request,) = seen
    assert str(request.url) == "http://loki:3100/base/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&limit=5"
    assert request.headers["x-scope-orgid"] == "acme"
    assert request.headers["x-loki-response-encoding-flags"] == "categorize-labels"
    assert request.headers["authorization"].startswith("Basic ")


async def test_query_sends_no_tenant_where_there_is_none():
    """Without a tenant the header is left out, and a token goes as Bearer."""
    loki, seen = client(lambda _: httpx.Response(200, json={}), token="t")
    async with loki:
        await loki.forward("/loki/api/v1/labels", "")
    assert "x-scope-orgid" not in seen[0].headers
    assert seen[0].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    "path",
    ["/loki/api/v1/../../ready", "/config", "/loki/api/v1/", "/loki/api/v1/a//b", "/loki/api/v1/./push"],
)
async def test_query_passes_nothing_but_read_paths(path):
    """A path that leaves the API is refused before anything is sent."""
    loki, seen = client(lambda _: httpx.Response(200))
    async with loki:
        with pytest.raises(RejectedError):
            await loki.forward(path, "")
        with pytest.raises(RejectedError):
            await loki.forward("/loki/api/v1/labels", "", method="DELETE")
    assert seen == []


async def test_query_says_when_loki_is_away():
    """No connection is a retryable error without the address of the client's query."""

    def refuse(request):
        raise httpx.ConnectError("no")

    loki, _ = client(refuse)
    async with loki:
        with pytest.raises(SinkUnavailableError, match="cannot be reached"):
            await loki.forward("/loki/api/v1/labels", "")
        with pytest.raises(SinkUnavailableError, match="cannot be reached"):
            await loki.get("labels", {})


async def test_query_get_decodes_or_says_why_not():
    """For the command line: JSON, or the error's own text."""
    answers = iter(
        [
            httpx.Response(200, json={"data": []}),
            httpx.Response(400, text="parse error"),
            httpx.Response(200, text="<html>"),
        ]
    )
    loki, _ = client(lambda _: next(answers))
    async with loki:
        assert await loki.get("labels", {"start": "0"}) == {"data": []}
        with pytest.raises(ConfigError, match="400: parse error"):
            await loki.get("labels", {})
        with pytest.raises(ConfigError, match="is it a Loki"):
            await loki.get("labels", {})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, SinkUnavailableError),
        (429, SinkUnavailableError),
        (503, SinkUnavailableError),
        (404, ConfigError),
    ],
)
async def test_query_get_tells_a_wrong_request_from_a_server_that_cannot(status, error):
    """A 4xx is for who asked to mend; 3xx, 429 and 5xx say nothing about the query. Nothing in it rules a terminal."""
    loki, _ = client(lambda _: httpx.Response(status, text="no\x1b[2J\x9b1m"))
    async with loki:
        with pytest.raises(error) as raised:
            await loki.get("labels", {})
    assert str(raised.value) == rf"{status}: no\x1b[2J\x9b1m"


async def test_query_get_reads_a_problem_document():
    """Of problem+json people get the sentence."""
    reply = httpx.Response(
        403, json={"detail": "reading needs more"}, headers={"content-type": "application/problem+json"}
    )
    loki, _ = client(lambda _: reply)
    async with loki:
        with pytest.raises(ConfigError, match="^403: reading needs more$"):
            await loki.get("labels", {})


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999", "ftp://x", "x"])
async def test_query_get_of_no_address_is_the_callers_mistake(url):
    """What is no address is told as such."""
    async with LokiClient(url) as loki:
        with pytest.raises(ConfigError, match="no address"):
            await loki.get("labels", {})


@pytest.mark.parametrize("token", ["t\u00f6k\u00e9n", "a\nb", "a b"])
def test_query_token_that_no_header_carries_is_refused(token):
    """A token is visible ASCII; the message does not quote it."""
    with pytest.raises(ConfigError, match="visible ASCII") as refused:
        LokiClient("http://loki", token=token)
    assert token not in str(refused.value)
