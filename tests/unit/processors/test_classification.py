"""Classification: Sigma semantics, the audit block, priority, routing, and the starter pack."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import yaml
from headrig import AuditEvent, Batch, ConfigError, Resource

from processors.classification import SPEC

STARTER = Path(__file__).parents[3] / "config" / "classification"
ID = "00000000-0000-4000-8000-00000000000{}"


@dataclass
class _Host:
    config_dir: Path
    cache_dir: Path
    fields: dict[str, str] = field(default_factory=dict)
    key: bytes = bytes(32)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test.classification"))

    def now_ns(self) -> int:
        return 0


def _rule(detection: dict[str, Any], number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "title": f"rule {number}",
        "id": ID.format(number),
        "logsource": {"category": "application"},
        "detection": detection if "condition" in detection else {"sel": detection, "condition": "sel"},
        "level": "medium",
        "audit": {"class_uid": 3002, "activity_id": 1, "actor": ["user"], "action": "act"},
        **more,
    }


def _stage(folder: Path, *rules: dict[str, Any], section: dict[str, Any] | None = None) -> Any:
    (folder / "rules.yaml").write_text(yaml.safe_dump_all(list(rules), sort_keys=False))
    section = {"rules": ["."], **(section or {})}
    fields = {name: "f_" + name.replace(".", "_") for name in SPEC.fields(section)}
    return SPEC.factory(section, _Host(folder, folder / "cache", fields))


def _batch(lines: list[bytes], heads: list[Any] | None = None, resource: Resource | None = None) -> Batch:
    rows = len(lines)
    return Batch(
        resource=resource or Resource("t"),
        lines=lines,
        heads=heads or [SimpleNamespace() if line.startswith(b"{") else None for line in lines],
        time_ns=[0] * rows,
        attributes=[{}] * rows,
        envelopes=[None] * rows,
        origin=list(range(rows)),
    )


def _events(stage: Any, *records: Any) -> list[AuditEvent]:
    batch = _batch([record if isinstance(record, bytes) else orjson.dumps(record) for record in records])
    stage.run(batch)
    return batch.events


def _rows(stage: Any, *records: Any) -> list[int]:
    return [event.row for event in _events(stage, *records)]


SEMANTICS: list[tuple[str, Any, list[Any], list[Any]]] = [
    (
        "string",
        {"event": "Login"},
        [{"event": "login"}, {"event": "LOGIN"}],
        [{"event": "login "}, {"x": "login"}],
    ),
    ("list", {"event": ["aaa", "bbb"]}, [{"event": "bbb"}], [{"event": "ccc"}, {}]),
    ("both", {"event": "aaa", "host": "bbb"}, [{"event": "aaa", "host": "bbb"}], [{"event": "aaa"}]),
    (
        "alternatives",
        [{"event": "aaa"}, {"host": "bbb"}],
        [{"event": "aaa"}, {"host": "bbb"}],
        [{"host": "aaa"}],
    ),
    (
        "any of",
        {"event": "us?r.*in"},
        [{"event": "user.login"}, {"event": "usér.in"}],
        [{"event": "usr.login"}],
    ),
    ("literal", {"event": r"a\*b"}, [{"event": "a*b"}], [{"event": "axb"}]),
    ("contains", {"event|contains": "log"}, [{"event": "user.LOGin"}], [{"event": "lo g"}]),
    ("startswith", {"event|startswith": "log"}, [{"event": "login"}], [{"event": "user.log"}]),
    ("endswith", {"event|endswith": "log"}, [{"event": "user.log"}], [{"event": "login"}]),
    ("all", {"event|contains|all": ["ab", "cd"]}, [{"event": "xcdab"}], [{"event": "ab"}]),
    ("cased", {"event|cased": "Login"}, [{"event": "Login"}], [{"event": "login"}]),
    (
        "regex",
        {"event|re": "^lo.in$"},
        [{"event": "login"}],
        [{"event": "LOGIN"}, {"event": "xlogin"}, {"event": 5}],
    ),
    ("regex part", {"event|re|i": "GI"}, [{"event": "login"}], [{"event": "lon"}]),
    (
        "cidr",
        {"ip|cidr": "192.0.2.0/24"},
        [{"ip": "192.0.2.9"}],
        [{"ip": "192.0.3.1"}, {"ip": "x"}, {"ip": 7}],
    ),
    ("cidr6", {"ip|cidr": "2001:db8::/32"}, [{"ip": "2001:DB8::1"}], [{"ip": "2001:db9::1"}]),
    ("exists", {"event|exists": True}, [{"event": None}, {"event": 1}, {"event": []}], [{}, {"x": 1}]),
    ("absent", {"event|exists": False}, [{}, {"x": 1}], [{"event": None}, {"event": []}]),
    ("exists below", {"a.b|exists": True}, [{"a": [{"b": []}]}, {"a": {"b": None}}], [{"a": []}, {"a": 1}]),
    ("null", {"event": None}, [{}, {"event": None}], [{"event": ""}, {"event": 0}]),
    ("empty", {"event": ""}, [{"event": ""}], [{}, {"event": None}]),
    (
        "number",
        {"code": 403},
        [{"code": 403}, {"code": 403.0}, {"code": "403"}],
        [{"code": 404}, {"code": True}],
    ),
    ("string is no number", {"code": "403"}, [{"code": "403"}], [{"code": 403}]),
    ("bool", {"ok": False}, [{"ok": False}, {"ok": "False"}], [{"ok": 0}, {"ok": True}, {}]),
    ("gt", {"n|gt": 5}, [{"n": 6}, {"n": "5.5"}], [{"n": 5}, {"n": "x"}, {"n": True}, {"n": "inf"}]),
    ("gte", {"n|gte": 5}, [{"n": 5}], [{"n": 4.9}]),
    ("lt", {"n|lt": 5}, [{"n": -1}], [{"n": 5}, {}]),
    ("lte", {"n|lte": 5}, [{"n": 5}], [{"n": 6}]),
    ("neq", {"event|neq": "aaa"}, [{"event": "bbb"}, {}], [{"event": "AAA"}]),
    ("base64", {"event|base64": "login"}, [{"event": "bG9naW4="}], [{"event": "login"}]),
    ("offset", {"event|base64offset|contains": "login"}, [{"event": "eGxvZ2lu"}], [{"event": "login"}]),
    ("array", {"event": "login"}, [{"event": ["x", "login"]}, {"event": [["login"]]}], [{"event": ["x"]}]),
    ("nested", {"a.b": "ccc"}, [{"a": {"b": "ccc"}}, {"a.b": "ccc"}, {"a": [{"b": "ccc"}]}], [{"b": "ccc"}]),
    ("mixed path", {"a.b.c": "ddd"}, [{"a.b": {"c": "ddd"}}, {"a": {"b.c": "ddd"}}], [{"a": {"c": "ddd"}}]),
    ("field case", {"Event": "aaa"}, [{"Event": "aaa"}], [{"event": "aaa"}]),
    ("other case", {"event": "ÄRGER ΟΔΟΣ"}, [{"event": "ärger οδος"}], [{"event": "arger οδος"}]),
    ("kelvin", {"event": "token"}, [{"event": "TOKEN"}], [{"event": "to\u212aen"}, {"event": "TO\u212aEN"}]),
]


@pytest.mark.parametrize(
    ("detection", "match", "no_match"), [case[1:] for case in SEMANTICS], ids=[c[0] for c in SEMANTICS]
)
def test_sigma_semantics(tmp_path: Path, detection: Any, match: list[Any], no_match: list[Any]) -> None:
    """Each modifier and kind of value matches what it says, through the whole stage."""
    stage = _stage(tmp_path, _rule({"sel": detection, "condition": "sel"}))
    assert _rows(stage, *match, *no_match) == list(range(len(match)))


def test_conditions_combine_selections(tmp_path: Path) -> None:
    """``1 of``, ``all of``, and, or, not and parentheses work on selections."""
    detection = {
        "sel_a": {"a": "one"},
        "sel_b": {"b": "two"},
        "filter": {"c": "three"},
        "condition": "(1 of sel_* and not filter) or all of sel_*",
    }
    stage = _stage(tmp_path, _rule(detection))
    records = [
        {"a": "one"},
        {"b": "two", "c": "three"},
        {"a": "one", "b": "two", "c": "three"},
        {"c": "three"},
    ]
    assert _rows(stage, *records) == [0, 2]


def test_keywords_look_into_values_and_plain_text(tmp_path: Path) -> None:
    """A keyword matches in any string value at any depth, never in a key, and in a line that is text."""
    stage = _stage(tmp_path, _rule({"sel": ["root shell"], "condition": "sel"}))
    records: list[Any] = [
        {"a": [{"b": "a ROOT SHELL opened"}]},
        b"a root shell, plain",
        {"root shell": 1},
        b"root  shell",
    ]
    assert _rows(stage, *records) == [0, 1]


def test_a_plain_text_line_has_no_fields(tmp_path: Path) -> None:
    """Rules without keywords never apply to plain text, not even one that is only a negation."""
    detection = {"sel": {"event": "login"}, "condition": "not sel"}
    stage = _stage(tmp_path, _rule(detection), _rule({"event": "login"}, 2))
    assert _rows(stage, b'login "login"', b'{"event":"logout"}') == [1]


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"log\\u0069n"}',
        b'{"event":"\\u004cOGIN"}',
        b'{ "event" :\t"login" , "m" : "\\"" }',
        b'{"\\u0065vent":"login"}',
        b'{"event":"logout","event":"login"}',
    ],
)
def test_no_way_to_write_json_hides_a_value(tmp_path: Path, line: bytes) -> None:
    """Escapes in keys and values, spacing and doubled keys lead to the same verdict."""
    assert _rows(_stage(tmp_path, _rule({"event": "login"})), b"{}", line) == [1]


def test_neither_depth_nor_half_a_surrogate_hides_an_event(tmp_path: Path) -> None:
    """Records that one codec refuses to read or to write are still judged, and break nothing."""
    stage = _stage(tmp_path, _rule({"event": "login"}))
    deep = b'{"event":"log\\u0069n","d":' + b"[" * 300 + b"]" * 300 + b"}"
    half = b'{"event":"log\\u0069n","m":"\\ud800","user":"\\udc00ann"}'
    plain_half = b'{"event":"login","m":"\\ud800"}'
    events = _events(stage, deep, half, plain_half, b'{"event":"log\\u0069n","d":' + b"[" * 3000)
    assert [event.row for event in events] == [0, 1, 2]
    assert events[1].actor == "?ann"


def test_an_empty_batch_is_no_work(tmp_path: Path) -> None:
    """A batch may have no rows left, and a pack no rules."""
    assert _events(_stage(tmp_path, _rule({"event": "login"}))) == []
    assert _events(SPEC.factory({}, _Host(tmp_path, tmp_path)), {"event": "login"}) == []


def test_an_escaped_slash_hides_nothing(tmp_path: Path) -> None:
    r"""``\/`` is a slash."""
    stage = _stage(tmp_path, _rule({"path|endswith": "/admin/keys"}))
    assert _rows(stage, b'{"path":"\\/v1\\/admin\\/keys"}', b'{"path":"/v1/admin/keys"}') == [0, 1]


def test_values_that_need_escapes_are_found(tmp_path: Path) -> None:
    """Quotation marks, backslashes and control characters in a rule's value are no obstacle."""
    value = 'say "hello" C:\\temp\n\u00e9nd'
    stage = _stage(tmp_path, _rule({"event|contains": value.replace("\\", "\\\\")}))
    escaped = b'{"event":"say \\u0022hello\\" C:\\\\temp\\n\\u00E9nd"}'
    assert _rows(stage, {"event": value}, escaped, {"event": "say hello"}) == [0, 1]


def test_an_event_says_who_did_what(tmp_path: Path) -> None:
    """The audit block maps literals, paths, defaults, arrays and outcomes."""
    audit = {
        "class_uid": 3005,
        "activity_id": 2,
        "actor": ["user.name", "user", "username"],
        "target": {"field": "object", "default": "console"},
        "action": "grant",
        "outcome": {"field": "ok", "success": [True, 200], "failure": ["DENIED"], "default": "unknown"},
        "id": "event_id",
        "seq": "seq",
        "ocsf": {"src_endpoint.ip": ["src_ip", "ip"], "privileges": ["roles"], "api.version": 2},
    }
    stage = _stage(tmp_path, _rule({"event": "grant"}, audit=audit, level="high"))
    first, second = _events(
        stage,
        {
            "event": "grant",
            "user": {"name": "", "id": 1},
            "username": 7,
            "ok": True,
            "event_id": "e1",
            "seq": "12",
            "ip": "::1",
            "roles": ["a", "b"],
            "object": ["x", "y"],
        },
        {"event": "grant", "user": "ann", "ok": "denied", "seq": -1},
    )
    assert first == AuditEvent(
        row=0,
        rule=ID.format(1),
        class_uid=3005,
        activity_id=2,
        actor="7",
        target="x,y",
        action="grant",
        outcome="success",
        id="e1",
        seq=12,
        ocsf={"src_endpoint.ip": "::1", "privileges": ["a", "b"], "api.version": 2, "severity_id": 4},
    )
    assert (second.actor, second.target, second.outcome, second.id, second.seq) == (
        "ann",
        "console",
        "failure",
        "",
        None,
    )
    assert second.ocsf == {"api.version": 2, "severity_id": 4}


def test_what_an_event_holds_is_bounded(tmp_path: Path) -> None:
    """Texts are cut at 1,024 characters and arrays at 64 members, so that a leaf stays small."""
    audit = {"class_uid": 3002, "activity_id": 1, "actor": ["user"], "ocsf": {"roles": ["roles"]}}
    stage = _stage(tmp_path, _rule({"event": "login"}, audit=audit))
    (event,) = _events(stage, {"event": "login", "user": "u" * 5000, "roles": ["r" * 5000] * 500})
    assert len(event.actor) == 1024
    assert [len(role) for role in event.ocsf["roles"]] == [1024] * 64


def test_level_then_log_source_then_id_decides(tmp_path: Path) -> None:
    """Of several rules that match, the verdict is the same whatever their order in the files."""
    special = {"category": "application", "product": "shop"}
    rules = [
        _rule({"event": "login"}, 1, level="low"),
        _rule({"event": "login"}, 4),
        _rule({"event": "login"}, 3),
        _rule({"event": "login", "admin": True}, 5, level="critical"),
        _rule({"event": "login", "shop|exists": True}, 6, logsource=special),
    ]
    section = {"logsources": {"web": {"product": "shop"}}}
    for order in (rules, rules[::-1]):
        stage = _stage(tmp_path, *order, section=section)
        batch = _batch(
            [b'{"event":"login"}', b'{"event":"login","admin":true}', b'{"event":"login","shop":1}'],
            resource=Resource("t", "web"),
        )
        stage.run(batch)
        assert [event.rule for event in batch.events] == [ID.format(3), ID.format(5), ID.format(6)]


def test_log_sources_route_rules_to_services(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A rule for another log source applies to services that have it; to none, with a warning, if none has."""
    cloud = {"product": "aws", "service": "cloudtrail"}
    stage = _stage(
        tmp_path,
        _rule({"eventName": "CreateUser"}, 1, logsource=cloud),
        _rule({"eventName": "CreateUser"}, 2, logsource={"product": "azure"}),
        section={"logsources": {"trail": cloud}},
    )
    assert f"rule {ID.format(2)} never applies" in caplog.text
    names = {"f_service": None, "f_service_name": None, "f_application": None, "f_app": None}
    heads = [
        SimpleNamespace(**{**names, "f_service_name": None, "f_service": service}, f_service_name_=None)
        for service in ("trail", {"name": "trail"}, "web", None)
    ]
    batch = _batch([b'{"eventName":"CreateUser"}'] * 4, heads)
    stage.run(batch)
    assert [event.row for event in batch.events] == [0, 1]
    bound = _batch([b'{"eventName":"CreateUser"}'], heads[3:], Resource("t", "trail"))
    stage.run(bound)
    assert [event.rule for event in bound.events] == [ID.format(1)]


def test_a_rule_without_literal_still_works_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rule that no literal announces is evaluated on every record, with a warning at start."""
    stage = _stage(tmp_path, _rule({"sel": {"x": "yyy"}, "condition": "not sel"}))
    assert "no literal to search for" in caplog.text
    assert _rows(stage, {"a": 1}, {"x": "yyy"}, b'{"x":') == [0]


def test_a_line_that_cannot_match_is_not_parsed(tmp_path: Path) -> None:
    """A broken line without a witness is no error: nobody looks inside."""
    stage = _stage(tmp_path, _rule({"event": "login"}))
    batch = _batch([b'{"broken', b'{"broken "login"'])
    stage.run(batch)
    assert batch.events == []


def test_the_compiled_database_is_cached_and_verified(tmp_path: Path) -> None:
    """A start reuses the cached database; a damaged one is made again."""
    pytest.importorskip("hyperscan")
    rule = _rule({"event": "login"})
    _stage(tmp_path, rule)
    (cached,) = (tmp_path / "cache").iterdir()
    good = cached.read_bytes()
    cached.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    stage = _stage(tmp_path, rule)
    assert cached.read_bytes() == good
    assert _rows(stage, {"event": "login"}) == [0]
    before = cached.stat().st_mtime_ns
    assert _rows(_stage(tmp_path, rule), {"event": "login"}) == [0]
    assert cached.stat().st_mtime_ns == before


def test_a_forked_worker_scans_too(tmp_path: Path) -> None:
    """A stage that ran before a fork works in parent and child."""
    stage = _stage(tmp_path, _rule({"event": "login"}))
    assert _rows(stage, {"event": "login"}) == [0]
    child = os.fork()
    if child == 0:
        os._exit(0 if _rows(stage, {"a": 1}, {"event": "login"}) == [1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _rows(stage, {"event": "login"}) == [0]


def test_the_digest_follows_the_rules(tmp_path: Path) -> None:
    """The digest depends on the bytes of the pack and not on where it lies."""
    first, second, third = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for folder in (first, second, third):
        folder.mkdir()
    digests = [_stage(folder, _rule({"event": "login"})).digest for folder in (first, second)]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 64
    assert _stage(third, _rule({"event": "logon"})).digest != digests[0]


def test_explain_names_what_was_considered(tmp_path: Path) -> None:
    """``explain`` tells rules that matched from rules that only came in question."""
    stage = _stage(
        tmp_path, _rule({"event": "login"}), _rule({"event": "login", "x": 1}, 2), _rule({"event": "zzz"}, 3)
    )
    assert stage.explain(b'{"event":"login"}') == [f"{ID.format(1)} matched", f"{ID.format(2)} considered"]
    assert stage.explain(b"login") == []


_AUDIT = {"class_uid": 3002, "activity_id": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detection": {"sel": {"a|fieldref": "b"}, "condition": "sel"}}, "field 'a': modifier 'fieldref'"),
        ({"detection": {"sel": {"a|hour": 3}, "condition": "sel"}}, "field 'a': modifier 'hour'"),
        ({"detection": {"sel": {"a|expand": "%x%"}, "condition": "sel"}}, "field 'a': modifier 'expand'"),
        ({"detection": {"sel": {"a|nope": "b"}, "condition": "sel"}}, "Unknown modifier"),
        ({"detection": {"sel": {"a|re": "(?=x)"}, "condition": "sel"}}, "not a Sigma rule"),
        ({"detection": {"sel": {"a": "b"}, "condition": "sel2"}}, "not a Sigma rule"),
        ({"detection": {"sel": {"a": "b"}, "condition": ["sel", "not sel"]}}, "exactly one condition"),
        ({"detection": {"sel": {"a.b.c.d.e.f.g": "b"}, "condition": "sel"}}, "1 to 6 segments"),
        ({"detection": {"sel": {"a": "b"}, "condition": 5}}, r"detection\.condition: must be text"),
        ({"detection": {"sel": {"a": "b"}, "condition": None}}, r"detection\.condition: must be text"),
        ({"detection": {"sel": {"a": "b"}, "condition": [5]}}, r"detection\.condition: must be text"),
        ({"detection": {"sel": {5: "b"}, "condition": "sel"}}, r"detection\.sel: names of fields"),
        ({"detection": {"sel": [{"a": "b"}, {5: "b"}], "condition": "sel"}}, r"detection\.sel: names of f"),
        ({"detection": {5: {"a": "b"}, "condition": "sel"}}, "detection: names of fields and selections"),
        ({"detection": ["a"]}, "detection: must be a mapping"),
        (
            {"detection": {"sel": {"a": "b"}, "condition": "sel", "timeframe": "5m"}},
            r"detection\.timeframe: is not supported",
        ),
        ({"detection": {"sel": [""], "condition": "sel"}}, "a keyword without any character"),
        ({"detection": {"sel": ["abc", "*?"], "condition": "sel"}}, "a keyword without any character"),
        ({"id": None}, "needs an id and a level"),
        ({"level": None}, "needs an id and a level"),
        ({"id": "x"}, "must be an UUID"),
        ({"correlation": {}}, "'correlation' are not supported"),
        ({"audit": None}, "needs a mapping 'audit'"),
        ({"audit": {**_AUDIT, "clas_uid": 1}}, r"audit\.clas_uid: unknown key; did you mean 'class_uid'"),
        ({"audit": {"activity_id": 1}}, r"audit\.class_uid: must be an integer"),
        ({"audit": {**_AUDIT, "activity_id": True}}, r"audit\.activity_id: must be an integer from 0 to 99"),
        ({"audit": {**_AUDIT, "actor": [1]}}, r"audit\.actor: must be a field path"),
        (
            {"audit": {**_AUDIT, "actor": {"feld": "a"}}},
            r"audit\.actor\.feld: unknown key; did you mean 'field'",
        ),
        ({"audit": {**_AUDIT, "outcome": "ok"}}, r"audit\.outcome: must be one of success"),
        (
            {"audit": {**_AUDIT, "outcome": {"field": "a", "default": "x"}}},
            r"audit\.outcome\.default: must be",
        ),
        (
            {"audit": {**_AUDIT, "outcome": {"field": "a", "success": "x"}}},
            r"audit\.outcome\.success: must be a list",
        ),
        ({"audit": {**_AUDIT, "outcome": {"is": "ended"}}}, r"outcome\.is: the pack defines no such outcome"),
        ({"audit": {**_AUDIT, "user": ["a"]}}, r"audit\.user: must be a mapping with 'field' and 'is'"),
        ({"audit": {**_AUDIT, "user": {"field": "a", "is": "x"}}}, r"audit\.user\.is: must be one of actor"),
        ({"audit": {**_AUDIT, "actor": {"text": "(?=a)"}}}, r"audit\.actor\.text: is no RE2 expression"),
        ({"audit": {**_AUDIT, "actor": {"text": "a"}}}, r"audit\.actor\.text: must have exactly one group"),
        (
            {"audit": {**_AUDIT, "id": {"shape": "a"}}},
            r"audit\.id\.shape: unknown key; did you mean 'shaped'",
        ),
        ({"audit": {**_AUDIT, "ocsf": ["a"]}}, r"audit\.ocsf: must map"),
        ({"tests": {"matches": []}}, r"tests\.matches: unknown key; did you mean 'match'"),
        ({"tests": {"match": [1]}}, r"tests\.match: must be a list of JSON objects"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Errors name the file, the rule in it, and the field and modifier or the key."""
    rule = {**_rule({"event": "login"}), **change}
    with pytest.raises(ConfigError, match=message) as caught:
        _stage(tmp_path, {key: value for key, value in rule.items() if value is not None or key == "audit"})
    assert str(caught.value).startswith("rules.yaml: rule 1")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"rule": []}, r"classification\.rule: unknown key; did you mean 'rules'"),
        ({"rules": "x"}, r"classification\.rules: must be a list"),
        ({"rules": ["none.yaml"]}, r"classification\.rules: cannot read"),
        ({"logsources": []}, None),
        ({"logsources": {"a": {}}}, r"logsources\.a: must have at least one"),
        ({"logsources": {"a": {"produkt": "x"}}}, r"did you mean 'product'"),
    ],
)
def test_a_wrong_section_is_refused_with_its_place(
    tmp_path: Path, section: dict[str, Any], message: str | None
) -> None:
    """Errors name the key; an empty section means no rules."""
    host = _Host(tmp_path, tmp_path)
    if message is None:
        assert SPEC.factory(section, host).rules == ()
        return
    with pytest.raises(ConfigError, match=message):
        SPEC.factory(section, host)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aliases: [a]", "must be a mapping with the key 'aliases'"),
        ("aliases: {a: b}", r"aliases\.a: must be a list of field paths"),
        ("aliases: {a: [b.c.d.e.f.g.h]}", "1 to 6 segments"),
        ("aliases: {a: [b]}\n---\naliases: {a: [c]}", "defined twice"),
        ("aliases: {a: [b], a: [c]}", "Duplicate key"),
        ("aliases: {", "not valid YAML in line"),
        ("names: {a: {}}", r"names\.a: is no alias"),
        ("aliases: {a: [b]}\nnames: {a: {weak: [c]}}", "'weak' and 'with' go together"),
        ("naming: x", "naming: must be a list of keys"),
        ("outcomes: {a: {success: [x]}}", r"outcomes\.a\.field: must be a field path"),
        ("outcomes: {a: {field: [x], success: x}}", r"outcomes\.a\.success: must be a list"),
    ],
)
def test_wrong_aliases_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    """Errors of the alias file name it and the alias."""
    (tmp_path / "fields.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        _stage(tmp_path, _rule({"event": "login"}))
    assert str(caught.value).startswith("fields.yaml")


def test_an_id_is_used_once(tmp_path: Path) -> None:
    """Two rules with one id would make the verdict ambiguous."""
    with pytest.raises(ConfigError, match="is also in"):
        _stage(tmp_path, _rule({"event": "login"}), _rule({"event": "logout"}))


def test_an_alias_stands_for_all_its_paths(tmp_path: Path) -> None:
    """In a detection any path may match; in the audit block the first with a value wins."""
    (tmp_path / "fields.yaml").write_text(
        "aliases: {name: [event, event.action, action], who: [user.name, user]}"
    )
    audit = {**_AUDIT, "actor": ["who"], "action": ["name"]}
    stage = _stage(tmp_path, _rule({"name": "login"}, audit=audit))
    events = _events(
        stage,
        {"action": "login", "user": "ann"},
        {"event": {"action": "login"}, "user": {"name": "bob"}},
        {"event": "view", "action": "login", "user": {"id": 1}},
        {"other": "login"},
    )
    assert [(event.row, event.actor, event.action) for event in events] == [
        (0, "ann", "login"),
        (1, "bob", "login"),
        (2, "", "view"),
    ]


def test_a_failing_rule_test_is_reported(tmp_path: Path) -> None:
    """The self-test names rule, kind and number of each test that does not hold."""
    tests = {"match": [{"event": "login"}, {"event": "x"}], "no_match": [{"event": "LOGIN"}, "login"]}
    _stage(tmp_path, _rule({"event": "login"}, tests=tests))
    assert SPEC.selftest is not None
    assert SPEC.selftest({"rules": ["rules.yaml"]}, _Host(tmp_path, tmp_path / "cache")) == [
        f"rule {ID.format(1)} (rule 1): match 2 does not hold",
        f"rule {ID.format(1)} (rule 1): no_match 1 does not hold",
    ]


def test_the_starter_pack_holds_its_tests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every rule brings at least two tests of each kind, all hold, and no rule warns."""
    host = _Host(STARTER.parent, tmp_path)
    section = {"rules": [STARTER.name]}
    assert SPEC.selftest is not None
    assert SPEC.selftest(section, host) == []
    rules = SPEC.factory(section, host).rules
    assert len(rules) >= 12
    assert all(len(rule.match) >= 2 and len(rule.no_match) >= 2 for rule in rules)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("record", "action", "outcome"),
    [
        ({"event": "user.login", "user": "ann"}, "login", "success"),
        ({"event_type": "USER_LOGIN", "status": "denied"}, "login", "failure"),
        ({"action": "login", "success": False}, "login", "failure"),
        ({"audit": {"action": "user-logout"}}, "logout", "success"),
        ({"audit.action": "user:created"}, "create_user", "success"),
        ({"type": "DeleteUser", "result": "error", "admin": "root"}, "delete_user", "failure"),
        ({"event": {"action": "data.export", "outcome": "success"}}, "export_data", "success"),
        (
            {"event": "user.login", "operation": "grant_permission", "by": "ann"},
            "grant_permission",
            "success",
        ),
        ({"eventName": "api_key.used"}, "use_key", "success"),
    ],
)
def test_the_starter_pack_knows_common_shapes(
    tmp_path: Path, record: dict[str, Any], action: str, outcome: str
) -> None:
    """Event names with any separator, in any of the usual fields, with any usual outcome."""
    stage = SPEC.factory({"rules": [STARTER.name]}, _Host(STARTER.parent, tmp_path))
    (event,) = _events(stage, record)
    assert (event.action, event.outcome) == (action, outcome)


def test_ordinary_records_are_no_audit_events(tmp_path: Path) -> None:
    """Requests, jobs and errors that only talk about logins are left alone."""
    stage = SPEC.factory({"rules": [STARTER.name]}, _Host(STARTER.parent, tmp_path))
    records: list[Any] = [
        {"event": "request", "message": "user.login took 3 ms"},
        {"message": "login_failed", "level": "info"},
        {"type": "metric", "name": "user.login", "value": 3},
        {"event": "payment.created", "user": "ann"},
        b"user.login ann",
    ]
    assert _events(stage, *records) == []
