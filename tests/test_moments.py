"""Resampled moments against numpy on the same rows; printed matrices read as they are meant."""

import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.moments import as_correlations, published, resampled


def test_resampled_moments_are_those_of_the_rows_drawn():
    values = np.random.default_rng(2).normal(50, 3, size=(30, 3))
    means, spread = resampled(values, resamples=4, rng=np.random.default_rng(7))
    rows = np.random.default_rng(7).integers(30, size=(4, 30))
    for i in range(4):
        assert means[i] == pytest.approx(values[rows[i]].mean(axis=0))
        assert spread[i] == pytest.approx(np.cov(values[rows[i]], rowvar=False))
    assert np.diagonal(as_correlations(spread), axis1=1, axis2=2) == pytest.approx(np.ones((4, 3)))


def test_resampled_correlations_do_not_mind_the_units():
    values = np.random.default_rng(1).normal(size=(30, 3)) * [1, 100, 0.01] + [5, 0, -3]
    found = as_correlations(resampled(values, resamples=4, rng=np.random.default_rng(7))[1])
    again = np.random.default_rng(7)
    for each in found:
        assert each == pytest.approx(np.corrcoef(values[again.integers(30, size=30)].T))


def test_what_never_varies_correlates_with_nothing():
    assert np.isnan(as_correlations(np.diag([1.0, 0.0]))[0, 1])


def test_a_printed_matrix_may_show_one_half_and_stand_in_any_order():
    table = pd.DataFrame({"item": ["b", "a"], "a": [None, 1], "b": [1, 0.5]})
    assert published(table, ["a", "b"], source="them").tolist() == [[1, 0.5], [0.5, 1]]
    with pytest.raises(Refusal, match="them has no column 'c'"):
        published(table, ["a", "c"], source="them")
    with pytest.raises(Problem, match="not one row for b"):
        published(table.assign(item="a"), ["b"], source="them")
