"""Build both wheels without isolation and check their top levels."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EXPECTED = {".": {"pipeline", "processors"}, "./sdk": {"headrig"}}

for project, expected in EXPECTED.items():
    with tempfile.TemporaryDirectory() as directory:
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            directory,
            project,
        ]
        subprocess.run(command, check=True)
        wheel = next(Path(directory).glob("*.whl"))
        names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
        found = {name for name in names if not name.endswith(".dist-info")}
        print(f"{wheel.name}: {', '.join(sorted(found))}")
        if found != expected:
            sys.exit(f"expected exactly {', '.join(sorted(expected))}")
