"""Sets of blocks that are taken out to compare the phases."""

from collections import Counter
from math import comb

from hypothesis import given
from hypothesis import strategies as st

from layercliff.interventions.subsets import DRAWS, drawn, size


@given(st.integers(2, 90).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), st.integers(0, 5))
def test_every_block_of_a_kind_is_taken_out_by_some_subset(depths: tuple[int, int], seed: int) -> None:
    n_layers, transition = depths
    m = size(n_layers, transition)
    pools = {"silent": range(transition), "decisive": range(transition, n_layers), "anywhere": range(n_layers)}
    runs = drawn(n_layers, transition, seed)
    for kind, blocks in pools.items():
        removed = [run.removed for run in runs if run.kind == kind]
        assert len(set(removed)) == len(removed) >= min(DRAWS, comb(len(blocks), m))
        assert all(len(set(one)) == m and set(one) <= set(blocks) for one in removed)
        gone = Counter(block for one in removed for block in one)
        assert set(gone) == set(blocks)
        assert max(gone.values()) - min(gone.values()) <= max(3, len(removed) // 3)


def test_few_subsets_are_all_there_are() -> None:
    runs = drawn(6, 3, 0)
    assert [run.removed for run in runs if run.kind == "silent"] == [(0, 1), (0, 2), (1, 2)]


def test_the_seed_decides_which() -> None:
    assert drawn(28, 23, 0) == drawn(28, 23, 0) != drawn(28, 23, 1)
