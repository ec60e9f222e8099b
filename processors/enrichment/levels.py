"""What loggers call a level, normalised to six words.

Strings are compared without regard to case. Numbers mean different things in different fields:

- ``severity_number``: OpenTelemetry logs data model, SeverityNumber 1..24;
- ``levelno``: Python logging, 10 (debug) .. 50 (critical);
- everywhere else 0..7 is syslog (RFC 5424 section 6.2.1) and 10..60 is pino and bunyan.
"""

from __future__ import annotations

LEVEL_FIELDS = (
    "level",
    "severity",
    "lvl",
    "levelname",
    "severity_text",
    "log.level",
    "loglevel",
    "severity_number",
    "levelno",
)
"""Where a record names its level; the first one whose value is a level wins."""

_WORDS = {
    "trace": "trace trc t finest finer verbose silly all",
    "debug": "debug dbg d fine config",
    "info": "info inf i information informational notice note n ok success",
    "warn": "warn warning wrn w alarm",
    "error": "error err eror e severe failure fail failed",
    "fatal": "fatal ftl f critical crit c alert emerg emergency panic dpanic",
}
_BY_WORD = {word: level for level, words in _WORDS.items() for word in words.split()}
_SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
_RANKED = ("trace", "debug", "info", "warn", "error", "fatal")


def detect_level(value: object, field: str = "level") -> str | None:
    """Return the normalised level that ``value`` of ``field`` means, or None when it means none."""
    if isinstance(value, str):
        word = value.strip().lower().removeprefix("log_")
        # INFO2 .. INFO4 are the finer grades of OpenTelemetry.
        level = _BY_WORD.get(word) or _BY_WORD.get(word.rstrip("234"))
        if level is not None or not (word.isascii() and word.isdigit() and len(word) <= 3):
            return level
        value = int(word)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _from_number(value, field)
    return None


def _from_number(number: float, field: str) -> str | None:
    if field == "severity_number":
        return _RANKED[(int(number) - 1) // 4] if 1 <= number <= 24 else None
    if field == "levelno":
        return _RANKED[min(int(number) // 10, 5)] if 1 <= number <= 100 else None
    if number in (0, 1, 2, 3, 4, 5, 6, 7):
        return _SYSLOG[int(number)]
    return _RANKED[int(number) // 10 - 1] if 10 <= number <= 69 else None
