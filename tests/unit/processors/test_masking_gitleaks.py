"""Rules of a gitleaks file work as they are, in log lines too."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from headrig import ConfigError

from processors.masking import SPEC, gitleaks, gitleaks_file
from processors.masking.gitleaks import prefilter, widened

FILE = r"""
title = "rules of a company"
minVersion = "v8.20.0"

[[allowlists]]
description = "samples"
stopwords = ["SAMPLEWORD"]
regexes = ['''^none0+$''']
paths = ['''\.lock$''']

[[allowlists]]
targetRules = ["acme-token", "acme_group"]
regexes = ['''e{12}''']

[[rules]]
id = "acme-token"
description = "A token"
regex = '''\b(acme_(?i)[a-z0-9]{16,20})(?:[\x60'"\s;]|\\[nr]|$)'''
entropy = 2.5
keywords = ["ACME_"]
tags = ["a"]

[[rules]]
id = "widget-key"
regex = '''(?i)[\w.-]{0,50}?(?:widget)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-f0-9]{24})(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["widget"]

[[rules]]
id = "acme_group"
regex = '''grp(-[0-9]+)?-([a-z]{12})'''
secretGroup = 2

[[rules]]
id = "first.of"
regex = '''fst:(?:a([0-9]{6})|b([0-9]{8})|c[0-9]{10})'''

[[rules]]
id = "Bare Hex"
regex = '''\b[a-f0-9]{32}\b'''
keywords = ["gizmo", "gadget"]

[[rules]]
id = "no-group"
regex = '''"gadget(?:Key)?" ?: ?"[^"]{12}"|ngr_[0-9]{12}(?:["\s]|$)'''

[[rules]]
id = "open-end"
regex = '''oe_[a-z]{4,}={0,2}'''

[[rules]]
id = "block"
regex = '''(?i)-----BEGIN ACME[\s\S-]{10,}?END ACME-----'''

[[rules]]
id = "any-of"
regex = '''any_[a-z0-9]{8}'''
path = '''\.env$'''
  [rules.allowlist]
  regexTarget = "line"
  regexes = ['''harmless''']
  stopwords = ["test"]

[[rules]]
id = "all-of"
regex = '''all_([a-z0-9]{8})'''
  [[rules.allowlists]]
  condition = "AND"
  regexTarget = "match"
  regexes = ['''^all_0''']
  stopwords = ["test"]
  [[rules.allowlists]]
  condition = "AND"
  paths = ['''x''']
  regexes = ['''.''']

[[rules]]
id = "path-only"
path = '''\.p12$'''

[[rules]]
id = "part"
regex = '''part_[0-9]{8}'''
skipReport = true

[[rules]]
id = "whole"
regex = '''whole_[0-9]{8}'''
  [[rules.required]]
  id = "part"
  withinLines = 3
"""


@dataclass
class Lent:
    cache_dir: Path
    config_dir: Path
    key: bytes = b"k" * 32
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test"))
    fields: dict = field(default_factory=dict)


@pytest.fixture(scope="module", params=["vectorscan", "re2"])
def stage(request, tmp_path_factory):
    if request.param == "vectorscan":
        pytest.importorskip("hyperscan")
    directory = tmp_path_factory.mktemp("gitleaks")
    (directory / "acme.toml").write_text(FILE)
    return SPEC.factory(
        {"packs": ["acme.toml"], "engine": request.param}, Lent(directory / "cache", directory)
    )


TOKEN = "acme_k3J9x0Q2m7Zp4TvB"
HEX = "0123456789abcdef01234567"
MASKED = "[redacted:gitleaks-acme-token]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a {TOKEN} b", f"a {MASKED} b"),
        (f'key="{TOKEN}"', f'key="{MASKED}"'),
        (f"{TOKEN}", f"{MASKED}"),
        (f"{TOKEN}\n{TOKEN}", f"{MASKED}\n{MASKED}"),
        *((f"a {TOKEN}{end}b", f"a {MASKED}{end}b") for end in ",&|<>(){}[]\\:@#?!;`'\""),
        (f"It is {TOKEN}.", f"It is {MASKED}."),
        (f"It is {TOKEN}. No", f"It is {MASKED}. No"),
        (f"{TOKEN}.b", f"{TOKEN}.b"),
        (f"{TOKEN}/b", f"{TOKEN}/b"),
        (f"x{TOKEN}", f"x{TOKEN}"),
        (f"{TOKEN} # gitleaks:allow", f"{MASKED} # gitleaks:allow"),
        ("acme_" + "a" * 16, "acme_" + "a" * 16),  # too little entropy
        ("acme_k3J9sampleword4TvB", "acme_k3J9sampleword4TvB"),  # allowed everywhere
        (f"/a?t={TOKEN}&u=1", f"/a?t={MASKED}&u=1"),
        (f"t%3D{TOKEN}%26u", f"t%3D{MASKED}%26u"),
        (f"widget_key={HEX}", "widget_key=[redacted:gitleaks-widget-key]"),
        (f"WIDGET: '{HEX.upper()}', x", "WIDGET: '[redacted:gitleaks-widget-key]', x"),
        (f"gidget_key={HEX}", f"gidget_key={HEX}"),
        ("grp-12-abcdefghijkl", "grp-12-[redacted:gitleaks-acme-group]"),
        ("grp-eeeeeeeeeeee", "grp-eeeeeeeeeeee"),  # allowed for this rule
        ("fst:a123456 fst:b12345678", "fst:a[redacted:gitleaks-first-of] fst:b[redacted:gitleaks-first-of]"),
        ("fst:c1234567890", "[redacted:gitleaks-first-of]"),  # no group took part
        (f"gadget {HEX}01234567", "gadget [redacted:gitleaks-bare-hex]"),
        (f"{HEX}01234567 of a Gizmo", "[redacted:gitleaks-bare-hex] of a Gizmo"),
        (f"commit {HEX}01234567", f"commit {HEX}01234567"),  # no keyword
        ("oe_abcdefgh== oe_ijkl", "[redacted:gitleaks-open-end] [redacted:gitleaks-open-end]"),
        ("-----BEGIN ACME\nabcdef\nghijkl\nEND ACME----- x", "[redacted:gitleaks-block] x"),
        ("any_01234567 x", "[redacted:gitleaks-any-of] x"),
        ("any_01234567 harmless", "any_01234567 harmless"),
        ("any_01234567 harmless\nany_01234567", "any_01234567 harmless\n[redacted:gitleaks-any-of]"),
        ("any_01test67", "any_01test67"),
        ("all_0test123", "all_0test123"),  # both checks hold
        ("all_1test123 all_01234567", "all_[redacted:gitleaks-all-of] all_[redacted:gitleaks-all-of]"),
        ("part_12345678 whole_12345678", "part_12345678 [redacted:gitleaks-whole]"),
    ],
)
def test_text(stage, text, expected):
    """As a line, and as a JSON string where it stays one."""
    assert stage.mask_text(text) == expected
    line = orjson.dumps({"m": text, "n": 1})
    assert orjson.loads(stage.mask_line(line)) == {"m": expected, "n": 1}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'{{"widget_key":"{HEX}","a":1}}', '{"widget_key":"[redacted:gitleaks-widget-key]","a":1}'),
        ('{"widgetId":' + "1" * 24 + ',"a":1}', '{"widgetId":"[redacted:gitleaks-widget-key]","a":1}'),
        ('{"widgetId": ' + "1" * 24 + " }", '{"widgetId": "[redacted:gitleaks-widget-key]" }'),
        ('{"gadgetKey":"abcdefghijkl","b":"c"}', '{"gadgetKey":"[redacted:gitleaks-no-group]","b":"c"}'),
        ('{"a":"ngr_123456789012","b":"c"}', '{"a":"[redacted:gitleaks-no-group]","b":"c"}'),
        ('{"ngr_123456789012":"c"}', '{"[redacted:gitleaks-no-group]":"c"}'),
        (f'{{"a":["{TOKEN}","{TOKEN}"]}}', f'{{"a":["{MASKED}","{MASKED}"]}}'),
        (f'{{"{TOKEN}":["a"]}}', f'{{"{MASKED}":["a"]}}'),
        (
            orjson.dumps({"m": orjson.dumps({"widget_key": HEX, "t": TOKEN}).decode()}).decode(),
            orjson.dumps(
                {"m": orjson.dumps({"widget_key": "[redacted:gitleaks-widget-key]", "t": MASKED}).decode()}
            ).decode(),
        ),
    ],
)
def test_json(stage, line, expected):
    """A key before the value counts as it does on the raw line."""
    assert stage.mask_line(line.encode()).decode() == expected
    assert stage.mask_line(expected.encode()).decode() == expected


def test_what_is_left_out_is_said(stage):
    """File, rule and reason."""
    assert stage.pack.notes == (
        "acme.toml: allowlists: paths and commits of an allow-list never hold in logs",
        "acme.toml: any-of is asked whatever the path",
        "acme.toml: all-of: paths and commits of an allow-list never hold in logs",
        "acme.toml: path-only looks at paths only and is left out",
        "acme.toml: part reports nothing by itself and is left out",
        "acme.toml: whole is asked without the rules it requires beside it",
    )
    assert all(name.startswith(gitleaks.PREFIX) for name in stage.pack.detectors)


def test_a_rule_can_be_disabled_by_its_name(tmp_path):
    """As any other."""
    (tmp_path / "acme.toml").write_text(FILE)
    config = {"packs": ["acme.toml"], "disable": ["gitleaks-acme-token"]}
    assert SPEC.factory(config, Lent(tmp_path / "c", tmp_path)).mask_text(TOKEN) == TOKEN


RULE = "[[rules]]\nid = 'r'\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[rules", "f.toml: cannot read the file: "),
        ("rulez = 1", "f.toml: unknown key rulez"),
        ("[extend]\nuseDefault = true", "f.toml: extend: is not followed: list every file in masking.packs"),
        ("[extend]\npath = 'a.toml'", "f.toml: extend: is not followed"),
        ("[extend]\ndisabledRules = ['a']", "f.toml: extend: is not followed"),
        ("[[rules]]\nregex = 'a'", "f.toml: rules: a rule has no id"),
        ("rules = ['a']", "f.toml: rules: a table is needed"),
        (RULE + "regex = 'a('", r"f.toml: r: the rule cannot be taken: missing \)"),
        (RULE + "regex = 'a(?=b)'", "f.toml: r: the rule cannot be taken: invalid perl operator"),
        (
            RULE + "regex = 'a*'",
            "f.toml: r: the rule cannot be taken: re2 does not take the pattern: it matches",
        ),
        (RULE + "regex = 'a'\nsecretGroup = 1", "f.toml: r: the rule cannot be taken: secretGroup is 1, and"),
        (RULE + "regex = 'a'\nentropy = 'x'", "f.toml: r: the rule cannot be taken: could not convert"),
        (RULE + "regex = 'a'\nsecret = 1", "f.toml: r: unknown key secret"),
        (
            RULE + "regex = 'a'\nallowlist = {regexes = ['(']}",
            "f.toml: r: an expression of an allow-list does not",
        ),
        (RULE + "regex = 'a'\nallowlist = {regexes = 'b'}", "f.toml: r: regexes is a list of texts"),
        (RULE + "regex = 'a'\nallowlist = {condition = 'XOR'}", "f.toml: r: condition is AND or OR"),
        (
            RULE + "regex = 'a'\nallowlist = {regexTarget = 'x'}",
            "f.toml: r: regexTarget is one of secret, match",
        ),
        (
            RULE + "regex = 'a'\nallowlist = {}\nallowlists = [{}]",
            "f.toml: r: has both allowlist and allowlists",
        ),
        (
            RULE + "regex = 'a'\n[[allowlists]]\ntargetRules = ['q']\nregexes=['a']",
            "f.toml: allowlists: no rule is",
        ),
        (RULE + "regex = 'a'\n" + RULE + "regex = 'b'", "f.toml: detector gitleaks-r is defined twice"),
    ],
)
def test_what_is_wrong_is_named(content, said, tmp_path):
    """An error of the file is one of the configuration, with the rule and the reason."""
    (tmp_path / "f.toml").write_text(content)
    with pytest.raises(ConfigError, match=said):
        SPEC.factory({"packs": ["f.toml"]}, Lent(tmp_path / "c", tmp_path))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("abc", "abc"),
        (r"(?i)[\w.-]{0,50}?(?:abc)", "(?i)(?:abc)"),
        (r"[a-z]{0,5}[0-9]{0,3}x", "x"),
        ("a[b-d]{3,}", "a[b-d]{3}"),
        ("a([b-d]{3,9}?)", "a([b-d]{3})"),
        (r"a\w+", r"a\w{1}"),
        ("a[b-d]{3,}={0,2}", "a[b-d]{3}"),
        ("a.*", "a"),
        (r"a\.*", r"a\.*"),
        (r"a\[b]+", r"a\[b]+"),
        ("(?:a[b]+)+", "(?:a[b]+)+"),
        ("a[]b]+", "a[]b]+"),
        (r"a\z|b\\z", r"a$|b\\z"),
    ],
)
def test_a_prefilter_makes_few_events_and_matches_no_less(expression, expected):
    """What may stand before or longer behind a match is left out where that is plain."""
    assert prefilter(expression) == f"(?m:{expected})"


@pytest.mark.parametrize(
    ("expression", "ends", "begins"),
    [
        (r"""a(?:[\x60'"\s;]|\\[nr]|$)""", True, False),
        (r"""a(?:['|\"|\n|\r|\s|\x60|;]|$)""", True, False),
        (r"""(?:^|[\\'"\x60\s>=:(,)])a(?:$|[\\'"\x60\s<),])""", True, True),
        (r"a(?:[^x]|$)", False, False),
        (r"a(?:\s|\z)", False, False),
        (r"a[;,]", False, False),
    ],
)
def test_boundaries_of_source_code_are_widened(expression, ends, begins):
    """Only where an expression names bytes, or the end of the text."""
    wide = widened(expression)
    match, _ = gitleaks.matcher(wide)
    for byte in b"&,}\\|":
        for text, expected in ((b"\na" + bytes([byte]), ends), (bytes([byte]) + b"a\n", begins)):
            found = match(gitleaks._ANYWHERE, text, 0, len(text))[0][0] >= 0
            if expected:
                assert found, (text, wide)
    assert (wide == expression) == (not ends and not begins)


def test_keywords_stand_in_for_what_vectorscan_does_not_take(tmp_path):
    """Such a rule finds the same in text."""
    pytest.importorskip("hyperscan")
    content = "[[rules]]\nid = 'twice'\nkeywords = ['tw_']\nregex = '''tw_(?:(?P<n>a)|b(?P<n>c))[0-9]{4}'''"
    rule = gitleaks_file.read("f.toml", content.encode()).rules[0]
    assert rule.instead == "(?i:tw_)"
    (tmp_path / "f.toml").write_text(content)
    stage = SPEC.factory({"packs": ["f.toml"]}, Lent(tmp_path / "c", tmp_path))
    assert (
        stage.mask_text("tw_a1234 tw_bc1234.")
        == "tw_[redacted:gitleaks-twice]1234 tw_b[redacted:gitleaks-twice]1234."
    )
