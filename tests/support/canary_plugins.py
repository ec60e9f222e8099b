"""An installed distribution whose plugins do their worst with what they see."""

from __future__ import annotations

import textwrap
from pathlib import Path

_CODE = '''
import asyncio
import logging
import os
import signal
import threading
import warnings
from dataclasses import dataclass

from headrig import Classification, ClassifierSpec, DetectorSpec, Drop, ProcessorSpec, Span


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """No values."""


def wanted(_resource, fields):
    return "canary_do" in fields


class Worst:
    def __init__(self, _config, host):
        self._log = host.log

    def process(self, record):
        # The secret comes reversed, so that masking cannot know it before the plugin turns it round.
        secret = record.body.get("hidden", "")[::-1]
        return getattr(self, "do_" + record.body["canary_do"])(record, secret) or record

    def do_raise(self, record, secret):
        raise ValueError(f"cannot handle {secret} in {record.body}")

    def do_class(self, record, secret):
        raise type(secret, (Exception,), {})(secret)

    def do_attribute(self, record, secret):
        record.attributes["note"] = "the key is " + secret
        record.attributes[secret] = "as a name"

    def do_body(self, record, secret):
        record.body["note"] = ["the key is " + secret]
        record.body[secret] = {"password": record.body["other"][::-1]}

    def do_escape(self, record, secret):
        record.body["note"] = "".join("\\\\u%04x" % ord(character) for character in secret)

    def do_overrun(self, record, secret):
        while True:
            pass

    def do_log(self, record, secret):
        logging.getLogger("acme").warning("bad record %s", secret)
        self._log.warning("%d", secret)
        warnings.warn(secret, stacklevel=1)

    def do_thread(self, record, secret):
        def fail():
            raise ValueError(secret)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    def do_task(self, record, secret):
        async def fail():
            raise ValueError(secret)
        asyncio.get_running_loop().create_task(fail())

    def do_drop(self, record, secret):
        raise Drop(secret)

    def do_crash(self, record, secret):
        os.kill(os.getpid(), signal.SIGSEGV)


class Judge:
    def __init__(self, _config, _host):
        pass

    def classify(self, record):
        secret = record.body.get("hidden", "")[::-1]
        if record.body["canary_judge"] == "raise":
            raise ValueError(secret)
        return Classification(
            rule="acme.judged", class_uid=6003, activity_id=1, actor=secret, target="x " + secret,
            action="judge", outcome="success", ocsf={secret: {"password": record.body["other"][::-1]}},
        )


class Spot:
    def __init__(self, _config, _host):
        pass

    def find(self, text):
        if "explode" in text:
            raise ValueError(text)
        at = text.lower().find("canary-spot")
        return [Span(at, at + 11, text[-20:])] if at >= 0 else []


DO = ProcessorSpec(kind="canary_do", config=Nothing, factory=Worst, reads=("canary_do",), when=wanted,
                   writes=("body.*", "attributes.*"))
JUDGE = ClassifierSpec(kind="canary_judge", config=Nothing, factory=Judge, reads=("canary_judge",),
                       when=lambda _resource, fields: "canary_judge" in fields)
SPOT = DetectorSpec(kind="canary_spot", config=Nothing, factory=Spot, literals=("canary-spot",))
'''  # noqa: RUF027 - the braces are the plugins' own

SECTION = {
    "processors": [{"kind": "canary_do", "deadline_ms": 20}],
    "classifiers": [{"kind": "canary_judge"}],
    "detectors": [{"kind": "canary_spot"}],
}
"""Section ``plugins`` that switches them all on."""


def install(directory: Path) -> Path:
    """Install the distribution into a directory, which then goes on PYTHONPATH."""
    about = directory / "acme_canary-1.dist-info"
    about.mkdir(parents=True)
    (directory / "acme_canary.py").write_text(_CODE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-canary\nVersion: 1\n")
    (about / "RECORD").write_text("acme_canary.py,,\n")
    (about / "entry_points.txt").write_text(
        textwrap.dedent("""\
            [headrig.processors]
            canary_do = acme_canary:DO
            [headrig.classifiers]
            canary_judge = acme_canary:JUDGE
            [headrig.detectors]
            canary_spot = acme_canary:SPOT
            """)
    )
    return directory
