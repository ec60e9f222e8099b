"""What a recipe is: how one format of the table is made, and what must stand beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.corpus.draw import Draw

Make = Callable[[Draw], str]
_MARKED = re.compile("«([^«»]*)»")


@dataclass(frozen=True)
class Recipe:
    """How values of one format are made.

    Attributes:
        name: The row of the table of formats; behind a slash, a variant of it.
        category: Its category.
        make: Makes a text with « » around each secret; unmarked, the whole text is the secret.
        keywords: Phrases of which one must stand on either side; empty when the format speaks for itself.
        number: The value may also be a JSON number.
        inline: False when only some places can hold it: it has newlines or is JSON.
    """

    name: str
    category: str
    make: Make
    keywords: tuple[str, ...] = ()
    number: bool = False
    inline: bool = True

    def sample(self, draw: Draw) -> Sample:
        """Make one value."""
        return mark(self.make(draw))


@dataclass(frozen=True)
class Sample:
    """A text and the secrets in it."""

    text: str
    secrets: tuple[str, ...]


def mark(text: str) -> Sample:
    """Take the marks out of a text."""
    if "«" not in text:
        return Sample(text, (text,))
    return Sample(text.replace("«", "").replace("»", ""), tuple(_MARKED.findall(text)))


def table(category: str, rows: str) -> Iterator[Recipe]:
    """Read recipes from lines of ``name | shape | keyword, keyword``; the last part may be missing."""
    for row in filter(None, rows.splitlines()):
        name, shape, *keywords = (part.strip() for part in row.split(" | "))
        phrases = tuple(word.strip() for word in keywords[0].split(",")) if keywords else ()
        yield Recipe(name, category, lambda draw, shape=shape: draw.shape(shape), phrases)
