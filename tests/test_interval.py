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
    assert (found.low, found.high) == pytest.approx(interval.wilson(0.5, 9.0))


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


def test_two_kinds_of_cluster_by_inclusion_and_exclusion():
    # agents a b, days 1 2, values 6 4 | 2 0 around 3: 3 1 | -1 -3.
    # Agents: sums 4, -4, (16 + 16) * 2/1 / 16 = 4.  Days: 2, -2, (4 + 4) * 2 / 16 = 1.
    # Both at once: (9 + 1 + 1 + 9) * 4/3 / 16 = 5/3.  Together 4 + 1 - 5/3 = 10/3, less than the
    # agents' own 4, which is therefore taken.
    values = pd.Series([6.0, 4.0, 2.0, 0.0])
    shared = pd.DataFrame({"agent": list("aabb"), "day": [1, 2, 1, 2]})
    found = interval.mean(values, clusters=shared)
    t = stats.t.ppf(0.975, 1)
    assert found.high - found.estimate == pytest.approx(t * math.sqrt(4))
    # three agents and three days that add 2, 0, -2 each.  Sums 6, 0, -6 for either kind:
    # (36 + 36) * 3/2 / 81 = 4/3; nine cells (16 + 4 + 0 + 4 + 0 + 4 + 0 + 4 + 16) * 9/8 / 81 = 2/3.
    values = pd.Series([4.0, 2, 0, 2, 0, -2, 0, -2, -4])
    shared = pd.DataFrame({"agent": list("aaabbbccc"), "day": [1, 2, 3] * 3})
    found = interval.mean(values, clusters=shared)
    assert found.high == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(4 / 3 + 4 / 3 - 2 / 3))


def test_two_kinds_of_cluster_widen_more_than_either():
    rng = np.random.default_rng(2)
    agent, day = np.repeat(range(30), 30), np.tile(range(30), 30)
    values = pd.Series(rng.normal(size=30)[agent] + rng.normal(size=30)[day])
    values += rng.normal(size=900)
    widths = [
        (found := interval.mean(values, clusters=shared)).high - found.low
        for shared in (
            None,
            _by(agent),
            _by(day),
            pd.DataFrame({"agent": agent, "day": day}),
        )
    ]
    assert widths[0] < min(widths[1:3])
    assert widths[3] > max(widths[1:3])


# --- a mean -------------------------------------------------------------------------------------


def test_a_mean_of_identical_pairs_is_the_mean_of_single_rows():
    """Pairs carry what ten rows carry: Student's interval with nine degrees of freedom."""
    once = pd.Series(np.random.default_rng(3).normal(size=10))
    twice = pd.Series(np.repeat(once.to_numpy(), 2))
    alone, paired = interval.mean(once), interval.mean(twice, clusters=_by(np.repeat(range(10), 2)))
    assert (paired.low, paired.high) == pytest.approx((alone.low, alone.high))
    assert alone.high - alone.estimate == pytest.approx(
        stats.t.ppf(0.975, 9) * once.std() / math.sqrt(10)
    )


def test_the_mean_moves_and_stretches_with_its_unit():
    wait_min = pd.Series([1.0, 4.0, 2.0, 9.0])
    minutes, seconds = interval.mean(wait_min), interval.mean(wait_min * 60 + 5)
    assert seconds.low == pytest.approx(minutes.low * 60 + 5)
    assert seconds.high == pytest.approx(minutes.high * 60 + 5)


def test_one_cluster_says_nothing_of_its_own_spread():
    with pytest.raises(Refusal, match="one cluster"):
        interval.mean(pd.Series([1.0, 2.0, 9.0]), clusters=_by(["a", "a", "a"]))


@pytest.mark.parametrize("ask", [interval.share, interval.mean])
def test_nothing_to_estimate_from(ask):
    with pytest.raises(Refusal, match="no row"):
        ask(pd.Series([], dtype=float))
    with pytest.raises(Problem, match="confidence is 95"):
        ask(pd.Series([1.0, 0.0]), confidence=95)


def test_one_value_has_no_interval():
    with pytest.raises(Refusal, match="One value"):
        interval.mean(pd.Series([3.0]))


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


def test_a_means_interval_holds_as_often_as_it_says():
    """Twelve sites of twenty rows each, as much between sites as within."""
    rng, shared, held, held_without = np.random.default_rng(5), _by(np.repeat(range(12), 20)), 0, 0
    for _ in range(TIMES):
        values = pd.Series(np.repeat(rng.normal(size=12), 20) + rng.normal(size=240))
        found, naive = interval.mean(values, clusters=shared), interval.mean(values)
        held += found.low <= 0 <= found.high
        held_without += naive.low <= 0 <= naive.high
    assert HOLDS[0] <= held / TIMES <= HOLDS[1]
    assert held_without / TIMES < 0.7


# --- the bootstrap ------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(6).normal(10, 2, size=400)
    found = interval.bootstrap(np.mean, values, rng=np.random.default_rng(7), resamples=2000)
    half = Z * values.std() / 20
    assert found.estimate == values.mean()
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.1 * half
    )
    assert (found.n, found.effective_n, found.confidence) == (400, 400, 0.95)


def test_the_bootstrap_repeats_itself_with_the_same_chance_and_keeps_rows_whole():
    pairs = np.column_stack([np.arange(30.0), np.arange(30.0) * 2])

    def slope(rows):
        assert (rows[:, 1] == rows[:, 0] * 2).all()
        return rows[:, 1].sum() / rows[:, 0].sum()

    found = [
        interval.bootstrap(slope, pairs, rng=np.random.default_rng(8), resamples=50)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert (found[0].low, found[0].high) == (2, 2)


# --- in words -----------------------------------------------------------------------------------


def test_in_words():
    found = interval.Estimate(0.125, 0.11, 0.1407, 0.95, 1000, 800.0)
    assert found.words(digits=1, unit="%", times=100) == "12.5 % (95% interval 11.0 to 14.1)"
    assert interval.Estimate(1234.5, 1000, 2000, 0.999, 9, 9.0).words(digits=0) == (
        "1,234 (99.9% interval 1,000 to 2,000)"
    )


def _by(groups):
    return pd.DataFrame({"group": list(groups)})
