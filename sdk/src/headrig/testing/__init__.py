"""A kit for plugin authors: fakes, and checks that a plugin keeps its contract.

Needs the standard library only. A check raises `AssertionError` with a sentence that says what to
fix; it is deterministic, so it works under any test runner and fails the same way twice.
"""

from headrig.testing._classifier import check_classifier
from headrig.testing._detector import check_detector
from headrig.testing._fakes import FakeHost, make_batch, make_record
from headrig.testing._processor import check_processor

__all__ = ["FakeHost", "check_classifier", "check_detector", "check_processor", "make_batch", "make_record"]
