"""Seeded random values: a shape language, words, dates.

A shape is text with fields in braces: ``AKIA{b32:16}`` is the prefix and sixteen characters of the
alphabet ``b32``, ``{x:8-12}`` eight to twelve, ``{=live|test}`` one of the words, ``{uuid}`` a
version 4 UUID. In a recipe, ``«`` and ``»`` stand around the secret where it is not the whole text.
"""

from __future__ import annotations

import random
import re
import string
from datetime import date, timedelta

B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
ALPHABETS = {
    "d": string.digits,
    "x": "0123456789abcdef",
    "X": "0123456789ABCDEF",
    "l": string.ascii_lowercase,
    "U": string.ascii_uppercase,
    "a": string.ascii_lowercase + string.digits,
    "A": string.ascii_uppercase + string.digits,
    "n": BASE62,
    "L": string.ascii_letters,
    "u": BASE62 + "_-",
    "b": BASE62 + "+/",
    "b32": string.ascii_uppercase + "234567",
    "l32": string.ascii_lowercase + "234567",
    "b58": B58,
    "bech": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "p": BASE62 + "!#$*@^_-.",  # what people put into passwords
}
_FIELD = re.compile(r"\{(=[^{}]*|[A-Za-z0-9]+)(?::(\d+)(?:-(\d+))?)?\}")
WORDS = (
    "amber basin cedar delta ember fjord grove harbor inlet jungle kernel ledger meadow nickel orchard pebble quarry "
    "ripple saddle timber umber valley willow yonder zephyr anchor bridge candle drift engine fabric garden hollow island"
).split()
FIRST = "Anna Bruno Carla Dmitri Elena Farid Greta Hiro Ines Jonas Katya Liam Mei Nadia Oscar Priya Quentin Rosa Sven Tariq".split()
LAST = "Almeida Becker Castro Dubois Eriksson Ferrari Gupta Hansen Ivanov Jansen Kowalski Lindqvist Moreau Novak Okafor Petrov Rossi Silva Tanaka Weber".split()


class Draw(random.Random):
    """A random generator that knows shapes."""

    def chars(self, alphabet: str, size: int) -> str:
        """Return ``size`` characters of an alphabet, by name or spelled out."""
        return "".join(self.choices(ALPHABETS.get(alphabet, alphabet), k=size))

    def digits(self, size: int) -> str:
        """Return ``size`` digits."""
        return self.chars("d", size)

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return self.shape("{x:8}-{x:4}-4{x:3}-") + self.choice("89ab") + self.shape("{x:3}-{x:12}")

    def shape(self, text: str) -> str:
        """Fill in the fields of a shape."""
        return _FIELD.sub(self._field, text)

    def _field(self, found: re.Match[str]) -> str:
        name, low, high = found[1], found[2], found[3]
        if name[0] == "=":
            return self.choice(name[1:].split("|"))
        if name == "uuid":
            return self.uuid()
        if name == "w":
            return self.choice(WORDS)
        return self.chars(ALPHABETS[name], self.randint(int(low or 1), int(high or low or 1)))

    def words(self, count: int) -> str:
        """Return so many words."""
        return " ".join(self.choices(WORDS, k=count))

    def day(self, first: int = 1945, last: int = 2004) -> date:
        """Return a day of these years."""
        start = date(first, 1, 1)
        return start + timedelta(days=self.randrange((date(last, 12, 31) - start).days))
