"""Rules given as a gitleaks TOML file.

They find what gitleaks finds on the raw line, and more: a rule looks at the line as it came and at each
decoded string, and the byte after a secret may also be one that ends it in logs only (``&``, ``,``, ``}``, an
escaped quote). Facts about keys and their meaning: the gitleaks project's README and configuration.

An event of the prefilter makes a rule look at its whole text once, as gitleaks does; RE2 makes that
linear. What it found is kept while further events lie in the same text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from processors.masking.finders import NOTHING, Found
from processors.masking.rules import Rule
from processors.masking.validators import entropy

PREFIX = "gitleaks-"
_ANYWHERE: Any = re2._Anchor.UNANCHORED  # noqa: SLF001 - the wrapper's match objects cost more than matching

_CLASS = r"\[(?!\^)((?:[^\]\\]|\\.)+)\]"
_TERMINATOR = re.compile(rf"\(\?:(?:\$\|{_CLASS}|{_CLASS}(?:\|\\\\\[nr\])?\|\$)\)")
_OPENING = re.compile(rf"\(\?:\^\|{_CLASS}\)")
_ENDS = r"""\x60'"\s;,&|<>(){}\[\]\\:@#?!"""
"""What may follow a secret in a log line beside what source code has."""
_BEGINS = r"""\x60'"\s;,&|<>(){}\[\]\\:@#?/="""
_LEAD = re.compile(r"((?:\(\?[a-z]+\))?)\[[^\]\\]*(?:\\.[^\]\\]*)*\]\{0,[0-9]+\}\??")
_LAST = re.compile(
    r"(?<!\\)(\[(?:[^\]\\]|\\.)*\]|\\[wdsWDS]|[.=])"
    r"(\?|\*|\+|\{([0-9]+),[0-9]*\})\??(\)*)\Z"
)


@dataclass(frozen=True)
class Allowlist:
    """What is not secret though a rule finds it.

    Attributes:
        every: All checks that it has must hold, not only one.
        target: What ``regexes`` look at: ``secret``, ``match`` or ``line``.
        regexes: RE2 expressions, compiled.
        stopwords: In lower case; held by the secret.
    """

    every: bool
    target: str
    regexes: tuple[Any, ...]
    stopwords: tuple[bytes, ...]

    def allows(self, secret: bytes, match: bytes, line: bytes) -> bool:
        """Tell whether a finding is to be left alone."""
        text = {"secret": secret, "match": match, "line": line}[self.target]
        checks = []
        if self.regexes:
            checks.append(
                any(expression(_ANYWHERE, text, 0, len(text))[0][0] >= 0 for expression in self.regexes)
            )
        if self.stopwords:
            lower = secret.lower()
            checks.append(any(word in lower for word in self.stopwords))
        return bool(checks) and (all(checks) if self.every else any(checks))


@dataclass(frozen=True)
class GitleaksRule(Rule):
    """A rule of a gitleaks file.

    Attributes:
        group: The group that is masked; 0 for the first that is not empty.
        entropy: Shannon entropy, bits a byte, that a secret must exceed; 0 for any.
        words: Keywords in lower case; one of them must stand in the text.
        allow: The rule's allow-lists and those of the file.
    """

    group: int = 0
    entropy: float = 0.0
    words: tuple[bytes, ...] = ()
    allow: tuple[Allowlist, ...] = ()

    @property
    def instead(self) -> str:
        """Prefilter for an engine that does not take the expression: the keywords."""
        return (
            "(?i:" + "|".join(map(re.escape, (word.decode() for word in self.words))) + ")"
            if self.words
            else ""
        )

    def compile(self) -> Finder:
        """Return the confirmation.

        Raises:
            re2.error: RE2 does not take the expression.
        """
        return Finder(self)


class Finder:
    """Confirms events of one rule; see `processors.masking.finders.Finder`.

    It looks beyond the JSON string that an event lies in, so that a key before the value counts; what it
    gives back lies within.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: GitleaksRule) -> None:
        self._rule = rule
        self._match, groups = matcher(rule.confirm)
        if rule.group > groups:
            raise re2.error(f"secretGroup is {rule.group}, and the expression has {groups}")
        self._text = b""
        self._found: list[tuple[int, int]] = []

    def __call__(self, text: bytes, low: int, high: int, _end: int) -> Found:
        """Return what of the first secret lies within ``text[low:high]``."""
        if text is not self._text:
            self._text, self._found = text, list(self._secrets(text))
        found = self._found
        # The one before may reach into it: an expression without a group takes quotes along.
        for start, stop in found[max(0, bisect_left(found, (low, 0)) - 1) :]:
            if start >= high:
                break
            if stop > low:
                return max(start, low), min(stop, high), min(stop, high)
        return NOTHING

    def _secrets(self, text: bytes) -> Iterator[tuple[int, int]]:
        rule = self._rule
        if rule.words:
            lower = text.lower()
            if not any(word in lower for word in rule.words):
                return
        position, size = 0, len(text)
        while position <= size:
            spans = self._match(_ANYWHERE, text, position, size)
            begin, end = spans[0]
            if begin < 0:
                return
            position = max(end, begin + 1)
            start, stop = self._secret(text, spans)
            if start < stop and self._counts(text, start, stop, begin, end):
                yield start, stop

    def _secret(self, text: bytes, spans: list[tuple[int, int]]) -> tuple[int, int]:
        if self._rule.group:
            return spans[self._rule.group]
        for start, stop in spans[1:]:
            if start < stop:
                return start, stop
        start, stop = spans[0]
        while start < stop and text[start] == 0x0A:
            start += 1
        while start < stop and text[stop - 1] == 0x0A:
            stop -= 1
        return start, stop

    def _counts(self, text: bytes, start: int, stop: int, begin: int, end: int) -> bool:
        secret = text[start:stop]
        if self._rule.entropy and entropy(secret) <= self._rule.entropy:
            return False
        if not self._rule.allow:
            return True
        after = text.find(b"\n", max(end - 1, begin))
        line = text[text.rfind(b"\n", 0, begin) + 1 : after if after >= 0 else len(text)]
        match = text[begin:end].strip(b"\n")
        return not any(allowed.allows(secret, match, line) for allowed in self._rule.allow)


def matcher(expression: str) -> tuple[Any, int]:
    """Return the matching function of a Go expression, on bytes, and how many groups it has."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    regex: Any = re2._Regexp(expression.encode(), options)  # noqa: SLF001 - the memory of re2.compile is short
    return regex._regexp.Match, regex.groups  # noqa: SLF001 - see above


def widened(expression: str) -> str:
    """Let what ends and begins a secret in log lines stand beside it, wherever the rule names such bytes."""

    def after(found: re.Match[str]) -> str:
        return rf"(?:[{found[1] or found[2]}{_ENDS}]|\.(?:[\s\"'<)\\]|$)|$)"

    def before(found: re.Match[str]) -> str:
        return f"(?:^|[{found[1]}{_BEGINS}])"

    return _OPENING.sub(before, _TERMINATOR.sub(after, expression))


def prefilter(expression: str) -> str:
    """Return an expression that matches wherever a rule's does and makes few events.

    What may stand before a match without being needed is left out, and so is what could make it longer at
    its end; lines that are scanned joined begin and end at newlines.
    """
    while (found := _LEAD.match(expression)) is not None:
        expression = found[1] + expression[found.end() :]
    while (last := _LAST.search(expression)) is not None:
        atom, times, least, closing = last.groups()
        count = 1 if times == "+" else int(least or 0)
        expression = expression[: last.start()] + (f"{atom}{{{count}}}" if count else "") + closing
    return "(?m:" + re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1$", expression) + ")"
