"""Intervals against sums done by hand, Wilson's equation, printed figures and their coverage."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm import interval
from sqm.checks import Problem, Refusal

Z = 1.959963984540054  # 97.5 % of a normal distribution lies below


# --- a share ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_printed(hits, n, low, high):
    found = interval.share(pd.Series([True] * hits + [False] * (n - hits)))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert (found.estimate, found.n, found.effective_n) == (hits / n, n, n)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("share", "n"), [(0.3, 10), (0.02, 351.7), (0.97, 64)])
def test_the_limits_solve_wilsons_equation(share, n, confidence):
    """Wilson (1927): a limit p is where (share - p)^2 = z^2 p (1 - p) / n."""
    z = stats.norm.ppf((1 + confidence) / 2)
    limits = interval.wilson(share, n, confidence=confidence)
    assert limits[0] < share < limits[1]
    for p in limits:
        assert (share - p) ** 2 == pytest.approx(z**2 * p * (1 - p) / n, rel=1e-9)


def test_all_or_none_ends_exactly_there():
    # with no hit the upper limit is z^2 / (n + z^2)
    low, high = interval.wilson(0.0, 20)
    assert (low, high) == (0.0, pytest.approx(Z**2 / (20 + Z**2)))
    assert interval.wilson(1.0, 20) == (pytest.approx(20 / (20 + Z**2)), 1.0)


def test_hits_and_misses_mirror_each_other():
    low, high = interval.wilson(0.1, 33)
    assert interval.wilson(0.9, 33) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_clusters_of_identical_rows_count_once_each():
    """Ten pairs of twins are ten rows: the variance is 2 * 10/9 times that of twenty rows.

    The factor 10/9 is the one that makes a variance of ten clusters unbiased.
    """
    twins = pd.Series([True, True, False, False] * 5)
    found = interval.share(twins, clusters=_by(np.repeat(range(10), 2)))
    assert found.effective_n == pytest.approx(10 * 9 / 10)
    few = (stats.t.ppf(0.975, 19) / stats.t.ppf(0.975, 9)) ** 2  # Korn and Graubard
    assert (found.low, found.high) == pytest.approx(interval.wilson(0.5, 9.0 * few))


def test_rows_of_one_cluster_are_taken_as_they_are():
    hits = pd.Series([True, False] * 10)
    assert interval.share(hits, clusters=_by(["a"] * 20)) == interval.share(hits)


def test_two_kinds_of_cluster_by_inclusion_and_exclusion():
    # one way: sums of deviations by agent (or day), squared, times G / (G - 1), over n squared
    agent, day = np.repeat(range(4), 4), np.tile(range(4), 4)
    hits = pd.Series((agent < 2) & (day < 2) | (agent < 2) & (day == 2) | (agent == 2) & (day < 2))
    shared = pd.DataFrame({"agent": agent, "day": day})
    off = hits - hits.mean()
    one_way = [4 / 3 * (off.groupby(by).sum() ** 2).sum() / 256 for by in (agent, day)]
    cells = 16 / 15 * (off**2).sum() / 256
    together = max(sum(one_way) - cells, *one_way)
    simple = hits.mean() * (1 - hits.mean()) / 16
    found = interval.share(hits, clusters=shared)
    assert found.effective_n == pytest.approx(16 / (together / simple))
    assert together > max(one_way)


def test_nothing_to_estimate_from():
    with pytest.raises(Refusal, match="no row"):
        interval.share(pd.Series([], dtype=bool))
    with pytest.raises(Problem, match="confidence is 95"):
        interval.share(pd.Series([True, False]), confidence=95)


@pytest.mark.parametrize("clusters", [5, 10])
def test_a_share_of_few_clusters_is_covered_too(clusters):
    """Correlation 0.2 within clusters of 40: without Student's quantile 5 clusters cover .86."""
    rng, held, times = np.random.default_rng(9), 0, 400
    shared = _by(np.repeat(range(clusters), 40))
    for _ in range(times):
        chance = np.repeat(rng.beta(0.3 * 4, 0.7 * 4, clusters), 40)
        found = interval.share(pd.Series(rng.random(len(chance)) < chance), clusters=shared)
        held += found.low <= 0.3 <= found.high
    assert held / times >= 0.91


def test_design_effect_by_hand():
    # hits 1 1 0 | 1 0 0 around 1/2: sums 1/2 and -1/2; variance (1/4 + 1/4) * 2/1 / 36 = 1/36.
    # A simple sample of six has 1/4 / 6 = 1/24, so the effect is 2/3: no credit is given for it.
    hits = pd.Series([True, True, False, True, False, False])
    found = interval.share(hits, clusters=_by([1, 1, 1, 2, 2, 2]))
    assert found.effective_n == 6
    # hits 1 1 1 | 0 0 1 around 2/3: sums 1 and -1; variance 2 * 2 / 36 = 1/9 against 2/9 / 6 = 1/27
    hits = pd.Series([True, True, True, False, False, True])
    found = interval.share(hits, clusters=_by([1, 1, 1, 2, 2, 2]))
    assert found.effective_n == pytest.approx(6 / 3)


def test_rows_that_have_nothing_in_common_are_nearly_all_counted():
    rng = np.random.default_rng(1)
    hits = pd.Series(rng.random(20_000) < 0.3)
    found = interval.share(hits, clusters=_by(np.repeat(range(2000), 10)))
    assert 0.9 * 20_000 < found.effective_n <= 20_000


def test_each_row_its_own_cluster_is_no_cluster():
    hits = pd.Series([True, False, False, True, False])
    alone = interval.share(hits, clusters=_by(range(5)))
    # by clusters the variance is divided by n - 1, the simple one by n
    assert alone.effective_n == pytest.approx(5 * 4 / 5)


def test_clusters_go_by_place_not_by_index():
    hits = pd.Series([True, True, False, False] * 5, index=range(100, 120))
    shared = _by(np.repeat(range(10), 2))
    assert interval.share(hits, clusters=shared).effective_n == pytest.approx(9)


def test_rows_without_a_cluster_are_one_cluster_and_not_dropped():
    hits = pd.Series([True, True, False, False])
    found = interval.share(hits, clusters=_by(["a", "a", None, None]))
    assert (found.n, found.effective_n) == (4, pytest.approx(1))


# --- a mean -------------------------------------------------------------------------------------


# --- how often they hold ------------------------------------------------------------------------

TIMES = 400
# 400 tries at a true 95 % hold 380 times, give or take 4.4: outside three of these is no chance.
HOLDS = (0.95 - 3 * math.sqrt(0.95 * 0.05 / TIMES), 0.95 + 3 * math.sqrt(0.95 * 0.05 / TIMES))


def test_a_shares_interval_holds_as_often_as_it_says():
    """Forty agents of ten contacts each, agents unlike each other (correlation 0.2 within)."""
    rng, truth, agents, shared = np.random.default_rng(4), 0.2, 40, _by(np.repeat(range(40), 10))
    held, held_without = 0, 0
    for _ in range(TIMES):
        own = rng.beta(truth * 4, (1 - truth) * 4, agents)
        hits = pd.Series(rng.random(400) < np.repeat(own, 10))
        found, naive = interval.share(hits, clusters=shared), interval.share(hits)
        held += found.low <= truth <= found.high
        held_without += naive.low <= truth <= naive.high
    assert HOLDS[0] <= held / TIMES <= HOLDS[1]
    assert held_without / TIMES < 0.85  # the design effect is 2.8: without clusters it fails


# --- in words -----------------------------------------------------------------------------------


def test_in_words():
    found = interval.Estimate(0.125, 0.11, 0.1407, 0.95, 1000, 800.0)
    assert found.words(digits=1, unit="%", times=100) == "12.5 % (95% interval 11.0 to 14.1)"
    assert interval.Estimate(1234.5, 1000, 2000, 0.999, 9, 9.0).words(digits=0) == (
        "1,234 (99.9% interval 1,000 to 2,000)"
    )


def _by(groups):
    return pd.DataFrame({"group": list(groups)})


# --- from a standard error, or from what each row contributes ----------------------------------


def test_an_interval_never_passes_one():
    low, high = interval.below_one(0.98, 0.03, 100, 0.95)
    assert low < 0.98 < high < 1
    assert np.isnan(interval.below_one(1.0, 0.0, 100, 0.95)).all()


def test_a_sum_over_groups_of_one_is_a_sum_over_rows():
    parts = np.random.default_rng(1).normal(size=50)
    parts -= parts.mean()
    rows = interval.variance_of_sum(parts)
    assert rows == pytest.approx(50 * parts.var(ddof=1))
    assert interval.variance_of_sum(parts, np.arange(50)) == pytest.approx(rows)
    assert interval.standard_error(parts) == pytest.approx(np.sqrt(rows) / 50)
    # rows that stand twice: half as many independent ones
    twice = interval.variance_of_sum(np.repeat(parts, 2), np.repeat(np.arange(50), 2))
    assert twice == pytest.approx(4 * rows)


def test_students_interval_is_scipys():
    values = np.random.default_rng(1).normal(size=(12, 2))
    mean, low, high = interval.student(values, confidence=0.9)
    for i, column in enumerate(values.T):
        theirs = stats.ttest_1samp(column, 0).confidence_interval(0.9)
        assert (low[i], high[i]) == pytest.approx((theirs.low, theirs.high))
        assert interval.student(column, confidence=0.9) == pytest.approx((mean[i], low[i], high[i]))


def test_a_correlation_that_may_be_one_has_limits_that_hold_one():
    estimate, error = np.array([0.6, 0.98]), np.array([0.05, 0.05])
    low, high = interval.correlation_limits(estimate, error, confidence=0.95)
    assert low[0] == pytest.approx(np.tanh(np.arctanh(0.6) - Z * 0.05 / 0.64))
    assert high[1] == pytest.approx(0.98 + Z * 0.05)


def test_weights_that_differ_tell_less():
    assert interval.kish(np.full(7, 3.0)) == pytest.approx(7)
    assert interval.kish(np.array([1.0, 0.0])) == 1


def test_holm_by_hand():
    found = interval.holm(np.array([0.02, 0.001, np.nan, 0.03]))
    assert found[[0, 1, 3]] == pytest.approx([0.04, 0.003, 0.04])
    assert np.isnan(found[2])
    assert interval.holm(np.array([np.nan])).tolist() == pytest.approx([np.nan], nan_ok=True)


def test_holm_at_a_level():
    """0.01 x 3 and 0.02 x 2 pass 0.05, 0.06 does not."""
    p = np.array([0.06, 0.01, np.nan, 0.02])
    assert (interval.holm(p) <= 0.05).tolist() == [False, True, False, True]
