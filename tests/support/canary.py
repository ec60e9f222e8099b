"""Secrets that exist nowhere else, and a search that finds them wherever and however they are written.

The secrets are found plain, in any letter case, behind JSON, backslash and percent escapes (four deep),
in base64 at all three alignments, in hex and UTF-16; in raw files, inside gzip members at any offset, and in
every column, key and statistic of Parquet files.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.samples import canary

KEY_TAIL = canary(0)[-9:]
KEY_HEAD = canary(0)[:8]
"""Every key of `pipeline.samples.canary` below 4096 begins and ends like this, so a piece of one is found too."""
PASSWORD = "Xq7vT9rLm2KpWz4e"
BEARER = "mF9B5f41JqM7QxZ3tR8w"
CARD = "4929574211863703"
MAIL = "canary.q7v@leak.example.com"
DASHED = "glpat-hrCanary-9Q7vT2mKpZ4"
PIN = "918273645546372819"
CONTENT = "harmlessQ7vContent"
"""No secret: it may be stored and delivered, and must not be in a log, a metric or an error (P8)."""

SECRETS: dict[str, tuple[str, ...]] = {
    "key": (KEY_TAIL, KEY_HEAD),
    "password": (PASSWORD,),
    "bearer": (BEARER,),
    "card": (CARD, " ".join(CARD[n : n + 4] for n in (0, 4, 8, 12)), "-".join(CARD[n : n + 4] for n in (0, 4, 8, 12))),
    "mail": (MAIL.partition("@")[0], MAIL.partition("@")[0].replace(".", "_")),
    "dashed": (DASHED[6:], DASHED[6:].replace("-", "_")),
    "pin": (PIN,),
}  # fmt: skip

_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[\"\\/]|%[0-9a-fA-F]{2}")
_DEEPEST = 4
_MOST = 64 << 20


@dataclass(frozen=True)
class Finding:
    """Where a secret was found."""

    place: str
    secret: str
    form: str
    around: bytes


class Search:
    """Looks for texts in everything.

    Args:
        secrets: Name to the texts that give it away.
    """

    def __init__(self, secrets: dict[str, tuple[str, ...]] | None = None) -> None:
        self._caseless: list[tuple[bytes, str, str]] = []
        self._exact: list[tuple[bytes, str, str]] = []
        for name, texts in (SECRETS if secrets is None else secrets).items():
            for text in texts:
                self._add(name, text)

    def _add(self, name: str, text: str) -> None:
        raw = text.encode()
        self._caseless += [
            (raw.lower(), name, "plain"),
            (raw.hex().encode(), name, "hex"),
            (text.lower().encode("utf-16-le"), name, "utf-16"),
        ]
        for alignment in range(3):
            whole = base64.b64encode(bytes(alignment) + raw).rstrip(b"=")
            inner = whole[(0, 2, 3)[alignment] :]
            if (alignment + len(raw)) % 3:
                inner = inner[:-1]
            if len(inner) >= 8:
                self._exact.append((inner, name, f"base64 at {alignment}"))
                self._exact.append(
                    (inner.translate(bytes.maketrans(b"+/", b"-_")), name, f"base64url at {alignment}")
                )

    def in_bytes(self, place: str, data: bytes, depth: int = 0) -> Iterator[Finding]:
        """Yield what is found in data, in its unescaped forms, and in gzip members inside it."""
        for level, text in enumerate(_unescaped(data)):
            lower = text.lower()
            for needles, hay in ((self._caseless, lower), (self._exact, text)):
                for needle, name, form in needles:
                    at = hay.find(needle)
                    if at >= 0:
                        how = form if not level else f"{form}, unescaped {level} times"
                        yield Finding(place, name, how, text[max(0, at - 90) : at + 60])
        if depth < _DEEPEST:
            for member in gzip_members(data):
                yield from self.in_bytes(f"{place} (inflated)", member, depth + 1)

    def in_tree(self, root: Path) -> Iterator[Finding]:
        """Yield what is found in names and content of all files below a directory."""
        for path in sorted(root.rglob("*")):
            place = str(path.relative_to(root))
            yield from self.in_bytes(f"the name {place}", place.encode())
            if path.is_file() and not path.is_symlink():
                yield from self.in_bytes(place, path.read_bytes())
                if path.suffix == ".parquet":
                    yield from self.in_bytes(place, b"\n".join(parquet_texts(path)))

    def in_texts(self, place: str, texts: Iterable[bytes]) -> Iterator[Finding]:
        """Yield what is found in any of these."""
        for number, text in enumerate(texts):
            yield from self.in_bytes(f"{place} {number}", text)


def _unescaped(data: bytes) -> Iterator[bytes]:
    """Yield the data as it is, then with its escapes undone, again and again while that changes anything."""
    yield data
    for _ in range(_DEEPEST):
        following = _ESCAPE.sub(_plain, data)
        if following == data:
            return
        data = following
        yield data


def _plain(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if text[:1] == b"%":
        return bytes.fromhex(text[1:].decode())
    if text[1:2] == b"u":
        return chr(int(text[2:], 16)).encode("utf-8", "surrogatepass")
    if text[1:2] == b"x":
        return bytes.fromhex(text[2:].decode())
    return text[1:]


def gzip_members(data: bytes) -> Iterator[bytes]:
    """Inflate every gzip member at any offset, as far as it goes."""
    at = data.find(b"\x1f\x8b\x08")
    while at >= 0:
        inflater = zlib.decompressobj(31)
        try:
            content = inflater.decompress(data[at:], _MOST)
        except zlib.error:
            content = _as_far_as_it_goes(data[at:])
        if content:
            yield content
        at = data.find(b"\x1f\x8b\x08", at + 1)


def _as_far_as_it_goes(data: bytes) -> bytes:
    inflater = zlib.decompressobj(31)
    content = b""
    for start in range(0, len(data), 64):
        try:
            content += inflater.decompress(data[start : start + 64], _MOST)
        except zlib.error:
            break
    return content


def parquet_texts(path: Path) -> Iterator[bytes]:
    """Yield all there is to read in a Parquet file: metadata, statistics and every value of every column."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    about = file.metadata
    yield repr(about.metadata).encode()
    yield repr(file.schema_arrow).encode()
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            chunk = about.row_group(group).column(column)
            statistics = chunk.statistics
            if statistics is not None and statistics.has_min_max:
                yield f"{statistics.min} {statistics.max}".encode()
    for column in file.read().columns:
        yield "\n".join(map(str, column.to_pylist())).encode("utf-8", "surrogateescape")


def report(findings: Iterable[Finding]) -> str:
    """Say where secrets were found, one line each."""
    return "\n".join(f"{each.place}: {each.secret} as {each.form}: {each.around!r}" for each in findings)
