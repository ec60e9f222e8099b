"""Values that belong to a sensitive field name: ``"password": "x"``, ``password=x``, ``token: x``."""

from __future__ import annotations

import re

from processors.masking import decode
from processors.masking.decode import STRING, skip_space, value_span
from processors.masking.fields import COUNT, STRONG, WEAK, FieldPolicy
from processors.masking.placeholders import Placeholders

_KEY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_PUNCTUATION = b":=,;&{}[]"
_LONGEST_KEY = 160
_SCHEME = re.compile(
    rb"(?i:basic|bearer|digest|token|apikey|negotiate|splunk|geniekey|aws4-hmac-sha256)[ \t]{1,8}"
)
_WHOLE_LINE = (b"cookie", b"authorization")
_LIST_SCHEMES = (b"digest", b"aws4-h")
_VALUE = re.compile(rb"[^\s\"'&,;}\x00-\x1f]*+")
_LINE = re.compile(rb"[^\r\n]*+")
_QUOTED = {
    b'"': re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL),
    b"'": re.compile(rb"[^'\\]*+(?:\\.[^'\\]*+)*+", re.DOTALL),
}
_JUDGED = 1024
"""A value that goes on so far is judged by its beginning."""
_LOOK_BACK = 1024
"""So far before a header its line is searched for the quote it stands in."""
_NESTED = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
    rb"|(?<=[\[{(,:=\s])'[^'\\]*+(?:\\.[^'\\]*+)*+(?:'|\\?\Z)|[\[{]|[\]}]",
    re.DOTALL,
)
"""A string or a bracket; an unterminated string runs to the end, so that no text is walked twice."""
_NOTHING = frozenset(
    (b"true", b"false", b"null", b"none", b"nil", b"undefined", b"%s", b"%v", b"?", b"yes", b"no", b"0", b"1")
)
"""Values that say whether there is one."""
_INSTEAD = re.compile(
    rb"\$?\{\{[^}\n]{0,80}+\}\}|\$\{[^}\n]{0,80}+\}|%\([A-Za-z_]{1,40}+\)s|~(?=[\s\"',}]|\Z)"
    rb"|!(?i:vault|secret|env_var|ref|sub|getatt|reference|var)(?![A-Za-z0-9])"
    rb"|[\[<(](?i:redacted|filtered|hidden|masked|removed|scrubbed|sanitized|sensitive|protected|omitted)(?: value)?[\])>]"
    rb"|(?i:redacted|filtered)(?=[\s\"',;)\]}]|\Z)|chauthtok\)|[A-Z][A-Za-z]{2,40}+\{[0-9a-f]{5,8}(?![0-9a-f])"
    rb"|(?:this|self|props|process\.env|config|options|args|params|settings|env|req|request)(?:\.[A-Za-z_][A-Za-z0-9_]{0,60}+){1,6}+"
    rb"(?=[\s,;)\[\]}\"']|\Z)"
)
"""What stands for a value: a template, a tag of YAML, the mark of somebody else's masking, an object, a variable; in
PAM's log a change of password."""
_PAIR_LINE = re.compile(rb"[ \t\-]{0,40}+[A-Za-z_][A-Za-z0-9_.\-]{0,60}+:(?:[ \t]|\r?\n|\Z)")
_NAME = rb"[A-Za-z_][A-Za-z0-9_]{0,60}+"
_EXPRESSION = re.compile(
    rb"(?:await |new )?\$?%b(?:(?:\.|::|->)%b){1,6}+[\[(]|(?:await|new) [A-Za-z_]"
    % (_NAME, _NAME)
    + rb"|[a-z]{1,30}+(?:[A-Z_][A-Za-z_]{0,40}+)?\([^()\n]{0,60}+\)|[A-Z][A-Za-z]{2,40}+\{"
    rb"|:[a-z_]{1,40}+(?=[\s,)]|\Z)|\$[0-9]{1,3}+(?=[\s,)]|\Z)|\$[a-z_][A-Za-z_]{0,40}+;"
)
"""Code that gets a value, behind an equals sign and a blank: a call, a look-up, a parameter of SQL."""
_PROSE = frozenset(
    b"a an the is are was were be been has have had must should cannot can may might will would could does do did not no "
    b"too at least required needed expected incorrect invalid wrong bad denied granted failed failure fails missing "
    b"expired empty unknown rejected accepted please attempt mismatch unable ok okay success successful refreshing creating creation modifying destroying reading still yes no".split()
)
"""Words that tell about a credential where one could stand."""
_PHRASE = re.compile(
    rb"(?i:see|minimum|maximum|length|stored)[ \t]{1,8}[A-Za-z]{1,16}(?=[.,;!]?[)\"']?(?:\s|\Z))"
)
"""Words that tell about a credential only while the sentence goes on: alone, or before another pair, they are one."""
_PROTOCOL = re.compile(rb"HTTP/[0-9](?:\.[0-9])?(?=[\s\"']|\Z)")
_OPENS = b" \t=([{,:]"
"""What may stand before a quote that opens a text; a bracket closes a placeholder."""
_WORD = re.compile(rb"[A-Za-z]{1,12}(?=[\s.,;:!)\"']|\Z)")
_WRAPPED = re.compile(rb"&?[A-Za-z_][A-Za-z0-9_:]{1,40}+\((?=[\"'])")
"""What a language prints around a value: ``Some("…")``."""
_NUMBER = re.compile(rb"[-+]?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?")
_CODE = re.compile(rb"-?[0-9]{4,}")
"""A number that can be a PIN or a one-time code; smaller ones count something."""
_ITEMS = re.compile(STRING.pattern + rb"([ \t\r\n]*+:)?|-?[0-9][0-9.eE+\-]*+", re.DOTALL)
_LONGEST_WORD = 16


def text_value(
    text: bytes, low: int, high: int, end: int, policy: FieldPolicy, *, covered: tuple[int, int] = (-1, -1)
) -> tuple[int, int, str] | None:
    """Find the value of a field in free text.

    Args:
        text: The unit.
        low, high: The part of it that may be looked at.
        end: Just behind the colon or equals sign.
        policy: Judges the name before it.
        covered: What was masked last in this text: a value that begins there is not walked again.

    Returns:
        The span of the value without quotes and its detector, or None when there is nothing to mask.
    """
    name, opening = _name_before(text, low, end - 1)
    strength = policy(name)
    if not strength and text[end - 1] == 0x3A:
        name = policy.spelled(text[max(low, end - _LONGEST_KEY) : end - 1])
        strength = policy(name)
    if not strength:
        return None
    start = end + 1 if text[end : end + 1] in (b">", b"=") else end
    if text.startswith(b"//", start):
        return None
    begin = start
    while begin < high and text[begin] in b" \t":
        begin += 1
    if covered[0] <= begin < covered[1] and covered[1] >= high:
        return None
    told = text[end - 1] == 0x3A and begin > start
    if told and is_prose(text, begin, high):
        return None
    if _INSTEAD.match(text, begin, high) or _is_arn(text, low, opening):
        return None
    if begin > start and (not told or text[start - 1] == 0x3D) and _EXPRESSION.match(text, begin, high):
        return None
    wrapped = _WRAPPED.match(text, begin, high)
    if wrapped is not None:
        begin = wrapped.end()
    if text[end - 1 : start] == b"=" and _is_empty(text, end, begin, (low, high), name, policy.placeholders):
        return None
    quote = text[opening - 1 : opening] if opening > low else b""
    value, near = begin, min(high, begin + _JUDGED)
    begin, stop = _extent(text, value, (low, near), name.lower(), quote, covered, policy.placeholders)
    if stop == near < high:
        if policy.is_harmless(name, text[begin:stop]):
            return None  # what is not masked is not walked to its end: the next name may stand in it
        begin, stop = _extent(text, value, (low, high), name.lower(), quote, covered, policy.placeholders)
    if begin > start and text[begin - 1] in b" \t":  # no quote
        stop = policy.end_of_value(name, text, begin, stop, high)
    if text[stop : stop + 1] == b")" and text[begin:stop] == name:
        return None  # an argument: f(password=password)
    told = told and text[begin - 1] not in b"\"'" and not _in_yaml(text, low, opening, stop, high)
    masked = counts(text[begin:stop], name, strength, policy, told=told)
    return (begin, stop, policy.detector(name)) if masked else None


def speaks(value: bytes) -> bool:
    """Tell whether a word tells about a credential, as ``expired`` does."""
    return value.lower() in _PROSE


def _in_yaml(text: bytes, low: int, opening: int, stop: int, high: int) -> bool:
    """Tell whether a pair has a line for itself, between lines that are pairs too: then its value is no prose."""
    if stop < high and text[stop] not in b"\r\n":
        return False
    start = text.rfind(b"\n", max(low, opening - _LONGEST_KEY), opening) + 1
    if text[max(start, low) : opening].strip(b" \t-"):
        return False
    before = text[max(low, start - _LONGEST_KEY) : max(start - 1, low)].rpartition(b"\n")[2]
    return _PAIR_LINE.match(before) is not None or _PAIR_LINE.match(text, stop + 1, high) is not None


def _is_arn(text: bytes, low: int, opening: int) -> bool:
    """Tell whether a name is a part of an ARN: ``arn:aws:secretsmanager:…:secret:name``."""
    if text[opening - 1 : opening] != b":" or opening <= low:
        return False
    before = text[max(low, opening - 120) : opening]
    start = before.rfind(b"arn:")
    return start >= 0 and b" " not in before[start:]


def is_prose(text: bytes, begin: int, high: int) -> bool:
    """Tell whether a sentence about the credential stands where it could."""
    word = _WORD.match(text, begin, high)
    return word is not None and (word[0].lower() in _PROSE or _PHRASE.match(text, begin, high) is not None)


def _is_empty(
    text: bytes, end: int, begin: int, bounds: tuple[int, int], name: bytes, placeholders: Placeholders
) -> bool:
    """Tell whether a name was given nothing: behind its equals sign, what stands at ``begin`` is not its value."""
    low, high = bounds
    if begin > end:
        return (
            text[end - 2] in _KEY
            and not name.lower().endswith(_WHOLE_LINE)  # these hold pairs
            and (_PROTOCOL.match(text, begin, high) is not None or placeholders.pair(text, begin, high))
        )
    quote = text[begin : begin + 1]
    if quote not in _QUOTED or text[begin + 1 : min(begin + 2, high)] not in (b" ", b"\t"):
        return False
    # A quote before a blank closes the text around the name when one was opened, else it opens a value.
    line, whole = _line_before(text, low, begin)
    opening = line.rfind(quote)
    return (
        whole
        and opening >= 0
        and (opening == 0 or line[opening - 1] in _OPENS)
        and (line.count(quote) - line.count(b"\\" + quote)) & 1 == 1
    )


def counts(value: bytes, name: bytes, strength: int, policy: FieldPolicy, *, told: bool) -> bool:
    """Tell whether a value in free text is one to mask."""
    if (
        policy.placeholders.only(value.strip())
        or value.lower() in _NOTHING
        or (value[:2] in (b"${", b"{{") and value[-1:] == b"}")
        or policy.is_harmless(name, value)
    ):
        return False
    if strength == STRONG:
        return True
    if _NUMBER.fullmatch(value):
        return _is_code(value, strength)
    # Prose: "token: expired".
    letters = value.replace(b"-", b"")
    word = letters.isalpha() and (letters.isupper() or letters[1:].islower() or len(letters) == 1)
    return not (told and len(value) < _LONGEST_WORD and word)


def _name_before(text: bytes, low: int, position: int) -> tuple[bytes, int]:
    """Return a name and where it, or the quote around it, begins."""
    window = text[max(low, position - _LONGEST_KEY) : position].rstrip(b" \t\r\n")
    base = max(low, position - _LONGEST_KEY)
    if (
        window[-1:] == b"]"
        and text[position + 1 : position + 2] == b">"
        and b":" not in window[window.rfind(b"[") :]
    ):
        # [password] => x
        window = window[:-1]
    quote = window[-1:]
    if quote in (b'"', b"'"):
        window = window[:-1]
        opening = window.rfind(quote)
        name = window[opening + 1 :]
        if name.translate(None, _PUNCTUATION) == name:
            return name, base + max(opening, 0)
    opening = len(window.rstrip(_KEY))
    return window[opening:], base + opening


def _extent(
    text: bytes,
    begin: int,
    bounds: tuple[int, int],
    name: bytes,
    before: bytes,
    covered: tuple[int, int],
    placeholders: Placeholders,
) -> tuple[int, int]:
    """Return where a value lies that begins at ``begin``; empty when it lies in what is covered.

    Args:
        before: The character before the name.
    """
    low, high = bounds
    if text[begin : begin + 1] in (b"b", b"u", b"r") and text[begin + 1 : begin + 2] in (b'"', b"'"):
        begin += 1
    first = text[begin : begin + 1] if begin < high else b""
    if first in _QUOTED:
        return begin + 1, _unquoted(text, begin + 1, high, first)
    if first in (b"{", b"[") and not placeholders.at(text, begin, high):
        return begin + 1, _enclosed(text, begin, high)
    scheme = _SCHEME.match(text, begin, high)
    lists = scheme is not None and scheme[0][:6].lower() in _LIST_SCHEMES
    inside = covered[0] <= begin < covered[1]
    if lists or (scheme is None and name.endswith(_WHOLE_LINE)):
        if inside and text[covered[1] : covered[1] + 1] in (b"\n", b"\r", b'"', b"'"):
            return begin, begin
        return begin, _end_of_line(text, low, begin, high, before)
    begin = scheme.end() if scheme else begin
    if covered[0] <= begin < covered[1]:
        return begin, begin  # it ends at the same delimiter at the latest
    found = _VALUE.match(text, begin, high)
    stop = found.end() if found else begin
    while stop > begin and text[stop - 1] in b"\\)>. \t":
        stop -= 1
    return begin, stop


def _unquoted(text: bytes, begin: int, high: int, quote: bytes) -> int:
    """Return where the next quote is that no backslash escapes, or the end."""
    found = _QUOTED[quote].match(text, begin, high)
    stop = found.end() if found else high
    return stop if text[stop : stop + 1] == quote else high


def _enclosed(text: bytes, begin: int, high: int) -> int:
    """Return where the bracket at ``begin`` closes, or the end."""
    depth = 0
    for found in _NESTED.finditer(text, begin, high):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return found.start()
    return high


def _end_of_line(text: bytes, low: int, begin: int, high: int, before: bytes) -> int:
    """Return where a header's value ends: with its line, or with the quoted text it stands in."""
    found = _LINE.match(text, begin, high)
    stop = found.end() if found else begin
    if before == b"'":
        return _unquoted(text, begin, stop, before)
    line, whole = _line_before(text, low, begin)
    if before == b'"' or (whole and (line.count(b'"') - line.count(b'\\"')) & 1):
        return _unquoted(text, begin, stop, b'"')
    return stop


def _line_before(text: bytes, low: int, position: int) -> tuple[bytes, bool]:
    """Return the line up to ``position``, and whether it was read from its beginning."""
    line = text[max(low, position - _LOOK_BACK) : position]
    whole = len(line) < _LOOK_BACK or b"\n" in line
    return line[line.rfind(b"\n") + 1 :], whole


def json_span(
    text: bytes, position: int, name: bytes, strength: int, policy: FieldPolicy
) -> tuple[int, int, bool, bool]:
    """Find the value behind a key's colon.

    Returns:
        The span that was walked, whether its placeholder needs quotes, and whether there is anything to mask.
    """
    begin = skip_space(text, position)
    first = text[begin : begin + 1]
    if first in (b"t", b"f", b"n", b""):
        return begin, begin, False, False
    start, stop = value_span(text, begin)
    if first == b'"':
        value = decode.string_value(text[start:stop])
        nothing = (
            policy.placeholders.only(value)
            or policy.is_harmless(name, value)
            or _INSTEAD.fullmatch(value) is not None
        )
        return start + 1, stop - 1, False, not nothing
    if first in (b"{", b"["):
        if text[skip_space(text, begin + 1) : stop - 1] == b"":
            return start, stop, True, False
        nothing = strength < STRONG and not _holds_secret(text[start:stop], strength, policy)
    else:
        nothing = strength < STRONG and not _is_code(text[start:stop], strength)
    return start, stop, True, not (nothing or policy.is_harmless(name, text[start:stop]))


def _holds_secret(container: bytes, strength: int, policy: FieldPolicy) -> bool:
    """Tell whether a container under a weak name holds more than small numbers and plain words."""
    for item in _ITEMS.finditer(container):
        if item[1]:
            continue  # a key
        if item[0][:1] != b'"':
            if _is_code(item[0], strength):
                return True
            continue
        value = decode.string_value(item[0])
        plain = strength == WEAK and len(value) < _LONGEST_WORD and value.isalpha()
        if not plain and not policy.placeholders.only(value):
            return True
    return False


def _is_code(number: bytes, strength: int) -> bool:
    return strength != COUNT and _CODE.fullmatch(number) is not None
