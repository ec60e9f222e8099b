"""A policy file is checked to the last word; what is wrong is named, with what to write instead."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from headrig import ConfigError

from processors.masking import Masker
from processors.masking.actions import Action
from processors.masking.policy import load_policy, parse_policy

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"
DETECTORS = {"email", "us-ssn", "payment-card", "credential-field", "nested-too-deep"}


def refusal(**content) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_policy(content, DETECTORS, "p.yaml")
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "place", "hint"),
    [
        ({}, "p.yaml: version", "number"),
        ({"version": True}, "p.yaml: version", "number"),
        ({"version": "a b"}, "p.yaml: version", "letters"),
        ({"version": 1, "action": {}}, "p.yaml", "'actions'"),
        ({"version": 1, "default": "redakt"}, "p.yaml: default", "'redact'"),
        ({"version": 1, "actions": {"emial": "redact"}}, "p.yaml: actions", "'email'"),
        ({"version": 1, "actions": {"email": "mask"}}, "p.yaml: actions.email", "'mask'"),
        ({"version": 1, "actions": ["email"]}, "p.yaml: actions", "mapping"),
        ({"version": 1, "tenants": {"acme": {"action": {}}}}, "p.yaml: tenants.acme", "'actions'"),
        (
            {"version": 1, "tenants": {"acme": {"actions": {"pi": "keep"}}}},
            "p.yaml: tenants.acme.actions",
            "'pii'",
        ),
        ({"version": 1, "actions": {"nested-too-deep": "keep"}}, "actions.nested-too-deep", "not scanned"),
        ({"version": 1, "allow": {"value": "x"}}, "p.yaml: allow", "list"),
        ({"version": 1, "allow": [{"values": "x"}]}, "p.yaml: allow[0]", "'value'"),
        ({"version": 1, "allow": [{"value": "x", "detectors": ["emial"]}]}, "allow[0].detectors", "'email'"),
        ({"version": 1, "allow": [{"value": "x"}, {"pattern": "("}]}, "allow[1].pattern", "RE2"),
        ({"version": 1, "allow": [{"pattern": "(a)\\1"}]}, "allow[0].pattern", "RE2"),
        ({"version": 1, "allow": [{"service": "x"}]}, "allow[0]", "detectors"),
        ({"version": 1, "allow": [{"detectors": ["email"]}]}, "allow[0]", "keep"),
        ({"version": 1, "allow": [{"value": ""}]}, "allow[0].value", "text"),
        ({"version": 1, "allow": [{"path": [True]}]}, "allow[0].path", "text"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(content, place, hint):
    """Place first, then the nearest known name."""
    text = refusal(**content)
    assert place in text
    assert hint in text


@pytest.mark.parametrize(
    "name", ["hash", "md5", "sha1", "SHA256", "sha-512", "sha3_256", "blake2b", "murmur3", "fingerprint"]
)
def test_hashes_without_a_key_are_refused_with_the_reason(name):
    """Whoever has the log would only have to try all values."""
    text = refusal(version=1, actions={"us-ssn": name})
    assert "actions.us-ssn" in text
    assert "tries all values" in text
    assert "pseudonym" in text


def test_a_policy_says_what_it_says():
    """A full example."""
    policy = parse_policy(
        {
            "version": "2026-11.a",
            "default": "drop",
            "actions": {"pii": "pseudonym"},
            "tenants": {"acme": {"actions": {"email": "keep"}}},
        },
        DETECTORS,
    )
    assert policy.version == "2026-11.a"
    assert policy.uses_pseudonyms
    assert policy.action("acme", "email", "pii") is Action.KEEP
    assert policy.action("x", "email", "pii") is Action.PSEUDONYM
    assert policy.action("x", "jwt", "auth-header") is Action.DROP


@pytest.mark.parametrize(
    ("text", "place"), [("version: 1\nactions: [", "p.yaml:2"), (None, "p.yaml"), ("- 1", "p.yaml")]
)
def test_an_unreadable_file_is_named_without_its_content(tmp_path, text, place):
    """The line, never the text."""
    if text is not None:
        (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_policy(tmp_path / "p.yaml", DETECTORS)
    assert place in str(refused.value)
    assert "actions: [" not in str(refused.value)


def test_the_shipped_policy_is_what_is_built_in(tmp_path):
    """It is read, knows every name in its comments, and changes nothing."""
    shipped = load_policy(CONFIG / "masking-policy.yaml", DETECTORS)
    assert shipped.version == "1"
    assert shipped.plain("any")
    assert not shipped.allowances("any", None)
    text = (CONFIG / "masking-policy.yaml").read_text()
    examples = {"version": 1, **yaml.safe_load(_uncommented(text, "actions: {}", "allow: []"))}
    examples |= yaml.safe_load(_uncommented(text, "allow: []", "tenants: {}"))
    examples |= yaml.safe_load(_uncommented(text, "tenants: {}", ""))
    assert len(parse_policy(examples, DETECTORS | {"phone-e164"}).everyone.allow) == 4


def _uncommented(text: str, opening: str, closing: str) -> str:
    part = text.partition(opening)[2]
    part = part.partition(closing)[0] if closing else part
    rows = [row[2:] for row in part.splitlines()[1:] if row.startswith("#  ")]
    return opening.partition(":")[0] + ":\n" + "\n".join(rows)


def test_pseudonyms_need_a_key_that_is_long_enough(tmp_path):
    """The setting is named."""
    path = tmp_path / "p.yaml"
    path.write_text("{version: 1, actions: {email: pseudonym}}")
    host = SimpleNamespace(
        cache_dir=tmp_path, config_dir=CONFIG, key=b"k" * 32, log=logging.getLogger("t"), fields={}
    )
    for keys in ([], [("k1", b"short")], [("k1", b"1" * 32), ("k1", b"2" * 32)]):
        with pytest.raises(ConfigError, match=r"pseudonyms\.keys"):
            Masker({"policy": str(path), "pseudonym_keys": keys}, host)


def test_what_may_be_a_mistake_is_told(tmp_path, caplog):
    """A tenant may be misspelt, and may come later; who keeps everything may only want to count."""
    path = tmp_path / "p.yaml"
    path.write_text("{version: 1, default: keep, tenants: {acme: {actions: {email: keep}}, shop: {}}}")
    host = SimpleNamespace(
        cache_dir=tmp_path, config_dir=CONFIG, key=b"k" * 32, log=logging.getLogger("t"), fields={}
    )
    Masker({"policy": str(path), "tenants": {"shop"}}, host)
    tenants, default = caplog.records
    assert tenants.data == {"tenants": ["acme"]}
    assert "keeps every finding" in default.message
