"""The configuration: errors that name the place and what to write instead; secrets by reference."""

import re
from pathlib import Path

import pytest
import yaml
from headrig import ConfigError
from headrig._limits import LINE_BYTES

from pipeline.settings import Settings, load

ROOT = Path(__file__).resolve().parents[3]


def write(tmp_path, text):
    path = tmp_path / "headrig.yaml"
    path.write_text(text)
    return path


def test_the_annotated_default_is_the_default():
    """config/headrig.yaml spells the defaults out; it changes nothing but the example catalog."""
    shipped = load(ROOT / "config/headrig.yaml", {}).model_dump(
        exclude={"config_dir", "masking", "enrichment", "classification"}
    )
    defaults = load(None, {}).model_dump(exclude={"config_dir", "masking", "enrichment", "classification"})

    assert shipped == defaults
    assert defaults["limits"]["line"] == LINE_BYTES  # what plugin authors test against


def test_every_setting_is_in_the_annotated_default():
    """Each section of the file names all its settings, commented out where there is no default."""
    text = (ROOT / "config/headrig.yaml").read_text()
    for name, field in Settings.model_fields.items():
        if name == "config_dir":
            continue
        assert re.search(rf"^(# ?)?{name}:", text, re.MULTILINE), name
        for inner in getattr(field.annotation, "model_fields", {}):
            assert re.search(rf"^ +(# ?)?{inner}:", text, re.MULTILINE), f"{name}.{inner}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: {bdy: 1MiB}", 'limits.bdy: there is no such setting; did you mean "body"?'),
        ("limits: {inflight: 1MiB}", "limits: inflight is smaller than body"),
        ("listn: x", 'listn: there is no such setting; did you mean "listen"?'),
        ("limits: {body: lots}", 'limits.body: write a size such as "16MiB"'),
        ("drain: soon", 'drain: write a duration such as "5s" or "24h"'),
        ("listen: 0.0.0.0:80", "without tokens headrig listens on loopback only"),
        ("listen: 127.0.0.1:99999", "listen: the port must be at most 65535"),
        ("tokens: [{token: clear}]", "secrets are references: write env:NAME or file:PATH"),
        ("tokens: [{token: env:NOPE}]", "the environment has no NOPE"),
        ("tokens: [{token: env:HEADRIG_TEST_BLANK}]", "tokens.0.token: "),
        ("labels: {sources: {a: [bdy.x]}}", '"bdy.x" is no place'),
        ("sinks: {archive: {enabled: false}}", "sinks: there is none"),
        ("sinks: {loki: {url: http://x, alone: never}}", "sinks.loki.alone: Input should be"),
        ("labels: {max_streams: 0}", "labels.max_streams: Input should be greater than 0"),
        ("listen: [", "is not valid YAML"),
        ("- a", "must hold a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, monkeypatch, text, message):
    """Nothing starts on a configuration that was not understood whole."""
    monkeypatch.setenv("HEADRIG_TEST_BLANK", " \n")
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(write(tmp_path, text), {})


ADDRESS = "write an address and a port such as 127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "environment", "options", "message"),
    [
        ("", {"HEADRIG__FOO": "1"}, {}, "HEADRIG__FOO: there is no such setting"),
        ("", {"HEADRIG__LIMITS__BODY": "abc"}, {}, 'HEADRIG__LIMITS__BODY: write a size such as "16MiB"'),
        ("", {"HEADRIG__LIMITS": "{body: abc}"}, {}, "HEADRIG__LIMITS: limits.body: write a size such as"),
        ("", {"HEADRIG__LISTEN": "0.0.0.0:80"}, {}, "HEADRIG__LISTEN: without tokens headrig listens on"),
        ("", {"HEADRIG__LISTEN": "foo"}, {"listen": "127.0.0.1:99999"}, "--listen: the port must be at most"),
        ("", {}, {"listen": "foo"}, f"--listen: {ADDRESS}"),
        ("listen: [foo]", {}, {}, f"FILE: listen: {ADDRESS}"),
        ("listen: 8080", {}, {}, f"FILE: listen: {ADDRESS}"),
        ("", {}, {"sinks.loki.url": "loki:3100"}, "--loki: "),
        ("sinks: 1", {}, {"sinks.loki.url": "http://loki:3100"}, '--loki: "sinks" is a value, not a section'),
        ("drain: x", {"HEADRIG__WORKERS": "0"}, {}, "HEADRIG__WORKERS: Input should be greater than 0"),
        ("drain: x", {"HEADRIG__WORKERS": "0"}, {}, "FILE: drain: write a duration"),
        ("", {"HEADRIG__LIMITS__INFLIGHT": "1MiB"}, {}, "FILE and HEADRIG__LIMITS__INFLIGHT: limits: inflight is"),
    ],
)  # fmt: skip
def test_a_mistake_is_blamed_on_what_it_came_from(tmp_path, text, environment, options, message):
    """File, variable or option: what the operator must change is named, and no other."""
    path = write(tmp_path, text)
    names = {"listen": "--listen", "sinks.loki.url": "--loki"}
    with pytest.raises(ConfigError) as error:
        load(path, environment, options, names)

    said = str(error.value)
    assert re.search(r"(^|; )" + re.escape(message.replace("FILE", str(path))), said), said
    assert (str(path) in said) == (text.startswith(("listen", "drain")) or "FILE" in message), said


def test_the_environment_overlays_the_file_and_the_command_line_wins(tmp_path):
    """Nested settings have double underscores; values are YAML."""
    path = write(tmp_path, "workers: 3\nlimits: {body: 1MiB, depth: 10}")
    environment = {
        "HEADRIG__LIMITS__BODY": "2MiB",
        "HEADRIG__SINKS__LOKI__URL": "http://loki:3100",
        "OTHER": "x",
    }
    settings = load(path, environment, {"workers": 5})

    assert (settings.workers, settings.limits.body, settings.limits.depth) == (5, 2 << 20, 10)
    assert settings.sinks.loki.url == "http://loki:3100"
    assert not settings.sinks.archiving


def test_a_token_given_twice_is_named_by_its_places(tmp_path):
    """Which of two tenants it would be is nobody's guess; the message says where, not what."""
    (tmp_path / "secret").write_text("hunter2\n")
    token = {"token": f"file:{tmp_path / 'secret'}"}
    tokens = [{**token, "tenant": "a"}, {**token, "tenant": "b"}]
    with pytest.raises(
        ConfigError, match=re.escape("tokens.1.token: it is the same as that of tokens.0")
    ) as error:
        load(write(tmp_path, yaml.safe_dump({"tokens": tokens})), {})

    assert "hunter2" not in str(error.value)


def test_a_text_from_the_environment_is_taken_as_it_is():
    """What would be a mapping or a number in YAML is a text where the setting is one."""
    environment = {
        "HEADRIG__SINKS__LOKI__URL": "http://loki:3100",
        "HEADRIG__SINKS__LOKI__TENANT": "{tenant}",
        "HEADRIG__SINKS__LOKI__USERNAME": "0123",
        "HEADRIG__DATA": "007",
        "HEADRIG__WORKERS": "3",
    }
    settings = load(None, environment)

    assert (settings.sinks.loki.tenant, settings.sinks.loki.username) == ("{tenant}", "0123")
    assert (settings.data, settings.workers) == (Path("007"), 3)


def test_secrets_come_from_files_and_do_not_show(tmp_path, monkeypatch):
    """A representation of the settings holds no secret."""
    (tmp_path / "secret").write_text("from-the-file\n")
    monkeypatch.setenv("HEADRIG_TEST_TOKEN", "from-the-environment\n")
    tokens = [
        {"token": f"file:{tmp_path / 'secret'}"},
        {"token": "env:HEADRIG_TEST_TOKEN", "scopes": ["read"]},
    ]
    settings = load(write(tmp_path, yaml.safe_dump({"tokens": tokens, "listen": "0.0.0.0:80"})), {})

    assert [token.token.get_secret_value() for token in settings.tokens] == [
        "from-the-file",
        "from-the-environment",
    ]
    assert "from-the" not in repr(settings)


def test_tenants_that_write_never_share_a_loki_tenant(tmp_path, monkeypatch):
    """Equal lines of two tenants would become one; readers of other tenants write nothing."""
    for name in "ABC":
        monkeypatch.setenv(name, f"{name.lower()}-token-0123456789")
    tokens = "[{token: env:A, tenant: shop}, {token: env:B, tenant: bank}, {token: env:C, tenant: x, scopes: [read]}]"
    for tenant in ("", ", tenant: fixed"):
        text = f"tokens: {tokens}\nsinks: {{loki: {{url: http://x{tenant}}}}}"
        with pytest.raises(ConfigError, match=r'sinks.loki.tenant: .*write "\{tenant\}"'):
            load(write(tmp_path, text), {})
        readers = text.replace("bank", "shop")
        assert load(write(tmp_path, readers), {}).sinks.loki
    text = f"tokens: {tokens}\nsinks: {{loki: {{url: http://x, tenant: 'logs-{{tenant}}'}}}}"

    assert load(write(tmp_path, text), {}).sinks.loki


@pytest.mark.parametrize(("workers", "expected"), [(1, 2000), (4, 500), (60, 33)])
def test_the_workers_share_what_loki_takes_of_streams(workers, expected):
    """All workers of a tenant may meet the same label sets or different ones: together they stay below Loki's limit."""
    assert Settings(workers=workers).max_streams == expected
    assert Settings(workers=workers, labels={"max_streams": 7}).max_streams == 7


def test_keys_of_pseudonyms_are_references_of_enough_bytes(monkeypatch):
    """Which key is wrong is said; its content never is."""
    monkeypatch.setenv("LONG", "k" * 32)
    monkeypatch.setenv("SHORT", "tooshort")
    settings = load(None, {}, {"pseudonyms.keys": [{"id": "k1", "key": "env:LONG"}]})
    assert settings.pseudonyms.keys[0].key.get_secret_value() == "k" * 32
    assert "kkkk" not in repr(settings)
    for keys, place in (
        ([{"id": "k1", "key": "env:SHORT"}], "keys.0.key"),
        ([{"id": "K 1", "key": "env:LONG"}], "pseudonyms.keys.0.id"),
        ([{"id": "k1", "key": "k" * 32}], "pseudonyms.keys.0.key"),
        ([{"id": "k1", "key": "env:LONG"}] * 2, "comes twice"),
    ):
        with pytest.raises(ConfigError) as refused:
            load(None, {}, {"pseudonyms.keys": keys})
        assert place in str(refused.value)
        assert "tooshort" not in str(refused.value)
        assert "kkkk" not in str(refused.value)
