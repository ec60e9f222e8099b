"""Names of labels: Loki's letters, and only after masking."""

from __future__ import annotations

import pytest
from headrig import Batch, Envelope, Resource

from pipeline.flow.label_names import clean_envelopes, clean_names, label_name


@pytest.mark.parametrize(
    ("name", "clean"),
    [("a_B9", "a_B9"), ("a-b.c d", "a_b_c_d"), ("9a", "_9a"), ("", "_"), ("é", "_"), ("__x", "__x")],
)
def test_label_names(name, clean):
    """Letters, digits and underscores, not beginning with a digit."""
    assert label_name(name) == clean


def test_two_names_that_become_one_are_both_kept():
    """Nothing is lost by the repair of a name."""
    assert clean_names({"bad-name": "1", "bad.name": "2"}) == {"bad_name": "1", "bad_name_": "2"}


def test_names_that_are_right_cost_nothing():
    """An envelope with right names stays the same object, which is what rows are grouped by."""
    right, odd = Envelope({"app": "a"}, {"user_id": "1"}), Envelope({"my app": "a"}, {"user.id": "1"})
    batch = Batch(
        Resource("acme"), [b"1", b"2", b"3"], [None] * 3, [1] * 3, [{}] * 3, [right, odd, None], [0]
    )
    clean_envelopes(batch)
    assert batch.envelopes[0] is right
    assert batch.envelopes[1] == Envelope({"my_app": "a"}, {"user_id": "1"})
    assert batch.envelopes[2] is None
