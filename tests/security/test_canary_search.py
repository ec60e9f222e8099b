"""The search is not blind: it finds a canary in every form, and in every place when masking is off."""

from __future__ import annotations

import base64
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canary import PASSWORD, Search, report
from canary_program import PROGRAM, VARIABLE
from canary_sink import REFUSED, KeepingLoki
from canary_traffic import escaped, percent
from running import Headrig, wait_until

from pipeline.samples import canary

KEY = canary(77)
SEARCH = Search()
FORMS = {
    "plain": KEY,
    "other case": KEY.lower(),
    "head alone": KEY[:12],
    "tail alone": KEY[-9:],
    "escaped": escaped(KEY),
    "escaped escapes": escaped(KEY).replace("\\", "\\\\"),
    "half escaped": f"{KEY[:5]}\\u{ord(KEY[5]):04X}{KEY[6:]}",
    "percent": percent(KEY),
    "twice percent": percent(KEY).replace("%", "%25"),
    "percent in escapes": escaped(percent(KEY)),
    "hex": KEY.encode().hex().upper(),
    "a card with spaces": "x 4929 5742 1186 3703",
    "an address as a label name": "canary_q7v_leak_example_com",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found(form):
    """Plain, in pieces, behind escapes and in hex."""
    assert list(SEARCH.in_bytes("x", f"some {FORMS[form]} text".encode()))


@pytest.mark.parametrize("alignment", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_every_base64_alignment_is_found(alignment, encode):
    """Wherever the secret begins in what was encoded, in both alphabets."""
    for secret in (KEY, PASSWORD, "canary.q7v@leak.example.com"):
        assert list(SEARCH.in_bytes("x", encode(b"?>~"[:alignment] + secret.encode() + b"~?>")))


def test_other_encodings_are_found():
    """UTF-16, gzip at any offset, gzip in gzip, and a gzip member that is cut."""
    text = f"a long text around it, {KEY}, and more of it that does not matter"
    member = gzip.compress(text.encode())
    cut = gzip.compress((text + "".join(map(str, range(9000)))).encode())[:-400]
    for data in (
        text.encode("utf-16-le"),
        b"junk" + member + b"junk",
        gzip.compress(b"x" + member),
        b"\0\1" + cut,
    ):
        assert list(SEARCH.in_bytes("x", data))


def test_every_part_of_a_parquet_file_is_found(tmp_path):
    """Values, metadata of the file and of a field, and statistics."""
    plain = pa.table({"a": ["x"]})
    tables = {
        "value": pa.table({"a": [KEY]}),
        "nested": pa.table({"a": [{"b": [KEY]}]}),
        "metadata": plain.replace_schema_metadata({"k": KEY}),
        "field": plain.cast(pa.schema([pa.field("a", pa.string(), metadata={"k": KEY})])),
        "name": pa.table({KEY: ["x"]}),
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet", compression="zstd")
    found = {each.place.partition(" ")[0] for each in SEARCH.in_tree(tmp_path)}
    assert found == {f"{name}.parquet" for name in tables}


def test_names_of_files_are_searched(tmp_path):
    """A tenant or label that became a file name would be found."""
    (tmp_path / f"x-{KEY}").touch()
    assert list(SEARCH.in_tree(tmp_path))


def test_nothing_is_found_where_nothing_is(tmp_path):
    """The search has no false alarms on what headrig writes: random bytes and its own words."""
    import os

    (tmp_path / "random").write_bytes(os.urandom(1 << 20) + base64.b64encode(os.urandom(1 << 20)))
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    findings = list(SEARCH.in_tree(tmp_path))
    assert not findings, report(findings)


def test_without_masking_every_place_is_reported(tmp_path):
    """The same traffic through a headrig that masks nothing: buffer, audit log, archive, quarantine and sink leak."""
    with KeepingLoki() as loki:
        archive = {"enabled": True, "linger": "200ms"}
        sinks = {"loki": {"url": loki.url}, "archive": archive}
        settings = {"sinks": sinks, "idempotency": {"slots": 1024}}
        headrig = Headrig(tmp_path, settings, workers=1, program=PROGRAM)
        lines = [
            json.dumps({"message": f"key {KEY}"}),
            json.dumps({"event": "user.login", "outcome": "success", "user": "eve", "message": KEY}),
            json.dumps({"message": f"{REFUSED} {KEY}"}),
        ]
        try:
            headrig.start(env={VARIABLE: "unmasked"})
            assert headrig.post("\n".join(lines).encode()).json()["accepted"] == len(lines)
            places = ("data/buffer", "data/audit/", "data/archive", "data/quarantine")

            def missing() -> set[str]:
                found = {each.place for each in SEARCH.in_tree(headrig.directory)}
                seen = {place for place in places if any(name.startswith(place) for name in found)}
                sink = list(SEARCH.in_texts("sink", loki.received))
                return {*places, "sink"} - seen - ({"sink"} if sink else set())

            wait_until(lambda: not missing(), 20, "a finding in every place", pause=0.5)
            inflated = [
                each for each in SEARCH.in_tree(headrig.data / "buffer") if "(inflated)" in each.place
            ]
            assert inflated, "the buffer's frames were not inflated"
        finally:
            headrig.kill()
