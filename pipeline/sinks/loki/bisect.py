"""From a refused push to the entries that are at fault.

Loki does not say which entries it refused, and after a 400 it may have stored all the others or
none. So the push is cut: first into its streams, because of several streams in a push one hides
another's error, then each stream in halves, down to single entries. What was stored and is sent
again is folded by Loki, for it is the same (time, line, metadata) in the same stream. Where the
answer names the oldest time it takes, everything older is cut off at once.

A text that is known to be about entries sends the single entry that is left to quarantine. Any other, e.g.
of a proxy, says nothing about it: it is sent once more after its neighbours, and only when Loki took some
of these meanwhile and refuses it again, it is the entry's fault. Else an operator must look.

The texts are those of Loki 3.7.8 (`pkg/validation/validate.go`, `pkg/chunkenc/interface.go`,
`pkg/loghttp/push`); they are matched after label sets are taken out, which hold what senders chose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.sinks.loki.push import Push, Stream, of_late, of_stream

if TYPE_CHECKING:
    from pipeline.sinks.loki.client import Answer

_LABEL_SETS = re.compile(r"\{.*\}", re.DOTALL)
_OLDEST = re.compile(r"oldest acceptable timestamp is: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")
_IGNORED = re.compile(r"total ignored: (\d+) out of (\d+) for stream")
_FORMAT = re.compile(
    r"loghttp\.PushRequest|label name is empty|resulted in invalid name|no schema config found"
)
_REASONS = (
    ("too_late", re.compile(r"entry too far behind|has timestamp too old|entry out of order")),
    ("too_new", re.compile(r"has timestamp too new")),
    ("too_large", re.compile(r"max entry size|structured metadata too large")),
    ("metadata", re.compile(r"structured metadata")),
    ("labels", re.compile(
        r"couldn't parse labels|[Ee]rror parsing labels|label names; limit|label name too long|label value too long"
        r"|has duplicate label name|missing required labels|at least one label pair"
    )),
)  # fmt: skip
UNKNOWN = "other"
DETAIL = 1024


def reason_of(answer: Answer) -> str:
    """Classify a refusal: a short word, used as a metric label."""
    if answer.status == 413:
        return "too_large"
    text = _LABEL_SETS.sub("", answer.text)
    if _FORMAT.search(text):
        return "format"
    return next((name for name, pattern in _REASONS if pattern.search(text)), UNKNOWN)


def blames_entry(text: str) -> bool:
    """Tell whether a 500 is about an entry: Loki says so for bad metadata names and times before 1970."""
    return bool(_FORMAT.search(_LABEL_SETS.sub("", text)))


@dataclass(frozen=True, slots=True)
class Bad:
    """Entries that are refused for what they are."""

    labels: dict[str, str]
    values: list[list[Any]]
    reason: str
    detail: str


@dataclass(slots=True)
class Narrowed:
    """What to do after a refusal.

    Attributes:
        again: Pushes to send, oldest first.
        bad: Entries for the quarantine.
        unknown: A single entry is left and the text does not say that it is at fault.
    """

    again: list[Push] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    unknown: bool = False


def narrow(push: Push, answer: Answer, *, sure: bool = False) -> Narrowed:
    """Cut a refused push.

    Args:
        push: What was refused.
        answer: How.
        sure: Whatever the text says, the push is at fault: Loki takes others.
    """
    if push.stream is None and answer.status == 413:
        return Narrowed(push.halves())
    if push.stream is None:
        return Narrowed(push.apart())
    stream, reason = push.stream, reason_of(answer)
    detail = f"{answer.status} {answer.text.strip()}"[:DETAIL]
    if reason == "too_late":
        return _late(push, stream, answer, detail)
    if reason == UNKNOWN and len(stream.values) == 1 and not sure:
        return Narrowed([push], unknown=True)
    if reason == "labels" or len(stream.values) == 1:
        return Narrowed(bad=[Bad(stream.labels, stream.values, reason, detail)])
    return Narrowed(push.halves())


def _late(push: Push, stream: Stream, answer: Answer, detail: str) -> Narrowed:
    values = stream.values
    cut = len(values) if len(values) == 1 else _certain(values, answer.text)
    if cut == 0:
        return Narrowed(push.halves())
    late, rest = values[:cut], values[cut:]
    narrowed = Narrowed()
    if push.late:
        narrowed.bad.append(Bad(stream.labels, late, "too_late", detail))
    else:
        narrowed.again += of_late(Stream(stream.labels, late))
    if rest:
        narrowed.again.append(replace(of_stream(Stream(stream.labels, rest), late=push.late), maybe=True))
    return narrowed


def _certain(values: Sequence[Sequence[Any]], text: str) -> int:
    """Count the entries at the front that were surely refused as too old.

    Loki tells the oldest time it takes, cut to the second: older entries are out for certain, those
    in that second are not. A count that does not match means that Loki cut the stream into shards
    and speaks of one of them: then nothing is certain.
    """
    ignored = _IGNORED.search(text)
    if ignored and int(ignored[2]) != len(values):
        return 0
    if ignored and ignored[1] == ignored[2]:
        return len(values)
    oldest = _OLDEST.search(text)
    if oldest is None:
        return 0
    limit = int(datetime.fromisoformat(oldest[1]).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    return sum(int(value[0]) < limit for value in values)
