"""The peers that PyPI has, on the same lines: Kingfisher's SDK, detect-secrets, Presidio.

They live in a venv of their own under ``.cache`` with the versions and hashes of ``anchors.lock`` and never touch the
project's. Each runs in a process of its own, on as many lines as it does in some seconds; without them the
benchmark says so and goes on.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = ("kingfisher", "detect-secrets", "presidio")
_SECONDS = 4.0
_TOGETHER = 100
"""Lines a call: what Kingfisher is fastest with."""


def python(here: Path) -> Path:
    """Return the interpreter of the peers' venv; another lock is another venv."""
    digest = hashlib.sha256((here / "anchors.lock").read_bytes()).hexdigest()[:16]
    return here.parent / ".cache" / f"anchors-{digest}" / "bin" / "python"


def install(here: Path) -> Path:
    """Make the venv of the peers, once."""
    interpreter = python(here)
    venv = interpreter.parents[1]
    if not (venv / ".ready").exists():
        print(f"anchors: installing into {venv.relative_to(here.parent)} (about a minute)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run(
            [
                interpreter,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                here / "anchors.lock",
            ],
            check=True,
        )
        (venv / ".ready").touch()
    return interpreter


def measure(
    here: Path, lines: dict[str, list[bytes]], *, wanted: bool, have: bool = True
) -> dict[str, float]:
    """Print what the peers reach on the same lines; return the bytes per second of the fastest, by share.

    Args:
        here: The directory of the lock.
        lines: Share of lines with a secret to the lines.
        wanted: Install them when they are missing; else they are left out loudly.
        have: Measure them when they are there.
    """
    interpreter = install(here) if wanted else python(here)
    if not (wanted or have) or not interpreter.exists():
        print(
            "\nANCHORS NOT MEASURED: Kingfisher, detect-secrets and Presidio were left out; --anchors installs and measures them"
        )
        return {}
    fastest: dict[str, float] = {}
    for share, rows in lines.items():
        with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
            file.write(b"\n".join(rows))
            file.flush()
            for name in NAMES:
                done = subprocess.run(
                    [interpreter, __file__, name, file.name], stdout=subprocess.PIPE, text=True, check=False
                )
                if done.returncode != 0:
                    print(f"  {share:5} {name:14} FAILED with {done.returncode}")
                    continue
                found = json.loads(done.stdout.splitlines()[-1])
                fastest[share] = max(fastest.get(share, 0.0), found["bytes"] / found["seconds"])
                print(
                    f"  {share:5} {name:14} {found['bytes'] / found['seconds'] / 1e6:8.2f} MB/s {found['lines'] / found['seconds']:12,.0f} lines/s"
                    f"   {found['findings']:,} findings in {found['lines']:,} lines, {found['load']:.1f} s to load"
                )
    return fastest


def _kingfisher() -> Callable[[list[str]], int]:
    from kingfisher_sdk import Scanner

    scanner = Scanner()

    def scan(rows: list[str]) -> int:
        scanner.reset_dedup()
        return sum(finding.visible for finding in scanner.scan("\n".join(rows)))

    return scan


def _detect_secrets() -> Callable[[list[str]], int]:
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    def scan(rows: list[str]) -> int:
        with default_settings():
            return sum(1 for row in rows for _ in scan_line(row))

    return scan


def _presidio() -> Callable[[list[str]], int]:
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # It would fetch the list of public suffixes for every address; the one it carries will do.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    with tempfile.TemporaryDirectory() as directory:
        # Its pattern recognizers alone, without a trained pipeline: the most favourable to its speed.
        spacy.blank("en").to_disk(directory)
        provider = NlpEngineProvider(
            nlp_configuration={
                "nlp_engine_name": "spacy",
                "models": [{"lang_code": "en", "model_name": directory}],
            }
        )
        engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    return lambda rows: sum(len(engine.analyze(row, language="en", score_threshold=0.3)) for row in rows)


def _groups(rows: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]


def _run(name: str, file: str) -> None:
    rows = Path(file).read_text().split("\n")
    start = time.process_time()
    scan = {"kingfisher": _kingfisher, "detect-secrets": _detect_secrets, "presidio": _presidio}[name]()
    load = time.process_time() - start
    scan(rows[:20])
    lines = findings = size = 0
    start = time.process_time()
    for group in _groups(rows):
        findings += scan(group)
        lines += len(group)
        size += sum(len(row.encode()) + 1 for row in group)
        if time.process_time() - start > _SECONDS:
            break
    seconds = time.process_time() - start
    print(json.dumps({"lines": lines, "bytes": size, "seconds": seconds, "findings": findings, "load": load}))


if __name__ == "__main__":
    _run(*sys.argv[1:])
