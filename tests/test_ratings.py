"""What the coefficients of agreement rest on: by hand, by identity, and at their limits."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats import inter_rater

from sqm.interval import wilson
from sqm.ratings import (
    as_text,
    cohen,
    crossed,
    fisher_limits,
    fleiss,
    least_beyond,
    share_limits,
    sums_of_each,
)

COUNTS = np.array([[20, 5, 1], [2, 20, 1], [4, 0, 9]])


def _summed(codes, categories):
    each = sums_of_each(np.array(codes), categories)
    return each.map(lambda value, _: value.sum(axis=0)[None])


def test_a_table_of_counts_comes_back_from_its_cases():
    first = pd.Series(np.repeat(np.repeat(list("abc"), 3), COUNTS.ravel()))
    second = pd.Series(np.repeat(np.tile(list("abc"), 3), COUNTS.ravel()))
    names, counts = crossed(first, second)
    assert names == list("abc")
    assert (counts == COUNTS).all()
    # the same kappa from the sums over cases: each pair of raters has its own table
    codes = np.column_stack([first.map("abc".index), second.map("abc".index)])
    assert (_summed(codes, 3).crossed[0, 0] == COUNTS).all()


def test_kappa_is_that_of_statsmodels_and_missing_where_chance_is_sure():
    assert cohen(COUNTS, 0.95)[0] == pytest.approx(inter_rater.cohens_kappa(COUNTS).kappa)
    assert np.isnan(cohen(np.array([[10, 0], [0, 0]]), 0.95)).all()


def test_full_agreement_has_wilsons_lower_limit():
    # p_e is one half: kappa is 2 p_o - 1
    assert cohen(np.diag([10, 10]), 0.95) == pytest.approx((1, 2 * wilson(1.0, 20)[0] - 1, 1))
    assert least_beyond(0.0, 20, 0.95) == wilson(1.0, 20)[0]


def test_fleiss_of_cases_with_blanks_weighs_each_case_once():
    # aab agrees in 1/3, bb. in 1: p_o = 2/3; q = (2/3 + 0) / 2 and 2/3, p_e = 1/9 + 4/9
    kappa, chance = fleiss(_summed([[0, 0, 1], [1, 1, -1]], 2), np.eye(2))
    assert chance[0] == pytest.approx(5 / 9)
    assert kappa[0] == pytest.approx((2 / 3 - 5 / 9) / (4 / 9))


def test_fleiss_is_that_of_statsmodels():
    codes = np.random.default_rng(4).integers(0, 3, size=(50, 4))
    uses = (codes[:, :, None] == np.arange(3)).sum(axis=1)
    found = fleiss(_summed(codes, 3), np.eye(3))[0][0]
    assert found == pytest.approx(inter_rater.fleiss_kappa(uses, method="fleiss"))


def test_limits_where_nothing_spreads():
    assert np.isnan(fisher_limits(1.0, 0.0, 50, 0.95)).all()
    assert np.isnan(fisher_limits(0.5, np.nan, 50, 0.95)).all()
    assert share_limits(1.0, 0.0, 50, 0.95) == wilson(1.0, 50)


def test_independent_cases_are_as_many_as_they_are():
    assert share_limits(0.3, 0.3 * 0.7 / 50, 50, 0.95) == pytest.approx(wilson(0.3, 50))


def test_numbers_and_texts_of_a_category_are_one():
    assert {as_text(each) for each in (3, 3.0, np.int64(3), np.float64(3), "3")} == {"3"}
