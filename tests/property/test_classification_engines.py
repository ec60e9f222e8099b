"""Both engines find the same rows for the rules that we ship."""

import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.samples import Sampler
from processors.classification import SPEC
from processors.classification.prefilter import Prefilter

pytest.importorskip("hyperscan")

CACHE = Path(tempfile.mkdtemp(prefix="headrig-classification-"))
HOST = SimpleNamespace(
    cache_dir=CACHE,
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)
WITNESSES = [
    rule.witness.expressions if rule.witness else frozenset()
    for rule in SPEC.factory({"rules": ["classification"]}, HOST).rules
]
FAST, SLOW = (Prefilter(WITNESSES, CACHE, engine) for engine in ("vectorscan", "re2"))
AUDIT = [line for line in Sampler(5, audits=0.5).lines(400, 10**18)]


def rows(prefilter, lines):
    return prefilter.rows(prefilter.scan(b"\n".join(lines)), lines)


def test_sample_traffic_leads_to_the_same_rows():
    """And some of it leads to rows at all."""
    found = rows(FAST, AUDIT)
    assert len(found) > 100
    assert rows(SLOW, AUDIT) == found


pieces = st.sampled_from(sorted(frozenset().union(*WITNESSES))).map(lambda text: text.replace("\\", ""))
cuts = st.tuples(st.sampled_from(AUDIT), st.integers(0, 200), st.integers(0, 150)).map(
    lambda parts: parts[0][parts[1] : parts[1] + parts[2]].decode("utf-8", "replace")
)
texts = st.lists(
    pieces | cuts | st.sampled_from(["\n", '"', "K", "\u212a", "\u017f", "é", "É"]), max_size=6
).map("".join)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        texts.map(str.encode) | texts.map(lambda text: orjson.dumps({"event": text})), min_size=1, max_size=6
    )
)
def test_made_lines_lead_to_the_same_rows(lines):
    """Whatever stands between what rules look for."""
    lines = [line.replace(b"\n", b" ") for line in lines]
    assert rows(FAST, lines) == rows(SLOW, lines)
