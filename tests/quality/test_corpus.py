"""The corpus itself: right check digits, a judge that can find, no knowledge of the engine."""

import ast
import json
from itertools import chain
from pathlib import Path

import pytest

from tests.corpus import catalogue, checksums, harmless, plant
from tests.corpus.judge import survives
from tests.corpus.places import KEPT

HERE = Path(__file__).parents[1] / "corpus"
ALL = (
    plant.plain(3, 1),
    plant.everywhere(3, 1),
    plant.names(3),
    plant.personal_names(3, 1),
    plant.split_keys(3, 5),
)


def test_what_is_planted_can_be_read():
    """The judge finds every secret in the line as it was sent, so that a masker that does nothing has recall 0."""
    for one in chain.from_iterable(ALL):
        text = b"\n".join(one.lines).decode()
        assert one.secrets
        assert all(survives(text, secret) for secret in one.secrets), (one.name, one.place)
        assert KEPT in text
        assert "EXAMPLE" not in text


def test_half_a_secret_is_a_secret():
    """What leaves half of a value to read has not masked it, in whatever encoding."""
    secret = "ghx_" + "aB3dE5gH7jK9" * 3
    for output in (
        secret[:22],
        f"x{secret[-21:]}",
        "".join(f"\\u{ord(char):04x}" for char in secret),
        json.dumps(json.dumps(f'"{secret}"')),
        "%67" + secret[1:],
    ):
        assert survives(output, secret)
    for output in ("[redacted:github-token]", secret[:12], f"[redacted:x]{secret[-6:]}", ""):
        assert not survives(output, secret)
    assert survives("cvv 123,", "123")
    assert not survives("cvv 1234,", "123")


def test_every_recipe_has_a_name_of_its_own():
    """Two recipes of one name would hide each other in the report; the same seed makes the same lines."""
    names = [recipe.name for recipe in catalogue.RECIPES]
    assert len(set(names)) == len(names) > 400
    left_out = set(" ".join(catalogue.LEFT_OUT.values()).split())
    assert not left_out & {name.split("/")[0].split(",")[0] for name in names}
    assert list(plant.plain(5, 1))[:500] == list(plant.plain(5, 1))[:500]
    assert list(harmless.lines(5, 300)) == list(harmless.lines(5, 300))


def test_the_generator_knows_nothing_of_the_engine():
    """Only what measures touches the masker: the corpus cannot be tuned to it by accident."""
    for file in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            if file.stem not in ("measure", "report"):
                assert not [
                    name for name in names if name.split(".")[0] in ("processors", "pipeline", "headrig")
                ]
        assert "config/masking" not in file.read_text() or file.stem == "report"


_PROGRAM = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
_FIVES = [int(f"{int.from_bytes(_PROGRAM):0160b}"[start : start + 5], 2) for start in range(0, 160, 5)]


@pytest.mark.parametrize(
    ("found", "published"),
    [
        (checksums.luhn("7992739871"), "3"),
        (checksums.verhoeff("236"), "3"),
        (checksums.mod11_10("0794"), "5"),
        (checksums.mod11_2("0794"), "0"),
        (checksums.iban("GB", "WEST12345698765432"), "GB82WEST12345698765432"),
        (checksums.mrz_digit("L898902C3"), "6"),
        (checksums.mrz_digit("740812"), "2"),
        (checksums.bech32("bc", [0, *_FIVES]), "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        (
            checksums.base58check(b"\0" + bytes.fromhex("010966776006953d5567439e5e39f86a0d273bee")),
            "16UwLL9Risc3QfPqBUvKofHmBQ7wMtjvM",
        ),
    ],
)
def test_checksums(found, published):
    """Each check digit agrees with the example in its standard or in a publication of its authority."""
    assert found == published
