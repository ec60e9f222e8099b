"""A JSON record of an application, around whatever it says."""

from __future__ import annotations

import json

from tests.corpus.draw import WORDS, Draw
from tests.corpus.harmless_values import epoch, iso


def record(draw: Draw, **more: object) -> str:
    """Return a JSON record as a logger of an application writes it."""
    fields: dict[str, object] = {
        draw.choice(["time", "ts", "@timestamp", "timestamp"]): draw.choice([iso, epoch])(draw),
        "level": draw.choice(["info", "warn", "error", "debug", "INFO"]),
        "service": draw.choice(WORDS),
    }
    fields |= more
    return json.dumps(fields, separators=draw.choice([(",", ":"), (", ", ": ")]), ensure_ascii=False)
