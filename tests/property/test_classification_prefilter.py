"""The prefilter never loses a match: the scanned verdict is the verdict of evaluating every rule."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import yaml
from headrig import Batch, Resource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.classification import SPEC
from processors.classification.fields import TextRecord
from processors.classification.strings import fold

# Characters that JSON escapes, that Sigma escapes, and whose case is treacherous.
_CHARS = st.sampled_from(
    [*'abkKisSI"\\/\n\t .', "\u212a", "\u0130", "\u0131", "é", "É", "σ", "ς", "Σ", "日", "\u2028", "😀"]
)
_TRICKY = st.sampled_from(
    [
        "user.login",
        "UserLogin",
        "user_login",
        "LOGIN",
        "a/b/c",
        'say "hi"',
        "c:\\tab\tx",
        "token",
        "to\u212aen",
        "straße 日",
    ]
)
_TEXTS = st.one_of(_TRICKY, _TRICKY, _TRICKY, st.text(_CHARS, max_size=8))
_NAMES = st.sampled_from(["event", "event", "user.name", "tags", "named", "named", "ended"])
_WORDS = """
aliases: {named: [event, tags]}
names: {named: {weak: [login], with: [user, name]}}
outcomes: {ended: {field: [event, a], error: [tags], success: [login], failure: [token, 1]}}
"""
_PATTERNS = st.one_of(
    _TEXTS.map(lambda text: text.replace("\\", "\\\\")),
    st.lists(
        st.one_of(st.sampled_from(["*", "?"]), _TEXTS.map(lambda text: text.replace("\\", "\\\\"))),
        max_size=4,
    ).map("".join),
)
_SCALARS = st.one_of(_TEXTS, st.integers(-3, 3), st.booleans(), st.none(), st.sampled_from([1.0, 2.5]))
_VALUES = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(["name", "a", "login"]), _SCALARS, max_size=2),
)
_KEYS = st.sampled_from(["event", "event", "user.name", "tags", "user", "login", "a"])
_RECORDS = st.dictionaries(_KEYS, _VALUES, max_size=4)

_ITEMS = st.one_of(
    st.tuples(
        _NAMES.flatmap(
            lambda name: st.sampled_from(
                [name, *(f"{name}|{m}" for m in ("contains", "startswith", "endswith", "cased"))]
            )
        ),
        st.one_of(_PATTERNS, st.lists(_PATTERNS, min_size=1, max_size=3)),
    ),
    st.tuples(_NAMES, st.one_of(st.none(), st.integers(-3, 3), st.booleans(), st.just(""))),
    st.tuples(_NAMES.map(lambda name: f"{name}|contains|all"), st.lists(_PATTERNS, min_size=1, max_size=2)),
    st.tuples(_NAMES.map(lambda name: f"{name}|exists"), st.booleans()),
    st.tuples(_NAMES.map(lambda name: f"{name}|gt"), st.integers(-2, 2)),
)
_SELECTIONS = st.one_of(
    st.lists(_ITEMS, min_size=1, max_size=2).map(dict),
    st.lists(_PATTERNS.filter(lambda text: text.strip("*?")), min_size=1, max_size=2),
)
_AUDIT = {
    "class_uid": 3002,
    "activity_id": 1,
    "actor": ["tags"],
    "target": {"field": ["event"], "text": "(l.g)", "default": "t"},
    "user": {"field": ["user", "user.name"], "is": "self"},
    "outcome": {"is": "ended", "default": "success"},
    "id": {"field": "login", "shaped": "event"},
    "ocsf": {"n": ["user.name"], "a": ["a"]},
}
_CONDITIONS = st.sampled_from(
    ["a", "b", "a and b", "a or b", "a and not b", "not a", "not (a and b)", "1 of them"]
)


class _Host:
    log = logging.getLogger("test.classification.prefilter")
    key = bytes(32)
    fields: dict[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.config_dir = self.cache_dir = folder

    def now_ns(self) -> int:
        return 0


@st.composite
def _rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    rules = []
    for number in range(draw(st.integers(1, 4))):
        detection = {"a": draw(_SELECTIONS), "b": draw(_SELECTIONS), "condition": draw(_CONDITIONS)}
        rules.append(
            {
                "title": "t",
                "id": f"00000000-0000-4000-8000-00000000000{number}",
                "logsource": {"category": "application"},
                "level": draw(st.sampled_from(["low", "high"])),
                "detection": detection,
                "audit": _AUDIT,
            }
        )
    return rules


@st.composite
def _json(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON in any of the ways JSON allows."""
    space = draw(st.sampled_from(["", " ", "\t"]))
    if isinstance(value, dict):
        parts = [f"{draw(_json(key))}{space}:{space}{draw(_json(member))}" for key, member in value.items()]
        return "{" + space + f"{space},".join(parts) + "}"
    if isinstance(value, list):
        return "[" + f",{space}".join(draw(_json(member)) for member in value) + "]"
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    escape = draw(st.sampled_from(["none", "slash", "some", "all"]))
    chars = (_character(char, escape, coin=escape == "some" and draw(st.booleans())) for char in value)
    return f'"{"".join(chars)}"'


def _character(char: str, escape: str, *, coin: bool) -> str:
    if char == "/" and (coin or escape == "slash"):
        return "\\/"
    if coin or escape == "all":
        units = char.encode("utf-16-be")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))
    return orjson.dumps(char).decode()[1:-1]


def _lines() -> st.SearchStrategy[bytes]:
    plain = _TEXTS.filter(lambda text: not text.startswith("{")).map(str.encode)
    return st.one_of(_RECORDS.flatmap(_json).map(str.encode), plain)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(_rules(), st.lists(_lines(), max_size=12))
def test_the_scan_loses_no_match(rules: list[dict[str, Any]], lines: list[bytes]) -> None:
    """For random rules and records, escapes and casing included, scanning equals evaluating every rule.

    And an event says what its own record says, whatever was remembered of records like it.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump_all(rules, allow_unicode=True))
        (Path(folder) / "fields.yaml").write_text(_WORDS)
        stage = SPEC.factory({"rules": ["rules.yaml", "fields.yaml"]}, _Host(Path(folder)))
    heads = [SimpleNamespace() if line.startswith(b"{") else None for line in lines]
    rows = len(lines)
    batch = Batch(Resource("t"), lines, heads, [0] * rows, [{}] * rows, [None] * rows, list(range(rows)))
    stage.run(batch)
    expected = []
    for row, line in enumerate(lines):
        is_text = heads[row] is None
        record = TextRecord(line.decode()) if is_text else orjson.loads(line)
        matching = [rule for rule in stage.rules if rule.test(record) and (rule.keywords or not is_text)]
        assert stage.matching(line) == matching
        if matching:
            audit = matching[0].audit
            plan = audit.plan(matching[0].id, record)
            expected.append(plan.event(row, record, audit.judge(record)))
    assert batch.events == expected


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), _TRICKY, st.sampled_from(["event", "event|contains", "event|startswith", "event|endswith"]))
def test_a_value_is_found_however_it_is_written(data: st.DataObject, text: str, field: str) -> None:
    """A record that holds a rule's value matches, in any case and any JSON spelling of it."""
    place = data.draw(st.integers(0, len(text) - 1))
    pattern = data.draw(st.sampled_from([text, text[:place] + "\0" + text[place + 1 :]]))
    pattern = pattern.replace("\\", "\\\\").replace("\0", "?")
    rule = {
        "title": "t",
        "id": "00000000-0000-4000-8000-000000000001",
        "logsource": {"category": "application"},
        "level": "low",
        "detection": {"a": {field: pattern}, "condition": "a"},
        "audit": {"class_uid": 3002, "activity_id": 1},
    }
    swapped = "".join(char.swapcase() if char.isascii() else char for char in text)
    line = data.draw(_json({"event": data.draw(st.sampled_from([text, swapped]))})).encode()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump(rule, allow_unicode=True))
        stage = SPEC.factory({"rules": ["rules.yaml"]}, _Host(Path(folder)))
    assert [found.id for found in stage.matching(line)] == [rule["id"]]


def test_folding_makes_no_ascii_letter_of_another_character() -> None:
    """The scanner folds ASCII only, so nothing else may fold to ASCII, and no length may change."""
    for code in [*range(0x80, 0xD800), *range(0xE000, 0x110000)]:
        folded = fold(chr(code))
        assert len(folded) == 1
        assert not folded.isascii()


@given(st.text(_CHARS), st.text(_CHARS))
def test_folding_is_done_character_by_character(first: str, second: str) -> None:
    """Otherwise a part of a text might fold differently from the part in its place."""
    assert fold(first + second) == fold(first) + fold(second)
    assert fold(fold(first)) == fold(first)
