"""The embedded tasks ask what they say, and how common an answer is does not give it away."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from layercliff.tasks import geography
from layercliff.tasks.question import Task


@pytest.mark.parametrize(("make", "least", "most"), [(geography.capitals, 155, 165), (geography.cities, 730, 770)])
def test_size_and_shape(make: object, least: int, most: int) -> None:
    task: Task = make(0)  # type: ignore[operator]
    assert least <= len(task.questions) <= most
    assert {len(q.options) for q in task.questions} == {4}
    places = Counter(q.gold for q in task.questions)
    assert max(places.values()) < 0.35 * len(task.questions)


def test_the_seed_draws_the_distractors() -> None:
    first, again, other = geography.cities(0), geography.cities(0), geography.cities(1)
    assert first == again
    assert first.digest != other.digest
    assert [q.text for q in first.questions] == [q.text for q in other.questions]


def test_at_most_ten_cities_a_country() -> None:
    golds = Counter(q.options[q.gold] for q in geography.cities(0).questions)
    assert max(golds.values()) == 10


def frequency_accuracy(task: Task) -> float:
    """How often the most common gold country among a question's options is right: knowledge of frequencies alone."""
    common = Counter(q.options[q.gold] for q in task.questions)
    hits = []
    for q in task.questions:
        best = max(common[o] for o in q.options)
        tied = [o for o in q.options if common[o] == best]
        hits.append((q.options[q.gold] in tied) / len(tied))
    return float(np.mean(hits))


def test_frequency_alone_is_near_chance() -> None:
    """With distractors drawn from countries instead of cities, this rises far above chance."""
    cities = geography.cities(0)
    assert frequency_accuracy(cities) < 0.3
    countries = sorted({q.options[q.gold] for q in cities.questions})
    draw = np.random.default_rng(0)
    naive = []
    for q in cities.questions:
        gold = q.options[q.gold]
        wrong = draw.choice([c for c in countries if c != gold], 3, replace=False)
        naive.append(replace(q, options=(gold, *map(str, wrong)), gold=0))
    assert frequency_accuracy(replace(cities, questions=tuple(naive))) > frequency_accuracy(cities) + 0.08
