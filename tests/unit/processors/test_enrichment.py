"""Enrichment: levels, services, trace context, and which objects rows share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from headrig import Batch, ConfigError, Envelope, Resource
from hypothesis import given
from hypothesis import strategies as st

from processors.enrichment import SPEC
from processors.enrichment.levels import detect_level
from processors.enrichment.trace import identifiers, parse_traceparent

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@dataclass
class _Host:
    config_dir: Path
    cache_dir: Path
    fields: dict[str, str] = field(default_factory=dict)
    key: bytes = bytes(32)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test"))

    def now_ns(self) -> int:
        return 0


def _stage(section: dict[str, Any], folder: Path = EXAMPLES) -> Any:
    names = {name: "f_" + name.replace(".", "_") for name in SPEC.fields(section)}
    return SPEC.factory(section, _Host(folder, folder, names))


def _head(**values: Any) -> SimpleNamespace:
    names = [name.replace(".", "_") for name in SPEC.fields({"catalog": "services.yaml"})]
    return SimpleNamespace(**{f"f_{name}": values.get(name) for name in names})


def _batch(
    *heads: Any, resource: Resource | None = None, envelopes: list[Envelope | None] | None = None
) -> Batch:
    rows = len(heads)
    return Batch(
        resource=resource or Resource("t"),
        lines=[b"{}"] * rows,
        heads=list(heads),
        time_ns=[0] * rows,
        attributes=[{}] * rows,
        envelopes=envelopes or [None] * rows,
        origin=list(range(rows)),
    )


def _run(section: dict[str, Any], *heads: Any, **kwargs: Any) -> list[dict[str, str]]:
    batch = _batch(*heads, **kwargs)
    _stage(section).run(batch)
    return [dict(attributes) for attributes in batch.attributes]


@pytest.mark.parametrize(
    ("value", "name", "level"),
    [
        ("INFO", "level", "info"),
        ("Warning", "level", "warn"),
        ("CRITICAL", "level", "fatal"),
        (" err ", "level", "error"),
        ("LOG_NOTICE", "level", "info"),
        ("INFO2", "severity_text", "info"),
        ("E", "level", "error"),
        ("30", "level", "info"),
        ("nonsense", "level", None),
        ("", "level", None),
        (None, "level", None),
        (["info"], "level", None),
        (True, "level", None),
        (False, "level", None),
        (True, "levelno", None),
        (True, "severity_number", None),
        (0, "level", "fatal"),
        (3, "severity", "error"),
        (7, "severity", "debug"),
        (10, "level", "trace"),
        (50, "level", "error"),
        (60, "level", "fatal"),
        (61.5, "level", "fatal"),
        (70, "level", None),
        (8, "level", None),
        (-1, "level", None),
        (float("nan"), "level", None),
        (10, "levelno", "debug"),
        (50, "levelno", "fatal"),
        (1, "severity_number", "trace"),
        (9, "severity_number", "info"),
        (24, "severity_number", "fatal"),
        (25, "severity_number", None),
    ],
)
def test_a_level_of_any_logger_becomes_one_of_six_words(value: object, name: str, level: str | None) -> None:
    """Strings in any case and the numbers of syslog, pino, Python and OpenTelemetry are known."""
    assert detect_level(value, name) == level


@given(st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_no_value_breaks_level_detection(value: object) -> None:
    """Whatever stands in a level field gives one of the six words or None."""
    for name in ("level", "levelno", "severity_number"):
        assert detect_level(value, name) in {None, "trace", "debug", "info", "warn", "error", "fatal"}


def test_the_first_level_field_with_a_value_wins() -> None:
    """Fields are asked in a fixed order, and an empty string is no value."""
    found = _run(
        {}, _head(level="warn", severity="info"), _head(level="", lvl="ERROR"), _head(severity_number=17)
    )
    assert [attributes["detected_level"] for attributes in found] == ["warn", "error", "error"]


def test_a_level_that_means_nothing_hides_no_later_one() -> None:
    """What a field says counts only if it is a level; also when the same words came before with another answer."""
    heads = [
        _head(level="banana", severity="ERROR"),
        _head(level="banana", severity="info"),
        _head(level="banana", severity_number=True, levelno=30),
        _head(level="banana"),
        _head(level="warn", severity="ERROR"),
        _head(level={}, lvl=[1], severity_text="debug"),
    ]
    expected = ["error", "info", "warn", None, "warn", "debug"]
    stage = _stage({})
    for order in (range(6), range(5, -1, -1), range(6)):
        batch = _batch(*(heads[n] for n in order))
        stage.run(batch)
        levels = [attributes.get("detected_level") for attributes in batch.attributes]
        assert levels == [expected[n] for n in order]


@pytest.mark.parametrize("order", [(True, 1), (1, True), (False, 0), (0.0, False)])
def test_true_and_false_are_no_levels_though_they_equal_numbers(order: tuple[object, object]) -> None:
    """Python says that true is 1 and false is 0; neither the first nor the later one gets the other's level."""
    levels = [attributes.get("detected_level") for attributes in _run({}, *(_head(level=v) for v in order))]
    assert levels == [None if isinstance(value, bool) else "fatal" for value in order]
    numbered = [{"severity_number": True}, {"severity_number": 1}, {"level": "x", "severity_number": True}]
    assert _run({}, *(_head(**one) for one in numbered)) == [{}, {"detected_level": "trace"}, {}]


def test_an_envelope_speaks_where_the_records_level_means_nothing() -> None:
    """Labels and metadata are asked when no field of the record is a level."""
    envelope = Envelope({"severity": "warn"}, {})
    assert _run({}, _head(level="banana"), envelopes=[envelope]) == [{"detected_level": "warn"}]


def test_zero_is_a_level() -> None:
    """Syslog's emergency is the number 0, which must not count as absent."""
    assert _run({}, _head(level=0, severity="info"))[0]["detected_level"] == "fatal"


def test_the_envelope_gives_a_level_where_the_record_has_none() -> None:
    """Labels and metadata beside a line are asked last, for plain text too."""
    envelope = Envelope({"severity": "warn"}, {"level": "error"})
    found = _run({}, None, _head(level="info"), envelopes=[envelope, envelope])
    assert [attributes["detected_level"] for attributes in found] == ["error", "info"]


def test_values_that_cannot_be_keys_leave_their_neighbours_alone() -> None:
    """An array or object in a level field counts as no level."""
    found = _run(
        {}, _head(level=[1]), _head(level="info"), _head(severity_number=[9]), _head(severity_number={})
    )
    assert found == [{}, {"detected_level": "info"}, {}, {}]


def test_catalog_entries_become_attributes() -> None:
    """The service of a record finds team, tier, owner and environment; an unknown one finds nothing."""
    section = {"catalog": "services.yaml", "static": {"region": "eu-1"}}
    known, unknown = _run(section, _head(service="checkout"), _head(service="nobody"))
    assert known == {
        "region": "eu-1",
        "team": "payments",
        "tier": "1",
        "owner": "payments-oncall@example.com",
        "environment": "production",
    }
    assert unknown == {"region": "eu-1"}


def test_a_service_may_be_an_object_or_come_from_the_envelope() -> None:
    """``{"name": …}`` and the labels of a Loki push name the service as well."""
    envelope = Envelope({"job": "search"}, {})
    found = _run(
        {"catalog": "services.yaml"},
        _head(service={"name": "accounts"}),
        _head(app="reports"),
        _head(),
        None,
        envelopes=[None, None, envelope, envelope],
    )
    assert [attributes["team"] for attributes in found] == ["identity", "analytics", "discovery", "discovery"]


def test_the_credential_beats_payload_and_catalog() -> None:
    """A credential bound to a service and an environment decides both."""
    resource = Resource("t", "reports", "staging")
    (found,) = _run({"catalog": "services.yaml"}, _head(service="checkout"), resource=resource)
    assert (found["team"], found["environment"]) == ("analytics", "staging")


def test_rows_that_are_alike_share_one_object() -> None:
    """Without a trace id nothing is made per record."""
    batch = _batch(_head(level="info"), _head(level="info"), _head(level="warn"))
    stage = _stage({})
    stage.run(batch)
    assert batch.attributes[0] is batch.attributes[1]
    assert batch.attributes[0] is not batch.attributes[2]


def test_the_memo_is_bounded() -> None:
    """A sender that invents levels and services cannot grow the memory of the stage."""
    stage = _stage({"catalog": "services.yaml"})
    for start in range(0, 12_000, 500):
        stage.run(_batch(*(_head(level="info", service=f"s{n}") for n in range(start, start + 500))))
    stage.run(_batch(_head(level="info", service="x" * 10_000)))
    assert 0 < len(stage._memo) <= 4096
    assert all(len(key[1] or "") < 300 for key in stage._memo)


def test_attributes_of_an_earlier_stage_are_kept() -> None:
    """Enrichment adds to what is there and does not overwrite it."""
    batch = _batch(_head(level="info"), _head(level="info"))
    batch.attributes = [{}, {"detected_level": "debug", "masked": "true"}]
    _stage({}).run(batch)
    assert [dict(attributes) for attributes in batch.attributes] == [
        {"detected_level": "info"},
        {"detected_level": "debug", "masked": "true"},
    ]


def test_an_empty_batch_is_no_work() -> None:
    """A batch may have no rows left."""
    assert _run({"catalog": "services.yaml"}) == []


def test_lines_are_never_edited() -> None:
    """The stage replaces attributes and nothing else."""
    batch = _batch(_head(level="info", trace_id=TRACE))
    lines, heads = batch.lines, batch.heads
    _stage({"static": {"a": "b"}}).run(batch)
    assert batch.lines is lines
    assert batch.heads is heads
    assert batch.changed == []


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        17,
        None,
    ],
)
def test_an_invalid_traceparent_is_refused(value: object) -> None:
    """Wrong length, version ff, upper case and all-zero ids are invalid (W3C, section 3.2.2)."""
    assert parse_traceparent(value) is None


def test_a_later_version_may_carry_more() -> None:
    """A version above 00 is read as far as 00 goes."""
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-what-ever") == (TRACE, SPAN)


def test_trace_context_is_found_in_all_its_fields() -> None:
    """``traceparent`` wins over single fields; ids come out in lower case."""
    found = _run(
        {"levels": False},
        _head(traceparent=f"00-{TRACE}-{SPAN}-01", trace_id="f" * 32),
        _head(trace_id=TRACE.upper(), span_id=SPAN),
        _head(trace_id=TRACE, span_id="zz"),
        _head(trace_id="0" * 32, span_id=SPAN),
        _head(trace_id=7),
        _head(),
        None,
    )
    both = {"trace_id": TRACE, "span_id": SPAN}
    assert found == [both, both, {"trace_id": TRACE}, {}, {}, {}, {}]


@given(
    st.lists(
        st.sampled_from([TRACE, TRACE.upper(), "0" * 32, TRACE[:-1], "g" * 32, "", None, 5, TRACE + "a"])
    )
)
def test_a_column_of_ids_is_judged_value_by_value(column: list[Any]) -> None:
    """The fast way for a whole column gives what each value alone gives."""
    assert identifiers(column, 32) == [identifiers([value], 32)[0] for value in column]
    assert all(good in {None, TRACE} for good in identifiers(column, 32))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"catlog": "x"}, r"enrichment\.catlog: unknown key; did you mean 'catalog'"),
        ({"static": ["a"]}, r"enrichment\.static: must map"),
        ({"static": {"a": ""}}, r"enrichment\.static\.a: must be"),
        ({"levels": "yes"}, r"enrichment\.levels: must be true or false"),
        ({"catalog": 3}, r"enrichment\.catalog: must be the path"),
    ],
)
def test_a_wrong_section_is_refused_with_its_place(section: dict[str, Any], message: str) -> None:
    """Errors name the key and the nearest known one."""
    with pytest.raises(ConfigError, match=message):
        _stage(section)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [a]", "services: must map service names"),
        ("service: {}", "did you mean 'services'"),
        ("services: {a: {taem: x}}", r"services\.a\.taem: unknown key; did you mean 'team'"),
        ("services: {a: {}}", r"services\.a: must have at least one"),
        ("services: {a: {team: [x]}}", r"services\.a\.team: must be"),
        ("services: {7: {team: x}}", "a service name must be"),
        ("services: {a: {team: x}", "not valid YAML in line 1"),
        ("3", "must be a mapping"),
    ],
)
def test_a_wrong_catalog_is_refused_with_file_and_entry(tmp_path: Path, text: str, message: str) -> None:
    """Errors name the file and the entry."""
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        _stage({"catalog": "c.yaml"}, tmp_path)
    assert "c.yaml" in str(caught.value)


def test_a_missing_catalog_is_refused(tmp_path: Path) -> None:
    """A catalog that is configured must be there."""
    with pytest.raises(ConfigError, match="cannot read the service catalog"):
        _stage({"catalog": "none.yaml"}, tmp_path)
