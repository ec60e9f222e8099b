"""Runs third-party processors over a batch, between enrichment and classification.

A row is parsed once, however many processors want it, and only if one does. Each processor runs
over all its rows before the next one starts. What a processor did is compared with what its spec
declares after each call, on the encoded body, so that a change is never missed and never blamed on
the next one. Rows that changed are scanned again, because a plugin may bring new text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from headrig import Attributes, Drop, Processor, Record, Verdict
from headrig._limits import ATTRIBUTE_BYTES, ATTRIBUTES, DROP_REASON, DROP_REASONS, LINE_BYTES

from pipeline.plugins.guard import Guard, PluginError
from pipeline.plugins.rows import MaskBatch, Row, Wanted, encode, parse, quarantined, same, write_back

if TYPE_CHECKING:
    from headrig import Batch

_TEXT = {str}


@dataclass(frozen=True, slots=True)
class Writes:
    """What a spec allows: names, or everything."""

    names: frozenset[str]
    everything: bool

    @classmethod
    def of(cls, writes: tuple[str, ...], part: str) -> Writes:
        """Read the entries ``<part>.<name>`` and ``<part>.*``."""
        names = frozenset(entry[len(part) + 1 :] for entry in writes if entry.startswith(f"{part}."))
        return cls(names, "*" in names)


class GuardedProcessor:
    """One processor with its guard and its declared authority.

    Args:
        processor: The plugin.
        guard: Its door.
        wanted: Which rows it wants.
        writes: As the spec declares.
        line_bytes: Longest line it may make.
    """

    def __init__(
        self,
        processor: Processor,
        guard: Guard,
        wanted: Wanted,
        writes: tuple[str, ...],
        line_bytes: int = LINE_BYTES,
    ) -> None:
        self.guard = guard
        self.wanted = wanted
        self._process = processor.process
        self._body = Writes.of(writes, "body")
        self._attributes = Writes.of(writes, "attributes")
        self._line_bytes = line_bytes
        self._reasons: set[str] = set()

    def apply(self, row: Row) -> None:
        """Process one row in place.

        Raises:
            Drop: The processor dropped it.
            PluginError: It failed or broke its contract; ``row`` is not to be used any more.
        """
        given = Record(row.body, dict(row.attributes), row.resource, row.time_ns)
        record: Any = self.guard.call(row.digest, self._process, given)
        if type(record) is not Record:
            raise PluginError(self.guard.kind, "not-a-record")
        time: Any = record.time_ns
        # Types first, here and below: comparing with a type of the plugin's own would run its code out here.
        if record.resource is not row.resource or type(time) is not int or time != row.time_ns:
            raise PluginError(self.guard.kind, "changed-resource-or-time")
        if type(record.attributes) is not dict:
            raise PluginError(self.guard.kind, "attributes-not-a-dict")
        # What is checked is a copy, so that a plugin which keeps its record cannot change what is stored.
        attributes = record.attributes.copy()
        if not {*map(type, attributes), *map(type, attributes.values())} <= _TEXT:
            raise PluginError(self.guard.kind, "attributes-not-text")
        if attributes != row.attributes:
            self._check_attributes(row.attributes, attributes)
            row.attributes = attributes
        self._check_body(row, record.body)

    def reason(self, drop: Drop) -> str:
        """Bound what the plugin may put into a metric label; a `Drop` of its own kind may lack its reason."""
        try:
            reason: Any = self.guard.ask(getattr, drop, "reason", None)
        except PluginError:
            return "dropped"
        if type(reason) is not str or not re.fullmatch(DROP_REASON, reason):
            return "dropped"
        if reason not in self._reasons:
            if len(self._reasons) >= DROP_REASONS:
                return "dropped"
            self._reasons.add(reason)
        return reason

    def _check_attributes(self, before: Attributes, after: Attributes) -> None:
        try:
            size = len("".join((*after, *after.values())).encode())
        except UnicodeEncodeError:  # a lone surrogate
            raise PluginError(self.guard.kind, "attributes-not-text") from None
        if size > ATTRIBUTE_BYTES or len(after) > ATTRIBUTES:
            raise PluginError(self.guard.kind, "too-large")
        if not self._attributes.everything:
            changed = {name for name, _ in before.items() ^ after.items()}
            if not changed <= self._attributes.names:
                raise PluginError(self.guard.kind, "undeclared-write")

    def _check_body(self, row: Row, body: Any) -> None:
        if type(body) is not dict:
            raise PluginError(self.guard.kind, "body-not-an-object")
        try:
            encoded = encode(body)
        except TypeError:
            raise PluginError(self.guard.kind, "body-not-json") from None
        row.body = body
        if encoded == row.encoded:
            return
        if len(encoded) > self._line_bytes and (
            not row.text or len(write_back(b"", encoded, text=True)) > self._line_bytes
        ):
            raise PluginError(self.guard.kind, "too-large")
        if not self._body.everything:
            before, after = orjson.loads(row.encoded), orjson.loads(encoded)
            for name in before.keys() | after.keys():
                if name in self._body.names:
                    continue
                if name not in after or name not in before or not same(before[name], after[name]):
                    raise PluginError(self.guard.kind, "undeclared-write")
        row.encoded = encoded


class ProcessorRunner:
    """Runs all configured processors.

    Args:
        processors: In configured order.
        mask_batch: Scans rows again; `MaskStage.mask_batch`.
    """

    def __init__(self, processors: list[GuardedProcessor], mask_batch: MaskBatch) -> None:
        self._processors = processors
        self._mask_batch = mask_batch

    def run(self, batch: Batch, /) -> None:
        """Process the batch in place.

        Rows that failed or were dropped leave with a verdict. A row whose line changed has no head
        and is in ``batch.changed`` afterwards: the caller decodes it.
        """
        rows: dict[int, Row] = {}
        gone: dict[int, Verdict] = {}
        for processor in self._processors:
            processor.guard.start()
            try:
                self._pass(processor, batch, rows, gone)
            finally:
                processor.guard.stop()
        changed = _store(batch, rows)
        if gone:
            batch.verdicts.extend(gone.values())
            kept = [row for row in range(len(batch)) if row not in gone]
            place = {old: new for new, old in enumerate(kept)}
            batch.keep(kept)
            changed = {place[row]: known for row, known in changed.items()}
        if changed:
            self._mask_batch(batch, list(changed), list(changed.values()))

    @staticmethod
    def _pass(
        processor: GuardedProcessor, batch: Batch, rows: dict[int, Row], gone: dict[int, Verdict]
    ) -> None:
        guard, wanted = processor.guard, processor.wanted
        resource = batch.resource
        for number, head in enumerate(batch.heads):
            if number in gone:
                continue
            try:
                if wanted.when is not None and not guard.ask(wanted.ask, resource, head):
                    continue
                row = rows.get(number)
                if row is None:
                    row = rows[number] = _open(guard, batch, number)
                processor.apply(row)
            except Drop as drop:
                reason = processor.reason(drop)
                gone[number] = Verdict(
                    batch.origin[number], "dropped", reason, guard.kind, len(batch.lines[number])
                )
                rows.pop(number, None)
            except BaseException as error:
                gone[number] = quarantined(batch, number, guard, guard.fault(error))
                rows.pop(number, None)


def _open(guard: Guard, batch: Batch, number: int) -> Row:
    body, text = parse(batch.lines[number])
    try:
        encoded = encode(body)
    except TypeError:
        raise PluginError(guard.kind, "too-deep") from None
    digest = guard.digest(batch.lines[number])
    resource, time_ns, attributes = batch.resource, batch.time_ns[number], batch.attributes[number]
    return Row(resource, time_ns, body, attributes, text, encoded, encoded, digest)


def _store(batch: Batch, rows: dict[int, Row]) -> dict[int, Attributes]:
    """Write rows back; returns those with anything new in them, with their attributes of before.

    Equal attributes become one object again.
    """
    changed: dict[int, Attributes] = {}
    known: dict[tuple[tuple[str, str], ...], Attributes] = {}
    for number, row in rows.items():
        new = False
        if row.encoded != row.pristine:
            batch.lines[number] = write_back(batch.lines[number], row.encoded, text=row.text)
            batch.heads[number] = None
            if number not in batch.changed:
                batch.changed.append(number)
            new = True
        before = batch.attributes[number]
        if row.attributes != before:
            batch.attributes[number] = known.setdefault(tuple(row.attributes.items()), row.attributes)
            new = True
        if new:
            changed[number] = before
    return changed
