"""Odd records and odd texts: what services really log, and what an attacker would."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headrig import Record
from headrig.testing._fakes import make_record

SEED = 20261123
FIELDS = ("message", "level", "user", "user_id", "error", "status", "duration_ms", "request", "tags", "time")
"""Fields that many services have; a check adds those that the plugin reads."""


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for level in range(depth):
        value = [value] if level % 2 else {"n": value}
    return value


ODD_VALUES: tuple[Any, ...] = (
    "", " ", "plain", "Zürich", "日本語", "🪵🪚", "e\u0301", "\u202eabc", "\x00", "a\nb\tc", "'\"\\", "null", "0", "-1", "1e400",
    "a" * 5000, "a.b@example.org", "<script>", "{}", "[1", "%s %d {0}", "\ufeff",
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -0.0, 0.1, 1e300, 5e-324,
    [], {}, [[]], [None], {"": ""}, {"a": {"b": None}}, ["x", 1, None, {}], {"name": "alice", "id": 7}, [0] * 500,
    {f"k{n}": n for n in range(200)}, _nested(40),
)  # fmt: skip


def bodies(
    fields: Iterable[str], examples: Iterable[Mapping[str, Any]] = (), rounds: int = 200
) -> Iterator[dict[str, Any]]:
    """Yield odd bodies: each odd value in each field, also of the examples, then random mixtures."""
    names = list(dict.fromkeys((*fields, *FIELDS)))
    for example in examples:
        yield dict(example)
        for name in dict.fromkeys((*names, *example)):
            yield {key: value for key, value in example.items() if key != name}
            for value in ODD_VALUES:
                yield {**example, name: value}
    yield {}
    yield {"message": "a line of plain text"}
    yield {f"key{n}": n for n in range(2000)}
    yield {"": "", " ": 1, "a.b": 2, "日本": 3, "__class__": 4}
    for name in names:
        for value in ODD_VALUES:
            yield {"message": "paid", name: value}
    dice = random.Random(SEED)  # noqa: S311 - a corpus, not a key
    for _ in range(rounds):
        yield {name: dice.choice(ODD_VALUES) for name in dice.sample(names, dice.randint(0, len(names)))}


def records(fields: Iterable[str], examples: Iterable[Mapping[str, Any]] = ()) -> Iterator[Record]:
    """Yield records with odd bodies, with and without attributes and service."""
    for number, body in enumerate(bodies(fields, examples)):
        attributes = {} if number % 2 else {"level": "info", "team": "payments"}
        yield make_record(body, attributes=attributes, service=("checkout", None, "")[number % 3])


def texts(literals: Iterable[str] = ()) -> Iterator[str]:
    """Yield odd texts, each also with every literal before, inside and after it."""
    plain = [value for value in ODD_VALUES if isinstance(value, str)]
    dice = random.Random(SEED)  # noqa: S311
    alphabet = "aA0 \n\t.:@/\\=\"'{}-_+é日🪵"
    plain += ["".join(dice.choices(alphabet, k=dice.randint(1, 80))) for _ in range(200)]
    for text in plain:
        yield text
        for literal in literals:
            yield f"{literal}{text}"
            yield f"{text[: len(text) // 2]}{literal.upper()}{text[len(text) // 2 :]}"
            yield f"{text} {literal}"


UNITS = ("a", "0", " ", "\n", "-", ".", "/", "\\", "=", "@", "a.", "a@", "0-", "ab ", '="', "{", "(", "%20", "é", "a1", "x=")  # fmt: skip
ENDS = ("", "!", "\x00", "@", "\n")


def stretches(literals: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield beginnings, repeated parts and ends of texts on which a bad pattern backtracks."""
    for unit in dict.fromkeys((*UNITS, *literals)):
        for end in ENDS:
            yield "", unit, end
            for literal in literals:
                yield literal, unit, end
