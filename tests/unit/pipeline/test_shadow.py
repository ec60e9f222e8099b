"""A candidate policy beside the one in force."""

from collections import Counter

import pytest
from headrig import ConfigError, Resource
from headrig._raw import RawBatch

from pipeline.app.paths import Paths
from pipeline.app.wiring import Blueprint
from pipeline.cli.options import settings_from
from pipeline.flow.shadow import Shadow, difference


class Counts:
    """Keeps what was reported."""

    def __init__(self):
        self.records = Counter()
        self.changes = {}

    def compared(self, same, differ, failed):
        self.records.update(same=same, differ=differ, failed=failed)

    def differs(self, detector, more, fewer):
        self.changes[detector] = more - fewer


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory):
    paths = Paths(tmp_path_factory.mktemp("data"))
    paths.make()
    settings = settings_from(None, packs=True)
    return Blueprint(
        settings.model_copy(update={"masking": {"shadow": {"disable": ["jwt", "email"]}}}), paths
    )


def raw(*lines):
    return RawBatch(Resource("t"), list(lines), b"\n".join(lines), [None] * len(lines), [0] * len(lines))


DEEP = b'{"a":' * 80 + b'"bob@example.org"' + b"}" * 80


def test_the_policy_in_force_decides(blueprint):
    """The batch is that of the policy in force, also where only the candidate fails or differs."""
    counts = Counts()
    batch = Shadow(blueprint.made["mask"], blueprint.shadow[0], counts).mask(
        raw(b"to bob@example.org", b"x", DEEP)
    )
    assert batch.lines == [b"to [redacted:email]", b"x"]
    assert counts.records == {"same": 1, "differ": 1, "failed": 1}
    assert counts.changes == {"email": -1}


def test_a_share_of_the_batches_is_compared(blueprint):
    """A quarter of them, evenly."""
    counts = Counts()
    shadow = Shadow(blueprint.made["mask"], blueprint.shadow[0], counts, 0.25)
    for _ in range(100):
        shadow.mask(raw(b"x"))
    assert counts.records["same"] == 25


def test_a_candidate_that_fails_is_counted_alone(blueprint, caplog):
    """Its error reaches nobody, and its records are told as failed."""

    class Broken:
        def mask(self, _raw):
            raise ValueError("bob@example.org")

    counts = Counts()
    batch = Shadow(blueprint.made["mask"], Broken(), counts).mask(raw(b"a", b"b"))
    assert batch.lines == [b"a", b"b"]
    assert counts.records["failed"] == 2
    assert "bob" not in caplog.messages[0]


def test_differences_are_signed():
    """More is positive, fewer negative, equal is left out."""
    assert difference({"a": 1, "b": 2, "d": 4}, {"b": 5, "c": 3, "d": 4}) == {"a": -1, "b": 3, "c": 3}


def test_a_wrong_candidate_is_refused_with_its_place(tmp_path):
    """The error names where the candidate stands, not the policy in force."""
    paths = Paths(tmp_path)
    paths.make()
    for shadow, words in (
        ({"disable": ["no-such"]}, "masking.shadow: masking.disable: no detector is named no-such"),
        ({"share": 2}, "masking.shadow.share: a share is above 0 and at most 1"),
        ("new.yaml", "masking.shadow: write what is different"),
    ):
        settings = settings_from(None, packs=True).model_copy(update={"masking": {"shadow": shadow}})
        with pytest.raises(ConfigError) as caught:
            Blueprint(settings, paths)
        assert str(caught.value).startswith(words)


def test_a_candidate_that_would_drop_differs(tmp_path):
    """The line would be the same; that it would not be stored is the difference."""
    (tmp_path / "new.yaml").write_text("{version: 2, actions: {email: drop}}")
    paths = Paths(tmp_path / "data")
    paths.make()
    settings = settings_from(None, packs=True)
    section = {"shadow": {"policy": str(tmp_path / "new.yaml")}}
    made = Blueprint(settings.model_copy(update={"masking": section}), paths)
    counts = Counts()
    batch = Shadow(made.made["mask"], made.shadow[0], counts).mask(raw(b"to bob@example.org", b"x"))
    assert counts.records == {"same": 1, "differ": 1, "failed": 0}
    assert not batch.leaving
