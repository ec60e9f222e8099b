"""Where a value may stand in a log line.

A place takes a name and a text and returns a line. The name is neutral, or holds the keyword that
the format needs. Each line also holds a word that has nothing to do with the secret (`KEPT`): what
becomes of it tells how much is masked that need not be.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, Sample

KEPT = "keepsake"
Place = Callable[[Draw, str, str], str]
_NEUTRAL = ("message", "detail", "text", "data", "payload", "content", "note", "info")


def compact(value: object) -> str:
    """Return JSON without blanks, as most loggers write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def name_for(draw: Draw, recipe: Recipe, *, styles: str = "snake camel kebab screaming title pascal") -> str:
    """Return a name that holds the recipe's keyword, or a neutral one."""
    if not recipe.keywords:
        return draw.choice(_NEUTRAL)
    parts = draw.choice(recipe.keywords).split()
    style = draw.choice(styles.split())
    if style == "camel":
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    if style == "pascal":
        return "".join(part.capitalize() for part in parts)
    if style == "title":
        return "-".join(part.capitalize() for part in parts)
    joined = ("-" if style == "kebab" else "_").join(parts)
    return joined.upper() if style == "screaming" else joined


def sentence(draw: Draw, recipe: Recipe, text: str) -> str:
    """Put a text into a sentence, its keyword before or behind it."""
    before, after = draw.words(draw.randint(1, 3)), f"{draw.words(1)} {KEPT}"
    if not recipe.keywords:
        return (
            before
            + draw.choice([" {} ", ": {} ", " ({}) ", " '{}' ", " {}, ", " for {}; "]).format(text)
            + after
        )
    phrase = draw.choice(recipe.keywords)
    phrase = draw.choice([phrase, phrase, phrase.capitalize(), phrase.upper()])
    shape = draw.choice(
        [
            "{k} {v} ",
            "{k}: {v} ",
            "{k} is {v}, ",
            "my {k} is {v}. ",
            "{k} = {v} ",
            "{k} found: {v} ",
            "{v} is the {k} ",
            "{v} ({k}) ",
            "{v} as {k} ",
        ]
    )
    return f"{before} {shape.format(k=phrase, v=text)}{after}"


def _field(draw: Draw, name: str, text: str) -> str:
    return compact({"level": "info", name: text, "zone": KEPT})


def _spaced(draw: Draw, name: str, text: str) -> str:
    return json.dumps({"level": "info", name: text, "zone": KEPT})


def _array(draw: Draw, name: str, text: str) -> str:
    return compact({name: [text, draw.words(1)] if name in _NEUTRAL else [text], "zone": KEPT})


def _logfmt(draw: Draw, name: str, text: str) -> str:
    value = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(text) & set(' "=\\') else text
    return f"level=info {name}={value} zone={KEPT}"


def _plain(draw: Draw, name: str, text: str) -> str:
    return f"2026-11-24T10:00:00Z INFO {draw.words(2)} {name}: {text} {KEPT}"


def _nested(draw: Draw, name: str, text: str) -> str:
    return compact({"a": {"ctx": {"inner": {name: text, "n": 1}, "zone": KEPT}}})


def _objects(draw: Draw, name: str, text: str) -> str:
    return compact({"items": [{"n": 1}, {name: text, "zone": KEPT}]})


def _number(draw: Draw, name: str, text: str) -> str:
    return f'{{"level":"info","{name}":{text},"zone":"{KEPT}"}}'


def _map_key(draw: Draw, name: str, text: str) -> str:
    key = text if name in _NEUTRAL else f"{name}:{text}"
    return compact({"cache": {key: {"hits": 3}}, "zone": KEPT})


def _in_string(levels: int) -> Place:
    def place(draw: Draw, name: str, text: str) -> str:
        value: object = {name: text, "zone": KEPT, "n": [1]}
        for _ in range(levels):
            value = {draw.choice(["body", "request", "event", "log"]): compact(value)}
        return compact(value)

    return place


def _unicode(draw: Draw, name: str, text: str) -> str:
    escaped = "".join(f"\\u{ord(char):04x}" for char in text) if text.isascii() else json.dumps(text)[1:-1]
    return f'{{"{name}":"{escaped}","zone":"{KEPT}"}}'


def _encoder(draw: Draw, name: str, text: str) -> str:
    """Escape what HTML-safe encoders escape."""
    escaped = json.dumps(f"{draw.words(1)}={text}")[1:-1]
    for char in "=&<>+/'":
        escaped = escaped.replace(char, f"\\u{ord(char):04x}")
    return f'{{"{name}":"{escaped}","zone":"{KEPT}"}}'


def _newline(draw: Draw, name: str, text: str) -> str:
    before = "" if name in _NEUTRAL else f"{name}: "
    return compact({"message": f"{draw.words(2)}\n{before}{text}\n{KEPT}"})


def _tab(draw: Draw, name: str, text: str) -> str:
    before = draw.words(1) if name in _NEUTRAL else name
    return compact({"message": f"{KEPT}\t{before}\t{text}"})


def _percent(draw: Draw, name: str, text: str) -> str:
    return compact({"url": f"/v1/{draw.words(1)}?zone={KEPT}&{name}={quote(text, safe='')}"})


def _percent_all(draw: Draw, name: str, text: str) -> str:
    encoded = "".join(f"%{byte:02X}" for byte in text.encode())
    return compact({"url": f"/v1/{draw.words(1)}?{name}={encoded}&zone={KEPT}"})


def _query(draw: Draw, name: str, text: str) -> str:
    return compact({"url": f"https://{draw.words(1)}.io/v1?page=2&{name}={text}&zone={KEPT}"})


def _access_log(draw: Draw, name: str, text: str) -> str:
    return f'10.0.0.7 - - [24/Nov/2026:10:00:00 +0000] "GET /v1/x?{name}={text}&zone={KEPT} HTTP/1.1" 200 512 "-" "curl/8.5.0"'


def _form(draw: Draw, name: str, text: str) -> str:
    return compact({"body": f"grant=x&{name}={quote(text, safe='')}&zone={KEPT}"})


def _cookie(draw: Draw, name: str, text: str) -> str:
    return compact({"headers": {"Cookie": f"lang=de; {name}={text}; theme=dark"}, "zone": KEPT})


def _header_pairs(draw: Draw, name: str, text: str) -> str:
    return compact({"headers": [["Host", KEPT], [f"X-{name}", text]]})


def _header_object(draw: Draw, name: str, text: str) -> str:
    return compact({"request": {"headers": {"host": KEPT, f"x-{name}": [text]}}})


def _name_value(draw: Draw, name: str, text: str) -> str:
    pair = draw.choice(
        [{"name": name, "value": text}, {"key": name, "value": text}, {"value": text, "name": name}]
    )
    return compact({"env": [{"name": "ZONE", "value": KEPT}, pair]})


def _argv(draw: Draw, name: str, text: str) -> str:
    flag = "--" + name.replace("_", "-")
    args = [flag, text] if draw.random() < 0.5 else [f"{flag}={text}"]
    return compact({"argv": ["run", "--zone", KEPT, *args, "--verbose"]})


def _command(draw: Draw, name: str, text: str) -> str:
    return compact({"cmd": f"tool --zone {KEPT} --{name.replace('_', '-')}={text} --verbose"})


def _base64_json(draw: Draw, name: str, text: str) -> str:
    wrapped = base64.b64encode(compact({"zone": draw.words(1), name: text}).encode()).decode()
    return compact({"event": wrapped if draw.random() < 0.7 else wrapped.rstrip("="), "zone": KEPT})


def _base64_credentials(draw: Draw, name: str, text: str) -> str:
    wrapped = base64.b64encode(f"{draw.words(1)}:{text}".encode()).decode()
    return compact({"headers": {"Authorization": f"Basic {wrapped}"}, "zone": KEPT})


def _hex(draw: Draw, name: str, text: str) -> str:
    return compact({"dump": f"{name}={text}".encode().hex(), "zone": KEPT})


PLAIN: dict[str, Place] = {
    "field": _field,
    "spaced field": _spaced,
    "array": _array,
    "logfmt": _logfmt,
    "text line": _plain,
}
PLACES: dict[str, Place] = {
    "nested object": _nested,
    "objects in array": _objects,
    "JSON in string": _in_string(1),
    "JSON in string, 2 levels": _in_string(2),
    "JSON in string, 3 levels": _in_string(3),
    "\\u escapes": _unicode,
    "\\n before": _newline,
    "\\t before": _tab,
    "header pairs": _header_pairs,
    "header object": _header_object,
    "name/value object": _name_value,
    "argv array": _argv,
    "base64-wrapped JSON": _base64_json,
    "percent-encoded": _percent,
    "form body": _form,
}
ATOMS: dict[str, Place] = {
    "map key": _map_key,
    "\\u-escaped specials": _encoder,
    "every byte percent-encoded": _percent_all,
    "URL query": _query,
    "access log": _access_log,
    "cookie": _cookie,
    "command line": _command,
    "base64 credentials": _base64_credentials,
}
"""Places for one word only."""
NUMBERS: dict[str, Place] = {"number": _number}
SOFT: dict[str, Place] = {"hex-encoded": _hex}
"""Measured, but asked of nobody."""
ENCODED = {"base64 credentials", "hex-encoded"}
"""Places where a short value makes too short a run to be read back."""


def is_atom(sample: Sample) -> bool:
    """Tell whether a sample is one word that needs no quoting."""
    return sample.secrets == (sample.text,) and not set(sample.text) & set(" \t\n\"'&;,{}[]()=\\%|?^")
