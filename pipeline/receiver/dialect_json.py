"""``POST /v1/logs``: one JSON object, an array of them, or one per line (NDJSON), told apart by content.

Nothing is parsed here but what tells the three apart: the flow decodes the head of each line and
rejects lines that are no JSON object. An NDJSON body is kept as it came and split once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec
from headrig import DecodeError, Resource, TooLargeError, Verdict

from pipeline.flow.inbound import Inbound
from pipeline.receiver.bounds import check_values
from pipeline.receiver.limits import Limits
from pipeline.receiver.problem import UNSUPPORTED

NOT_UTF8 = "not_utf8"
LINE_TOO_LONG = "line_bytes"
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# An object without another inside is one token, whole: that is most records.
_TOKEN = re.compile(rb'\{(?:[^"{}\[\]]++|%b)*+\}|%b?|[\[{]|[\]}]|,' % (_STRING, _STRING), re.DOTALL)
_OTLP_KEY = b'"resourceLogs"'
_OTLP_WINDOW = 16 << 10

_one = msgspec.json.Decoder(msgspec.Raw)
_array = msgspec.json.Decoder(list[msgspec.Raw])


class _Otlp(msgspec.Struct):
    """Tells an OTLP export (ExportLogsServiceRequest) from a record that only mentions the name."""

    marker: msgspec.Raw | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="resourceLogs")


_otlp = msgspec.json.Decoder(_Otlp)


def decode(data: bytes, content_type: bytes, resource: Resource, digest: bytes, limits: Limits) -> Inbound:
    """Decode an inflated body.

    Args:
        data: The body, inflated.
        content_type: Only to recognise OTLP in protobuf; the shape is found by content.
        resource: From the credential.
        digest: See `Inbound`.
        limits: ``line_bytes`` and ``records`` are used.

    Raises:
        DecodeError: Empty or not JSON at all; reason `UNSUPPORTED` for OTLP.
        TooLargeError: More than ``records`` records.
    """
    if b"protobuf" in content_type:
        raise DecodeError("OTLP in protobuf is not supported yet on this route", reason=UNSUPPORTED)
    data = data.removeprefix(_BOM)
    first = data[:1]
    if first in _SPACE:
        data = data.lstrip(_SPACE)
        first = data[:1]
        if not data:
            raise DecodeError("the body is empty", reason="empty_body")
    if first == b"[":
        try:
            elements = _elements(data, limits)
        except DecodeError:
            # A log line may begin like an array: `[ERROR] boom`, or `[]`.
            if not _has_object_line(data, limits):
                raise
        else:
            if _OTLP_KEY in data[:_OTLP_WINDOW]:
                _refuse_otlp(elements)
            return _checked(Inbound(resource, elements, digest), limits)
    return _lines(data, resource, digest, limits)


def _lines(data: bytes, resource: Resource, digest: bytes, limits: Limits) -> Inbound:
    """Decode NDJSON, or one object, which may be printed over several lines."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if data.endswith(b"\n"):
        data = data.rstrip(_SPACE)
    newline = data.find(b"\n")
    first = data if newline < 0 else data[:newline]
    if newline >= 0 and not is_complete(first) and is_complete(data):
        # Newlines stand only between the tokens of valid JSON, so a space does as well.
        data = first = data.replace(b"\n", b" ")
        newline = -1
    if _OTLP_KEY in first:
        _refuse_otlp([first])
    if newline < 0:
        return _checked(Inbound(resource, [data], digest, data), limits)
    # No further than the limit: a body of newlines would become a list eight times its size.
    lines = data.split(b"\n", limits.records)
    if len(lines) > limits.records:
        raise too_many(limits)
    if _OTLP_KEY in data[newline:_OTLP_WINDOW]:
        _refuse_otlp(lines)
    if b"" in lines or any(map(bytes.isspace, lines)):
        lines = [line for line in lines if line and not line.isspace()]
        data = b"\n".join(lines)
    return _checked(Inbound(resource, lines, digest, data), limits)


def is_complete(text: bytes | msgspec.Raw) -> bool:
    """True when the text is one complete JSON value."""
    try:
        _one.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _has_object_line(data: bytes, limits: Limits) -> bool:
    lines = data.split(b"\n", limits.records)
    return len(lines) > 1 and any(line.lstrip(_SPACE)[:1] == b"{" and is_complete(line) for line in lines)


def _refuse_otlp(lines: Iterable[bytes]) -> None:
    """Refuse an OTLP export among the first lines; one far below them is a record as any other."""
    seen = 0
    for line in lines:
        if _OTLP_KEY in line and _is_otlp(line):
            raise DecodeError("OTLP (resourceLogs) is not supported yet on this route", reason=UNSUPPORTED)
        seen += len(line)
        if seen > _OTLP_WINDOW:
            return


def _is_otlp(line: bytes) -> bool:
    try:
        return _otlp.decode(line).marker is not msgspec.UNSET
    except (msgspec.DecodeError, RecursionError):
        return False


def _elements(data: bytes, limits: Limits) -> list[bytes]:
    """Return the elements of a JSON array, each as one line."""
    check_values(data, limits.records)
    raws: Sequence[bytes | msgspec.Raw]
    try:
        raws = _array.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raws = _cut(data, limits)
        if not any(map(is_complete, raws)):
            deep = isinstance(error, RecursionError)
            why = "the body is nested too deeply" if deep else f"the body is no JSON array: {error}"
            raise DecodeError(why, reason="depth" if deep else "malformed") from None
    if len(raws) > limits.records:
        raise too_many(limits)
    if b"\n" in data:
        return [bytes(raw).replace(b"\n", b" ") for raw in raws]
    return [bytes(raw) for raw in raws]


def _cut(data: bytes, limits: Limits) -> list[bytes]:
    """Cut an array that cannot be parsed between its elements, so that the flow rejects only the broken ones.

    Returns:
        The elements; none when brackets or quotes do not match: then nobody can tell where one ends.

    Raises:
        TooLargeError: More than ``records`` elements.
    """
    elements: list[bytes] = []
    depth = start = 0
    for found in _TOKEN.finditer(data):
        token = data[found.start()]
        if token in b"[{":
            if data[found.end() - 1] in b"[{":
                depth += 1
                start = start or found.end()
        elif depth == 1 and token in b",]":
            elements.append(data[start : found.start()].strip(_SPACE))
            if len(elements) > limits.records:
                raise too_many(limits)
            start = found.end()
            if token in b"]":
                return [] if data[start:].strip(_SPACE) or b"" in elements else elements
        elif token in b"]}":
            depth -= 1
    return []


def too_many(limits: Limits) -> TooLargeError:
    """Return the error for a request with too many records."""
    return TooLargeError(f"more than {limits.records} records in one request", reason="records")


def _checked(inbound: Inbound, limits: Limits) -> Inbound:
    """Reject lines that are too long or not UTF-8, alone."""
    whole = inbound.body if inbound.body is not None else b"\n".join(inbound.lines)
    # A body that is within the limit holds no line beyond it.
    fits = len(whole) <= limits.line_bytes or max(map(len, inbound.lines)) <= limits.line_bytes
    return inbound if fits and _is_utf8(whole) else reject_lines(inbound, limits)


def _is_utf8(text: bytes) -> bool:
    """Check in one or two native calls, for as many lines as there are."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def reject_lines(inbound: Inbound, limits: Limits) -> Inbound:
    """Take the lines out that are too long or not UTF-8; the rest keeps its positions."""
    kept: list[bytes] = []
    positions: list[int] = []
    for position, line in enumerate(inbound.lines):
        size = len(line)
        if size > limits.line_bytes:
            detail = f"longer than the limit of {limits.line_bytes} bytes"
            inbound.rejected.append(Verdict(position, "rejected", LINE_TOO_LONG, detail, size))
        elif not _is_utf8(line):
            inbound.rejected.append(Verdict(position, "rejected", NOT_UTF8, "not UTF-8", size))
        else:
            kept.append(line)
            positions.append(position)
    inbound.lines = kept
    inbound.positions = positions
    if inbound.body is not None:
        inbound.body = b"\n".join(kept)
    return inbound
