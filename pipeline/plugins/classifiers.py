"""Runs third-party classifiers over the rows that our rules made no audit event of.

A classifier may only judge: its record is its own copy and is thrown away. The words of its
verdict may be new text (it could have decoded something), so they are masked like a line before
they can reach a leaf.
"""

from __future__ import annotations

from typing import Any

import orjson
from headrig import AuditEvent, Batch, Classification, Classifier, Verdict
from headrig._limits import OUTCOMES, RULE_CHARACTERS

from pipeline.plugins.guard import Guard, PluginError
from pipeline.plugins.rows import MaskBatch, Wanted, encode, open_record, quarantined

_TEXTS = ("rule", "actor", "target", "action", "outcome")
_UNSCANNED = "verdict-unscanned"


class GuardedClassifier:
    """One classifier with its guard."""

    def __init__(self, classifier: Classifier, guard: Guard, wanted: Wanted) -> None:
        self.guard = guard
        self.wanted = wanted
        self._classify = classifier.classify

    def judge(self, batch: Batch, row: int) -> tuple[int, int, bytes] | None:
        """Judge one row.

        Returns:
            OCSF class, activity, and the words of the verdict as a JSON line; or None.

        Raises:
            PluginError: The classifier failed or broke its contract.
        """
        guard = self.guard
        record, _ = open_record(batch, row)
        verdict = guard.call_dropless(guard.digest(batch.lines[row]), self._classify, record)
        if verdict is None:
            return None
        words = self._words(verdict)
        return verdict.class_uid, verdict.activity_id, words

    def _words(self, verdict: Any) -> bytes:
        if type(verdict) is not Classification:
            raise PluginError(self.guard.kind, "not-a-classification")
        numbers = (verdict.class_uid, verdict.activity_id)
        words = {name: getattr(verdict, name) for name in _TEXTS}
        right = (
            all(type(number) is int and 0 <= number < 2**31 for number in numbers)
            and all(type(word) is str for word in words.values())
            and 0 < len(verdict.rule) <= RULE_CHARACTERS
            and verdict.outcome in OUTCOMES
            and type(verdict.ocsf) is dict
        )
        if not right:
            raise PluginError(self.guard.kind, "bad-classification")
        try:
            return encode({**words, "ocsf": verdict.ocsf})
        except TypeError:
            raise PluginError(self.guard.kind, "bad-classification") from None


class ClassifierRunner:
    """Runs all configured classifiers; the first that judges a row wins.

    Args:
        classifiers: In configured order.
        mask_batch: Scans rows; `MaskStage.mask_batch`.
    """

    def __init__(self, classifiers: list[GuardedClassifier], mask_batch: MaskBatch) -> None:
        self._classifiers = classifiers
        self._mask_batch = mask_batch

    def run(self, batch: Batch, /) -> None:
        """Add events for rows that have none; rows a classifier failed on leave with a verdict."""
        done = {event.row for event in batch.events}
        found: dict[int, tuple[Guard, int, int, bytes]] = {}
        gone: dict[int, Verdict] = {}
        for classifier in self._classifiers:
            classifier.guard.start()
            try:
                self._pass(classifier, batch, done, found, gone)
            finally:
                classifier.guard.stop()
        if found:
            self._add_events(batch, found, gone)
        if gone:
            batch.verdicts.extend(gone.values())
            batch.keep([row for row in range(len(batch)) if row not in gone])

    @staticmethod
    def _pass(
        classifier: GuardedClassifier,
        batch: Batch,
        done: set[int],
        found: dict[int, tuple[Guard, int, int, bytes]],
        gone: dict[int, Verdict],
    ) -> None:
        guard, wanted = classifier.guard, classifier.wanted
        for row, head in enumerate(batch.heads):
            if row in done:
                continue
            try:
                if wanted.when is not None and not guard.ask(wanted.ask, batch.resource, head):
                    continue
                judged = classifier.judge(batch, row)
            except BaseException as error:
                gone[row] = quarantined(batch, row, guard, guard.fault(error))
            else:
                if judged is None:
                    continue
                found[row] = (guard, *judged)
            done.add(row)

    def _add_events(
        self, batch: Batch, found: dict[int, tuple[Guard, int, int, bytes]], gone: dict[int, Verdict]
    ) -> None:
        words = self._masked(batch, {row: line for row, (*_, line) in found.items()})
        for row, (guard, class_uid, activity_id, _) in found.items():
            said = words.get(row)
            if said is None:
                gone[row] = quarantined(batch, row, guard, PluginError(guard.kind, _UNSCANNED))
                continue
            batch.events.append(AuditEvent(row=row, class_uid=class_uid, activity_id=activity_id, **said))

    def _masked(self, batch: Batch, lines: dict[int, bytes]) -> dict[int, dict[str, Any]]:
        """Mask verdicts as rows of a batch of their own; one that cannot be scanned is missing."""
        count = len(lines)
        scratch = Batch(
            resource=batch.resource,
            lines=list(lines.values()),
            heads=[None] * count,
            time_ns=[batch.time_ns[row] for row in lines],
            attributes=[{}] * count,
            envelopes=[None] * count,
            origin=list(lines),
        )
        self._mask_batch(scratch, list(range(count)))
        batch.masked.update(scratch.masked)
        words = {row: orjson.loads(line) for row, line in zip(scratch.origin, scratch.lines, strict=True)}
        return {row: said for row, said in words.items() if _still_words(said)}


def _still_words(said: dict[str, Any]) -> bool:
    """A verdict whose very rule or outcome was masked cannot be trusted."""
    return said["outcome"] in OUTCOMES and all(type(said[name]) is str for name in _TEXTS)
