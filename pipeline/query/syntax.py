"""The syntax tree of the LogQL subset; ``str()`` of a node is LogQL that parses to the same node."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_NS = (
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    """Write a string literal."""
    out = "".join(_ESCAPES.get(c) or (c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}") for c in text)
    return f'"{out}"'


def duration(ns: int) -> str:
    """Write a duration, e.g. ``1h30m``."""
    out = ""
    for unit, size in _NS:
        count, ns = divmod(ns, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


@dataclass(frozen=True, slots=True)
class Matcher:
    """``name op "value"`` on a label; ``op`` is ``=``, ``!=``, ``=~`` or ``!~`` (anchored)."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """``|=``, ``!=``, ``|~`` or ``!~`` on the line, with alternatives joined by ``or``."""

    op: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.op} {' or '.join(quoted(value) for value in self.values)}"


@dataclass(frozen=True, slots=True)
class Json:
    """``| json``: every scalar field becomes a label."""

    def __str__(self) -> str:
        return "| json"


@dataclass(frozen=True, slots=True)
class Compare:
    """``name op number`` on a label; a duration counts in seconds.

    Attributes:
        name: The label.
        op: ``==``, ``!=``, ``>``, ``>=``, ``<`` or ``<=``.
        number: To compare with.
        unit: "number" or "duration": how the label's text is read.
    """

    name: str
    op: str
    number: float
    unit: str

    def __str__(self) -> str:
        unit = "s" if self.unit == "duration" else ""
        return f"{self.name} {self.op} {Decimal(repr(self.number)):f}{unit}"


@dataclass(frozen=True, slots=True)
class Both:
    """Two label conditions joined by ``and`` or ``or``."""

    left: Condition
    op: str
    right: Condition

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


Condition = Matcher | Compare | Both


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """``| condition``."""

    condition: Condition

    def __str__(self) -> str:
        return f"| {self.condition}"


Step = LineFilter | Json | LabelFilter


@dataclass(frozen=True, slots=True)
class Logs:
    """A stream selector and the steps behind it."""

    matchers: tuple[Matcher, ...]
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return " ".join(["{" + ", ".join(map(str, self.matchers)) + "}", *map(str, self.steps)])


@dataclass(frozen=True, slots=True)
class Range:
    """``count_over_time`` or ``rate`` of ``logs`` over ``range_ns``."""

    function: str
    logs: Logs
    range_ns: int

    def __str__(self) -> str:
        return f"{self.function}({self.logs} [{duration(self.range_ns)}])"


@dataclass(frozen=True, slots=True)
class Sum:
    """``sum`` over all series, or by labels; ``by`` is None for a plain ``sum``."""

    inner: Range
    by: tuple[str, ...] | None = None

    def __str__(self) -> str:
        by = "" if self.by is None else f" by ({', '.join(self.by)})"
        return f"sum{by} ({self.inner})"


@dataclass(frozen=True, slots=True)
class Vector:
    """A sum of ``vector(number)``: Grafana's health check."""

    numbers: tuple[float, ...]

    def __str__(self) -> str:
        return "+".join(f"vector({number!r})" for number in self.numbers)


Metric = Range | Sum
Query = Logs | Range | Sum | Vector
