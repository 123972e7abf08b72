"""Repeated n-grams, counted the slow way."""

from hypothesis import given
from hypothesis import strategies as st

from layercliff.metrics.repetition import repetition


def test_examples() -> None:
    assert repetition([]) == repetition([(1, 2)]) == repetition([(1, 2, 3, 4)]) == 0
    assert repetition([(7,) * 12]) == 9 / 10
    assert repetition([(1, 2, 3), (1, 2, 3)]) == 0  # each text for itself


@given(st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=4), st.integers(1, 4))
def test_every_gram_that_stood_earlier(texts: list[list[int]], length: int) -> None:
    seen = again = 0
    for text in texts:
        for begin in range(len(text) - length + 1):
            seen += 1
            again += any(text[b : b + length] == text[begin : begin + length] for b in range(begin))
    assert repetition(texts, length) == (again / seen if seen else 0)
