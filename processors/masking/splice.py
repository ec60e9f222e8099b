"""Puts edits back: children into their parents, and what overlaps into one; then the lines are spliced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from processors.masking import decode, members
from processors.masking.actions import STRICTNESS, Action, Decision, value_of
from processors.masking.decode import Edit, Unit
from processors.masking.finders import ALNUM
from processors.masking.placeholders import placeholder
from processors.masking.places import Places

_GLUED = frozenset(bytes([byte]) for byte in ALNUM | frozenset(b"_+-"))
"""Beside a finding it may have kept its neighbour from being one: a placeholder's bracket does not."""

_KEY_END = b"-----END"
_AROUND = frozenset(("auth-header", "db-url", "generic"))
"""Categories whose shapes are told by what stands around a value."""

_BEFORE = _GLUED | {b"."}
"""A full stop behind a finding ends a sentence; before one it stood within a longer word."""


@dataclass(slots=True)
class Masked:
    """What masking some lines gave.

    Attributes:
        lines: New text of the lines that changed, by row.
        found: The detector behind each replacement, by row.
        work: Bytes that confirmations walked.
        kept: Findings that the policy keeps, by detector.
        dropped: The detector for which the policy drops the record, by row.
        again: Rows to scan once more: what is around a finding reads in another way now.
    """

    lines: dict[int, bytes] = field(default_factory=dict)
    found: dict[int, list[str]] = field(default_factory=dict)
    work: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    dropped: dict[int, str] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)

    def take(self, row: int, one: Masked) -> None:
        """Add what masking one line alone gave, as this row."""
        if one.lines:
            self.lines[row], self.found[row] = one.lines[0], one.found[0]
        if one.dropped:
            self.dropped[row] = one.dropped[0]
        self.kept.update(one.kept)


def assemble(units: dict[int, Unit], children: list[Unit], decision: Decision) -> Masked:
    """Put the edits of all units together: children into parents, then the lines."""
    masked = Masked(work=sum(unit.work for unit in (*units.values(), *children)))
    for unit in (*units.values(), *children):
        if unit.edits and b"[" in unit.text:
            _spare_placeholders(unit, decision)
    if not decision.plain:
        _judge([*units.values(), *children], decision, masked)
    for child in reversed(children):
        if child.edits:
            if not child.is_json:
                masked.again.add(child.row)  # as below
            _lift(child, decision, masked)
    for row, unit in units.items():
        if unit.edits:
            text, names = _splice(unit, decision, masked)
            text.decode("utf-8", "surrogatepass")  # a cut inside a character must not leave
            if text != unit.text:
                masked.lines[row] = text
                masked.found[row] = names
                if not unit.is_json or _KEY_END in text:
                    masked.again.add(
                        row
                    )  # where a value ends in broken JSON depends on what stands behind it
    return masked


def _spare_placeholders(unit: Unit, decision: Decision) -> None:
    """Leave out what begins inside a placeholder: a detector's name there is no field, a token no secret."""
    spans = decision.placeholders.spans(unit.text)
    if not spans:
        return
    place, edits = 0, []
    for edit in sorted(unit.edits, key=partial(_order, decision.categories)):
        while place < len(spans) and spans[place][1] <= edit.start:
            place += 1
        start, end = spans[place] if place < len(spans) else (len(unit.text), len(unit.text))
        if edit.start < start or (edit.start == start and edit.end > end):
            edits.append(edit)
        elif edit.start > start and edit.end > end and not edit.field:
            edits.append(replace(edit, start=end, value=None))
    unit.edits = edits


def _judge(units: list[Unit], decision: Decision, masked: Masked) -> None:
    """Give each finding its action; what the policy keeps or lets through is no edit any more."""
    places = Places(units)
    kept: set[tuple[int, int, int, str]] = set()
    for unit in units:
        edits = []
        for edit in unit.edits:
            if decision.allowances and decision.allows(edit, unit, places):
                continue
            action = decision.action(edit.name)
            if action == Action.KEEP:
                kept.add((*_origin(unit, edit), edit.name))
                continue
            if action == Action.DROP:
                masked.dropped.setdefault(unit.row, edit.name)
                action = Action.REDACT  # an audit event is kept, and then with this line
            edit.action = action
            edits.append(edit)
        unit.edits = edits
    masked.kept.update(name for *_, name in kept)


def _origin(unit: Unit, edit: Edit) -> tuple[int, int, int]:
    """Name the place of a finding: found as it came and in a view of it, it is the same finding."""
    start, end = edit.start, edit.end
    while unit.marks is not None and unit.parent is not None:
        start, end = unit.parent_span(start, end)
        unit = unit.parent
    return id(unit), start, end


def _lift(child: Unit, decision: Decision, masked: Masked) -> None:
    """Turn the edits of a child into edits of its parent."""
    parent = child.parent
    if parent is None:
        raise ValueError("a child without parent")
    if child.wrapped:
        first = _moved(
            min(child.edits, key=partial(_order, decision.categories)), child, child.start, child.end
        )
        first.action = max((edit.action for edit in child.edits), key=STRICTNESS.__getitem__)
        first.field = False  # it tells more than the name of a field it is the value of
        parent.edits.append(first)
        return
    if child.marks is not None:
        parent.edits += [
            _moved(edit, child, *child.parent_span(edit.start, edit.end)) for edit in child.edits
        ]
        return
    if len(child.edits) == 1 and child.edits[0].end - child.edits[0].start == len(child.text):
        # Whole: it is weighed against the name of a field it is the value of.
        parent.edits.append(_moved(child.edits[0], child, child.start, child.end))
        return
    text, names = _splice(child, decision, masked)
    if text != child.text:
        parent.edits.append(
            Edit(
                child.start, child.end, names[0], text=decode.encode_string(text), names=tuple(names),
                action=max((edit.action for edit in child.edits), key=STRICTNESS.__getitem__),
            )
        )  # fmt: skip


def _moved(edit: Edit, child: Unit, start: int, end: int) -> Edit:
    """Return an edit of a child as one of its parent."""
    return Edit(start, end, edit.name, field=edit.field, action=edit.action, value=value_of(edit, child))


def _splice(unit: Unit, decision: Decision, masked: Masked) -> tuple[bytes, list[str]]:
    """Apply the edits of a unit; those that overlap become one."""
    text = unit.text
    pieces: list[bytes] = []
    names: list[str] = []
    position = 0
    plain = decision.plain
    edits = _merged(unit.edits, decision)
    if not plain and any(edit.action == Action.REMOVE for edit in edits):
        edits = _with_removals(unit, edits, masked, decision)
    for edit in edits:
        if edit.text is not None:
            replacement = edit.text
            names += edit.names
        else:
            replacement = placeholder(edit.name) if plain else decision.replacement(edit, unit)
            names.append(edit.name)
            if edit.quoted:
                replacement = b'"' + replacement + b'"'
            elif text[edit.end : edit.end + 1] in _GLUED or (
                text[max(edit.start - 1, 0) : edit.start] in _BEFORE
            ):
                masked.again.add(unit.row)
        pieces += (text[position : edit.start], replacement)
        position = edit.end
    pieces.append(text[position:])
    return b"".join(pieces), names


def _with_removals(unit: Unit, edits: list[Edit], masked: Masked, decision: Decision) -> list[Edit]:
    """Widen what is removed to its member or pair; where there is none, the finding is redacted."""
    gone: list[tuple[members.Span, bool, str]] = []
    left: list[Edit] = []
    for edit in edits:
        if edit.action != Action.REMOVE or edit.text is not None:
            left.append(edit)
            continue
        span = members.member(unit.text, edit.start, edit.end, quoted=edit.quoted) if unit.is_json else None
        is_member = span is not None
        if span is None and not edit.quoted:
            span = members.pair(unit.text, edit.start, edit.end, in_json=unit.is_json)
        if span is None:
            left.append(edit)
        else:
            gone.append((span, is_member, edit.name))
    if not gone:
        return left
    masked.again.add(unit.row)  # two halves that a field kept apart are side by side
    gone = _apart(sorted(gone))
    spans = members.closed_up(unit.text, ((span, is_member) for span, is_member, _ in gone))
    removals = [
        Edit(start, end, name, text=b"", names=(name,))
        for (start, end), (_, _, name) in zip(spans, gone, strict=True)
    ]
    return _merged([*left, *removals], decision)


def _apart(gone: list[tuple[members.Span, bool, str]]) -> list[tuple[members.Span, bool, str]]:
    """Leave out what goes with a member before it."""
    kept: list[tuple[members.Span, bool, str]] = []
    for each in gone:
        if not kept or each[0][0] >= kept[-1][0][1]:
            kept.append(each)
    return kept


def _merged(edits: list[Edit], decision: Decision) -> list[Edit]:
    if len(edits) == 1:
        return edits
    merged: list[Edit] = []
    for edit in sorted(edits, key=partial(_order, decision.categories)):
        last = merged[-1] if merged else None
        if last is None or edit.start >= last.end:
            merged.append(edit)
        elif edit.end > last.end:
            action = _stricter(last, edit)
            merged[-1] = Edit(last.start, edit.end, last.name, last.quoted, action=action)
        elif last.text is None and not (last.start == edit.start and last.end == edit.end and edit.field):
            last.action = _stricter(last, edit)  # of equal spans the shape decides, not the field's name
    return merged


def _stricter(one: Edit, other: Edit) -> str:
    return max(one.action, other.action, key=STRICTNESS.__getitem__)


def _order(categories: Mapping[str, str], edit: Edit) -> tuple[int, int, bool, bool, bool]:
    """Outer before inner.

    Of equal spans whole before spliced, a shape before a mere field name, and a vendor's before that of the
    header, URL or command in which it stands.
    """
    around = categories.get(edit.name) in _AROUND
    return edit.start, -edit.end, edit.text is not None, edit.field, around
