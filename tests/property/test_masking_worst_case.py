"""The worst lines cost work that grows as they do, in both engines: events, looks and bytes are counted, never time."""

import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from headrig import Resource
from headrig._raw import RawBatch

from processors.masking import Masker
from processors.masking.pack import expand
from processors.scanning import fallback

HOST = SimpleNamespace(
    cache_dir=Path(tempfile.mkdtemp(prefix="headrig-masking-")),
    config_dir=Path(__file__).parents[2] / "config",
    key=b"k" * 32,
    log=logging.getLogger("test"),
    fields={},
)


class Counted:
    """What RE2 is asked for: how often, and over how many bytes at most."""

    def __init__(self) -> None:
        self.calls = self.bytes = 0

    def wrap(self, patterns, compiled=fallback._compile):
        match = compiled(patterns)

        def counted(anchor, text, start, limit):
            spans = match(anchor, text, start, limit)
            self.calls += 1
            # A search that finds walks to the end of what it found; one that is anchored stops where nothing is alive.
            if anchor is fallback._ANYWHERE:
                self.bytes += (spans[0][1] if spans[0][0] >= 0 else limit) - start
            return spans

        return counted


COUNTED = Counted()


@pytest.fixture(scope="module", params=["vectorscan", "re2"])
def masker(request):
    if request.param == "vectorscan":
        pytest.importorskip("hyperscan")
        yield Masker({"engine": "vectorscan"}, HOST)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fallback, "_compile", COUNTED.wrap)
        yield Masker({"engine": "re2"}, HOST)


def secrets():
    """Every positive sample of the packs."""
    rules = Masker({"engine": "re2"}, HOST).pack.rules
    return [expand(sample)[0] for rule in rules for sample in rule.positive]


SECRETS = [text for text in secrets() if "\n" not in text]


def every_line_a_secret(size):
    texts, total, lines = SECRETS, 0, []
    while total < size:
        text = texts[len(lines) * 7919 % len(texts)]  # far apart in the packs: any size has all kinds
        lines.append(text.encode() if len(lines) % 2 else orjson.dumps({"message": text, "n": len(lines)}))
        total += len(lines[-1])
    return lines


def one_line(text):
    return lambda size: [(text * (size // len(text) + 1))[:size].encode()]


def in_json(text):
    return lambda size: [orjson.dumps({"m": (text * (size // len(text) + 1))[:size]})]


def nested(size):
    """JSON in a JSON string, in a JSON string, …: each level doubles the backslashes."""
    text = "password=x ghp_" + "x9Qk" * 9
    while len(text) < size:
        text = orjson.dumps({"m": text}).decode()
    return [text.encode()]


CORPUS = {
    "every line a secret": (every_line_a_secret, 1 << 14, 16),
    "digits": (one_line("4111111111111111"), 1 << 16, 16),
    "random digits": (one_line("40718293645546372819"), 1 << 16, 16),
    "digits in JSON": (in_json("4929 1234-"), 1 << 13, 16),
    "a number": (lambda size: [b'{"n":%s}' % (b"4111" * (size // 4))], 1 << 16, 16),
    "opening brackets": (one_line("["), 6_250, 16),
    "opening braces": (one_line('{"a":'), 6_250, 16),
    "brackets in JSON": (in_json("["), 6_250, 16),
    "closed brackets": (one_line("[]"), 6_250, 16),
    "deep nesting": (lambda size: [b"[" * (size // 2) + b"]" * (size // 2)], 6_250, 16),
    "nested strings": (nested, 1 << 12, 16),
    "dots": (one_line("."), 1 << 12, 16),
    "at signs": (one_line("@"), 1 << 12, 16),
    "equals signs": (one_line("="), 1 << 12, 16),
    "dotted at signs": (one_line("a.b@c.d@"), 1 << 12, 16),
    "names without values": (one_line("password"), 1 << 12, 16),
    "names and values": (one_line("password="), 1 << 12, 16),
    "names and colons in JSON": (in_json('password":'), 1 << 12, 16),
    "quotes": (one_line('"'), 1 << 12, 16),
    "backslashes": (one_line("\\"), 1 << 12, 16),
    "blanks": (one_line("password" + " " * 1000), 1 << 12, 16),
    "colons far away": (one_line('password"' + " " * 3000 + ":"), 1 << 14, 16),
    "half a key": (one_line("-----BEGIN PRIVATE KEY"), 1 << 12, 16),
    "URLs": (one_line("://a:b@"), 1 << 12, 16),
    "base64": (one_line("eyJhbGciOi"), 1 << 12, 16),
    "percent signs": (one_line("%41%"), 1 << 12, 16),
    "letters": (one_line("A"), 1 << 12, 16),
    "hexadecimal": (one_line("0a9f4c7e"), 1 << 12, 16),
}


def measured(masker, lines):
    """Return events, bytes that confirmations walked, looks and bytes of RE2; what masking gives."""
    COUNTED.calls = COUNTED.bytes = 0
    buffer = b"\n".join(lines)
    events = len(masker._engine._scanner.scan(buffer))
    calls, size = COUNTED.calls, COUNTED.bytes
    batch = masker.mask(RawBatch(Resource("t"), lines, buffer, [None] * len(lines), [0] * len(lines)))
    details = {verdict.detail for verdict in batch.verdicts}
    work = 0
    if not details:
        work = masker._engine.run(lines, buffer).work
    return (events, work, calls, size), details


@pytest.mark.parametrize("name", CORPUS)
def test_work_grows_as_the_text_does(name, masker):
    """Sixteen times the text is about sixteen times the work; nothing is given up but what is too deep."""
    make, size, times = CORPUS[name]
    small, details = measured(masker, make(size))
    assert details <= {"depth"}
    large, details = measured(masker, make(times * size))
    assert details <= {"depth"}
    for less, more in zip(small, large, strict=True):
        assert more <= 1.25 * times * less + 4096, (small, large)
    # However large: a byte of text makes a bounded number of events, and is looked at a bounded number of times.
    length = sum(map(len, make(times * size)))
    events, work, calls, walked = large
    assert events <= length
    assert work <= 64 * length + 65536
    assert calls <= 40 * length + 64
    assert walked <= 130 * length + 65536
