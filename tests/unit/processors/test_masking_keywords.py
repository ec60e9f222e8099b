"""Keyword rules: a value is masked beside its keyword, wherever the two stand."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from headrig import ConfigError

from processors.masking import Masker, pack
from processors.masking.selftest import run_tests
from tests.support import keyword_pack

KEY = "b7c1d05e" * 4
PIN = "312645978"
OTHER = "9e0d4c5b" * 4


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return SimpleNamespace(
        cache_dir=tmp_path_factory.mktemp("cache"),
        config_dir=Path(__file__).parents[3] / "config",
        key=b"k" * 32,
        log=logging.getLogger("test"),
        fields={},
    )


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    return ["masking", keyword_pack.write(tmp_path_factory.mktemp("pack"))]


@pytest.fixture(scope="module")
def masker(host, packs):
    return Masker({"packs": packs}, host)


def test_the_tests_of_keyword_rules_and_of_rules_that_are_off_run(host, packs):
    """A pack's tests hold for rules of both kinds."""
    assert run_tests({"packs": packs}, host) == []


@pytest.mark.parametrize(
    "line",
    [
        'widgetron … : "«K»"',
        "<widgetronKey>«K»</widgetronKey>",
        "«K» (widgetron key)",
        "--widgetron-key «K» --verbose",
        "a widgetron=«K»&x=1",
        '{"WIDGETRON_API_TOKEN_X":"«K»"}',
        '{"a":{"x-widgetron-id":"«K»"}}',
        '{"widgetron":["«K»","x",{"y":"«K»"}],"b":"O"}',
        '{"widgetron":{"a":{"b":"«K»"},"id":7},"O":1}',
        '{"widgetronPin":«N»,"n":P}',
        '{"widgetron":[1,«N»]}',
        '{"m":"the widgetron key is «K»","n":"O"}',
        '{"m":"the widgetron key\\tis «K»"}',
        '{"widgetronKey":"say \\"«K»\\""}',
        '{"widgetron\\u004bey":"«K»"}',
        '{"\\u0077idgetron":«N»}',
        '{"m":"{\\"widgetronKey\\":\\"«K»\\"}"}',
        '{"m":"{\\"widgetronPin\\":«N»}"}',
        '{"widgetron":"{\\"k\\":\\"«K»\\"}"}',
        '{"widgetron":"{\\"k\\":«N»}"}',
        '{"h":[{"value":"«K»","name":"X-Widgetron-Key"},{"name":"x","value":"O"}]}',
        '{"h":[{"key":"widgetron","type":1,"value":«N»}]}',
        '{"h":["x-widgetron-key","«K»","x","O"]}',
        '{"h":[["x-widgetron-key","«K»"],["x","O"]]}',
        '["--widgetron","«K»"]',
    ],
)
def test_a_value_beside_its_keyword_is_masked(masker, line):
    """In text, in JSON of every form, and only there."""
    for name, value in (("K", KEY), ("N", PIN)):
        if f"«{name}»" in line:
            break
    quoted = name == "N" and (":«N»" in line or ",«N»" in line)
    mark = "[redacted:widget-key]" if name == "K" else "[redacted:widget-pin]"
    if quoted:
        mark = f'\\"{mark}\\"' if '\\"' in line else f'"{mark}"'
    plain = line.replace("O", OTHER) if '"O' in line or ' "O"' in line else line
    plain = plain.replace(":P}", f":{PIN}}}")
    masked = masker.mask_text(plain.replace(f"«{name}»", value))
    assert masked == plain.replace(f"«{name}»", mark)
    assert masker.mask_text(masked) == masked


@pytest.mark.parametrize(
    "line",
    [
        "widgetron " + "x" * 41 + " " + KEY,
        "widgetron\n" + KEY,
        f'{{"widgetron":1,"b":"{KEY}"}}',
        f'{{"a":"widgetron","b":"{KEY}"}}',
        f'{{"name":"widgetron","type":"{KEY}"}}',
        f'["widgetron",{{"a":"{KEY}"}}]',
        f'{{"widgetron":"see far down below for the many, many things that are written in this text {KEY}"}}',
        f'{{"widgetronPin":{PIN}.5}}',
        f"widgetron {KEY}0",
        f"[redacted:widget-key] {KEY}",
        f"widgetron [redacted:email] {KEY}",
    ],
)
def test_a_value_elsewhere_stays(masker, line):
    """Too far, on another line, in another field, with something stuck to it, or beside a placeholder."""
    assert masker.mask_text(line) == line


def test_a_more_specific_rule_goes_first(masker):
    """What a shape of its own tells is not told by a keyword; what a field's name tells is."""
    assert masker.mask_text(f"widgetron sk_live_{PIN}") != f"widgetron sk_live_{PIN}"
    assert masker.explain(f"widgetron ghp_{KEY}aaaa".encode()) == [("github-token", "vcs", 1)]
    assert masker.explain(f"widgetron_password={KEY}".encode()) == [("widget-key", "saas", 1)]
    assert masker.explain(f'{{"widgetron_secret":"{KEY}"}}'.encode()) == [("widget-key", "saas", 1)]
    assert masker.explain(f'{{"widgetron_secret":{PIN}}}'.encode()) == [("widget-pin", "saas", 1)]


def test_rules_of_addresses_are_off_unless_enabled(host, packs):
    """They are named in `enable`, and then found."""
    assert Masker({"packs": packs}, host).mask_text("at z12:7") == "at z12:7"
    enabled = Masker({"packs": packs, "enable": ["zone-address"]}, host)
    assert enabled.mask_text("at z12:7") == "at [redacted:zone-address]"
    with pytest.raises(ConfigError, match=r"masking\.enable.*no detector is named x-y"):
        Masker({"packs": packs, "enable": ["x-y"]}, host)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("keywords: [abcde]", "keywords and value"),
        ("value: a", "keywords and value"),
        ("keywords: [abcde], value: a, pattern: b", "keywords and value"),
        ("keywords: abcde, value: a", "lower snake case"),
        ("keywords: [aBcde], value: a", "lower snake case"),
        ("keywords: [a-b], value: a", "lower snake case"),
        ("keywords: [abcde], value: '(a'", "value does not compile"),
        ("keywords: [abcde], value: a, database: digits", "database main"),
        ("confirm: a", "give pattern"),
    ],
)
def test_a_wrong_keyword_rule_is_refused(tmp_path, entry, message):
    """The message names the file and the rule."""
    path = tmp_path / "p.yaml"
    path.write_text(f"detectors: [{{name: x-y, category: pii, {entry}, positive: [a, b], negative: [c, d]}}]")
    with pytest.raises(ConfigError, match=rf"p\.yaml: x-y.*{message}"):
        pack.load([path])
