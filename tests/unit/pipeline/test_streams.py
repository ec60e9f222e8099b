"""Labels, structured metadata and times that Loki cannot fold."""

import orjson
import pytest
from headrig import Batch, ConfigError, Envelope, Resource
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.head import HeadDecoder
from pipeline.labels import LabelSettings
from pipeline.streams import Streams, UniqueTimes, separated

SOURCES = {
    "service_name": ("resource.service", "body.service", "label.service", "label.job"),
    "env": ("body.env",),
}


def make(**options):
    settings = LabelSettings(sources=SOURCES, keep=("job",), **options)
    heads = HeadDecoder(settings.fields())
    return Streams(settings, heads.fields), heads


def batch(heads, lines, *, resource=None, envelopes=None, times=None, attributes=None):
    count = len(lines)
    return Batch(
        resource or Resource("shop"),
        lines,
        [heads.decode(line) for line in lines],
        times or list(range(1, count + 1)),
        attributes or [{}] * count,
        envelopes or [None] * count,
        list(range(count)),
    )


def streams_of(fragments):
    return orjson.loads(b"[" + fragments.data + b"]")


def test_rows_of_one_stream_share_one_object_in_order():
    """Labels come from the configured fields; each row keeps line, time and attributes."""
    streams, heads = make()
    lines = [b'{"service":"a","env":"x"}', b'{"service":"b"}', b'{"service":"a","env":"x","n":1}']
    fragments = streams.encode(batch(heads, lines, attributes=[{"team": "t"}, {}, {}]))

    assert (fragments.records, fragments.min_ns, fragments.max_ns) == (3, 1, 3)
    assert streams_of(fragments) == [
        {
            "stream": {"service_name": "a", "env": "x"},
            "values": [["1", lines[0].decode(), {"team": "t"}], ["3", lines[2].decode(), {}]],
        },
        {"stream": {"service_name": "b"}, "values": [["2", lines[1].decode(), {}]]},
    ]


def test_the_credential_wins_over_the_line():
    """A credential bound to a service names the stream."""
    streams, heads = make()
    fragments = streams.encode(batch(heads, [b'{"service":"a"}'], resource=Resource("shop", "bound")))

    assert streams_of(fragments)[0]["stream"] == {"service_name": "bound"}


def test_labels_of_the_client_are_kept_by_name_and_the_rest_is_metadata():
    """A sender cannot make streams with names of its own."""
    streams, heads = make()
    envelope = Envelope({"job": "j", "request_id": "r"}, {"user": "u"})
    fragments = streams.encode(batch(heads, [b"text"], envelopes=[envelope]))

    assert streams_of(fragments) == [
        {
            "stream": {"service_name": "j", "job": "j"},
            "values": [["1", "text", {"user": "u", "request_id": "r"}]],
        }
    ]


def test_values_over_the_caps_move_to_metadata_and_are_counted():
    """Length and number of a label's values are bounded; nothing is lost."""
    streams, heads = make(max_values=2, max_value_bytes=8)
    lines = [b'{"service":"%b"}' % name for name in (b"a", b"b", b"c", b"a" * 9)]
    found = streams_of(streams.encode(batch(heads, lines)))

    assert [one["stream"]["service_name"] for one in found] == [
        "a",
        "b",
        "unknown_service",
        "unknown_service",
    ]
    assert [one["values"][0][2] for one in found[2:]] == [{"service_name": "c"}, {"service_name": "a" * 9}]
    assert streams.demoted == 2


def test_a_value_over_the_length_is_no_label_however_few_there_are():
    """Length is counted in bytes; a value of exactly that length is a label."""
    streams, heads = make(max_value_bytes=8)
    values = ["abcdefgh", "abcdefghi", "éééé", "ééééé"]
    found = streams_of(streams.encode(batch(heads, [orjson.dumps({"service": value}) for value in values])))

    assert [(one["stream"]["service_name"], one["values"][0][2]) for one in found] == [
        ("abcdefgh", {}),
        ("unknown_service", {"service_name": "abcdefghi"}),
        ("éééé", {}),
        ("unknown_service", {"service_name": "ééééé"}),
    ]
    assert streams.demoted == 2


def test_combinations_of_labels_are_bounded_per_tenant():
    """Values that are few each make many streams together: over the cap what the sender chose becomes metadata."""
    streams, heads = make(max_streams=10, static={"region": "eu"})
    lines = [b'{"service":"s%d","env":"e%d"}' % (a, b) for a in range(20) for b in range(20)]
    found = streams_of(streams.encode(batch(heads, lines, resource=Resource("shop"))))
    other = streams_of(streams.encode(batch(heads, lines[-1:], resource=Resource("other"))))
    bound = streams_of(streams.encode(batch(heads, lines[-1:], resource=Resource("shop", "bound"))))

    assert len({orjson.dumps(one["stream"]) for one in found}) == 11
    assert found[-1]["stream"] == {"region": "eu", "service_name": "unknown_service"}
    assert found[-1]["values"][-1][2] == {"service_name": "s19", "env": "e19"}
    assert sum(len(one["values"]) for one in found) == 400
    assert other[0]["stream"] == {"region": "eu", "service_name": "s19", "env": "e19"}
    assert bound[0]["stream"] == {"region": "eu", "service_name": "bound"}
    assert streams.demoted == 390 * 2 + 1


def test_a_long_value_is_cut_when_it_becomes_metadata():
    """Loki takes 64 KiB of structured metadata: a label value of any length must not cost the record."""
    streams, heads = make()
    envelope = Envelope({"request_id": "é" * 40_000}, {})
    long = "v" * 70_000
    found = streams_of(
        streams.encode(batch(heads, [b'{"service":"%b"}' % long.encode()], envelopes=[envelope]))
    )
    metadata = found[0]["values"][0][2]

    assert metadata["service_name"] == "v" * 1021 + "…"
    assert metadata["request_id"] == "é" * 510 + "…"
    assert found[0]["values"][0][1] == '{"service":"%s"}' % long


def test_pieces_are_at_most_a_frame_unless_one_line_is_longer():
    """Large lines of one request come in pieces of at most 1 MiB, in order, and none is lost."""
    streams, heads = make()
    lines = [b'{"service":"a","n":"%03d%b"}' % (n, b"x" * 190_000) for n in range(75)]
    lines += [b'{"service":"b","n":"%b"}' % (b'\\"' * 700_000), b'{"service":"b"}', b'{"service":"b"}']
    fragments = streams.encode(batch(heads, lines))
    large = [piece for piece in fragments.pieces if len(piece.data) > 1 << 20]

    assert [piece.records for piece in large] == [1]
    assert sum(piece.records for piece in fragments.pieces) == fragments.records == 78
    assert [value[1] for one in streams_of(fragments) for value in one["values"]] == [
        line.decode() for line in lines
    ]
    assert len(fragments.pieces) < 25


def test_a_field_that_is_an_object_is_no_label():
    """Odd values fail no row."""
    streams, heads = make()
    fragments = streams.encode(
        batch(heads, [b'{"service":{"name":"x"}}', b'{"service":["a"]}', b'{"service":"b"}'])
    )
    names = [one["stream"]["service_name"] for one in streams_of(fragments)]

    assert sorted(names) == ["b", "unknown_service"]
    assert fragments.records == 3


def test_marks_stand_for_label_sets():
    """The same labels have the same mark in every batch, others have another."""
    streams, heads = make()
    first, second, third = (
        streams.encode(batch(heads, [line]))
        for line in (b'{"service":"a"}', b'{"service":"a","n":1}', b'{"service":"b"}')
    )

    assert first.marks == second.marks != third.marks


def test_a_wrong_label_name_is_refused_at_start():
    """Loki would refuse every push."""
    with pytest.raises(ConfigError, match="service-name"):
        Streams(LabelSettings(sources={"service-name": ("body.a",)}), {"a": "f0_a"})


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"))))
def test_equal_rows_move_apart_and_the_first_stays(rows):
    """Afterwards no (time, line) occurs twice; lines, their order and the first of each stay."""
    moved = list(separated([(ns, text, {}) for ns, text in rows]))

    assert len({(ns, text) for ns, text, _ in moved}) == len(rows)
    assert [text for _, text, _ in moved] == [text for _, text in rows]
    assert all(new >= old for (new, _, _), (old, _) in zip(moved, rows, strict=True))
    for at, (ns, text) in enumerate(rows):
        if rows.index((ns, text)) == at and (ns, text) not in {(n, t) for n, t, _ in moved[:at]}:
            assert moved[at][0] == ns


@given(st.integers(1, 60), st.sampled_from([3, 6, 9]), st.integers(1, 16))
def test_writers_never_give_the_same_time(writers, unused, count):
    """Coarse equal times of all writers differ, and stay within their unit."""
    base = 1_795_422_174 * 10**9
    filled = [
        ns for writer in range(writers) for ns in UniqueTimes(writer, writers).fill([(base, unused)] * count)
    ]

    assert len(set(filled)) == writers * count
    assert all(0 <= ns - base < 10**unused for ns in filled)


@pytest.mark.parametrize(
    ("ns", "free"), [(1_795_422_174_123_000_000, 10**6), (1_795_422_174_123_456_000, 10**3)]
)
def test_nanoseconds_that_end_in_zeros_came_from_a_coarser_clock(ns, free):
    """A client that writes milliseconds as ns gets the same protection."""
    first, second = UniqueTimes(0, 2).fill([(ns, 0), (ns, 0)])

    assert first != second
    assert all(0 <= time - ns < free for time in (first, second))


def test_times_of_a_float_clock_get_their_low_byte_filled():
    """A multiple of 256 ns came from a double; any other ns is the writer's own and stays."""
    base = 1_795_422_174_000_000_256
    exact = base + 1 if base % 256 == 0 else base
    times = UniqueTimes(1, 2)
    first, second, other = times.fill([(base - base % 256, 0), (base - base % 256, 0), (exact | 1, 0)])

    assert first != second
    assert 0 < first - (base - base % 256) < 256
    assert other == exact | 1


@pytest.mark.parametrize("unused", [7, 8, 9])
def test_a_record_of_a_coarse_second_is_found_in_it(unused: int) -> None:
    """Whoever asks up to now finds what was acknowledged just before, also when its clock counts seconds."""
    writers = 8
    filled = [UniqueTimes(writer, writers, 10**12).fill([(10**18, unused)])[0] for writer in range(writers)]
    assert max(filled) - 10**18 < 10_000_000
    assert len(set(filled)) == writers
