"""Pattern databases: compiled once, kept on disk, shared by processes, and done without where they cannot be."""

import hashlib
import json
import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from headrig import ConfigError

from processors.masking import SPEC
from processors.scanning import Pattern, PatternError, Scanner, fallback

ROOT = Path(__file__).parents[3]
GROUPS = [
    [Pattern(b"tok_[a-z]{4}", 3), Pattern(b"key: ?[0-9]{2,4};", 4, caseless=True)],
    [],
    [Pattern(b"[^0-9]4[0-9]{3}", 5)],
]
BUFFER = b"x tok_abcd KEY: 4234; tok_tok_efgh"
EVENTS = [(10, 3), (20, 5), (21, 4), (34, 3)]
wheel = pytest.mark.skipif(Scanner([], Path()).engine != "vectorscan", reason="needs the package hyperscan")
ENGINES = [pytest.param("vectorscan", marks=wheel), "re2"]


@dataclass
class Lent:
    cache_dir: Path
    config_dir: Path = ROOT / "config"
    key: bytes = b"k" * 32
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test"))
    fields: dict = field(default_factory=dict)


def hsdb(directory):
    return sorted(directory.glob("*.hsdb"))


def scan_anew(directory):
    """What another process finds."""
    return Scanner(GROUPS, directory).scan(BUFFER)


@pytest.mark.parametrize("engine", ENGINES)
def test_events_are_ends_and_tags_in_order(engine, tmp_path):
    """Whatever database they are from; matches that overlap are all found."""
    scanner = Scanner(GROUPS, tmp_path, engine)
    assert scanner.engine == engine
    assert scanner.scan(BUFFER) == EVENTS
    assert scanner.scan(b"") == []


@wheel
def test_a_database_is_compiled_once_and_read_again(tmp_path):
    """A file for each group that has patterns; a second start leaves them as they are."""
    cache = tmp_path / "cache"
    Scanner(GROUPS, cache)
    files = hsdb(cache)
    assert len(files) == 2
    # The first holds the second group's patterns too: it would be found out if the file were not read.
    other = Scanner([[Pattern(b"Q", 9)]], tmp_path / "other")
    assert other.scan(b"Q") == [(1, 9)]
    (foreign,) = hsdb(tmp_path / "other")
    for file in files:
        file.write_bytes(foreign.read_bytes())
    assert Scanner(GROUPS, cache).scan(b"tok_abcd Q") == [(10, 9), (10, 9)]


@wheel
def test_nothing_but_the_patterns_leads_to_another_file(tmp_path):
    """The name is a digest of what is compiled."""
    Scanner(GROUPS, tmp_path)
    before = hsdb(tmp_path)
    Scanner(GROUPS, tmp_path)
    assert hsdb(tmp_path) == before
    Scanner([[Pattern(b"tok_[a-z]{4}", 3), Pattern(b"key: ?[0-9]{2,4};", 4)]], tmp_path)
    assert len(hsdb(tmp_path)) == len(before) + 1


def damage(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def torn(content):
    return content[: len(content) // 2]


def foreign(_content):
    """A digest that holds over what is no database of this machine."""
    other = b"a database of another machine"
    return hashlib.sha256(other).digest() + other


@wheel
@pytest.mark.parametrize("how", [damage, torn, foreign, lambda content: b""])
def test_a_file_that_does_not_hold_is_compiled_anew(how, tmp_path):
    """And replaced, so that the next start is quick again."""
    Scanner(GROUPS, tmp_path)
    right = {file: file.read_bytes() for file in hsdb(tmp_path)}
    for file, content in right.items():
        file.write_bytes(how(content))
    assert Scanner(GROUPS, tmp_path).scan(BUFFER) == EVENTS
    for file, content in right.items():
        data = file.read_bytes()
        assert data[:32] == hashlib.sha256(data[32:]).digest()
        assert len(data) == len(content)


@wheel
@pytest.mark.parametrize("mode", [0o644, 0o620])
def test_a_file_that_others_could_write_or_read_is_not_trusted(mode, tmp_path):
    """It is made anew with mode 0600."""
    Scanner(GROUPS, tmp_path)
    other = Scanner([[Pattern(b"Q", 9)]], tmp_path / "other")
    assert other.engine == "vectorscan"
    (foreign,) = hsdb(tmp_path / "other")
    for file in hsdb(tmp_path):
        file.write_bytes(foreign.read_bytes())
        file.chmod(mode)
    assert Scanner(GROUPS, tmp_path).scan(BUFFER) == EVENTS
    assert {file.stat().st_mode & 0o777 for file in hsdb(tmp_path)} == {0o600}


def test_a_directory_that_cannot_be_written_costs_time_only(tmp_path):
    """What is in its place is a file."""
    place = tmp_path / "cache"
    place.write_text("")
    assert Scanner(GROUPS, place).scan(BUFFER) == EVENTS


@wheel
def test_starts_at_the_same_time_are_safe(tmp_path):
    """Each finds what it should, and what is left is whole."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(scan_anew, [tmp_path / "cache"] * 8)) == [EVENTS] * 8
    files = hsdb(tmp_path / "cache")
    assert len(files) == 2
    assert sorted((tmp_path / "cache").iterdir()) == files
    for file in files:
        data = file.read_bytes()
        assert data[:32] == hashlib.sha256(data[32:]).digest()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_scanner_made_before_a_fork_serves_the_child(engine, tmp_path):
    """Workers share what their supervisor compiled, and each has room of its own."""
    scanner = Scanner(GROUPS, tmp_path, engine)
    assert scanner.scan(BUFFER) == EVENTS
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writable, json.dumps(scanner.scan(BUFFER)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert [tuple(event) for event in json.loads(os.read(readable, 4096))] == EVENTS
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("expression", [b"a(", b"a(?=b)", b"a*"])
def test_a_pattern_that_an_engine_cannot_take_is_named(engine, expression, tmp_path):
    """Among others that it takes."""
    with pytest.raises(PatternError, match=f"^{engine} does not take the pattern: .") as caught:
        Scanner([[Pattern(b"good", 1)], [Pattern(expression, 7)]], tmp_path, engine)
    assert caught.value.tag == 7


TWICE = b"(?P<n>a)(?P<n>b)"
"""RE2 takes two groups of one name where never a group is asked for."""


@wheel
def test_what_vectorscan_alone_cannot_take_is_named_too(tmp_path):
    """Though it is compiled with others."""
    with pytest.raises(PatternError, match="^vectorscan does not take the pattern: Two named") as caught:
        Scanner([[Pattern(b"good", 1), Pattern(TWICE, 7)]], tmp_path, "vectorscan")
    assert caught.value.tag == 7


@wheel
def test_what_stands_in_for_a_pattern_is_used_where_it_is_not_taken(tmp_path):
    """And only there; the next start reads the file."""
    groups = [[Pattern(b"good", 1, instead=b"o"), Pattern(TWICE, 7, instead=b"a")]]
    for _ in range(2):
        assert Scanner(groups, tmp_path, "vectorscan").scan(b"good a ab") == [(4, 1), (6, 7), (8, 7)]
    assert Scanner(groups, tmp_path, "re2").scan(b"good a ab") == [(4, 1), (9, 7)]


def test_more_patterns_than_one_automaton_holds_are_several(tmp_path, monkeypatch):
    """Each small enough by itself."""
    patterns = [Pattern(b"<%d>[a-z]{900}" % number, number) for number in range(1, 61)]
    buffer = b"".join(b"<%d>" % number + b"a" * 900 for number in range(1, 61))
    monkeypatch.setattr(fallback, "_MEMORY", 1 << 18)
    assert len(fallback._trees(patterns)) > 1
    tags = [tag for _, tag in Scanner([patterns], tmp_path, "re2").scan(buffer)]
    assert tags == list(range(1, 61))


def test_an_engine_that_is_unknown_is_an_error(tmp_path):
    """With the names of those that are known."""
    with pytest.raises(ConfigError, match=r"masking\.engine: is one of auto, vectorscan, re2"):
        SPEC.factory({"engine": "hyperscan"}, Lent(tmp_path))


WITHOUT = """
import sys
sys.modules["hyperscan"] = None  # as if there were no wheel
import logging
from pathlib import Path
from types import SimpleNamespace
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from processors.masking import Masker
host = SimpleNamespace(cache_dir=Path(sys.argv[1]), config_dir=Path("config"), key=b"k" * 32, log=logging.getLogger("x"), fields={})
masker = Masker({"engine": sys.argv[2]}, host)
print(masker.engine, masker.mask_text("ghp_" + "x9Qk" * 9))
"""


def run_without(directory, engine):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, str(directory), engine],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_wheel_masking_runs_and_says_so(tmp_path):
    """With the same result; nothing is kept on disk."""
    done = run_without(tmp_path, "auto")
    assert done.stdout.splitlines() == [
        "masking: candidates are found by re2, slower: the package hyperscan is missing",
        "re2 [redacted:github-token]",
    ], done.stderr
    assert list(tmp_path.iterdir()) == []


def test_whoever_asks_for_re2_is_not_warned(tmp_path):
    """It is what they want."""
    assert run_without(tmp_path, "re2").stdout == "re2 [redacted:github-token]\n"


def test_without_the_wheel_vectorscan_cannot_be_asked_for(tmp_path):
    """An error, not another engine."""
    done = run_without(tmp_path, "vectorscan")
    assert done.returncode != 0
    assert "masking.engine: the package hyperscan is not installed, or does not load here" in done.stderr


CHECK = """
import sys
if sys.argv[1] == "without":
    sys.modules["hyperscan"] = None
from pipeline.cli import main
sys.argv[1:] = ["check", "--config", sys.argv[2]]
main()
"""


@pytest.mark.parametrize(
    ("wheel", "engine"),
    [
        pytest.param("with", "vectorscan", marks=wheel),
        ("without", "re2, slower: the package hyperscan is missing"),
    ],
)
def test_check_says_which_engine_finds_candidates(wheel, engine):
    """And the whole program starts without the wheel."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, wheel, "config/headrig.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f" detectors; candidates are found by {engine}\n" in done.stdout
