"""Which patterns are scanned together: one database for each kind, since automata drag each other along.

* ``main``: what holds a literal: secrets, personal data, field names, keywords.
* ``digits``: runs of digits, which have none.
* ``addresses``: none either; empty unless a policy masks them.
* ``foreign``: rules of files that are not ours, with or without literals.

Measured on JSON application logs, microseconds for 330 bytes and one core: 61 patterns as main and digits
0.46, as one 1.42, with field names and personal data apart from secrets 0.53. 275 patterns, those that came
to it with a literal each: 0.48 and 0.58; so a pass costs more than a hundred patterns that hold a literal.
The 216 of gitleaks' own file, two of which begin with a run of digits: within main 1.06, apart 0.96.
Compiling takes 0.2 s for 61 (345 KB) and 0.6 s for 275 (1.1 MB); reading from the cache 10 ms.
"""

from __future__ import annotations

from processors.scanning import ENGINES, EngineError, Pattern, PatternError, Scanner

__all__ = ["ENGINES", "FOREIGN", "KINDS", "EngineError", "Pattern", "PatternError", "Scanner"]

FOREIGN = "foreign"
KINDS = ("main", "digits", "addresses", FOREIGN)
