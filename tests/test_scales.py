"""The coefficients of a scale against identities and sums by hand."""

import numpy as np
import pytest

from sqm import scales
from sqm.interval import standard_error

RNG = np.random.default_rng(1)
UNEVEN = np.array([[2.0, 0.6, 0.4, 0.5], [0.6, 1.0, 0.3, 0.2], [0.4, 0.3, 1.5, 0.7],
                   [0.5, 0.2, 0.7, 1.2]])  # fmt: skip


@pytest.mark.parametrize(("k", "number"), [(2, 1), (3, 3), (4, 3), (5, 10), (6, 10), (7, 35)])
def test_every_split_is_there_once(k, number):
    halves = scales.halvings(k, most=1000, rng=RNG)
    assert len(halves) == number == scales.halvings_of(k)
    assert (halves.sum(axis=1) == -(k % 2)).all()
    assert len({tuple(row * row[0]) for row in halves}) == number


def test_a_drawn_split_is_a_half_too():
    halves = scales.halvings(15, most=40, rng=np.random.default_rng(2))
    assert halves.shape == (40, 15)
    assert (halves.sum(axis=1) == -1).all()


def test_alpha_is_the_mean_of_guttmans_splits():
    """Cronbach (1951): alpha is the mean of 2 (1 - (V_a + V_b) / V) over all splits."""
    halves = scales.halvings(4, most=10, rng=RNG)
    mean = np.mean([scales.lambda_4(UNEVEN, row[None, :]) for row in halves])
    assert scales.ten_berge(UNEVEN) == pytest.approx(mean)


def test_split_half_by_hand():
    # halves {1, 2} and {3, 4}: variances 4.2 and 4.1, covariance 0.4 + 0.5 + 0.3 + 0.2 = 1.4
    r = 1.4 / np.sqrt(4.2 * 4.1)
    found = scales.split_half(UNEVEN, np.array([[1.0, 1.0, -1.0, -1.0]]))
    assert found == pytest.approx([2 * r / (1 + r)])


def test_the_bounds_stand_in_order():
    found = [scales.ten_berge(UNEVEN, step=step) for step in range(4)]
    assert found == sorted(found)


def test_slopes_of_a_determinant_are_its_cofactors():
    det = np.linalg.det(UNEVEN)
    assert scales.slopes(np.linalg.det, UNEVEN) == pytest.approx(
        det * np.linalg.inv(UNEVEN), rel=1e-6
    )


def test_the_error_by_influences_is_that_of_a_variance():
    """The variance of a normal sample has standard error sqrt(2 / n) times itself."""
    values = np.random.default_rng(3).normal(scale=2, size=(40_000, 1))
    moved = scales.by_covariances(values, np.ones((1, 1)))
    assert standard_error(moved) == pytest.approx(4 * np.sqrt(2 / 40_000), rel=0.03)
