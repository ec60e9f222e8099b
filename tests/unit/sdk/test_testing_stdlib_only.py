"""The kit runs where nothing but the standard library is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import headrig


def test_kit_imports_nothing_but_the_standard_library():
    """An isolated interpreter without site-packages imports and uses the kit."""
    source = Path(headrig.__file__).parent.parent
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); from headrig.testing import make_record, check_processor; "
        "print(make_record('paid').body['message'])"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "paid\n"
