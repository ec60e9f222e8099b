"""Puts edits back: children into their parents, and what overlaps into one; then the lines are spliced."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.masking import decode
from processors.masking.decode import Edit, Unit
from processors.masking.placeholders import placeholder


@dataclass(slots=True)
class Masked:
    """What masking some lines gave.

    Attributes:
        lines: New text of the lines that changed, by row.
        found: The detector behind each replacement, by row.
        work: Bytes that confirmations walked.
    """

    lines: dict[int, bytes] = field(default_factory=dict)
    found: dict[int, list[str]] = field(default_factory=dict)
    work: int = 0


def assemble(units: dict[int, Unit], children: list[Unit]) -> Masked:
    """Put the edits of all units together: children into parents, then the lines."""
    for child in reversed(children):
        if child.edits:
            _lift(child)
    masked = Masked(work=sum(unit.work for unit in (*units.values(), *children)))
    for row, unit in units.items():
        if unit.edits:
            text, names = _splice(unit)
            text.decode("utf-8", "surrogatepass")  # a cut inside a character must not leave
            if text != unit.text:
                masked.lines[row] = text
                masked.found[row] = names
    return masked


def _lift(child: Unit) -> None:
    """Turn the edits of a child into edits of its parent."""
    parent = child.parent
    if parent is None:
        raise ValueError("a child without parent")
    if child.marks is not None:
        parent.edits += [Edit(*child.parent_span(edit.start, edit.end), edit.name) for edit in child.edits]
        return
    if len(child.edits) == 1 and child.edits[0].end - child.edits[0].start == len(child.text):
        edit = child.edits[0]
        parent.edits.append(Edit(child.start, child.end, edit.name, field=edit.field))
        return  # whole: it is weighed against the name of a field it is the value of
    text, names = _splice(child)
    if text != child.text:
        parent.edits.append(
            Edit(child.start, child.end, names[0], text=decode.encode_string(text), names=tuple(names))
        )


def _splice(unit: Unit) -> tuple[bytes, list[str]]:
    """Apply the edits of a unit; those that overlap become one."""
    text = unit.text
    pieces: list[bytes] = []
    names: list[str] = []
    position = 0
    for edit in _merged(unit.edits):
        if edit.text is not None:
            replacement = edit.text
            names += edit.names
        else:
            replacement = placeholder(edit.name)
            names.append(edit.name)
            if edit.quoted:
                replacement = b'"' + replacement + b'"'
        pieces += (text[position : edit.start], replacement)
        position = edit.end
    pieces.append(text[position:])
    return b"".join(pieces), names


def _merged(edits: list[Edit]) -> list[Edit]:
    if len(edits) == 1:
        return edits
    merged: list[Edit] = []
    for edit in sorted(edits, key=_order):
        last = merged[-1] if merged else None
        if last is None or edit.start >= last.end:
            merged.append(edit)
        elif edit.end > last.end:
            merged[-1] = Edit(last.start, edit.end, last.name, last.quoted)
    return merged


def _order(edit: Edit) -> tuple[int, int, bool, bool]:
    """Outer before inner; of equal spans whole before spliced, and a shape before a mere field name."""
    return edit.start, -edit.end, edit.text is not None, edit.field
