"""What the ingest routes answer once the flow took a request.

* ``/v1/logs``: 200 with the verdict of each record that was not accepted. The one exception is a body
  that is a single record (an object, or a single line, not an array): when that is rejected the answer
  is 422 with the same list, so that a sender who looks only at the status sees it.
* Loki routes: exactly 204 with an empty body, also when entries were rejected (known clients resend a
  refused push for ever); the numbers are in headers.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from headrig import Verdict

from pipeline.flow.inbound import Inbound, Outcome
from pipeline.receiver.problem import CONTENT_TYPE, Problem, RawHeaders

Answer = tuple[int, RawHeaders, bytes]
"""Status, headers, body."""

_JSON = (b"content-type", b"application/json")
_REJECTED = "rejected"
_KINDS = (_REJECTED, "quarantined", "dropped")
_encode = msgspec.json.Encoder().encode


def logs_answer(inbound: Inbound, outcome: Outcome) -> Answer:
    """Return the answer of ``/v1/logs``."""
    verdicts = _verdicts(inbound, outcome)
    if not verdicts and not outcome.receipts and not outcome.duplicate:
        return _ok(b'{"accepted":%d,"rejected":[],"quarantined":[],"receipts":[]}' % outcome.accepted)
    listed = {kind: [_verdict(verdict) for verdict in verdicts if verdict.kind == kind] for kind in _KINDS}
    if not listed["dropped"]:
        del listed["dropped"]
    rejected = listed[_REJECTED]
    if rejected and not outcome.accepted and _is_single(inbound):
        detail = f"the record was rejected: {rejected[0]['detail'] or rejected[0]['reason']}"
        return refusal(Problem(422, detail, rejected[0]["reason"], extensions={_REJECTED: rejected}))
    document: dict[str, Any] = {
        "accepted": outcome.accepted,
        **listed,
        "receipts": orjson.Fragment(_encode(outcome.receipts)),
    }
    if outcome.duplicate:
        document["duplicate"] = True
    return _ok(orjson.dumps(document))


def loki_answer(inbound: Inbound, outcome: Outcome) -> Answer:
    """Return the answer of a Loki push."""
    headers: RawHeaders = []
    if outcome.receipts:
        indexes = [receipt.index for receipt in outcome.receipts]
        headers.append((b"x-headrig-audit", b"%d-%d" % (min(indexes), max(indexes))))
        if conflicts := sum(receipt.conflict for receipt in outcome.receipts):
            headers.append((b"x-headrig-audit-conflict", b"%d" % conflicts))
    if outcome.verdicts or inbound.rejected:
        kinds: list[str] = [verdict.kind for verdict in _verdicts(inbound, outcome)]
        for kind in _KINDS:
            if number := kinds.count(kind):
                headers.append((b"x-headrig-" + kind.encode(), b"%d" % number))
    return 204, headers, b""


def refusal(problem: Problem) -> Answer:
    """Return the answer of a problem document."""
    body = problem.body()
    length = (b"content-length", b"%d" % len(body))
    return problem.status, [(b"content-type", CONTENT_TYPE), length, *problem.headers], body


def _is_single(inbound: Inbound) -> bool:
    """Tell whether a body was one record. Of the body, not of the lines: the flow lets go of them."""
    body = inbound.body
    return body is not None and bool(body) + body.count(b"\n") + len(inbound.rejected) == 1


def _ok(body: bytes) -> Answer:
    return 200, [_JSON, (b"content-length", b"%d" % len(body))], body


def _verdicts(inbound: Inbound, outcome: Outcome) -> list[Verdict]:
    """Return the verdicts of flow and dialect in the order of the records, each record once."""
    if not inbound.rejected:
        return outcome.verdicts
    known = {verdict.origin for verdict in outcome.verdicts}
    missing = [verdict for verdict in inbound.rejected if verdict.origin not in known]
    return sorted([*outcome.verdicts, *missing], key=lambda verdict: verdict.origin)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"index": verdict.origin, "reason": verdict.reason, "detail": verdict.detail}
