"""Many patterns in one pass over a buffer, by Vectorscan or, where that is missing, by RE2.

Stages use it, each for itself; it knows none of them.
"""

from processors.scanning.fallback import check
from processors.scanning.patterns import Pattern, PatternError
from processors.scanning.scanner import ENGINES, EngineError, Scanner

__all__ = ["ENGINES", "EngineError", "Pattern", "PatternError", "Scanner", "check"]
