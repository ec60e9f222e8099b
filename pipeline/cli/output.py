"""JSON for a terminal."""

from __future__ import annotations

import re
from typing import Any

import orjson

_OBEYED = re.compile("[\x7f-\x9f]")


def json_text(value: Any, *, indent: bool = False) -> str:
    """Write JSON in which no character is one that a terminal obeys: orjson leaves DEL and U+0080 to U+009F."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
