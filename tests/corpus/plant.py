"""Lines with planted secrets: each recipe in plain places, in every place, each credential name in every form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.corpus import catalogue, field_names, keys, network, pii_common, places
from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, mark


@dataclass(frozen=True)
class Planted:
    """One line, or consecutive lines of one request, with secrets.

    Attributes:
        name: The recipe or the field name.
        category: Of the recipe; ``names`` for field names.
        place: Where they stand.
        lines: As a client sends them.
        secrets: What must not be readable afterwards.
        envelope: The lines are none, but labels and metadata around one.
    """

    name: str
    category: str
    place: str
    lines: tuple[bytes, ...]
    secrets: tuple[str, ...]
    envelope: bool = False


def _one(recipe: Recipe, place: str, line: str, secrets: tuple[str, ...]) -> Planted:
    return Planted(recipe.name, recipe.category, place, (line.encode(),), secrets)


def plain(seed: int, each: int = 4, recipes: tuple[Recipe, ...] = catalogue.RECIPES) -> Iterator[Planted]:
    """Yield each recipe ``each`` times in sentences and in every plain place."""
    draw = Draw(seed)
    for recipe in recipes:
        for _ in range(each):
            sample = recipe.sample(draw)
            text = places.sentence(draw, recipe, sample.text)
            line = places.compact({"msg": text}) if draw.random() < 0.6 else text
            yield _one(recipe, "sentence", line, sample.secrets)
            for place, make in places.PLAIN.items():
                if recipe.inline or place in ("field", "spaced field"):
                    sample = recipe.sample(draw)
                    yield _one(
                        recipe, place, make(draw, places.name_for(draw, recipe), sample.text), sample.secrets
                    )


def everywhere(
    seed: int, each: int = 1, recipes: tuple[Recipe, ...] = catalogue.RECIPES
) -> Iterator[Planted]:
    """Yield each recipe ``each`` times in every place that can hold it."""
    draw = Draw(seed)
    for recipe in recipes:
        for _ in range(each):
            yield from _places(draw, recipe)


def _places(draw: Draw, recipe: Recipe) -> Iterator[Planted]:
    for group in (places.PLACES, places.ATOMS, places.NUMBERS, places.SOFT):
        for place, make in group.items():
            if group is places.NUMBERS and not recipe.number:
                continue
            sample = recipe.sample(draw)
            if group is places.NUMBERS and sample.text[0] == "0":
                continue
            if group is places.ATOMS and not places.is_atom(sample):
                continue
            if place in places.ENCODED and min(map(len, sample.secrets)) < 8:
                continue
            yield _one(recipe, place, make(draw, places.name_for(draw, recipe), sample.text), sample.secrets)
    sample = recipe.sample(draw)
    if recipe.inline:
        name = places.name_for(draw, recipe, styles="snake")
        part = draw.choice(["labels", "metadata"])
        line = places.compact(
            {"labels": {"app": places.KEPT}, "metadata": {}}
            | {part: {name: sample.text, "zone": places.KEPT}}
        )
        yield Planted(
            recipe.name,
            recipe.category,
            "labels and metadata",
            (line.encode(),),
            sample.secrets,
            envelope=True,
        )


def split_keys(seed: int, count: int) -> Iterator[Planted]:
    """Yield private keys spread over consecutive records of one request, as text and as JSON."""
    draw = Draw(seed)
    for _ in range(count):
        text = keys.pem(draw, lines=draw.randint(6, 20))
        lines = mark(text).text.split("\n")
        secrets = tuple(
            line
            for line in text.replace("«", "").replace("»", "").split("\n")
            if line[:1] != "-" and len(line) > 20
        )
        as_json = draw.random() < 0.6
        before, after = [places.compact({"msg": places.KEPT})], [places.compact({"msg": places.KEPT, "n": 2})]
        body = [places.compact({"level": "info", "message": line}) if as_json else line for line in lines]
        yield Planted(
            "pem-private-key",
            "private-key",
            "PEM over records",
            tuple(line.encode() for line in before + body + after),
            secrets,
        )


def names(seed: int, each: int = 1) -> Iterator[Planted]:
    """Yield every credential field name in every form, and with an integer."""
    draw = Draw(seed)
    for name in field_names.NAMES:
        for form, make in field_names.FORMS.items():
            for _ in range(each):
                value = field_names.value(draw)
                yield Planted(name, "names", form, (make(name, value).encode(),), (value,))
        number = draw.randint(100_000, 999_999_999)
        yield Planted(
            name, "names", field_names.INTEGER, (field_names.integer(name, number).encode(),), (str(number),)
        )


def code(seed: int, each: int = 1) -> Iterator[Planted]:
    """Yield every credential field name as code, configuration and build logs write it."""
    draw = Draw(seed)
    for name in field_names.NAMES:
        for form, make in field_names.CODE.items():
            for _ in range(each):
                value = field_names.value(draw)
                yield Planted(name, "names", form, (make(name, value).encode(),), (value,))


def personal_names(seed: int, each: int = 3) -> Iterator[Planted]:
    """Yield personal data that only its name tells."""
    draw = Draw(seed)
    for row, make, spelled in pii_common.KEYED:
        for name in spelled:
            for form in ("flat", "deep", "in nested string", "name/value pair", "form body", "logfmt quoted"):
                for _ in range(each):
                    value = make(draw)
                    yield Planted(
                        row,
                        "pii",
                        f"by name: {form}",
                        (field_names.FORMS[form](name, value).encode(),),
                        (value,),
                    )


def addresses(seed: int) -> Iterator[Planted]:
    """Yield addresses of hosts, for a policy that masks them."""
    yield from plain(seed, 8, network.ADDRESSES)
