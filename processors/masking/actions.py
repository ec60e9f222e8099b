"""What is done to a finding: the actions of a policy, resolved for one tenant and service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from processors.masking import decode
from processors.masking.decode import Edit, Unit
from processors.masking.placeholders import NESTED, Placeholders, partial, placeholder

if TYPE_CHECKING:
    from processors.masking.allow import Allowance
    from processors.masking.places import Places


class Action(StrEnum):
    """What a policy can say, from the weakest to the strictest."""

    KEEP = "keep"
    PARTIAL = "partial"
    PSEUDONYM = "pseudonym"
    REDACT = "redact"
    REMOVE = "remove"
    DROP = "drop"


STRICTNESS: Final[Mapping[str, int]] = {action: place for place, action in enumerate(Action)}
UNREAD: Final = (Action.REDACT, Action.REMOVE, Action.DROP)
"""What can be done to text that was not scanned."""


@dataclass(eq=False)
class Decision:
    """What a policy says for one tenant and service.

    Attributes:
        placeholders: Ours.
        choose: Detector to action.
        token: (detector, value) to pseudonym, of this tenant.
        categories: Detector to category, where it is not ``generic``.
        allowances: Those of the service.
        plain: Every finding is redacted, and nothing is let through.
    """

    placeholders: Placeholders
    choose: Callable[[str], Action] = lambda _: Action.REDACT
    token: Callable[[str, bytes], bytes] = lambda name, _: placeholder(name)
    categories: Mapping[str, str] = field(default_factory=dict)
    allowances: Sequence[Allowance] = ()
    plain: bool = True
    _memo: dict[str, Action] = field(default_factory=dict)
    _for: dict[str, tuple[Allowance, ...]] = field(default_factory=dict)

    def action(self, name: str) -> Action:
        """Return the action for a detector's findings."""
        action = self._memo.get(name)
        if action is None:
            action = self.choose(name)
            if name == NESTED and action not in UNREAD:
                action = Action.REDACT
            self._memo[name] = action
        return action

    def allows(self, edit: Edit, unit: Unit, places: Places) -> bool:
        """Tell whether a finding is let through."""
        name = edit.name
        entries = self._for.get(name)
        if entries is None:
            names = {name, self.categories.get(name, "generic")}
            own = [
                each for each in self.allowances if not each.detectors or not names.isdisjoint(each.detectors)
            ]
            entries = self._for[name] = () if name == NESTED else tuple(own)
        if not entries:
            return False
        value = value_of(edit, unit)
        path = places.of(unit, edit.start) if any(each.paths for each in entries) else ()
        return any(each.holds(value, path) for each in entries)

    def replacement(self, edit: Edit, unit: Unit) -> bytes:
        """Return what stands in place of a finding, without quotes."""
        if edit.action in (Action.PARTIAL, Action.PSEUDONYM):
            value = value_of(edit, unit)
            if value is not None:
                made = partial if edit.action == Action.PARTIAL else self.token
                return made(edit.name, value)
        return placeholder(edit.name)

    def without_removal(self) -> Decision:
        """Return the same with redaction in place of removal."""

        def choose(name: str) -> Action:
            action = self.action(name)
            return Action.REDACT if action == Action.REMOVE else action

        return Decision(self.placeholders, choose, self.token, self.categories, self.allowances, self.plain)


def value_of(edit: Edit, unit: Unit) -> bytes | None:
    """Return the decoded text of a finding; None for a container, and for what cannot be decoded."""
    if edit.value is not None:
        return edit.value
    raw = unit.text[edit.start : edit.end]
    if edit.quoted:
        return None if raw[:1] in (b"{", b"[") else raw
    if unit.is_json and b"\\" in raw:
        try:
            return decode.string_value(b'"' + raw + b'"')
        except ValueError:
            return None
    return raw
