"""What the application accepts from a plugin; `headrig.testing` checks the same bounds."""

KIND = r"[a-z][a-z0-9_]{0,40}"
"""Pattern of a plugin's kind."""

LABEL_CHARACTERS = 64
"""Longest label of a span."""

DROP_REASON = r"[a-z0-9][a-z0-9_.-]{0,47}"
"""Pattern of the reason of a `Drop`, which is a metric label."""
DROP_REASONS = 32
"""Different reasons of one processor."""

LINE_BYTES = 256 << 10
"""Longest line a processor may make, unless the operator sets ``limits.line``."""
ATTRIBUTES = 100
ATTRIBUTE_BYTES = 48 << 10
"""Attributes of one record, names and values in UTF-8. Loki takes 128 and 64 KB, of which labels and marks that
join them need a part."""

RULE_CHARACTERS = 200
"""Longest rule of a `Classification`."""
OUTCOMES = ("success", "failure", "unknown")
