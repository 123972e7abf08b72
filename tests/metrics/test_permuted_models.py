"""The permutation test of whole models within tasks, against scipy and every order by hand."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from layercliff.metrics.permuted_models import DRAWN, WithinTasks, _orders, within_tasks


def permuted(x: np.ndarray, y: np.ndarray) -> WithinTasks:
    return within_tasks(x, y, [f"m{i}" for i in range(x.shape[0])], [f"t{j}" for j in range(x.shape[1])])


def test_against_every_order_of_models() -> None:
    rng = np.random.default_rng(0)
    x, y = np.round(rng.random((4, 3)), 1), np.round(rng.random((4, 3)), 1)
    every = [np.mean([spearmanr(x[:, t], y[list(o), t]).statistic for t in range(3)]) for o in permutations(range(4))]
    found = permuted(x, y)
    assert found.correlation == pytest.approx(every[0])
    assert found.p_falls == np.mean(np.array(every) <= every[0] + 1e-9)
    assert found.p_rises == np.mean(np.array(every) >= every[0] - 1e-9)
    assert found.falls is None  # four models


def test_six_models_that_fall_are_shown_and_five_are_not() -> None:
    x = np.arange(12.0).reshape(6, 2)
    assert (permuted(x, -x).falls, permuted(x, x).falls) == (True, False)
    assert permuted(x, -x).least_p == pytest.approx(1 / 720)
    assert permuted(x[:5], -x[:5]).falls is None
    assert permuted(x[:5], -x[:5]).least_p == pytest.approx(1 / 120)
    many = np.arange(9.0)[:, None]
    assert (permuted(many, -many).falls, len(_orders(9, 0))) == (True, DRAWN + 1)


def test_what_lacks_a_cell_is_left_out_whole_and_named() -> None:
    x = np.arange(24.0).reshape(6, 4)
    y = -x.copy()
    y[2, 1], x[4, 0], y[:, 3], x[5] = np.nan, np.inf, 1.0, np.nan
    found = permuted(x, y)
    assert found.models == ("m0", "m1", "m2", "m3", "m4")
    assert found.without_model == ("m5",)
    assert found.tasks == ("t2",)
    assert found.without_task == (("t0", ("m4",)), ("t1", ("m2",)), ("t3", ()))
    nothing = permuted(np.full((3, 2), np.nan), np.ones((3, 2)))
    assert (nothing.correlation, nothing.falls, nothing.models) == (None, None, ())
