"""Values that are handed over otherwise than behind a colon or equals sign.

Neighbours in a list (``["X-Api-Key", "…"]``, ``('password', '…')``, ``["--token", "…"]``), XML elements
and attributes, parts of a form, HTML entities, and quoted words behind a word (``PASSWORD '…'``).
"""

from __future__ import annotations

import re

from processors.masking import decode
from processors.masking.decode import STRING, skip_space
from processors.masking.fields import TAIL, FieldPolicy
from processors.masking.values import counts, is_prose, speaks

Span = tuple[int, int, bytes]
"""Where the value lies, without quotes, and the name of its field."""

_NAME = rb"[A-Za-z0-9_.\-]"
_QUOTE = rb"[\"']"
_LOOK = 256
"""A tag, or the headers of a part of a form, is no longer."""
_LONGEST_NAME = 160
_ELEMENT = re.compile(rb"<(?:[A-Za-z0-9_\-.]{1,40}+:)?([A-Za-z0-9_.\-]{1,80}+)")
_LIST_NAME = re.compile(rb"([\"'])([A-Za-z0-9_.\- ]{1,80}+)\1[ \t\r\n]{0,4}+,\Z")
_ATTRIBUTE = re.compile(
    rb"(?i:\b(?:name|key)[ \t]{0,2}+=[ \t]{0,2}+)([\"'])([A-Za-z0-9_.\[\]\-]{1,100}+)[\"']?+\Z"
)
_REST = re.compile(rb"([A-Za-z0-9_.\[\]\-]{0,60}+)([\"'])")
_VALUE = re.compile(rb"(?i:\bvalue[ \t]{0,2}+=[ \t]{0,2}+)([\"'])")
_ENTITY = re.compile(rb"([A-Za-z0-9_.\-]{1,80}+)&(?:quot|apos|#34|#39|#x2[27]);[ \t]{0,4}+[:=]\Z")
_OPENS = re.compile(rb"[ \t]{0,4}+&(?:quot|apos|#34|#39|#x2[27]);")
_CLOSES = re.compile(rb"&(?:quot|apos|#34|#39|#x2[27]);|[\r\n]")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CDATA = b"<![CDATA["
_SPACE = re.compile(rb"\s")
_HEADER = re.compile(rb"[A-Z][A-Za-z0-9]*+(?:-[A-Z][A-Za-z0-9]*+)++|(?i:authorization|cookie)")
_PLAIN = re.compile(rb"[A-Za-z0-9_.\- ]{1,80}+")
_WORDS = re.compile(rb"[A-Za-z]?[a-z]*+(?:[ _\-.][A-Za-z]?[a-z]*+)*+[.!?]?")
"""What a word, a name or a sentence looks like."""

_FLAGS = {
    b"mysql": b"-p", b"mysqldump": b"-p", b"mysqladmin": b"-p", b"mariadb": b"-p", b"mariadb-dump": b"-p",
    b"redis-cli": b"-a", b"curl": b"-u", b"sshpass": b"-p",
}  # fmt: skip
"""The short flag that takes a password, or a user and password, by command."""
_MOST_ARGUMENTS = 40


def expressions(long: list[bytes], short: list[bytes]) -> list[bytes]:
    """Return the caseless prefilter for alternations of names with a tail, and without."""
    tail = b"{0,%d}" % TAIL
    attribute = rb"(?:name|key)\s{0,2}=\s{0,2}" + _QUOTE + rb"[A-Za-z0-9_.\[\]\-]{0,40}"
    found = [
        rb'["/](?:mysql(?:dump|admin)?|mariadb(?:-dump)?|redis-cli|curl|sshpass)"\s{0,4},',
        rb"(?:password|passwd|passphrase|pwd|identified\s{1,4}(?:with\s{1,4}[a-z0-9_]{1,40}\s{1,4})?(?:by|as))"
        rb"(?:\s{1,4}|\s?\(\s?)" + _QUOTE,
    ]
    for names in long:
        found += [
            rb"%b[A-Za-z0-9_.\- ]%b%b\s{0,4}," % (names, tail, _QUOTE),
            rb"%b%b%b&(?:quot|apos|#34|#39|#x2[27]);\s{0,4}[:=]" % (names, _NAME, tail),
            rb"<[A-Za-z0-9_.:\-]{0,40}" + names,
            attribute + names,
        ]
    for names in short:
        found += [
            rb"%b[0-9]?%b\s{0,4}," % (names, _QUOTE),
            rb"<[A-Za-z0-9_.:\-]{0,40}%b[\s>]" % names,
            attribute + names + _QUOTE,
        ]
    return found


def in_json(text: bytes, name: bytes, opening: int, comma: int, policy: FieldPolicy) -> bool:
    """Tell whether what follows a string in an array is the value it names.

    Args:
        text: JSON.
        name: The string, decoded.
        opening: Its opening quote.
        comma: Just behind the comma after it.
        policy: Judges the name.
    """
    before = opening - 1
    while before > 0 and text[before] in b" \t\r\n":
        before -= 1
    if text[before : before + 1] not in (b"[", b",") or not _PLAIN.fullmatch(name):
        return False
    if not policy(name.lstrip(b"-")):
        return False
    value = STRING.match(text, skip_space(text, comma))
    return value is not None and _belongs(name, decode.string_value(value[0]))


def arguments(text: bytes, end: int) -> list[tuple[int, int]]:
    """Return the passwords among the arguments of a known command in a JSON array.

    Args:
        text: JSON.
        end: Just behind the comma after the command.
    """
    closing = text.rfind(b'"', max(0, end - 8), end)
    opening = text.rfind(b'"', max(0, closing - _LONGEST_NAME), max(0, closing))
    command = text[opening + 1 : closing].rpartition(b"/")[2]
    flags = _FLAGS.get(command)
    spans: list[tuple[int, int]] = []
    is_value = False
    for _ in range(_MOST_ARGUMENTS if flags else 0):
        found = STRING.match(text, skip_space(text, end))
        if found is None:
            break
        start, stop = found.start() + 1, found.end() - 1
        word = text[start:stop]
        if is_value or (word[:2] == flags and command.startswith((b"mysql", b"maria", b"sshpass"))):
            start = start if is_value else start + 2
            if command == b"curl":
                start = text.find(b":", start, stop) + 1 or stop
            if start < stop:
                spans.append((start, stop))
        is_value = word == flags and not command.startswith((b"mysql", b"maria"))
        end = skip_space(text, found.end())
        if text[end : end + 1] != b",":
            break
        end += 1
    return spans


def in_text(text: bytes, low: int, high: int, end: int, policy: FieldPolicy) -> Span | None:
    """Find the value that an event in free text announces.

    Args:
        text: The unit.
        low, high: The part of it that may be looked at.
        end: The event's end.
        policy: Judges the name.
    """
    last = text[end - 1 : end]
    before = text[max(low, end - _LONGEST_NAME) : end]
    if last == b",":
        return _listed(text, before, high, end, policy)
    if last in (b":", b"="):
        return _entity(text, before, high, end, policy)
    found = _ATTRIBUTE.search(before)
    if found:
        name = found[2]
        if last not in (b'"', b"'"):
            rest = _REST.match(text, end, high)
            if rest is None or rest[2] != found[1]:
                return None
            name, end = name + rest[1], rest.end()
        return _attribute(text, (low, high), end, name, policy)
    if last in (b'"', b"'"):
        return _quoted(text, high, end, policy)
    return _element(text, low, high, end, policy)


def _belongs(name: bytes, value: bytes) -> bool:
    """Tell whether a neighbour in a list is the value of a name, not one more name."""
    if name[:1] == b"-":
        return value[:1] != b"-"
    return _HEADER.fullmatch(name) is not None or _WORDS.fullmatch(value) is None


def _listed(text: bytes, before: bytes, high: int, end: int, policy: FieldPolicy) -> Span | None:
    found = _LIST_NAME.search(before)
    begin = skip_space(text, end)
    quote = text[begin : begin + 1]
    if found is None or quote not in (b'"', b"'") or not policy(found[2].lstrip(b"-")):
        return None
    stop = text.find(quote, begin + 1, min(high, begin + 4 * _LOOK))
    value = text[begin + 1 : stop]
    if stop < 0 or policy.placeholders.only(value) or not _belongs(found[2], value):
        return None
    return begin + 1, stop, found[2]


def _entity(text: bytes, before: bytes, high: int, end: int, policy: FieldPolicy) -> Span | None:
    found = _ENTITY.search(before)
    opens = _OPENS.match(text, end, high)
    if found is None or opens is None:
        return None
    closes = _CLOSES.search(text, opens.end(), high)
    return _judged(text, opens.end(), closes.start() if closes else high, found[1], policy)


def _quoted(text: bytes, high: int, end: int, policy: FieldPolicy) -> Span | None:
    stop = text.find(text[end - 1 : end], end, min(high, end + _LOOK))
    if stop <= end or b"\n" in text[end:stop] or is_prose(text, end, stop):
        return None
    return _judged(text, end, stop, b"password", policy)


def _attribute(
    text: bytes, bounds: tuple[int, int], end: int, name: bytes, policy: FieldPolicy
) -> Span | None:
    """Find the value beside ``name="password"``: another attribute, the element's text, or the part of a form."""
    low, high = bounds
    name = name.replace(b"[", b".").replace(b"]", b"")
    limit = min(high, end + _LOOK)
    close = text.find(b">", end, limit)
    found = _VALUE.search(text, end, close if close >= 0 else limit)
    if found is None:
        opening = text.rfind(b"<", max(low, end - _LOOK), end)
        found = _VALUE.search(text, opening, end) if opening >= 0 else None
    if found is not None:
        stop = text.find(found[1], found.end(), high)
        return _judged(text, found.end(), stop if stop >= 0 else high, name, policy, told=False)
    if close >= 0 and text[close - 1] != 0x2F:
        return _content(text, close + 1, high, name, policy)
    blank = _BLANK_LINE.search(text, end, limit)
    if blank is None:
        return None
    stop = text.find(b"\n", blank.end(), high)
    return _judged(text, blank.end(), stop if stop >= 0 else high, name, policy, told=False)


def _element(text: bytes, low: int, high: int, end: int, policy: FieldPolicy) -> Span | None:
    opening = text.rfind(b"<", max(low, end - _LONGEST_NAME), end)
    found = _ELEMENT.match(text, opening, high) if opening >= 0 else None
    if found is None or not policy(found[1]):
        return None
    close = text.find(b">", found.end(), min(high, found.end() + _LOOK))
    if close < 0 or text[close - 1] == 0x2F:
        return None
    return _content(text, close + 1, high, found[1], policy)


def _content(text: bytes, begin: int, high: int, name: bytes, policy: FieldPolicy) -> Span | None:
    """Return the text of an element; without an end tag it is none, unless the text was cut there."""
    if text.startswith(_CDATA, begin, high):
        stop = text.find(b"]]>", begin, high)
        return _judged(text, begin + len(_CDATA), stop if stop >= 0 else high, name, policy, told=False)
    stop = text.find(b"<", begin, high)
    if stop < 0:
        stop = high
        if _SPACE.search(text, begin, stop) or not text[begin : begin + 1].isalnum():
            return None
    elif text[stop + 1 : stop + 2] != b"/":
        return None
    return _judged(text, begin, stop, name, policy, told=False)


def _judged(
    text: bytes, begin: int, stop: int, name: bytes, policy: FieldPolicy, *, told: bool = True
) -> Span | None:
    while begin < stop and text[begin] in b" \t\r\n":
        begin += 1
    while stop > begin and text[stop - 1] in b" \t\r\n":
        stop -= 1
    strength = policy(name)
    told = told or speaks(text[begin:stop])
    if begin == stop or not strength or not counts(text[begin:stop], name, strength, policy, told=told):
        return None
    return begin, stop, name
