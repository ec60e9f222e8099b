"""Finding, checking, making and leaving plugins, on distributions that lie on a disk."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from headrig import ConfigError, StageSpec
from headrig.testing import FakeHost, make_batch

from pipeline.plugins import Catalog, PluginEntry, Plugins, PluginsSection, config_schema, load_stages

SOURCE = """
from dataclasses import dataclass, field
from headrig import ClassifierSpec, DetectorSpec, ProcessorSpec, StageSpec, Span, Classification, ConfigError

EVENTS = []

@dataclass(frozen=True)
class Team:
    name: str
    size: int = 1

@dataclass(frozen=True, kw_only=True)
class Config:
    owners: dict[str, str] = field(default_factory=dict)
    teams: list[Team] = field(default_factory=list)
    by_name: dict[str, Team] = field(default_factory=dict)
    lead: Team | None = None
    fail: str = ""

class Plugin:
    def __init__(self, config, host):
        if config.fail == "factory":
            raise ValueError("s3cret")
        if config.fail == "config":
            raise ConfigError("owners is empty")
        self.config = config
    async def __aenter__(self):
        if self.config.fail == "enter":
            raise OSError("s3cret")
        EVENTS.append("enter")
        return self
    async def __aexit__(self, *_):
        EVENTS.append("leave")
        if self.config.fail == "leave":
            raise OSError("s3cret")
    def process(self, record):
        record.attributes["owner"] = self.config.owners.get(record.resource.service, "nobody")
        return record
    def find(self, text):
        return [Span(0, 1)] if text else []
    def classify(self, record):
        return Classification("r", 3002, 1, actor="alice")

OWNER = ProcessorSpec(kind="owner", config=Config, factory=Plugin, reads=("level",), writes=("attributes.owner",))
BADGE = DetectorSpec(kind="badge", config=Config, factory=Plugin, literals=("badge",))
REFUND = ClassifierSpec(kind="refund", config=Config, factory=Plugin, reads=("action", "level"))
MASK = StageSpec(kind="mask", factory=lambda c, h: None)
ENRICH = StageSpec(kind="enrich", factory=lambda c, h: None)
CLASSIFY = StageSpec(kind="classify", factory=lambda c, h: None)
MISNAMED = ProcessorSpec(kind="other", config=Config, factory=Plugin)
NOT_FROZEN = ProcessorSpec(kind="not_frozen", config=dict, factory=Plugin)
NOT_A_SPEC = object()
"""

POINTS = {
    "headrig.processors": {
        "owner": "acme_one:OWNER",
        "misnamed": "acme_one:MISNAMED",
        "not_frozen": "acme_one:NOT_FROZEN",
        "not_a_spec": "acme_one:NOT_A_SPEC",
        "missing": "acme_missing:SPEC",
        "badge": "acme_one:BADGE",
    },
    "headrig.detectors": {"badge": "acme_one:BADGE"},
    "headrig.classifiers": {"refund": "acme_one:REFUND"},
    "headrig.stages": {"mask": "acme_one:MASK", "enrich": "acme_one:ENRICH", "classify": "acme_one:CLASSIFY"},
    "other.group": {"x": "nowhere:X"},
}


def install(site: Path, name: str, points=None, record="acme_one.py,,\n", top_level=""):
    """Lay a distribution's metadata on the disk."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(record)
    (info / "top_level.txt").write_text(top_level)
    groups = (
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in kinds.items())
        for group, kinds in (points or {}).items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An import path with one distribution of plugins."""
    (tmp_path / "acme_one.py").write_text(SOURCE)
    install(tmp_path, "acme-one", POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("acme_one", None)


@pytest.fixture
def catalog(site):
    """What is installed there."""
    return Catalog.installed([str(site)])


def load(catalog, kind="owner", group="processors", **config):
    return Plugins.load({group: [{"kind": kind, "config": config}]}, catalog)


def test_only_configured_plugins_are_imported(catalog):
    """Reading the catalog imports nothing; an empty section loads nothing."""
    assert catalog.kinds("headrig.detectors") == ["badge"]
    assert Plugins.load({}, catalog) == Plugins()
    assert "acme_one" not in sys.modules

    load(catalog)

    assert "acme_one" in sys.modules


def test_order_numbers_and_deadlines_follow_the_configuration(catalog):
    """Processors keep the order of the list; the same kind may stand there twice."""
    plugins = Plugins.load(
        {
            "detectors": [{"kind": "badge"}],
            "processors": [
                {"kind": "owner", "config": {"owners": {"a": "b"}}, "deadline_ms": 20},
                {"kind": "owner"},
            ],
            "classifiers": [{"kind": "refund"}],
        },
        catalog,
    )

    assert [plugin.config.owners for plugin in plugins.processors] == [{"a": "b"}, {}]
    assert [plugin.deadline_ns for plugin in plugins.processors] == [20_000_000, 50_000_000]
    assert [plugin.number for plugin in (*plugins.detectors, *plugins.processors, *plugins.classifiers)] == [
        1,
        2,
        3,
        4,
    ]
    assert plugins.fields == ("level", "action")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ownr", r"plugins.processors\[0\].kind: .*'ownr'; did you mean 'owner'\? installed: .*misnamed"),
        ("zzz", r"has the kind 'zzz'; installed: badge, misnamed"),
        ("misnamed", "declares kind 'other'"),
        ("not_a_spec", "is not a ProcessorSpec"),
        ("badge", "is not a ProcessorSpec"),
        ("missing", r"cannot be imported \(ModuleNotFoundError\)"),
        ("not_frozen", "is not a frozen dataclass"),
    ],
)
def test_unusable_kind_is_refused_with_its_place(catalog, kind, message):
    """What cannot be loaded is the operator's to correct, and the message says where and how."""
    with pytest.raises(ConfigError, match=message):
        load(catalog, kind)


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"owner": {}}, "plugins.processors[0].config.owner", "unknown key; did you mean 'owners'?"),
        ({"zzz": 1}, "plugins.processors[0].config.zzz", "unknown key; known: owners, teams"),
        ({"owners": {"a": 7}}, "plugins.processors[0].config.owners.a", "input should be a valid string"),
        ({"owners": "s3cret"}, "plugins.processors[0].config.owners", "input should be a valid dictionary"),
        (
            {"teams": [{"name": "x"}, {"name": "y", "sise": 2}]},
            "plugins.processors[0].config.teams[1].sise",
            "'size'",
        ),
        ({"teams": [{}]}, "plugins.processors[0].config.teams[0].name", "field required"),
        (
            {"by_name": {"a": {"name": "x", "q": 1}}},
            "plugins.processors[0].config.by_name.a.q",
            "unknown key",
        ),
        ({"lead": {"name": "x", "q": 1}}, "plugins.processors[0].config.lead.q", "unknown key"),
    ],
)
def test_wrong_value_names_its_place_and_not_itself(catalog, config, path, message):
    """An error of a plugin's values names path and rule, never the value."""
    with pytest.raises(ConfigError) as caught:
        load(catalog, **config)

    assert caught.value.path == path
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "section",
    [
        {"processor": []},
        {"processors": [{"kin": "owner"}]},
        {"processors": [{"kind": "owner", "deadline_ms": 0}]},
        {"processors": {}},
    ],
)
def test_wrong_section_is_refused(catalog, section):
    """The section itself knows its keys and bounds."""
    with pytest.raises(ConfigError, match=r"^plugins\.processor"):
        Plugins.load(section, catalog)


def test_too_many_plugins_are_refused(catalog):
    """Plugins are numbered in one byte."""
    section = PluginsSection(processors=tuple(PluginEntry(kind="owner") for _ in range(256)))

    with pytest.raises(ConfigError, match="more than 255"):
        Plugins.load(section, catalog)


def test_kind_claimed_twice_is_refused(site):
    """Which of two distributions wins must not depend on the order of a directory."""
    install(
        site,
        "acme-two",
        {"headrig.processors": {"owner": "acme_two:OWNER"}, "headrig.stages": {"mask": "acme_two:M"}},
    )
    catalog = Catalog.installed([str(site)])

    with pytest.raises(ConfigError, match="claimed by acme-one and acme-two"):
        load(catalog)
    with pytest.raises(ConfigError, match="claimed by acme-one and acme-two"):
        load_stages(catalog)


def test_shadowed_second_copy_is_no_conflict(site, tmp_path):
    """The same distribution further down the import path is never imported, so it claims nothing."""
    install(tmp_path / "later", "Acme.One", POINTS)

    assert load(Catalog.installed([str(site), str(tmp_path / "later")])).processors


@pytest.mark.parametrize(
    ("record", "top_level", "package"),
    [
        ("pipeline/__init__.py,sha256=x,1\n", "", "pipeline"),
        ("a.py,,\nprocessors.py,,\n", "", "processors"),
        ("a.py,,\n", "a\nprocessors\n", "processors"),
    ],
)
def test_foreign_owner_of_our_package_names_is_refused(site, record, top_level, package):
    """A distribution that would replace our code is found at start."""
    install(site, "intruder", record=record, top_level=top_level)

    with pytest.raises(ConfigError, match=f"distribution intruder installs a top-level package '{package}'"):
        Catalog.installed([str(site)])


def test_similar_package_names_are_fine(site):
    """Only the top level counts, and only the whole name; our own distribution may have them."""
    install(site, "harmless", record="pipelines/a.py,,\nx/pipeline/a.py,,\npipeline_tool.py,,\n")
    install(site, "headrig", record="pipeline/cli.py,,\nprocessors/__init__.py,,\n")

    assert Catalog.installed([str(site)]).kinds("headrig.detectors") == ["badge"]


def test_stages_are_loaded_by_kind(catalog):
    """All three stages come from entry points."""
    stages = load_stages(catalog)

    assert list(stages) == ["mask", "enrich", "classify"]
    assert all(isinstance(stage, StageSpec) for stage in stages.values())


def test_missing_stage_is_refused(tmp_path):
    """Without a masking stage there is no program."""
    with pytest.raises(ConfigError, match="has the kind 'mask'; installed: none"):
        load_stages(Catalog.installed([str(tmp_path)]))


async def test_plugins_are_entered_run_and_left(catalog, site):
    """Resources open before the first record and close at the end, in reverse order; the signal is given back."""
    plugins = Plugins.load(
        {
            "detectors": [{"kind": "badge"}],
            "processors": [{"kind": "owner", "config": {"owners": {"checkout": "pay"}}}],
            "classifiers": [{"kind": "refund"}],
        },
        catalog,
    )
    before = signal.getsignal(signal.SIGALRM)
    batch = make_batch([{"a": 1}])

    async with plugins.running(FakeHost(fields={"level": "f0", "action": "f1"})) as running:
        assert signal.getsignal(signal.SIGALRM) != before
        ((spec, detector),) = running.detectors
        found = list(detector.find("x"))
        for runner in (
            running.processor_runner(lambda _b, _r, _k: None),
            running.classifier_runner(lambda _b, _r: None),
        ):
            assert runner is not None
            runner.run(batch)

    assert (spec.kind, len(found)) == ("badge", 1)
    assert batch.attributes == [{"owner": "pay"}]
    assert [(event.row, event.actor) for event in batch.events] == [(0, "alice")]
    assert sys.modules["acme_one"].EVENTS == ["enter"] * 3 + ["leave"] * 3
    assert signal.getsignal(signal.SIGALRM) == before


async def test_no_plugins_cost_nothing(catalog):
    """Without plugins there are no runners and the signal stays alone."""
    before = signal.getsignal(signal.SIGALRM)

    async with Plugins().running(FakeHost()) as running:
        assert running.processor_runner(lambda _b, _r, _k: None) is None
        assert running.classifier_runner(lambda _b, _r: None) is None
        assert running.detectors == []
        assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("factory", r"plugins.processors\[1\]: plugin owner did not start \(ValueError\)"),
        ("enter", r"plugins.processors\[1\]: plugin owner did not start \(OSError\)"),
        ("config", r"plugins.processors\[1\].config: owners is empty"),
    ],
)
async def test_plugin_that_does_not_start_is_a_config_error(catalog, fail, message):
    """The message names place and class, not the plugin's words; what was entered before is left."""
    plugins = Plugins.load(
        {"processors": [{"kind": "owner"}, {"kind": "owner", "config": {"fail": fail}}]}, catalog
    )

    with pytest.raises(ConfigError, match=message) as caught:
        async with plugins.running(FakeHost(fields={"level": "f0"})):
            raise AssertionError

    assert "s3cret" not in str(caught.value)
    assert sys.modules["acme_one"].EVENTS == ["enter", "leave"]


async def test_plugin_that_fails_to_leave_does_not_keep_others_open(catalog, caplog):
    """A failure at the end is logged by class; everything else is still closed."""
    plugins = Plugins.load(
        {"processors": [{"kind": "owner"}, {"kind": "owner", "config": {"fail": "leave"}}]}, catalog
    )

    async with plugins.running(FakeHost(fields={"level": "f0"})):
        pass

    assert sys.modules["acme_one"].EVENTS == ["enter", "enter", "leave", "leave"]
    assert "did not stop cleanly (OSError)" in caplog.text
    assert "s3cret" not in caplog.text


async def test_field_missing_from_heads_is_refused(catalog):
    """A plugin must not silently never match because its field is on no head."""
    with pytest.raises(ConfigError, match="lack the fields level"):
        async with load(catalog).running(FakeHost()):
            raise AssertionError


@dataclass(frozen=True)
class Inner:
    """A nested value."""

    x: int


@dataclass(frozen=True)
class Outer:
    """A plugin's values."""

    inner: Inner
    names: tuple[str, ...] = ()


def test_schema_of_a_config_refuses_unknown_keys():
    """The JSON Schema says what the start does: unknown keys are errors, at every depth."""
    schema = config_schema(Outer)

    assert schema["required"] == ["inner"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["additionalProperties"] is False
