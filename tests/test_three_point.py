"""Three points and the triangle between them."""

import numpy as np
import pytest
from scipy import stats

from sqm.checks import Problem
from sqm.three_point import drawn, three_points


@pytest.mark.parametrize("points", [(0, 1, 4), (2, 2, 5), (-3, 1, 1)])
def test_draws_are_triangular(points):
    least, likeliest, most = points
    found = drawn(points, 20_000, rng=np.random.default_rng(1))
    shape = (likeliest - least) / (most - least)
    assert stats.kstest(found, stats.triang(shape, least, most - least).cdf).pvalue > 0.01
    assert found.mean() == pytest.approx(sum(points) / 3, abs=0.03)


@pytest.mark.parametrize("value", ["5", [1, 2], [3, 2, 4], True, None, [1, 2, float("inf")]])
def test_anything_else_is_a_problem(value):
    with pytest.raises(Problem, match="the price is"):
        three_points(value, name="the price")
