"""What the container image relies on, tried without one: its health check, its packages, its working directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import ROOT, Headrig, cli

from pipeline.cli.options import find_config

IMAGE = (ROOT / "Dockerfile").read_text()


def health_check(data: Path) -> int:
    """Run the image's health check on a data directory; return its exit code."""
    command = json.loads(re.search(r"HEALTHCHECK [^\[]*(\[.*\])", IMAGE)[1])
    done = subprocess.run(
        [sys.executable, *command[1:]],
        env={**os.environ, "HEADRIG__DATA": str(data), "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        check=False,
        timeout=30,
    )
    return done.returncode


def test_the_health_check_asks_the_address_that_is_listened_on(programs: Callable[..., Headrig]) -> None:
    """Whatever address and port are configured; a proxy of the environment is not asked."""
    headrig = programs(workers=1).start()
    assert health_check(headrig.data) == 0
    assert headrig.stop() == 0
    assert health_check(headrig.data) != 0


RUN = """
import importlib, pkgutil, sys
from importlib.metadata import packages_distributions

away = {line.strip() for line in sys.stdin}
gone = {name for name, owners in packages_distributions().items() if {o.lower() for o in owners} <= away}
gone -= {"pipeline", "processors", "headrig"}

class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in gone:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Away())
import headrig, pipeline, processors
for package in (pipeline, processors, headrig):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name != "pipeline.__main__":
            importlib.import_module(module.name)
sys.argv[1:] = ["test"]
from pipeline.cli import main
main()
"""


def test_everything_runs_without_the_packages_that_the_image_leaves_out() -> None:
    """Every module is imported and every rule tried with what only tests and builds use out of reach."""
    listed = subprocess.run(
        [sys.executable, ROOT / ".ci/unneeded.py"], capture_output=True, text=True, check=True
    ).stdout
    assert {"pytest", "mypy", "hatchling", "pluggy", "iniconfig"} <= set(listed.split())
    assert not {"headrig", "headrig-sdk", "pip", "fastapi", "orjson"} & set(listed.split())
    assert "uninstall --yes -r" in IMAGE

    needed = "\n".join(set(listed.split()) - {"headrig-owner"} - _declared())
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=needed, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "all tests of the rule packs pass" in done.stdout


def _declared() -> set[str]:
    """What pyproject.toml requires now; an editable installation may still say what it required before."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in project["dependencies"]}


def test_the_configuration_of_the_machine_is_found(tmp_path: Path) -> None:
    """The one in the working directory comes first; nothing is found where there is none."""
    here, machine = tmp_path / "config/headrig.yaml", tmp_path / "etc/headrig.yaml"
    assert find_config([here, machine]) is None
    for path in (machine, here):
        path.parent.mkdir()
        path.touch()
        assert find_config([here, machine]) == path


@pytest.mark.parametrize("command", ["check", "mask", "demo", "serve"])
def test_without_any_configuration_a_command_says_what_to_do(tmp_path: Path, command: str) -> None:
    """An installed headrig brings no rule packs: in an empty directory it names where they are looked for."""
    if Path("/etc/headrig/headrig.yaml").exists():
        pytest.skip("this machine has a configuration")
    env = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    done = cli(command, cwd=tmp_path, env=env, stdin=b"")
    said = done.stderr.decode()

    assert done.returncode == 64
    assert "config/headrig.yaml" in said
    assert "/etc/headrig/headrig.yaml" in said
    assert "--config" in said
    assert list(tmp_path.iterdir()) == []
