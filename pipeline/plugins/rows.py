"""Rows of a batch as records for plugins, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import orjson
from headrig import Attributes, ConfigError, Record, Verdict

if TYPE_CHECKING:
    from headrig import Batch, Resource

    from pipeline.plugins.guard import Guard, PluginError

_STRICT = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_LONG_NUMBER = re.compile(rb"\d{17}")
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_FIELDS: Mapping[str, Any] = {}


class MaskBatch(Protocol):
    """`MaskStage.mask_batch`."""

    def __call__(self, batch: Batch, rows: list[int], known: Sequence[Attributes] = (), /) -> None:
        """Scan rows again, but for attributes that are as in ``known``."""
        ...


def encode(value: Any) -> bytes:
    """Encode JSON; subclasses and native objects are not JSON here.

    Raises:
        TypeError: The value is not JSON, nests too deep, or holds an integer beyond 64 bits.
    """
    return orjson.dumps(value, option=_STRICT)


@dataclass(slots=True, eq=False)
class Row:
    """A row that some processor wants.

    Attributes:
        resource, time_ns: As they stay.
        body: What the next processor sees and may change.
        attributes: As last checked; no plugin holds this object.
        text: The line is not a JSON object; its body is ``{"message": line}``.
        encoded: The body as last checked.
        pristine: The body as it came.
        digest: Names the record in `Suspects`.
    """

    resource: Resource
    time_ns: int
    body: dict[str, Any]
    attributes: Attributes
    text: bool
    encoded: bytes
    pristine: bytes
    digest: bytes


def parse(line: bytes) -> tuple[dict[str, Any], bool]:
    """Decode a line; returns the body, and whether the line is text."""
    if line.lstrip()[:1] == b"{":
        try:
            return orjson.loads(line), False
        except orjson.JSONDecodeError:
            pass
    return {"message": line.decode("utf-8", "replace")}, True


def open_record(batch: Batch, row: int) -> tuple[Record, bool]:
    """Make a record whose body and attributes are its own."""
    body, text = parse(batch.lines[row])
    return Record(body, dict(batch.attributes[row]), batch.resource, batch.time_ns[row]), text


def write_back(line: bytes, encoded: bytes, *, text: bool) -> bytes:
    """Make the new line of a changed body.

    Text of which only the message changed stays text. A number with more digits than a double
    holds keeps its digits if the plugin left its top-level field alone.
    """
    if text:
        body = orjson.loads(encoded)
        if body.keys() == {"message"} and isinstance(body["message"], str):
            return str(body["message"]).encode()
        return encoded
    if not _LONG_NUMBER.search(line):
        return encoded
    before, after = orjson.loads(line), orjson.loads(encoded)
    original = _RAW.decode(line)
    parts = (
        orjson.dumps(name)
        + b":"
        + (bytes(original[name]) if name in before and same(before[name], value) else orjson.dumps(value))
        for name, value in after.items()
    )
    return b"{" + b",".join(parts) + b"}"


def same(one: Any, other: Any) -> bool:
    """Compare as JSON, where 1, 1.0 and true differ."""
    if type(one) is str and type(other) is str:
        return one == other
    return bool(one == other) and orjson.dumps(one) == orjson.dumps(other)


class Wanted:
    """Answers which rows a plugin wants, from the heads alone.

    Args:
        reads: JSON fields of the spec.
        when: The spec's question, or None for every row.
        fields: JSON field to attribute on a head.
    """

    def __init__(
        self,
        reads: tuple[str, ...],
        when: Callable[[Resource, Mapping[str, Any]], bool] | None,
        fields: Mapping[str, str],
    ) -> None:
        missing = [name for name in reads if name not in fields]
        if missing:
            raise ConfigError(f"the heads lack the fields {', '.join(missing)} that a plugin reads")
        self.when = when
        self._getters = [(name, attrgetter(fields[name])) for name in reads]

    def ask(self, resource: Resource, head: Any) -> bool:
        """Ask ``when``; a field that is absent or null is not in the mapping."""
        if self.when is None:
            return True
        if head is None:
            return bool(self.when(resource, _NO_FIELDS))
        values = {name: value for name, get in self._getters if (value := get(head)) is not None}
        return bool(self.when(resource, values))


def quarantined(batch: Batch, row: int, guard: Guard, fault: PluginError) -> Verdict:
    """Make the verdict of a row a plugin failed on; size and HMAC are added where the line as received is known."""
    return Verdict(batch.origin[row], "quarantined", f"plugin:{guard.kind}", fault.detail)
