"""Only type-checked: what the types refuse. An ignore that is not needed any more is an error."""

from dataclasses import dataclass

from headrig import Batch, Classification, Host, MaskStage, ProcessorSpec, Record, Span, Stage
from headrig._raw import RawBatch


def store(batch: Batch) -> None:
    """Stand in for a buffer or a sink: whatever keeps or sends takes only masked batches."""
    batch.keep([])


def unmasked_is_never_stored(raw: RawBatch, mask: MaskStage, stage: Stage) -> None:
    """An unmasked batch goes through masking or nowhere."""
    store(raw)  # type: ignore[arg-type]
    stage.run(raw)  # type: ignore[arg-type]
    store(mask.mask(raw))
    mask.mask(store)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Config:
    """Nothing to configure."""


class Good:
    """A processor."""

    def __init__(self, config: Config, host: Host) -> None:
        """Take what every factory is given."""

    def process(self, record: Record) -> Record:
        """Return the record."""
        return record


class Forgetful(Good):
    """A processor that forgets to return."""

    def process(self, record: Record) -> None:  # type: ignore[override]
        """Return nothing."""


class Judge:
    """A classifier where a processor is wanted."""

    def __init__(self, config: Config, host: Host) -> None:
        """Take what every factory is given."""

    def classify(self, record: Record) -> Classification | None:
        """Judge nothing."""


GOOD = ProcessorSpec(kind="good", config=Config, factory=Good)
FORGETFUL = ProcessorSpec(kind="forgetful", config=Config, factory=Forgetful)  # type: ignore[arg-type]
WRONG_KIND = ProcessorSpec(kind="judge", config=Config, factory=Judge)  # type: ignore[arg-type]
WRONG_CONFIG = ProcessorSpec(kind="good", config=int, factory=Good)  # type: ignore[arg-type]


def verdicts_do_not_change(span: Span, verdict: Classification) -> None:
    """What points and what judges is frozen."""
    span.start = 0  # type: ignore[misc]
    verdict.rule = ""  # type: ignore[misc]
