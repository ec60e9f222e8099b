"""Requests that carry secrets: by every route, in every form, and by every way a request can fail."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import cramjam
from canary import BEARER, CARD, CONTENT, DASHED, MAIL, PASSWORD, PIN
from senders import snappy_push

from pipeline.samples import canary

LOGS, PUSH, PUSH_V0 = "/v1/logs", "/loki/api/v1/push", "/api/prom/push"
_numbers = count(1)


@dataclass
class Sending:
    """One request.

    Attributes:
        name: What it tries.
        status: The answer it should get; 0 when any will do.
    """

    name: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0


def key() -> str:
    """Return the next canary."""
    return canary(next(_numbers))


def escaped(text: str) -> str:
    r"""Write every character as ``\uXXXX``."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


def percent(text: str) -> str:
    """Write every character as ``%XX``."""
    return "".join(f"%{ord(character):02X}" for character in text)


def records() -> dict[str, str]:
    """Return JSON records with a secret each, by the form it has."""
    return {
        "plain": json.dumps({"message": f"{CONTENT} key {key()} used"}),
        "escaped": f'{{"message":"{CONTENT} {escaped(key())}"}}',
        "half escaped": f'{{"message":"\\u0041{key()[1:]}"}}',
        "after a newline": f'{{"message":"x\\n{key()}\\ty"}}',
        "percent": json.dumps({"url": f"/login?k={percent(key())}&password={PASSWORD}"}),
        "twice percent": json.dumps({"url": "/login?k=" + percent(key()).replace("%", "%25")}),
        "key of a map": json.dumps({"counts": {key(): 3, "x": {MAIL: 1}}}),
        "escaped key": f'{{"{escaped(key())}":1,"p\\u0061ssword":"{PASSWORD}"}}',
        "twice the same key": f'{{"m":"{escaped(key())}","m":"x","password":"{PASSWORD}","password":""}}',
        "JSON in a string": json.dumps({"body": json.dumps({"password": PASSWORD, "k": key()})}),
        "JSON in JSON in a string": json.dumps(
            {"body": json.dumps({"b": json.dumps({"password": PASSWORD, "k": key()})})}
        ),
        "number": f'{{"card":{CARD},"amount":3,"list":[1,{CARD}],"password":{PIN}}}',
        "fields": json.dumps(
            {
                "dbPassword": PASSWORD,
                "X-Api-Key": PASSWORD,
                "password": {"deep": [PASSWORD]},
                "note": f"to {MAIL}",
            }
        ),
        "headers": json.dumps(
            {
                "headers": [{"name": "Authorization", "value": f"Bearer {BEARER}"}],
                "h": {"authorization": [f"Bearer {BEARER}"]},
                "text": f"Authorization: Bearer {BEARER}",
            }
        ),
        "card with spaces": json.dumps({"text": " ".join(CARD[n : n + 4] for n in (0, 4, 8, 12))}),
        "half a surrogate": f'{{"m":"\\ud800{key()}","password":"{PASSWORD}"}}',
        "fields that labels come from": json.dumps(
            {
                "service": key(),
                "env": MAIL,
                "level": key(),
                "trace_id": key(),
                "timestamp": key(),
                "traceparent": key(),
            }
        ),
        "audit event": json.dumps(
            {
                "event": "user.login",
                "outcome": "success",
                "user": MAIL,
                "target": key(),
                "id": key(),
                "seq": 7,
                "password": PASSWORD,
                "message": f"{CONTENT} {escaped(key())}",
            }
        ),
        "large audit event": json.dumps(
            {"event": "user.login", "outcome": "success", "user": "eve", "fill": "x y " * 14_000, "k": key()}
        ),
    }


def texts() -> dict[str, str]:
    """Return plain-text lines with a secret each."""
    return {
        "text": f"{CONTENT} key {key()} used",
        "several lines": f"first\n{key()}\n  password: {PASSWORD}\nlast",
        "percent text": f"GET /?k={percent(key())}&password={PASSWORD} 200",
        "escaped text": f"said \\u0041{key()[1:]} and \\x41{key()[1:]}",
        "logfmt": f'level=info password="{PASSWORD}" mail={MAIL} card={CARD}',
        "header": f"> Authorization: Bearer {BEARER}",
        "JSON in text": f'body: {{\\"password\\":\\"{PASSWORD}\\"}} {{"token":"{PASSWORD}"}}',
        "broken JSON": f'{{"password":"{PASSWORD}","m":"\\u0041{key()[1:]}", "cut',
        "JSON array": json.dumps([key(), {"password": PASSWORD}]),
        "url": f"connecting to postgres://app:{PASSWORD}@db.internal/x",
    }


def good() -> Iterator[Sending]:
    """Yield requests that are taken, by every dialect and coding."""
    lines = list(records().values())
    ndjson = "\n".join(lines).encode()
    yield Sending("NDJSON", LOGS, ndjson, status=200)
    yield Sending("array", LOGS, f"[{','.join(records().values())}]".encode(), status=200)
    for name, line in records().items():
        yield Sending(f"object, {name}", LOGS, line.encode(), status=200)
    pretty = json.dumps({"message": key(), "password": PASSWORD}, indent=2)
    yield Sending("pretty object", LOGS, pretty.encode(), status=200)
    codings: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
        "deflate": zlib.compress,
        "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    }
    for coding, pack in codings.items():
        body = "\n".join(records().values()).encode()
        yield Sending(f"NDJSON in {coding}", LOGS, pack(body), {"Content-Encoding": coding}, 200)
        yield Sending(f"push in {coding}", PUSH, pack(_push()), {"Content-Encoding": coding}, 204)
    yield Sending("an Idempotency-Key", LOGS, lines[0].encode(), {"Idempotency-Key": key()}, 200)
    yield Sending("push v1", PUSH, _push(), status=204)
    yield Sending("push v0", PUSH_V0, _push_v0(), status=204)
    yield Sending("push v0 on the path of v1", PUSH, _push_v0(), status=204)
    yield Sending("push in protobuf", PUSH, _push_wire(), {"Content-Type": "application/x-protobuf"}, 204)


def _labels() -> dict[str, str]:
    return {
        "app": key(),
        "password": PASSWORD,
        key(): "a name",
        DASHED: "a name with dashes",
        MAIL: "x",
        "service.name": MAIL,
        "note": escaped(key()),
        "url": percent(key()),
    }


def _metadata() -> dict[str, object]:
    return {
        "trace_id": key(),
        "user.mail": MAIL,
        "password": PASSWORD,
        DASHED: 1,
        "card": int(CARD),
        "deep": {"password": PASSWORD},
    }


def _stamps() -> Iterator[int]:
    return count(time.time_ns(), 1000)


def _push() -> bytes:
    stamp = _stamps()
    lines = [*texts().values(), *records().values()]
    values: list[list[object]] = [[str(next(stamp)), line] for line in lines]
    values += [[str(next(stamp)), f"{CONTENT} with metadata", _metadata()]]
    return json.dumps({"streams": [{"stream": _labels(), "values": values}]}).encode()


def _push_v0() -> bytes:
    entries = [{"ts": "2026-11-24T02:18:09.5Z", "line": line} for line in texts().values()]
    labels = (
        "{"
        + ",".join(f"{name}={json.dumps(value)}" for name, value in _labels().items() if "@" not in name)
        + "}"
    )
    streams = [
        {"labels": labels, "entries": entries},
        {"labels": f'{{x="\\x41{key()[1:]}",y="\\101{key()[1:]}"}}', "entries": entries[:1]},
        {"labels": f'{{not labels password="{PASSWORD}" {key()}', "entries": entries[:1]},
    ]
    return json.dumps({"streams": streams}).encode()


def _push_wire() -> bytes:
    stamp = _stamps()
    labels = {name: value for name, value in _labels().items() if "@" not in name}
    lines = [*texts().values(), *records().values()]
    metadata = {name: str(value) for name, value in _metadata().items()}
    return snappy_push([(labels, [(next(stamp), line, metadata) for line in lines])])


def bad() -> Iterator[Sending]:
    """Yield requests that are refused, wholly or for one record, with a secret in what is wrong."""
    good_line = json.dumps({"message": f"{CONTENT} a good neighbour"}).encode()
    broken = {
        "not JSON": f'{{"message": {key()} }}'.encode(),
        "cut JSON": f'{{"message":"{key()}'.encode(),
        "no object": f'"{key()}"'.encode(),
        "a bare secret": key().encode(),
        "too deep": b"[" * 100 + f'"{key()}"'.encode() + b"]" * 100,
        "a deep object": b'{"a":' * 90 + f'"{key()}"'.encode() + b"}" * 90,
        "not UTF-8": b'{"message":"\xff' + key().encode() + b'"}',
        "too long": b'{"message":"' + b"x" * 70_000 + key().encode() + b'"}',
    }
    for name, line in broken.items():
        yield Sending(name, LOGS, line)
        yield Sending(f"{name} among good ones", LOGS, b"\n".join([good_line, line, good_line]))
        yield Sending(f"{name} in an array", LOGS, b"[" + good_line + b"," + line + b"]")
        yield Sending(f"{name} as push", PUSH, line)
        text = line.decode("utf-8", "replace")
        for path in (PUSH, PUSH_V0):
            body: dict[str, Any] = {
                "streams": [{"stream": {"app": "x"}, "values": [[str(time.time_ns()), text], [text, text]]}]
            }
            yield Sending(f"{name} in a push", path, json.dumps(body).encode())
    shapes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("entry of a wrong shape", {"streams": [{"stream": {"app": key()}, "values": [[key()], key(), 3]}]}),
        ("stream of a wrong shape", {"streams": [key(), {"stream": key(), "values": key()}]}),
        ("no streams", {key(): []}),
        (
            "a line that is a number",
            {"streams": [{"stream": {}, "values": [[str(time.time_ns()), int(CARD)]]}]},
        ),
    )
    for name, push in shapes:
        yield Sending(name, PUSH, json.dumps(push).encode())
    secret = key().encode()
    for name, headers in (
        ("broken gzip", {"Content-Encoding": "gzip"}),
        ("broken zstd", {"Content-Encoding": "zstd"}),
        ("broken deflate", {"Content-Encoding": "deflate"}),
        ("broken snappy", {"Content-Encoding": "snappy"}),
        ("unknown coding", {"Content-Encoding": key()}),
        ("OTLP", {"Content-Type": f"application/x-protobuf; {key()}"}),
        ("unknown type", {"Content-Type": f"text/{key()}"}),
        ("bad Idempotency-Key", {"Idempotency-Key": f"{key()} with a space"}),
    ):
        yield Sending(name, LOGS, secret, headers)
        yield Sending(f"{name} as push", PUSH, secret, headers)
    yield Sending("OTLP in JSON", LOGS, json.dumps({"resourceLogs": [key()]}).encode(), status=415)
    bomb = gzip.compress(key().encode() * 500_000)
    yield Sending("too large once inflated", LOGS, bomb, {"Content-Encoding": "gzip"}, 413)
    yield Sending("too large", LOGS, key().encode() * 300_000, status=413)
    for path in (LOGS, PUSH):
        record = json.dumps({"message": key()}).encode()
        yield Sending(
            "Bearer with a secret", path, record, {"Authorization": f"Bearer {key()}{BEARER}"}, status=401
        )
        yield Sending("Basic that is none", path, record, {"Authorization": f"Basic {key()}"}, status=401)
        yield Sending("unknown scheme", path, record, {"Authorization": key()}, status=401)
    record = json.dumps({"message": key()}).encode()
    yield Sending("conflict, first", LOGS, record, {"Idempotency-Key": f"{key()[:4]}conflict"}, 200)
    yield Sending(
        "conflict, second",
        LOGS,
        json.dumps({"message": key()}).encode(),
        {"Idempotency-Key": "AKIAconflict"},
        422,
    )


def plugin_records() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield records that make plugins bring a secret: it comes reversed, so that only they can know it."""
    for what in (
        "raise",
        "class",
        "attribute",
        "body",
        "escape",
        "overrun",
        "log",
        "thread",
        "task",
        "drop",
    ):
        yield (
            what,
            {"canary_do": what, "hidden": key()[::-1], "other": PASSWORD[::-1], "message": CONTENT},
        )
    for what in ("raise", "judge"):
        yield (
            f"judge, {what}",
            {"canary_judge": what, "hidden": key()[::-1], "other": PASSWORD[::-1], "message": CONTENT},
        )
    yield "spot", {"message": f"{CONTENT} canary-spot {key()}"}
    yield "spot, raise", {"message": f"{CONTENT} canary-spot explode {key()}"}


def raw_requests(host: str, token: str) -> Iterator[tuple[str, bytes]]:
    """Yield requests with a secret where no client library would put one."""
    end = f"\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    body = '{"message":"x"}'
    tail = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    yield "path", f"GET /{key()}/x HTTP/1.1{end}\r\n".encode()
    yield "path of a post", f"POST /v1/logs/{key()} HTTP/1.1{end}{tail}\r\n{body}".encode()
    yield (
        "query string",
        f"POST /v1/logs?token={key()}&password={PASSWORD} HTTP/1.1{end}{tail}\r\n{body}".encode(),
    )
    yield (
        "query string of a wrong path",
        f"GET /loki/api/v1/labels/?query={key()} HTTP/1.1{end}\r\n".encode(),
    )
    yield "method", f"{key()} /v1/logs HTTP/1.1{end}\r\n".encode()
    yield "header name", f"POST /v1/logs HTTP/1.1{end}X-{key()}: 1\r\n{tail}\r\n{body}".encode()
    yield (
        "header value",
        f"POST /v1/logs HTTP/1.1{end}Cookie: s={key()}\r\nUser-Agent: {key()}\r\n{tail}\r\n{body}".encode(),
    )
    yield "broken header", f"POST /v1/logs HTTP/1.1{end}{key()}\r\n{tail}\r\n{body}".encode()
    yield (
        "Content-Length",
        f"POST /v1/logs HTTP/1.1{end}Content-Length: {key()}\r\n\r\n{body}".encode(),
    )
    yield "version", f"POST /v1/logs {key()}{end}{tail}\r\n{body}".encode()
    yield "no HTTP", f"{key()} {PASSWORD}\r\n\r\n".encode()
    yield "Host", f"GET /healthz HTTP/1.1\r\nHost: {key()}.example.com\r\nConnection: close\r\n\r\n".encode()
    yield (
        "encoded path",
        f"GET /loki/api/v1/label/{percent(key())}/values HTTP/1.1{end}\r\n".encode(),
    )
    yield (
        "chunked, cut",
        f"POST /v1/logs HTTP/1.1{end}Transfer-Encoding: chunked\r\n\r\n10\r\n{key()[:16]}\r\nzz\r\n".encode(),
    )
    yield (
        "upgrade",
        f"GET /{key()} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key()}\r\n\r\n".encode(),
    )
