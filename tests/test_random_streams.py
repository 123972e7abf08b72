"""Random numbers come from streams with one number each."""

import ast
from pathlib import Path

import numpy as np

import layercliff
from layercliff.random_streams import RandomStream, generator

FIXED = "models/removable_blocks.py"  # tries the same sets of blocks for every seed
SOURCE = Path(layercliff.__file__).parent


def test_streams_are_named() -> None:
    """No other file makes a generator, so that none spells a stream's number."""
    makes = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        and (node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else node.name)
        in ("default_rng", "SeedSequence", "RandomState")
    }
    assert makes == {"random_streams.py", FIXED}


def test_streams_are_used() -> None:
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert {stream.name for stream in RandomStream if f"RandomStream.{stream.name}" not in text} == set()


def test_numbers_of_before() -> None:
    """What was drawn by ``[seed, stream, ...]`` is drawn again."""
    for seed in (0, 3, 2**63 - 1):
        for own, before in (
            (generator(RandomStream.RANDOM_PATH, seed, 2), [seed, 7, 2]),
            (generator(RandomStream.HALVES, seed, 0), [seed, 4]),
            (generator(RandomStream.TUNED_LENS, None), [15]),
        ):
            assert own.integers(2**60) == np.random.default_rng(before).integers(2**60)


def test_no_two_draw_the_same() -> None:
    first = [generator(stream, 5, 1).integers(2**60) for stream in RandomStream]
    assert len(set(first)) == len(RandomStream)
