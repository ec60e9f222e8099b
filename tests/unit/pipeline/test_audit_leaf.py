"""Leaf v1."""

from __future__ import annotations

from hashlib import sha256

import orjson
import pytest
from headrig import AuditEvent
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.entry import MAX_LEAF_BYTES
from pipeline.audit.leaf import blob_name, blob_of, encode_leaf, encode_unscanned_leaf

POLICY = {"masking": "m" * 64, "classification": "c" * 64}


def event(**more: object) -> AuditEvent:
    """Make a login event with some fields changed."""
    fields = {"actor": "alice", "target": "shop", "action": "login", "outcome": "success", **more}
    return AuditEvent(row=0, rule="app.login", class_uid=3002, activity_id=1, **fields)  # type: ignore[arg-type]


def encode(raw: bytes | None, **more: object) -> tuple[bytes, bytes | None]:
    """Encode a leaf of that event."""
    return encode_leaf(
        id="e-1", ts_ns=1795422174853719500, tenant="acme", event=event(**more), policy=POLICY, raw=raw
    )


def test_a_leaf_has_exactly_these_bytes() -> None:
    """The format is decided once: sorted keys, the time as a decimal string, the line as a string."""
    leaf, blob = encode(b'{"a":"\xc3\xa9"}', seq=7, ocsf={"src.ip": "10.0.0.1"})
    assert blob is None
    assert (
        leaf
        == (
            '{"action":"login","activity_id":1,"actor":"alice","class_uid":3002,"id":"e-1",'
            '"ocsf":{"src.ip":"10.0.0.1"},"outcome":"success",'
            f'"policy":{{"classification":"{"c" * 64}","masking":"{"m" * 64}"}},'
            '"raw":"{\\"a\\":\\"é\\"}","rule":"app.login","seq":7,"target":"shop","tenant":"acme",'
            '"ts":"1795422174853719500","v":1}'
        ).encode()
    )


def test_what_the_client_did_not_give_is_left_out() -> None:
    """No sequence number, no mapping and no line: no keys."""
    leaf, _ = encode(None)
    assert not {"seq", "ocsf", "raw", "blob", "cut"} & orjson.loads(leaf).keys()


@given(st.text(max_size=300))
def test_the_line_comes_back_exactly(text: str) -> None:
    """Whatever valid UTF-8 a line is, control characters included, the leaf gives the same bytes back."""
    raw = text.encode("utf-8", "ignore")
    leaf, blob = encode(raw)
    assert blob is None
    assert orjson.loads(leaf)["raw"].encode() == raw
    assert blob_of(leaf) is None


@given(st.integers(64_000, 66_500), st.sampled_from([b"x", b'"', b"\x01"]))
def test_no_leaf_passes_its_bound_and_a_large_line_becomes_a_blob(size: int, filler: bytes) -> None:
    """Escapes count: a line below the bound may be above it as a string."""
    raw = filler * size
    leaf, blob = encode(raw)
    assert len(leaf) <= MAX_LEAF_BYTES
    if blob is None:
        assert orjson.loads(leaf)["raw"].encode() == raw
    else:
        assert blob == raw
        assert blob_of(leaf) == blob_name(raw) == (sha256(raw).hexdigest(), size)


def test_a_leaf_of_exactly_the_bound_keeps_its_line() -> None:
    """65,535 bytes are allowed, 65,536 are not."""
    rest = len(encode(b"")[0])
    assert len(encode(b"x" * (MAX_LEAF_BYTES - rest))[0]) == MAX_LEAF_BYTES
    assert encode(b"x" * (MAX_LEAF_BYTES - rest))[1] is None
    assert encode(b"x" * (MAX_LEAF_BYTES - rest + 1))[1] is not None


@pytest.mark.parametrize(
    ("more", "cut"),
    [
        ({"ocsf": {"text": "x" * 70_000}}, ["ocsf"]),
        ({"actor": "x" * 70_000}, ["actor"]),
        ({"ocsf": {"n": 2**70}}, ["ocsf"]),
        ({"ocsf": {1: "a"}}, ["ocsf"]),
        ({"seq": 2**70}, ["seq"]),
        ({"actor": "\ud800"}, ["actor"]),
    ],
)
def test_what_cannot_be_in_a_leaf_is_cut_and_named_and_the_line_is_kept(
    more: dict[str, object], cut: list[str]
) -> None:
    """An event is never lost over its mapping: the line, which has it all, goes into the blob."""
    leaf, blob = encode(b"the line", **more)
    fields = orjson.loads(leaf)
    assert len(leaf) <= MAX_LEAF_BYTES
    assert fields["cut"] == cut
    assert blob == b"the line"
    assert fields["blob"] == {"len": 8, "sha256": sha256(b"the line").hexdigest()}


def test_the_largest_fields_together_stay_within_the_bound() -> None:
    """Every text at once, each of characters that take six bytes."""
    long = "\x01" * 70_000
    leaf, _ = encode(long.encode(), actor=long, target=long, action=long, outcome=long, ocsf={"a": long})
    assert len(leaf) <= MAX_LEAF_BYTES


def test_an_unscanned_record_leaves_that_it_came_and_not_what_it_said() -> None:
    """Tenant, size, reason and HMAC; OCSF Event Log Activity."""
    fields = orjson.loads(
        encode_unscanned_leaf(
            id="e-2", ts_ns=5, tenant="acme", size=99, reason="depth", hmac_hex="ab" * 32, policy=POLICY
        )
    )
    assert fields["unscanned"] == {"hmac": "ab" * 32, "reason": "depth", "size": 99}
    assert (fields["class_uid"], fields["tenant"], fields["ts"], fields["v"]) == (1008, "acme", "5", 1)


def test_a_line_that_looks_like_a_blob_is_none() -> None:
    """Only the leaf's own key counts, not text in the line."""
    leaf, _ = encode(b'{"blob":{"sha256":"00","len":1}}')
    assert blob_of(leaf) is None
    assert blob_of(b'{"ocsf":{"blob":{"len":1}}}') is None
    assert blob_of(b'not json "blob":{') is None
