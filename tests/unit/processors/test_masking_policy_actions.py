"""What a policy does to findings: each action in each place, tenants, what is let through, marks, drops."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
import yaml
from headrig import RejectedError, Resource, Span
from headrig._raw import RawBatch

from processors.masking import Masker

CONFIG = Path(__file__).parents[3] / "config"
CARD, MAIL, SSN = "4111111111111111", "bob.k@example.org", "219-09-9998"
GITHUB = "ghp_" + "x9Qk" * 9
KEYS = [("k1", b"1" * 32)]
T = Resource("t")


@dataclass
class Lent:
    """What the application lends a stage."""

    cache_dir: Path
    config_dir: Path = CONFIG
    key: bytes = b"k" * 32
    log: logging.Logger = logging.getLogger("test")
    fields: dict[str, str] = field(default_factory=dict)

    def now_ns(self) -> int:
        return 0


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Make a masker with a policy; the compiled patterns are shared."""
    host = Lent(tmp_path_factory.mktemp("cache"))
    folder = tmp_path_factory.mktemp("policies")

    def made(actions=None, *, keys=KEYS, version=7, **policy):
        path = folder / "policy.yaml"
        path.write_text(yaml.safe_dump({"version": version, "actions": actions or {}, **policy}))
        return Masker({"policy": str(path), "pseudonym_keys": keys}, host)

    return made


def raw(*lines: bytes, resource=T, **more) -> RawBatch:
    heads = [object() if line[:1] == b"{" else None for line in lines]
    return RawBatch(resource, list(lines), b"\n".join(lines), heads, [1] * len(lines), **more)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"card {CARD} ok", "card [redacted:payment-card:1111] ok"),
        ("card 4111 1111 1111 1111 ok", "card [redacted:payment-card:1111] ok"),
        (f'{{"n":{CARD}}}', '{"n":"[redacted:payment-card:1111]"}'),
        (f'{{"card_number":"{CARD}"}}', '{"card_number":"[redacted:payment-card:1111]"}'),
        (f'{{"n":"{CARD[:-1]}\\u0031"}}', '{"n":"[redacted:payment-card:1111]"}'),
        (f"ssn {SSN} ok", "ssn [redacted:us-ssn] ok"),
        ('{"password":"hunter2hunter2"}', '{"password":"[redacted:credential-field:ter2]"}'),
        ('{"password":"hunter2hunt\\"2"}', '{"password":"[redacted:credential-field]"}'),
        ('{"password":"hunter2hunté2"}', '{"password":"[redacted:credential-field]"}'),
        ('{"password":{"a":"hunter2hunter2"}}', '{"password":"[redacted:credential-field]"}'),
    ],
)
def test_partial_shows_four_characters_when_eight_stay_hidden(make, line, expected):
    """What is short, or ends in what could need an escape, is masked whole."""
    assert make(default="partial").mask_text(line) == expected


def test_a_pseudonym_is_of_the_decoded_value(make):
    """However a value is spelled and wherever it stands, it has one token; a number has that of its digits."""
    masker = make(default="pseudonym")
    [(_, token)] = masker.pseudonyms("default", "email", MAIL)
    spelled = "".join(f"\\u{ord(each):04x}" for each in MAIL)
    nested = orjson.dumps({"m": orjson.dumps({"n": MAIL}).decode()}).decode()
    assert masker.mask_text(f"to {MAIL} now") == f"to {token} now"
    assert masker.mask_text(f'{{"a":"{spelled}"}}') == f'{{"a":"{token}"}}'
    assert masker.mask_text(nested) == nested.replace(MAIL, token)
    assert masker.mask_text(f"/p?q={quote(MAIL, safe='')}&r=1") == f"/p?q={token}&r=1"
    assert masker.mask_text(f'{{"u":"/p?q={quote(MAIL, safe="")}"}}') == f'{{"u":"/p?q={token}"}}'
    [(_, card)] = masker.pseudonyms("default", "payment-card", CARD)
    assert masker.mask_text(f'{{"n":{CARD}}}') == f'{{"n":"{card}"}}'
    assert masker.mask_text(f'{{"n":"{CARD}"}}') == f'{{"n":"{card}"}}'


def test_pseudonyms_differ_by_tenant_detector_and_key(make):
    """Two tenants cannot compare; neither can who has another key."""
    one, two = make(), make(keys=[("k1", b"2" * 32)])
    tokens = {
        masker.pseudonyms(tenant, detector, MAIL)[0][1]
        for masker in (one, two)
        for tenant in ("a", "b")
        for detector in ("email", "us-ssn")
    }
    assert len(tokens) == 8
    assert one.pseudonyms("a", "email", MAIL) == make().pseudonyms("a", "email", MAIL)
    with pytest.raises(RejectedError) as refused:
        one.pseudonyms("a", "e-mail", MAIL)
    assert MAIL not in str(refused.value)


def test_rotation_overlaps(make):
    """The new key makes tokens; those of the old one stay as they are until it is taken away."""
    old = make(default="pseudonym")
    new = make(default="pseudonym", keys=[("k2", b"2" * 32), *KEYS])
    once = old.mask_text(f'{{"password":"{MAIL}"}}')
    assert "[email:k1:" in once
    assert new.mask_text(once) == once
    assert "[email:k2:" in new.mask_text(MAIL)
    assert [key for key, _ in new.pseudonyms("t", "email", MAIL)] == ["k2", "k1"]
    gone = make(default="pseudonym", keys=[("k2", b"2" * 32)])
    assert gone.mask_text(once) != once


@pytest.mark.parametrize(
    "forged",
    [
        "[email:k1:AKIAQ7XBQ7XBQ7XBQ7XB]",
        "[redacted:hunter2hunter2]",
        "[redacted:email:hunter2]",
        "[email:k9:AKIAQ7XBQ7XBQ7XBQ7XB]",
    ],
)
def test_what_only_looks_like_a_token_is_masked(make, forged):
    """A secret between our brackets is a secret."""
    masker = make(default="pseudonym")
    assert forged not in masker.mask_text(f'{{"password":"{forged}"}}')
    assert "AKIA" not in masker.mask_text(f"x {forged} y")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"a":1,"password":"x","b":2}', '{"a":1,"b":2}'),
        ('{"password":"x","b":2}', '{"b":2}'),
        ('{ "password" : "x" , "token" : "abcdef" , "b" : 2 }', '{ "b" : 2 }'),
        ('{"a":1, "password":"x", "token":"abcdef"}', '{"a":1}'),
        ('{"password":"x","token":"abcdef"}', "{}"),
        ('{"a":{"password":"x"}}', '{"a":{}}'),
        ('{"a":1,"password":{"b":[1,"c"]},"d":2}', '{"a":1,"d":2}'),
        ('{"a":1,"password":424242,"d":2}', '{"a":1,"d":2}'),
        ('{"q\\"k":1,"my\\"password":"x","d":2}', '{"q\\"k":1,"d":2}'),
        ('{"a":1,"password":"x\\"y\\\\","d":2}', '{"a":1,"d":2}'),
        (f'{{"a":1,"{MAIL}":{{"x":[1]}},"d":2}}', '{"a":1,"d":2}'),
        (f'{{"a":["{MAIL}",1]}}', '{"a":["[redacted:email]",1]}'),
        (f'{{"m":"to {MAIL} now"}}', '{"m":"to [redacted:email] now"}'),
        ('{"m":"a=1 password=x b=2"}', '{"m":"a=1 b=2"}'),
        ("a=1 password=x b=2", "a=1 b=2"),
        ("password=x b=2", "b=2"),
        ("password=x token=abcdef", ""),
        ('a=1 password="x y"', "a=1"),
        ("a: 1, password: hunter2 b", "a: 1, password: [redacted:credential-field] b"),
        ("/p?password=x&b=2", "/p?password=[redacted:credential-field]&b=2"),
        (f"to {MAIL} now", "to [redacted:email] now"),
    ],
)
def test_remove_takes_the_member_or_the_pair(make, line, expected):
    """With its comma or blank; where there is neither member nor pair the finding is redacted."""
    assert make(default="remove").mask_text(line) == expected


def test_remove_reaches_into_nested_documents(make):
    """The member of a document in a string goes from that document."""
    nested = orjson.dumps({"m": orjson.dumps({"a": 1, "password": "x"}).decode()})
    out = make(default="remove").mask_line(nested)
    assert orjson.loads(orjson.loads(out)["m"]) == {"a": 1}


def test_what_stood_beside_a_removed_pair_is_scanned_again(make):
    """Two halves that a pair kept apart are one secret once it is gone."""
    text = "4111 1111 password=x 1111 1111"
    assert make({"credential-field": "remove"}).mask_text(text) == "[redacted:payment-card]"


def test_a_masked_neighbour_hides_nothing(make):
    """What was no finding only because of the letters beside it is one when these are masked."""
    key = "AKIA" + "Q7XB" * 4
    batch = make({"phone-e164": "drop"}).mask(raw(f"{key}+14155550132".encode(), b"x"))
    assert batch.lines == [b"[redacted:aws-access-key-id][redacted:phone-e164]", b"x"]
    assert batch.masked == {"aws-access-key-id": 1, "phone-e164": 1}
    assert batch.attributes[0]["masked"] == "aws-access-key-id:1,phone-e164:1"
    assert list(batch.leaving) == [0]


def test_keep_leaves_the_line_and_counts(make):
    """What is kept changes nothing, is no replacement, and is counted once however often it was seen."""
    batch = make({"email": "keep"}).mask(raw(f'{{"m":"{MAIL} 100%25"}}'.encode(), b'{"password":"x"}'))
    assert batch.lines[0] == f'{{"m":"{MAIL} 100%25"}}'.encode()
    assert batch.kept == {"email": 1}
    assert batch.masked == {"credential-field": 1}
    assert batch.changed == [1]
    assert batch.attributes[0] == {}


def test_keep_does_not_open_what_another_detector_hides(make):
    """A kept address in a password is part of the password."""
    line = f'{{"password":"{MAIL}"}}'
    assert make({"email": "keep"}).mask_text(line) == '{"password":"[redacted:credential-field]"}'


def test_of_two_findings_the_stricter_action_counts(make):
    """What a whole value hides, a part of it does not show; of equal spans the shape decides."""
    masker = make({"credential-field": "partial", "email": "redact", "payment-card": "partial"})
    assert masker.mask_text(f'{{"password":"x {MAIL}"}}') == '{"password":"[redacted:credential-field]"}'
    assert masker.mask_text(f'{{"password":"{MAIL}"}}') == '{"password":"[redacted:email]"}'
    masker = make({"payment-card": "partial"})
    assert masker.mask_text(f'{{"card_number":"{CARD}"}}') == '{"card_number":"[redacted:payment-card:1111]"}'
    assert (
        masker.mask_text(f'{{"card_number":"{CARD} x"}}') == '{"card_number":"[redacted:credential-field]"}'
    )


def test_unread_text_is_never_shown(make):
    """What is escaped too deep was not scanned: no policy keeps it or shows its end."""
    value = MAIL
    for _ in range(8):
        value = orjson.dumps({"m": value}).decode()
    for action in ("keep", "partial", "pseudonym"):
        out = make(default=action).mask_text(value)
        assert "[redacted:nested-too-deep]" in out
        assert MAIL not in out


def test_a_detectors_entry_goes_before_its_categorys_and_the_tenants_before_all(make):
    """Name before category; tenant before everybody."""
    masker = make(
        {"pii": "drop", "email": "partial"},
        default="remove",
        tenants={"acme": {"actions": {"email": "keep", "vcs": "keep"}}, "b": {"actions": {"pii": "keep"}}},
    )
    acme, b, other = (masker.decisions.of(Resource(name)) for name in ("acme", "b", "other"))
    assert [acme.action(name) for name in ("email", "us-ssn", "github-token", "jwt")] == [
        "keep", "drop", "keep", "remove"
    ]  # fmt: skip
    assert [b.action(name) for name in ("email", "us-ssn")] == ["partial", "keep"]
    assert [other.action(name) for name in ("email", "us-ssn", "jwt")] == ["partial", "drop", "remove"]


@pytest.mark.parametrize(
    ("entry", "passes", "masked"),
    [
        ({"value": MAIL}, [f"to {MAIL} now", f'{{"password":"{MAIL}"}}'], ["to rob@example.org now"]),
        ({"value": int(CARD)}, [f'{{"n":{CARD}}}', f"x {CARD}"], ["x 4012888888881881"]),
        (
            {"pattern": r".*@example\.(com|org)", "detectors": ["email"]},
            [f"to {MAIL}", f'{{"u":"/?q={quote(MAIL, safe="")}"}}'],
            ["to bob@example.org.evil.io", f'{{"password":"{MAIL}"}}'],
        ),
        (
            {"path": "/user/mail"},
            [f'{{"user":{{"mail":"{MAIL}"}}}}', f'{{"user":{{"mail":["{MAIL}"]}}}}'],
            [f'{{"mail":"{MAIL}"}}', f'{{"user":{{"mailing":"{MAIL}"}}}}', f"user.mail={MAIL}"],
        ),
        (
            {"path": "items.*.to", "detectors": ["pii"]},
            [f'{{"items":[{{"a":[1,2]}},{{"to":"{MAIL}"}}]}}', f'{{"items":{{"x":{{"to":"{MAIL}"}}}}}}'],
            [f'{{"items":[{{"to":"{GITHUB}"}}]}}', f'{{"items":"{MAIL}"}}'],
        ),
        ({"path": "/a~1b/1"}, [f'{{"a/b":[1,"{MAIL}"]}}'], [f'{{"a/b":["{MAIL}"]}}']),
        (
            {"path": "/m/to"},
            [orjson.dumps({"m": orjson.dumps({"to": MAIL}).decode()}).decode()],
            [orjson.dumps({"m": orjson.dumps({"of": MAIL}).decode()}).decode()],
        ),
    ],
)
def test_allow_by_value_pattern_and_path(make, entry, passes, masked):
    """All conditions of an entry must hold; what is let through is not counted."""
    masker = make(allow=[entry])
    for line in passes:
        batch = masker.mask(raw(line.encode()))
        assert batch.lines == [line.encode()]
        assert not batch.masked
        assert not batch.kept
    for line in masked:
        assert masker.mask_text(line) != line


def test_allow_by_service_is_of_the_credential(make):
    """What a line says about its service lets nothing through."""
    masker = make(allow=[{"service": "load-test", "detectors": ["payment-card"]}])
    line = f'{{"service":"load-test","n":{CARD},"m":"{MAIL}"}}'.encode()
    assert CARD.encode() not in masker.mask(raw(line)).lines[0]
    out = masker.mask(raw(line, resource=Resource("t", "load-test"))).lines[0]
    assert CARD.encode() in out
    assert MAIL.encode() not in out


def test_allow_of_a_tenant_is_the_tenants(make):
    """Neither list hides the other."""
    masker = make(allow=[{"value": "a@example.org"}], tenants={"acme": {"allow": [{"value": MAIL}]}})
    line = f"a@example.org {MAIL}"
    assert masker.mask_text(line) == "a@example.org [redacted:email]"
    assert masker.mask_text(line, Resource("acme")) == line


def test_a_masked_row_carries_marks(make):
    """Policy version, detectors and counts; rows alike share one object, clean rows have none."""
    batch = make().mask(
        raw(
            f"{MAIL} a@b.co {CARD}".encode(), b"clean", f"x@y.org {MAIL} {CARD}".encode(), b'{"password":"x"}'
        )
    )
    assert batch.attributes[0] == {"masked": "email:2,payment-card:1", "masking_policy": "7"}
    assert batch.attributes[1] == {}
    assert batch.attributes[2] is batch.attributes[0]
    assert batch.attributes[3] == {"masked": "credential-field:1", "masking_policy": "7"}


def test_labels_and_metadata_follow_the_policy_of_the_tenant(make):
    """Two tenants send one envelope; each gets what its policy says, and rows are marked by it."""
    masker = make({"email": "remove"}, tenants={"acme": {"actions": {"email": "pseudonym"}}})
    envelope = orjson.dumps({"labels": {"app": "a", "mail": MAIL}, "metadata": {"n": "1"}})
    own, other = (
        masker.mask(
            raw(b"x", b"to a@b.co", resource=Resource(name), envelopes=[envelope], envelope_of=[0, 0])
        )
        for name in ("acme", "t")
    )
    assert other.envelopes[0].labels == {"app": "a"}
    assert own.envelopes[0].labels["mail"] == masker.pseudonyms("acme", "email", MAIL)[0][1]
    assert own.attributes == [
        {"masked": "email:1", "masking_policy": "7"},
        {"masked": "email:2", "masking_policy": "7"},
    ]


def test_a_crowded_record_gets_no_marks(make):
    """Loki takes 128 names and 64 KB around a record; marks must not be what goes beyond."""
    many = orjson.dumps({"labels": {f"l{n}": "x" for n in range(101)}, "metadata": {}})
    large = orjson.dumps({"labels": {"l": "x" * (49 << 10)}, "metadata": {}})
    few = orjson.dumps({"labels": {"l": "x"}, "metadata": {}})
    batch = make().mask(raw(*[MAIL.encode()] * 3, envelopes=[many, large, few], envelope_of=[0, 1, 2]))
    assert [bool(attributes) for attributes in batch.attributes] == [False, False, True]
    assert batch.lines == [b"[redacted:email]"] * 3


def test_a_second_scan_adds_to_the_marks_and_leaves_them(make):
    """What a plugin brought is counted on top; marks are no field and are not masked themselves."""
    masker = make({"stripe-secret": "keep"})
    batch = masker.mask(raw(b'{"password":"x"}', b"clean"))
    masker.mask_batch(batch, [0, 1])
    assert batch.attributes == [{"masked": "credential-field:1", "masking_policy": "7"}, {}]
    batch.lines[0] = f'{{"password":"[redacted:credential-field]","m":"{MAIL}"}}'.encode()
    batch.attributes[1] = {"masked": f"jwt:1,{MAIL}:1", "masking_policy": "password=x", "k": "v"}
    masker.mask_batch(batch, [0, 1])
    assert batch.attributes[0] == {"masked": "credential-field:1,email:1", "masking_policy": "7"}
    assert MAIL not in str(batch.attributes[1])
    assert "=x" not in str(batch.attributes[1])
    assert batch.attributes[1]["k"] == "v"
    assert batch.masked == {"credential-field": 2, "email": 2}


def test_a_dropped_row_stays_until_all_stages_have_seen_it(make):
    """It is redacted and has its verdict ready; the row of a failed scan has only the verdict of that."""
    masker = make({"payment-card": "drop"})
    deep = b'{"a":' * 80 + f'"{CARD}"'.encode() + b"}" * 80
    batch = masker.mask(raw(f'{{"n":{CARD},"m":"{MAIL}"}}'.encode(), b"x", deep))
    assert batch.lines == [b'{"n":"[redacted:payment-card]","m":"[redacted:email]"}', b"x"]
    assert [(verdict.kind, verdict.origin) for verdict in batch.verdicts] == [("quarantined", 2)]
    [(origin, verdict)] = batch.leaving.items()
    assert (origin, verdict.kind, verdict.reason, verdict.detail) == (
        0,
        "dropped",
        "payment-card",
        "masking policy",
    )
    batch.let_leave()
    assert batch.lines == [b"x"]
    assert batch.origin == [1]
    assert [verdict.kind for verdict in batch.verdicts] == ["quarantined", "dropped"]


def test_labels_attributes_and_plugins_can_drop_too(make):
    """Wherever the finding is, the record goes."""
    masker = make({"email": "drop"})
    envelope = orjson.dumps({"labels": {"mail": MAIL}, "metadata": {}})
    batch = masker.mask(raw(b"x", b"y", b"z", envelopes=[envelope, b"{}"], envelope_of=[0, 1, 1]))
    assert list(batch.leaving) == [0]
    batch.attributes[1] = {"by": MAIL}
    batch.lines[2] = MAIL.encode()
    masker.mask_batch(batch, [1, 2])
    assert sorted(batch.leaving) == [0, 1, 2]


@dataclass
class Shouting:
    """Finds a word."""

    def find(self, text):
        at = text.find("HEYHEYHEY")
        return [Span(at, at + 9, "hey")] if at >= 0 else []


@dataclass
class ShoutingSpec:
    kind: str = "shouting"
    literals: tuple[str, ...] = ("heyheyhey",)


def test_a_third_party_detector_has_actions_too(make, tmp_path):
    """Its name is known to the policy when the configuration names it."""
    path = tmp_path / "p.yaml"
    path.write_text("{version: 1, actions: {shouting: pseudonym}}")
    host = Lent(tmp_path)
    masker = Masker({"policy": str(path), "pseudonym_keys": KEYS, "plugins": ["shouting"]}, host)
    masker.add_detectors([(ShoutingSpec(), Shouting())])
    once = masker.mask_text('{"m":"so HEYHEYHEY you"}')
    assert once == f'{{"m":"so {masker.pseudonyms("default", "shouting", "HEYHEYHEY")[0][1]} you"}}'
    assert masker.mask_text(once) == once


def test_the_digest_names_policy_and_keys_and_no_secret(make):
    """A leaf shows that the policy changed; the digest does not depend on the keys' bytes."""
    plain = make()
    assert make().digest == plain.digest
    assert make({"email": "keep"}).digest != plain.digest
    assert make(version=8).digest != plain.digest
    assert make(keys=[("k2", b"1" * 32)]).digest != plain.digest
    assert make(keys=[("k1", b"2" * 32)]).digest == plain.digest
