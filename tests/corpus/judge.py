"""What survived masking: in plain, escaped, percent-encoded, base64 or hex form, whole or in part."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\[redacted:[a-z0-9-]+\]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_SINGLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LONGEST = 32
_SHORT = 8


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _SINGLE.get(code, code)


def _decoded(run: str) -> list[str]:
    texts = []
    for start in (0, 1, 2, 3) if len(run) < 400 else (0,):
        part = run[start:].replace("-", "+").replace("_", "/")
        part = part[: len(part) // 4 * 4] if len(part) % 4 == 1 else part + "=" * (-len(part) % 4)
        try:
            raw = base64.b64decode(part)
        except (binascii.Error, ValueError):
            continue
        text = raw.decode("utf-8", "replace")
        if sum(char.isprintable() or char == "\n" for char in text) > 0.9 * len(text):
            texts.append(text)
    return texts


def readings(output: str) -> list[str]:
    """Return a text and all that can be read out of it by undoing encodings."""
    seen = [output]
    for _ in range(4):
        undone = _ESCAPE.sub(_unescape, seen[-1]) if "\\" in seen[-1] else seen[-1]
        if undone == seen[-1]:
            break
        seen.append(undone)
    seen += [unquote(text) for text in seen if "%" in text]
    hidden = [
        text
        for reading in seen
        for run in _BASE64.findall(_PLACEHOLDER.sub(" ", reading))
        for text in _decoded(run)
    ]
    hidden += [bytes.fromhex(run).decode("latin-1") for reading in seen[:1] for run in _HEX.findall(reading)]
    return list(dict.fromkeys(seen + hidden))


def survives(output: str, secret: str) -> bool:
    """Tell whether a secret, or a run of half its length, can still be read in an output.

    Args:
        output: A masked line.
        secret: What was planted; one that is shorter than eight characters must stand alone to count.
    """
    texts = readings(_PLACEHOLDER.sub("\ue000", output))
    if len(secret) < _SHORT:
        alone = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])")
        return any(alone.search(text) for text in texts)
    size = min(_LONGEST, max(_SHORT, (len(secret) + 1) // 2))
    step = 1 if len(secret) < 256 else 8
    windows = {secret[start : start + size] for start in range(0, len(secret) - size + 1, step)}
    return any(window in text for text in texts for window in windows)
