"""Classification: which records are audit events, and what they say.

Rules are Sigma YAML with an ``audit`` block. Configuration::

    rules: [classification]              # files and directories, relative to the configuration
    logsources:                          # service to Sigma log source, for rules that ask for one
      trail: {product: aws, service: cloudtrail}

Rules for the log source ``category: application`` apply to every record; others only to records
of a service that ``logsources`` says has their log source. When several rules match a record,
the highest ``level`` wins, then the most specific log source, then the lowest id: the verdict is
the same on every worker and in every run.

The keys of a rule and of its tests are described in `processors.classification.pack`, the
``audit`` block in `processors.classification.audit`, what of Sigma is supported, and how, in
`processors.classification.condition`.
"""

from headrig import StageSpec

from processors.classification.selftest import run_selftest
from processors.classification.settings import wanted_fields
from processors.classification.stage import Classifier, make_classifier

SPEC = StageSpec(kind="classify", factory=make_classifier, fields=wanted_fields, selftest=run_selftest)

__all__ = ["SPEC", "Classifier"]
