"""Commands that see unmasked lines say nothing of them: ``mask``, ``explain`` and ``check``."""

from __future__ import annotations

import os
import subprocess
import sys

import yaml
from canary import CARD, MAIL, PASSWORD, Search, report
from canary_program import PROGRAM, VARIABLE, WORD
from canary_traffic import key, records, texts
from running import ROOT

MOST_SECONDS = 60


def run(
    tmp_path,
    *arguments: str,
    data: bytes = b"",
    config: dict | str | None = None,
    program: tuple[str, ...] = ("-m", "pipeline"),
    **env: str,
):
    """Run a command with its temporary files in ``tmp_path``; return exit code, output and errors."""
    options: list[str] = []
    if config is not None:
        file = tmp_path / "headrig.yaml"
        file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        options = ["--config", str(file)]
    done = subprocess.run(
        [sys.executable, *program, *arguments, *options],
        input=data,
        capture_output=True,
        cwd=ROOT,
        timeout=MOST_SECONDS,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUTF8": "1", **env},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def assert_silent(*texts_: bytes) -> None:
    """No secret in any of these."""
    findings = list(Search().in_texts("output", texts_))
    assert not findings, report(findings)


def test_mask_lets_no_secret_through(tmp_path):
    """Good lines are masked, lines that cannot be scanned are withheld, and no file is left behind."""
    lines = [text.replace("\n", " ").encode() for text in (*records().values(), *texts().values())]
    bad = [
        b'{"m":"\xff' + key().encode(),
        b"[" * 100 + key().encode(),
        b'{"a":' * 90 + f'"{key()}"'.encode() + b"}" * 90,
    ]
    code, out, err = run(tmp_path, "mask", data=b"\n".join([*lines, *bad]) + b"\n")
    assert code == 0
    assert len(out.splitlines()) == len(lines) + len(bad)
    assert out.count(b"not scanned") == 3
    assert b"3 lines" in err
    assert_silent(out, err)
    assert not list(tmp_path.iterdir())


def test_mask_of_json_strings_withholds_what_is_none(tmp_path):
    """A line that is no JSON string is withheld and not quoted."""
    data = f'"{key()}"\n{key()}\n{{"a":"{key()}"}}\n"\\ud800{key()}"\n'.encode()
    code, out, err = run(tmp_path, "mask", "--json-strings", data=data)
    assert (code, out.count(b"not scanned")) == (0, 3)
    assert_silent(out, err)


def test_explain_shows_stages_without_secrets(tmp_path):
    """What each stage did is shown on the masked line; a line that fails is not shown."""
    deep = "x" + '{"a":' * 90 + f'"\\u0041{key()}"' + "}" * 90
    lines = [*records().values(), deep[1:], f"\udcff text {MAIL} {CARD} password={PASSWORD}"]
    code, out, err = run(tmp_path, "explain", data="\n".join(lines).encode("utf-8", "surrogateescape"))
    assert code == 0, err
    assert b"[redacted:" in out
    assert_silent(out, err)


def test_a_crash_names_its_class_only(tmp_path):
    """An error that nobody foresaw: exit code 70, its class and place, no traceback, no content."""
    line = f"{WORD.decode()} {key()} {PASSWORD}".encode()
    fault = {VARIABLE: "stage-raises"}
    code, out, err = run(tmp_path, "explain", data=line, program=tuple(PROGRAM), **fault)
    assert (code, out) == (70, b"")
    assert err.startswith(b"headrig: internal error (ValueError at canary_program.py:")
    assert b"Traceback" not in err
    assert_silent(err)


def test_check_quotes_no_value_of_the_configuration(tmp_path):
    """Wrong values are named by their place: they may be secrets that were put in a wrong place."""
    secret = key()
    wrong = [
        {"tokens": [{"token": secret}]},
        {"tokens": [{"token": "env:CANARY", "tenant": f"a/{secret}"}]},
        {"sinks": {"loki": {"url": f"ftp://x:{PASSWORD}@{secret}"}}},
        {"sinks": {"loki": {"url": "http://x", "password": PASSWORD}}},
        {"limits": {"body": secret, "depth": secret}, "drain": secret, "workers": secret},
        {"masking": {"packs": [7]}, "log_level": secret},
        f"tokens: *{secret}\n",
        f"tokens: !{secret} x\n",
        f"- {secret}: [\n",
        f"just {secret}\n",
    ]
    for config in wrong:
        code, out, err = run(tmp_path, "check", config=config, CANARY=secret)
        assert (code, out) == (64, b""), (config, err)
        assert err.startswith(b"headrig: ")
        (tmp_path / "headrig.yaml").unlink()
        assert_silent(err)
    code, _, err = run(tmp_path, "check", config={}, HEADRIG__SINKS__LOKI__PASSWORD=f"{{{secret}: [")
    assert code == 64
    assert b"HEADRIG__SINKS__LOKI__PASSWORD" in err
    assert_silent(err)
