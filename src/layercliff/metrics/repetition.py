"""Repetition in generated text."""

from collections.abc import Sequence

LENGTH = 3  # tokens of an n-gram


def repetition(texts: Sequence[Sequence[int]], length: int = LENGTH) -> float:
    """The share of n-grams of tokens that occurred earlier in the same text.

    >>> repetition([(1, 2, 3, 1, 2, 3)])
    0.25

    Args:
        texts: Token ids of each text.
        length: Tokens of an n-gram.

    Returns:
        A share, 0 where there are no n-grams.
    """
    total = distinct = 0
    for tokens in texts:
        grams = [tuple(tokens[begin : begin + length]) for begin in range(len(tokens) - length + 1)]
        total += len(grams)
        distinct += len(set(grams))
    return (total - distinct) / total if total else 0.0
