"""Curves and competing ends against statsmodels, by hand, and in limiting cases."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from sqm import survival
from sqm.checks import Problem, Refusal
from sqm.interval import wilson

NONE = np.array([])


def drawn(n, seed, *, whole_days=True):
    """Cases that end in one of two ways, or are still open."""
    rng = np.random.default_rng(seed)
    times = rng.exponential(20, n)
    end = rng.choice([0, 1, 2], n, p=[0.3, 0.5, 0.2])
    return (np.ceil(times) if whole_days else times), end


@pytest.mark.parametrize("whole_days", [True, False])
def test_the_curve_is_that_of_statsmodels(whole_days):
    times, end = drawn(500, 1, whole_days=whole_days)
    curve = survival.kaplan_meier(times, end == 0, np.arange(500))
    other = SurvfuncRight(times, (end > 0).astype(int))
    assert curve.share[1:] == pytest.approx(other.surv_prob)
    known = curve.share[1:] > 0
    error = curve.share[1:] * np.sqrt(curve.greenwood[1:])
    assert error[known] == pytest.approx(other.surv_prob_se[known])


@pytest.mark.parametrize("whole_days", [True, False])
def test_incidence_is_that_of_statsmodels(whole_days):
    times, end = drawn(600, 2, whole_days=whole_days)
    found = survival.aalen_johansen(times, end, np.arange(600), kinds=2)
    with np.errstate(divide="ignore", invalid="ignore"):  # at its last time
        other = CumIncidenceRight(times, end)
    at = np.searchsorted(other.times, found.times[1:])
    for kind in (1, 2):
        assert found.incidence[kind - 1, 1:] == pytest.approx(other.cinc[kind - 1][at])
        place = int(np.searchsorted(found.times, 20, side="right") - 1)
        error = np.sqrt((survival.moves(found, kind=kind, place=place) ** 2).sum())
        assert error == pytest.approx(other.cinc_se[kind - 1][at[place - 1]], rel=0.02)


def test_the_ends_and_what_is_open_make_a_whole():
    times, end = drawn(400, 3)
    found = survival.aalen_johansen(times, end, np.arange(400), kinds=2)
    assert found.incidence.sum(axis=0) + found.share == pytest.approx(1)


def test_one_kind_of_end_is_one_minus_kaplan_meier():
    times, end = drawn(400, 4, whole_days=False)
    one = survival.aalen_johansen(times, np.minimum(end, 1), np.arange(400), kinds=1)
    curve = survival.kaplan_meier(times, end == 0, np.arange(400))
    ends = survival.ended(one, kind=1, time=15)
    closed = survival.closed_within(curve, 15)
    assert ends.estimate == pytest.approx(closed.estimate)
    # the influence and Greenwood's sum differ by what one case is worth
    assert ends.effective == pytest.approx(closed.effective, rel=0.01)


def test_influence_is_what_leaving_a_case_out_does():
    times, end = drawn(300, 5)
    found = survival.aalen_johansen(times, end, np.arange(300), kinds=2)
    place = int(np.searchsorted(found.times, 12, side="right") - 1)
    moved = survival.moves(found, kind=1, place=place)
    assert moved.sum() == pytest.approx(0, abs=1e-12)
    for case in (0, 50, 299):
        rest = np.arange(300) != case
        less = survival.aalen_johansen(times[rest], end[rest], np.arange(299), kinds=2)
        without = survival.ended(less, kind=1, time=12).estimate
        change = 299 / 300 * (found.incidence[0, place] - without)
        assert moved[case] == pytest.approx(change, abs=3e-5)


def test_without_open_cases_an_incidence_is_a_plain_share():
    times, end = drawn(200, 6)
    end = np.maximum(end, 1)
    ends = survival.aalen_johansen(times, end, np.arange(200), kinds=2)
    found = survival.ended(ends, kind=2, time=10)
    share = ((end == 2) & (times <= 10)).mean()
    assert (found.estimate, found.effective) == pytest.approx((share, 200))
    assert found.limits(0.95) == pytest.approx(wilson(share, 200))


def test_copies_weigh_as_clusters():
    times, end = drawn(150, 7)
    alone = survival.aalen_johansen(times, end, np.arange(150), kinds=2)
    four = [np.tile(each, 4) for each in (times, end, np.arange(150))]
    copied = survival.aalen_johansen(*four, kinds=2)
    one, other = (survival.ended(each, kind=1, time=15) for each in (alone, copied))
    assert other.estimate == pytest.approx(one.estimate)
    assert other.effective == pytest.approx(one.effective, rel=0.02)
    assert other.clusters == 150


def test_ends_of_the_scale():
    times, end = np.arange(1.0, 21), np.ones(20, dtype=int)
    ends = survival.aalen_johansen(times, end, np.arange(20), kinds=2)
    nobody, everyone = (survival.ended(ends, kind=k, time=99) for k in (2, 1))
    assert (nobody.estimate, nobody.limits(0.95)) == (0, pytest.approx(wilson(0, 20)))
    assert (everyone.estimate, everyone.limits(0.95)) == (1, pytest.approx(wilson(1, 20)))
    early = survival.ended(ends, kind=1, time=0.5)
    assert (early.estimate, early.effective) == (0, 20)
    still = survival.aalen_johansen(times, 0 * end, np.arange(20), kinds=1)
    assert np.isnan(survival.ended(still, kind=1, time=21).estimate)
    assert survival.ended(still, kind=1, time=15).effective == 6  # followed for 15 days


def test_newcombe_1998_table_ii():
    """Newcombe, R. G. (1998). Statistics in Medicine 17, 873-890, table II, method 10."""
    cases = [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0000),
    ]
    for a, m, b, n, low, high in cases:
        one, other = survival.Share(a / m, m, m, 0, NONE), survival.Share(b / n, n, n, 0, NONE)
        found = survival.difference(one, other, confidence=0.95)
        assert found == pytest.approx((a / m - b / n, low, high), abs=5e-5)


def test_p_and_interval_agree():
    one, other = survival.Share(0.5, 90, 90, 0, NONE), survival.Share(0.37, 110, 110, 0, NONE)
    p = survival.chance(one, other)
    _, low, _ = survival.difference(one, other, confidence=1 - p)
    assert low == pytest.approx(0, abs=1e-5)
    assert survival.chance(other, one) == pytest.approx(p)
    assert np.isnan(survival.chance(one, survival.Share(np.nan, np.nan, 0, 0, NONE)))


def test_shared_clusters_make_a_difference_surer():
    """What two shares have in common falls away when one is taken from the other."""
    moved = np.array([0.02, -0.02, 0.01, -0.01] * 10)
    one, other = (survival.Share(p, 60, 80, 40, moved) for p in (0.5, 0.4))
    apart = survival.difference(one, other, confidence=0.95)
    free = [survival.Share(p, 60, 80, 40, NONE) for p in (0.5, 0.4)]
    wide = survival.difference(*free, confidence=0.95)
    assert apart[2] - apart[1] < (wide[2] - wide[1]) / 2


def test_bad_input():
    cases = pd.DataFrame({"t_d": [1.0, -1.0], "o": [True, False]})
    with pytest.raises(Problem, match=r"1 of [0-9]+ have a negative .*first rows"):
        survival.followed(cases, duration="t_d", running="o", clusters="", source="x")
    with pytest.raises(Refusal, match="no column 'who'"):
        survival.followed(cases, duration="t_d", running="o", clusters="who", source="x")
    with pytest.raises(Problem, match="does not end in its unit"):
        survival.unit_of("resolution")
