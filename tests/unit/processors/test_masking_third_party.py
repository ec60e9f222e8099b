"""Third-party detectors: what they are shown and what becomes of what they point at."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from headrig import DetectorSpec, Resource, Span
from headrig._raw import RawBatch

from processors.masking import Masker

CONFIG = Path(__file__).parents[3] / "config"


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
def host(tmp_path_factory):
    return Lent(tmp_path_factory.mktemp("cache"))


def raw(*lines: bytes) -> RawBatch:
    heads = [object() if line[:1] == b"{" else None for line in lines]
    return RawBatch(Resource("t"), list(lines), b"\n".join(lines), heads, [1] * len(lines))


class Badge:
    """Finds staff badges."""

    def find(self, text):
        if "boom" in text:
            raise RuntimeError(text)
        for prefix, size in (("BADGE-", 10), ("9912", 4)):
            start = text.find(prefix)
            if start >= 0:
                yield Span(start, start + size)


def plugged(host, literals):
    masker = Masker({}, host)
    spec = DetectorSpec(kind="badge", config=object, factory=lambda _c, _h: Badge(), literals=literals)
    masker.add_detectors([(spec, Badge())])
    return masker


@pytest.mark.parametrize("literals", [("badge-", "9912"), ()])
def test_third_party_detectors_point_and_the_stage_replaces(host, literals):
    """Their spans are characters of decoded strings; a raising detector quarantines its line only."""
    masker = plugged(host, literals)
    lines = [
        b'{"a":"\xc3\xa9 BADGE-1234!","b":"x\\n\\u0042ADGE-5678"}',
        b"text BADGE-9999",
        b'{"a":"badge- boom"}',
    ]
    out = masker.mask(raw(*lines))
    assert out.lines[0] == '{"a":"é [redacted:badge]!","b":"x\\n[redacted:badge]"}'.encode()
    assert out.lines[1] == b"text [redacted:badge]"
    assert [verdict.origin for verdict in out.verdicts] == [2]


def test_lines_without_a_literal_are_not_shown(host):
    """A detector with literals never sees other lines."""
    masker = plugged(host, ("badge-",))
    assert masker.mask_line(b'{"a":"boom"}') == b'{"a":"boom"}'


@pytest.mark.parametrize("literals", [("badge-", "9912"), ()])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"x \\u0042ADGE-1234", b"x [redacted:badge]"),
        (b'{"u":"/p?q=%42ADGE-1234"}', b'{"u":"/p?q=[redacted:badge]"}'),
        (
            b'{"s":"{\\"a\\":\\"\\\\u0042ADGE-1234\\",\\"n\\":99123456}"}',
            b'{"s":"{\\"a\\":\\"[redacted:badge]\\",\\"n\\":\\"[redacted:badge]\\"}"}',
        ),
        (b'{"n":[1,99123456]}', b'{"n":[1,"[redacted:badge]"]}'),
        (b"%FF BADGE-1234", b"%FF [redacted:badge]"),
    ],
)
def test_third_party_detectors_see_every_decoded_form(host, literals, line, expected):
    """Escapes, percent-encoding, JSON in strings and numbers hide nothing from them."""
    assert plugged(host, literals).mask_line(line) == expected
