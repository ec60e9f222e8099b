"""Which patterns are scanned together: one database for each kind, since automata drag each other along.

* ``main``: what holds a literal: secrets, personal data, field names, keywords.
* ``digits``: runs of digits, which have none.
* ``base58``: runs of letters and digits behind a boundary, which have none either.
* ``addresses``: the same; empty unless the configuration enables them.
* ``foreign``: rules of files that are not ours, with or without literals.

Measured on JSON application logs, microseconds for 330 bytes and one core. What holds a literal is cheapest
together: 982 expressions of 648 detectors 0.54, as two databases (in five ways) 0.66 to 0.68, as three 0.81;
61 detectors take 0.40. What holds none costs the more the more its automata differ: 12 kinds of digit runs
0.47 and three of base58 0.30 apart, 0.75 in two databases, 0.95 in one; the 61 with one kind of digits 0.46 in
two, 1.42 in one. A run that may begin anywhere costs twice one behind a boundary. The 216 of gitleaks' own
file, two of which begin with such runs: within main 1.06, apart 0.96.

Compiling 648 takes 1.0 s and 1.1 MB, 61 of them 0.2 s and 0.35 MB; reading from the cache 10 ms.
"""

from __future__ import annotations

from processors.scanning import ENGINES, EngineError, Pattern, PatternError, Scanner

__all__ = ["ENGINES", "FOREIGN", "KINDS", "OWN", "EngineError", "Pattern", "PatternError", "Scanner"]

FOREIGN = "foreign"
OWN = ("main", "digits", "base58", "addresses")
"""What a rule of a pack may name."""
KINDS = (*OWN, FOREIGN)
