"""Decoders of the receiver against small encoders, and against noise."""

import gzip
import zlib
from datetime import UTC, datetime, timedelta, timezone

import cramjam
import orjson
import pytest
from headrig import HeadrigError, Resource
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.timestamps import MAX_NS, parse_micros, parse_time, parse_times
from pipeline.receiver import dialect_json, dialect_loki
from pipeline.receiver.body import inflate
from pipeline.receiver.bounds import structural_count
from pipeline.receiver.limits import Limits
from pipeline.receiver.loki_labels import parse_labels
from pipeline.receiver.loki_protobuf import WireEntry, WireStream, decode_push
from pipeline.streams import UniqueTimes

LIMITS = Limits(line_bytes=1000, records=100)
RESOURCE = Resource("acme")
NS = st.integers(10**17, MAX_NS)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=8), nested, max_size=4)
records = objects.filter(lambda value: "resourceLogs" not in value)


def varint(number: int) -> bytes:
    """Encode a protobuf varint of 64 bits, two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int) -> bytes:
    """Encode one protobuf field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


unknown = st.sampled_from(
    [b"", field(15, 7), field(9, b"later"), varint(8 << 3 | 1) + bytes(8), varint(8 << 3 | 5) + bytes(4)]
)


@st.composite
def pushes(draw):
    """Return streams and their encoding, with unknown fields between the known ones."""
    streams, out = [], b""
    for _ in range(draw(st.integers(0, 3))):
        stream = WireStream(draw(st.binary(max_size=20)))
        text = draw(unknown) + field(1, stream.labels)
        for _ in range(draw(st.integers(0, 4))):
            ns = draw(st.integers(-(10**18), MAX_NS))
            pairs = draw(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=3))
            entry = WireEntry(ns, draw(st.binary(max_size=300)), pairs)
            stream.entries.append(entry)
            time = field(1, ns // 10**9) + field(2, ns % 10**9)
            encoded = field(1, time) + draw(unknown) + field(2, entry.line)
            encoded += b"".join(field(3, field(1, name) + field(2, value)) for name, value in pairs)
            text += field(2, encoded) + draw(unknown)
        streams.append(stream)
        out += field(1, text) + draw(unknown)
    return streams, out


@given(pushes())
def test_protobuf_round_trips(push):
    """What an encoder wrote is what the decoder reads, unknown fields or not."""
    streams, encoded = push
    assert decode_push(encoded, 1000) == streams


@given(pushes(), st.data())
def test_mutated_protobuf_never_crashes(push, data):
    """Any change of bytes gives a result or a refusal."""
    encoded = bytearray(push[1])
    for _ in range(data.draw(st.integers(1, 5))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    for body in (bytes(encoded), bytes(encoded[:cut]), bytes(cramjam.snappy.compress_raw(bytes(encoded)))):
        try:
            dialect_loki.decode(body, b"application/x-protobuf", RESOURCE, b"", LIMITS)
        except HeadrigError as error:
            assert str(error)


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_a_broken_element_leaves_the_others_of_its_array(values, data):
    """Wherever it stands, and whatever brackets, quotes and commas the others have in their strings."""
    elements = [orjson.dumps(value) for value in values]
    broken = data.draw(st.sampled_from([b'{"a":NaN}', b"tru", b'{"a":[1,{"b":}]}', b'{"x" 1}', b'"\\x"']))
    elements.insert(data.draw(st.integers(0, len(elements))), broken)
    body = b"[" + b" , ".join(elements) + b"]"
    inbound = dialect_json.decode(body, b"", RESOURCE, b"", Limits())
    assert inbound.lines == elements


@given(st.binary(max_size=200))
def test_noise_never_crashes(body):
    """Random bytes give a result or a refusal, in every dialect and coding."""
    for decode in (dialect_loki.decode, dialect_json.decode):
        for content_type in (b"", b"application/x-protobuf"):
            try:
                inbound = decode(body, content_type, RESOURCE, b"", LIMITS)
            except HeadrigError:
                continue
            for line in inbound.lines:
                line.decode()
    for encoding in (b"gzip", b"deflate", b"zstd", b"snappy"):
        try:
            assert len(inflate(body, encoding, 1000)) <= 1000
        except HeadrigError:
            continue


@given(st.lists(records, max_size=6), st.booleans())
def test_arrays_keep_every_element(values, pretty):
    """Each element is one line that decodes to the same value."""
    body = orjson.dumps(values, option=orjson.OPT_INDENT_2 if pretty else None)
    inbound = dialect_json.decode(body, b"", RESOURCE, b"", Limits())
    assert [orjson.loads(line) for line in inbound.lines] == values
    assert not any(b"\n" in line for line in inbound.lines)


@given(
    st.lists(records, min_size=1, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n \t\r\n"]),
    st.booleans(),
)
def test_ndjson_keeps_every_line(values, newline, last):
    """Each line is handed over as it came, and the body is the lines joined."""
    lines = [orjson.dumps(value) for value in values]
    inbound = dialect_json.decode(newline.join(lines) + newline * last, b"", RESOURCE, b"", Limits())
    assert inbound.lines == lines
    assert inbound.body == b"\n".join(lines)


@given(records)
def test_a_pretty_object_is_one_line(value):
    """An object printed over several lines is one record with the same content."""
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    inbound = dialect_json.decode(body, b"", RESOURCE, b"", Limits())
    assert [orjson.loads(line) for line in inbound.lines] == [value]


entries = st.lists(
    st.tuples(
        NS, st.text(), st.none() | st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text())
    )
)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.from_regex(r"[a-zA-Z_]\w{0,5}", fullmatch=True).filter(str.isascii), st.text()
            ),
            entries,
        ),
        min_size=1,
    )
)
def test_loki_json_round_trips(streams):
    """Labels, times, lines and metadata come out as they went in, in order."""
    body = {
        "streams": [
            {
                "stream": labels,
                "values": [
                    [str(ns), line] if meta is None else [str(ns), line, meta] for ns, line, meta in values
                ],
            }
            for labels, values in streams
        ]
    }
    inbound = dialect_loki.decode(orjson.dumps(body), b"application/json", RESOURCE, b"", Limits())
    expected = [(labels, *value) for labels, values in streams for value in values]
    assert inbound.times == [ns for _, ns, _, _ in expected]
    found = [orjson.loads(inbound.envelopes[which]) for which in inbound.envelope_of]
    assert found == [{"labels": labels, "metadata": meta or {}} for labels, _, _, meta in expected]
    for line, (_, _, text, _) in zip(inbound.lines, expected, strict=True):
        assert line == text.encode() or line == text.encode().replace(b"\n", b" ")


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True), st.text()))
def test_label_texts_round_trip(labels):
    """Labels quoted as Go does it are read back exactly."""
    quoted = [
        f'{name}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in labels.items()
    ]
    assert parse_labels("{" + ",".join(quoted) + "}") == labels


@given(st.text(alphabet='{}a="\\,n x'))
def test_any_label_text_is_read_or_refused(text):
    """No text makes the label parser raise."""
    labels = parse_labels(text)
    assert labels is None or all(isinstance(value, str) for value in labels.values())


moments = st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1))
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones, st.integers(0, 9), st.integers(0, 999_999_999), st.sampled_from(["T", "t", " "]))
def test_rfc3339_round_trips(moment, zone, digits, fraction, separator):
    """Any date, offset and number of digits gives the time that datetime computes."""
    fraction %= 10**digits
    local = moment.replace(microsecond=0, tzinfo=UTC).astimezone(zone)
    offset = local.strftime("%z")
    text = local.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + (f".{fraction:0{digits}d}" if digits else "")
    second = int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())
    expected = (second * 10**9 + fraction * 10 ** (9 - digits), 9 - digits)
    assert parse_time(f"{text}{offset[:3]}:{offset[3:]}") == expected
    assert parse_time(text + offset) == expected
    if local.utcoffset() == timedelta():
        assert parse_time(text + "Z") == parse_time(text + "z") == expected


@given(st.integers(10**17, MAX_NS))
def test_epochs_of_all_units(ns):
    """The unit is told by magnitude, and the digits it lacks are told as unused."""
    assert parse_time(ns) == parse_time(str(ns)) == (ns, 0)
    for unused in (3, 6, 9):
        value = ns // 10**unused
        assert parse_time(value) == parse_time(str(value)) == (value * 10**unused, unused)


@given(st.integers(10**8, 4 * 10**9), st.integers(0, 999_999))
def test_float_seconds(second, micros):
    """The fraction of a float is taken as it is written, not as it is stored."""
    found = parse_time(float(f"{second}.{micros:06d}"))
    assert found is not None
    assert found[0] == second * 10**9 + micros * 1000
    assert found[1] >= 3


@pytest.mark.parametrize(
    "value",
    ["", "now", "2026-11-23", "2026-11-23T08:18:57", "2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z", "1e9", "-5", "0", "1.2.3",
     "2026-11-23T08:18:57.Z", "2026-11-23T08:18:57+24:00", "2026-11-23T08:18:57+01:60", "1969-12-31T23:59:59Z", "2263-01-01T00:00:00Z",
     "٢٠٢٦-11-23T08:18:57Z", "2026-11-23T08:18:57.²Z", None, True, 0, -1, 2**63, float("nan"), float("inf"), float("-inf"), 1e300, [], {}, b"1"],
)  # fmt: skip
def test_unusable_times(value):
    """What is no time, or not within 1970 to 2262, is None, also the second time it is asked."""
    assert parse_time(value) is None
    assert parse_time(value) is None


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_any_value_is_a_time_or_none(value):
    """No value makes the parser raise, and every time is in range."""
    found = parse_time(value)
    assert found is None or (0 < found[0] <= MAX_NS and 0 <= found[1] <= 9)


def test_leap_seconds_and_nanoseconds():
    """A leap second is the second after; digits beyond nine are cut."""
    assert parse_time("2016-12-31T23:59:60Z") == (1_483_228_800 * 10**9, 9)
    assert parse_time("2016-12-31T23:59:59.1234567891Z") == (1_483_228_799_123_456_789, 0)
    assert parse_time("2016-12-31 23:59:59,123+00") == (1_483_228_799_123_000_000, 6)


@given(objects)
def test_structure_is_counted_exactly(value):
    """Commas and brackets inside strings do not count."""

    def count(node):
        if isinstance(node, dict):
            return 1 + max(0, len(node) - 1) + sum(map(count, node.values()))
        if isinstance(node, list):
            return 1 + max(0, len(node) - 1) + sum(map(count, node))
        return 0

    assert structural_count(orjson.dumps(value)) == count(value)


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=5))
def test_codings_round_trip(parts):
    """Every coding gives back what was put in, in one piece or several."""
    whole = b"".join(parts)
    encoded = {
        b"gzip": b"".join(map(gzip.compress, parts)),
        b"deflate": zlib.compress(whole),
        b"zstd": b"".join(bytes(cramjam.zstd.compress(part)) for part in parts),
        b"snappy": bytes(cramjam.snappy.compress(whole)),
    }
    for encoding, body in encoded.items():
        assert inflate(body, encoding, len(whole)) == whole
    assert inflate(zlib.compress(whole, wbits=-15), b"deflate", len(whole)) == whole
    assert inflate(bytes(cramjam.snappy.compress_raw(whole)), b"snappy", len(whole)) == whole


MICROS = st.datetimes(datetime(1970, 1, 1, 0, 0, 1), datetime(2262, 1, 1)).map(
    lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
)
NEARLY = MICROS | st.sampled_from(
    ["2026-11-25T16:36:14.013067z", "2026-11-25T16:36:60.013067Z", "2026-13-25T16:36:14.013067Z", "2026-11-25T16:36:14,013067Z",
     "2026-11-25T16:36:14.01306aZ", "2026-11-25T16:36:14.0130670", "2026-11-25T16:36:14.01306Z", "\u0662026-11-25T16:36:14.01306Z"]
)  # fmt: skip


@given(st.lists(MICROS, min_size=1, max_size=5), st.lists(NEARLY, max_size=2), st.integers(0, 7))
def test_a_column_of_times_is_read_as_each_of_them(usual, odd, writer):
    """The quick way says the same as the slow one, or that it does not know."""
    column = [*usual, *odd] * 60
    parsed = parse_times(column)
    quick = parse_micros(column)
    assert quick is not None or any(value in odd for value in column)
    if quick is not None:
        assert list(zip(quick.tolist(), [3] * len(column), strict=True)) == parsed
        slow, fast = UniqueTimes(writer, 8, 41), UniqueTimes(writer, 8, 41)
        assert fast.fill_micros(quick) == slow.fill(parsed)
        assert fast.fill(parsed) == slow.fill(parsed)
