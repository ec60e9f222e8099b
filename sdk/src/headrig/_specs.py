"""What a plugin declares: a value, found by entry point, without side effects at import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import logging

    from headrig._batch import Attributes, Batch, Resource
    from headrig._raw import RawBatch
    from headrig._record import Classification, Record, Span

C = TypeVar("C")


class Host(Protocol):
    """What the application lends a plugin, so that it needs nothing global."""

    log: logging.Logger
    config_dir: Path
    """Relative paths in the configuration start here."""
    cache_dir: Path
    """Files that can be made again, e.g. compiled pattern databases."""
    key: bytes
    """32 bytes for keyed digests; the same for every worker of the node."""
    fields: Mapping[str, str]
    """JSON field name to attribute name on a head, for the fields the spec asked for."""

    def now_ns(self) -> int:
        """Return the current time, unix nanoseconds."""
        ...


class Detector(Protocol):
    """Mask stage: sees text, may only point."""

    def find(self, text: str, /) -> Iterable[Span]:
        """Yield what must be masked."""
        ...


class Processor(Protocol):
    """Between enrich and classify: sees masked records."""

    def process(self, record: Record, /) -> Record:
        """Return the record, changed in place or not, or raise `Drop`; None never means drop."""
        ...


class Classifier(Protocol):
    """Classify stage: sees masked records, may only judge."""

    def classify(self, record: Record, /) -> Classification | None:
        """Return a classification when the record is an audit event."""
        ...


class MaskStage(Protocol):
    """Turns raw batches into batches; the only stage that may see a `RawBatch`."""

    def mask(self, raw: RawBatch, /) -> Batch:
        """Mask every line; what was not completely scanned leaves with a verdict ``unscanned``."""
        ...

    def mask_batch(self, batch: Batch, rows: list[int], known: Sequence[Attributes] = (), /) -> None:
        """Scan again rows whose line or attributes a plugin changed.

        Args:
            batch: Changed in place.
            rows: Rows of the batch.
            known: For each of these rows, attributes that need no scan where they did not change.
        """
        ...


class Stage(Protocol):
    """Works on a whole masked batch in place."""

    def run(self, batch: Batch, /) -> None:
        """Set attributes or events; called for batches of about 300 rows."""
        ...


When = Callable[["Resource", Mapping[str, Any]], bool]


def _no_fields(_config: Mapping[str, Any], /) -> Iterable[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """A stage of the application: entry-point group ``headrig.stages``.

    Attributes:
        kind: ``mask``, ``enrich`` or ``classify``.
        fields: From the stage's configuration, the top-level JSON fields it wants on every head.
        factory: ``(configuration, host) -> stage``; raises `ConfigError`.
        selftest: Runs the tests the stage's rule packs carry and returns what failed.
    """

    kind: str
    factory: Callable[[Mapping[str, Any], Host], Any]
    fields: Callable[[Mapping[str, Any]], Iterable[str]] = _no_fields
    selftest: Callable[[Mapping[str, Any], Host], list[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class DetectorSpec(Generic[C]):
    """Entry-point group ``headrig.detectors``.

    Attributes:
        kind: Lower snake case; names the detector in placeholders and metrics.
        config: A frozen dataclass; the application validates the operator's values against it.
        factory: ``(config, host) -> Detector``.
        literals: Lower-case literals one of which every finding's line contains; lines without
            them are never shown to the detector. Empty: every line is shown.
    """

    kind: str
    config: type[C]
    factory: Callable[[C, Host], Detector]
    literals: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProcessorSpec(Generic[C]):
    """Entry-point group ``headrig.processors``.

    Attributes:
        kind: Lower snake case.
        config: A frozen dataclass.
        factory: ``(config, host) -> Processor``.
        reads: Top-level JSON fields the processor wants; they are on the head, so ``when`` can ask.
        writes: What it may change: ``attributes.<name>``, ``attributes.*``, ``body.<name>``, ``body.*``.
        when: Asked with the resource and the fields of ``reads`` before a record is parsed;
            None means every record.
    """

    kind: str
    config: type[C]
    factory: Callable[[C, Host], Processor]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    when: When | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(Generic[C]):
    """Entry-point group ``headrig.classifiers``; attributes as in `ProcessorSpec`."""

    kind: str
    config: type[C]
    factory: Callable[[C, Host], Classifier]
    reads: tuple[str, ...] = ()
    when: When | None = None
